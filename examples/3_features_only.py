# %% [markdown]
# # A table of radiomics features alone
# Features that were computed elsewhere, with pyradiomics' plain names, and a table of labels. The models that need
# images are reported as not run.

# %%
import made_up
import pandas as pd

from DeepRadScoreLib import evaluate, extract

labels = pd.read_csv(made_up.cohort())[["case_id", "patient_id", "site", "age", "PI"]]
features = extract(made_up.cohort()).filter(like="tumour_original").rename(columns=lambda name: name[len("tumour_") :])
features = features.rename_axis("ID").reset_index()
print(features.iloc[:3, :3])

# %% [markdown]
# Nested cross-validation: all that is learned is learned inside each outer training part, by whole patients. Beside the
# model stand the tumour's volume, the covariates and shuffled labels. `study.save("study")` leaves the whole report.

# %%
study = evaluate(
    labels,
    features=features,
    case_column="ID",
    tumour_prefix="",
    endpoints="PI",
    covariates="age",
    folds=3,
    repeats=1,
    jobs=1,
    progress=True,
)
print(study.to_frame()[["auc", "auc_low", "auc_high", "n", "positives"]].round(2))
