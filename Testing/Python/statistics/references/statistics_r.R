# Rscript statistics_r.R CVAUC_R_FOLDER   writes statistics_r.json; CVAUC_R_FOLDER: the folder R/ of cvAUC 1.1.4
library(pROC)
suppressMessages(library(rms))
library(ROCR)
library(data.table)
for (name in c("internals", "AUC", "cvAUC", "ci.cvAUC")) source(file.path(commandArgs(TRUE)[1], paste0(name, ".R")))

share <- function(x, n) as.numeric(prop.test(x, n, correct = FALSE)$conf.int)

one <- function(d) {
  ra <- roc(d$y, d$a, levels = c(0, 1), direction = "<")
  rb <- roc(d$y, d$b, levels = c(0, 1), direction = "<")
  test <- roc.test(ra, rb, method = "delong", paired = TRUE)
  set.seed(1)
  bootstrap <- ci.auc(ra, method = "bootstrap", boot.n = 20000, boot.stratified = TRUE, progress = "none")
  fold_tests <- lapply(split(d, d$fold), function(f) {
    fa <- roc(f$y, f$a, levels = c(0, 1), direction = "<")
    fb <- roc(f$y, f$b, levels = c(0, 1), direction = "<")
    c(auc_a = as.numeric(auc(fa)), auc_b = as.numeric(auc(fb)), var_a = var(fa), var_b = var(fb), cov = cov(fa, fb))
  })
  le_dell <- ci.cvAUC(d$a, d$y, folds = d$fold + 1)
  x <- qlogis(d$p)
  joint <- coef(glm(d$y ~ x, family = binomial, epsilon = 1e-14, maxit = 100))
  large <- coef(glm(d$y ~ 1, offset = x, family = binomial, epsilon = 1e-14, maxit = 100))
  prob <- val.prob(d$p, d$y, pl = FALSE)
  called <- d$p >= 0.3
  tp <- sum(called & d$y == 1); fp <- sum(called & d$y == 0)
  fn <- sum(!called & d$y == 1); tn <- sum(!called & d$y == 0)
  list(
    auc = c(as.numeric(auc(ra)), as.numeric(auc(rb))),
    covariance = matrix(c(var(ra), cov(ra, rb), cov(ra, rb), var(rb)), 2),
    ci_a = as.numeric(ci.auc(ra, method = "delong")),
    paired_p = test$p.value,
    bootstrap_a = as.numeric(bootstrap),
    folds = do.call(rbind, fold_tests),
    cvauc_a = c(le_dell$cvAUC, le_dell$se),
    slope = unname(joint[2]),
    intercept = unname(large[1]),
    val_prob = unname(prob[c("Slope", "Brier", "C (ROC)")]),
    wilson = list(
      accuracy = share(tp + tn, nrow(d)), sensitivity = share(tp, tp + fn), specificity = share(tn, tn + fp),
      ppv = share(tp, tp + fp), npv = share(tn, tn + fn), jaccard = share(tp, tp + fp + fn)
    )
  )
}

d <- read.csv("statistics_cases.csv")
values <- lapply(split(d, factor(d$case, unique(d$case))), one)
p <- c(0.001, 0.04, 0.03, 0.2, 0.012, 0.0004, 0.9, 0.05, 0.02)
values$holm <- list(p = p, adjusted = p.adjust(p, "holm"))
values$made_by <- list(
  command = "Rscript statistics_r.R cvAUC/R",
  R = R.version.string, pROC = as.character(packageVersion("pROC")), rms = as.character(packageVersion("rms")),
  cvAUC = "1.1.4, github.com/ledell/cvAUC at 4c7feae3a4d137a1ed712d3549fae61be79c2175"
)
writeLines(jsonlite::toJSON(values, digits = I(17), auto_unbox = TRUE, pretty = TRUE), "statistics_r.json")
