"""AUC of a cross-validated model: the mean over folds, its interval, and the paired comparison of two models.

The quantity that is estimated is the mean over the folds of the true AUCs of the fold-fitted models, not the AUC of one
model refitted on all cases.

Variance of the mean of K fold AUCs, of n cases with n_k in fold k:

    (1 / K^2) sum_kl r_kl sqrt(v_k v_l),   r_kk = 1,   r_kl = sqrt(n_k / (n - n_k) * n_l / (n - n_l))

v_k is DeLong's variance within fold k. r_kl is there because every fold's test cases train the models of the other
folds. Where labels mean nothing and the score is a difference of class means, fold k's AUC is to first order a sum of
products of its own cases with all others; folds k and l share the products of k's cases with l's, and r_kl is the
share of them: exact there, too large where the models are stable. With K equal folds r is 1 / (K - 1), the ratio of
test to training cases of Nadeau and Bengio (2003, Machine Learning 52, 239), and the variance is twice the mean of v_k
over K. Chosen by measured coverage (Testing/benchmarks/coverage_benchmark.py): without r (LeDell, Petersen and van der
Laan 2015 is that with divisors m_k for m_k - 1) the 95 % interval covers 83 to 85 % where labels mean nothing, with it
94 to 95 %, and 96 to 99 % where they do mean something: there it is wider than need be. Nadeau and Bengio's own
variance, from the spread of K figures, covers about as well and is 20 to 40 % wider.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from DeepRadScoreLib.statistics.auc import (
    AucEstimate,
    IntervalMethod,
    auc_interval,
    components,
    delong_test,
    interval,
    p_value,
    too_few_events,
)

METHODS: dict[str, IntervalMethod] = {
    "normal": "corrected-delong",
    "logit": "corrected-delong-logit",
    "exact-pairs": "exact-pairs",
}


def mean_auc(folds: Sequence[tuple[np.ndarray, np.ndarray]], level: float = 0.95) -> AucEstimate:
    """Mean over folds of the folds' AUCs with its two-sided confidence interval; with one fold it is `auc_interval`.

    "corrected-delong": normal interval with the variance above, cut at 0 and 1.
    "corrected-delong-logit": the same on the logit scale, where `auc_interval` takes it too.
    "exact-pairs": where all folds have an AUC of exactly 1, or all of 0.

    A fold with one class has no AUC: it is left out of mean, n and positives, and `note` says so. A fold with a single
    case of a class takes that class's variance pooled within the other folds; where no fold has two cases of the class,
    the variance of all of them about their common mean.

    Parameters
    ----------
    folds: per fold y (n_k,), 0 or 1, and the score (n_k,) that a model trained on the other folds gave them.

    Raises ValueError where no fold has both classes, where these folds have one case of a class in all, for NaN, and
    for labels other than 0 and 1.
    """
    if len(folds) == 1:
        return auc_interval(*folds[0], level=level)
    used = [(np.asarray(y), np.asarray(score)) for y, score in folds if _both_classes(y)]
    of_folds = [components(y, score[None]) for y, score in used]
    auc, variance = _mean_and_variance(of_folds, sum(len(y) for y, _ in folds))
    positives, negatives = (np.array([fold[side].size for fold in of_folds]) for side in (0, 1))
    low, high, form = interval(auc, variance, int(np.minimum(positives, negatives).sum()), level)
    notes = [too_few_events(int(min(positives.sum(), negatives.sum()))), _left_out(len(folds), len(used))]
    return AucEstimate(
        auc=auc,
        low=low,
        high=high,
        n=int(positives.sum() + negatives.sum()),
        positives=int(positives.sum()),
        method=METHODS[form],
        note="; ".join(text for text in notes if text) or None,
    )


def mean_auc_difference(folds: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[float, float]:
    """Mean over folds of AUC(a) - AUC(b), and its two-sided p; with one fold it is `delong_test`.

    v_k is DeLong's variance of the difference within fold k: both scores' variances less twice their covariance. The
    rest, the handling of folds with few cases and the refusals are those of `mean_auc`; p is 1 or NaN where
    `delong_test` says so.

    Parameters
    ----------
    folds: per fold y (n_k,), 0 or 1, and the scores a and b (n_k,) of the same cases.
    """
    if len(folds) == 1:
        return delong_test(*folds[0])
    both = [components(y, np.stack([a, b])) for y, a, b in folds if _both_classes(y)]
    differences = [(positives[:1] - positives[1:], negatives[:1] - negatives[1:]) for positives, negatives in both]
    difference, variance = _mean_and_variance(differences, sum(len(y) for y, _, _ in folds))
    return difference, p_value(difference, variance)


def _both_classes(y: np.ndarray) -> bool:
    return len(np.unique(y)) > 1


def _left_out(folds: int, used: int) -> str | None:
    return f"{folds - used} of {folds} folds have labels of one class or none and give no AUC" if used < folds else None


def _mean_and_variance(folds: Sequence[tuple[np.ndarray, np.ndarray]], n: int) -> tuple[float, float]:
    """Mean over folds and its variance from the components, positives (1, m_k) and negatives (1, n_k - m_k)."""
    if not folds:
        raise ValueError("an AUC needs a fold with cases of both classes")
    mean = float(np.mean([positives.mean() for positives, _ in folds]))
    of_fold = sum(_variances([fold[side][0] for fold in folds]) for side in (0, 1))
    size = np.array([positives.size + negatives.size for positives, negatives in folds])
    shared = np.sqrt(of_fold * size / (n - size))
    between = shared.sum() ** 2 - np.sum(shared**2)
    return mean, float(np.sum(of_fold) + between) / len(folds) ** 2


def _variances(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Variance of the mean of one class's components (m_k,), for each fold."""
    size = np.array([part.size for part in parts])
    freedom = int(np.sum(size - 1))
    if size.sum() < 2:
        raise ValueError("the variance of an AUC needs two cases of either class")
    if freedom:
        pooled = sum(float(np.sum((part - part.mean()) ** 2)) for part in parts) / freedom
    else:
        pooled = float(np.var(np.concatenate(parts), ddof=1))
    return np.array([np.var(part, ddof=1) if part.size > 1 else pooled for part in parts]) / size
