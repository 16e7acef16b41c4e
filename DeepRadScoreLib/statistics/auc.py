"""AUC of a score or of a cross-validated model, its interval, and paired comparisons (method: statistics).

Of a cross-validated model the mean over the folds of the true AUCs of the fold-fitted models is estimated, not the AUC
of one model refitted on all cases.

Variance of the mean of K fold AUCs, of n cases with n_k in fold k:

    (1 / K^2) sum_kl r_kl sqrt(v_k v_l),   r_kk = 1,   r_kl = sqrt(n_k / (n - n_k) * n_l / (n - n_l))

v_k is DeLong's variance within fold k. r_kl is there because every fold's test cases train the models of the other
folds. Where labels mean nothing and the score is a difference of class means, fold k's AUC is to first order a sum of
products of its cases with all others; folds k and l share the products of k's cases with l's, and r_kl is the
share of them: exact there, too large where the models are stable. With K equal folds r is 1 / (K - 1), the ratio of
test to training cases of Nadeau and Bengio (2003, Machine Learning 52, 239), and the variance is twice the mean of v_k
over K. Chosen by measured coverage (Testing/benchmarks/coverage_benchmark.py): without r (LeDell, Petersen and van der
Laan 2015 is that with divisors m_k for m_k - 1) the 95 % interval covers 83 to 85 % where labels mean nothing, with it
94 to 95 %, and 96 to 99 % where they do mean something: there it is wider than need be. Nadeau and Bengio's
variance, from the spread of K figures, covers about as well and is 20 to 40 % wider.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit, logit, ndtr, ndtri
from sklearn.metrics import roc_curve

IntervalMethod = Literal["delong", "delong-logit", "exact-pairs", "corrected-delong", "corrected-delong-logit"]
HIGH_AUC = 0.85
FEW_EVENTS = 15
ROUNDING = 1e-24
CORRECTED: dict[str, IntervalMethod] = {
    "delong": "corrected-delong",
    "delong-logit": "corrected-delong-logit",
    "exact-pairs": "exact-pairs",
}
"""Method of one score's interval -> the name that it has for a mean over folds."""


@dataclass(frozen=True)
class AucEstimate:
    """An AUC with its confidence interval, the numbers of cases and positives, and the interval's method.

    `note` says what speaks against the interval; None where nothing does.
    """

    auc: float
    low: float
    high: float
    n: int
    positives: int
    method: IntervalMethod
    note: str | None = None


def roc_area(y: np.ndarray, scores: np.ndarray) -> float:
    """AUC of one score, rounded as scikit-learn's `roc_auc_score` and without its checks of each input.

    The trapezoids under the ROC curve's corners; ties count one half.

    Parameters
    ----------
    y: 0 or 1, (n,), both there.
    scores: (n,), higher for the positive class.
    """
    true, false = counts_by_threshold(y, scores)
    if len(true) > 2:
        corner = np.ones(len(true), dtype=bool)
        corner[1:-1] = (np.diff(true, 2) != 0) | (np.diff(false, 2) != 0)
        true, false = true[corner], false[corner]
    height, width = (np.concatenate([[0.0], counts]) / counts[-1] for counts in (true, false))
    return float(np.sum(np.diff(width) * (height[1:] + height[:-1]) / 2.0))


def counts_by_threshold(y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True and false positives (k,) of "positive if score >= cut" at each of k different scores, the highest first.

    y: 0 or 1, (n,); scores: (n,).
    """
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    true = np.cumsum(y[order], dtype=np.float64)[last_of_ties]
    return true, 1.0 + last_of_ties - true


def delong(y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUCs (k,) and their covariance (k, k) for k scores of the same cases.

    The structural components of DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44, 837, by counting in sorted
    scores, O(n log n): the mid-rank differences of Sun and Xu (2014), IEEE Signal Processing Letters 21(11).

    Parameters
    ----------
    y: 0 or 1, (n,).
    scores: (k, n), higher for the positive class; ties count one half.

    Raises ValueError for fewer than two cases of either class, for NaN, and for labels other than 0 and 1.
    """
    of_positives, of_negatives = _components_with_variance(y, np.atleast_2d(scores))
    auc = of_positives.mean(axis=1)
    covariance = np.atleast_2d(np.cov(of_positives)) / of_positives.shape[1]
    return auc, covariance + np.atleast_2d(np.cov(of_negatives)) / of_negatives.shape[1]


def auc_interval(y: np.ndarray, score: np.ndarray, level: float = 0.95) -> AucEstimate:
    """AUC of one score (n,) with its two-sided confidence interval.

    "delong": DeLong's normal interval, cut at 0 and 1.
    "delong-logit": the same on the logit scale, by the delta method; at an AUC over 0.85 (or under 0.15) or where the
    rarer class has under 15 cases. Chosen by measured coverage: with 30 events among 100 to 508 the plain interval
    covers 90 to 93 % at a true AUC of 0.8 to 0.95, this rule 94 to 96 %. It is still too narrow, 89 to 92 %, at an AUC
    of 0.95 and over with 30 events among 300 and more.
    "exact-pairs": at an AUC of exactly 1 or 0, where the variance is zero and says nothing. The m cases of the rarer
    class can be paired with m of the other; each pair is in the right order with probability AUC, independently of the
    others, so that all m are with probability AUC ** m, and AUC >= ((1 - level) / 2) ** (1 / m).

    Raises what `delong` raises.
    """
    (auc,), ((variance,),) = delong(y, score)
    positives = int(np.sum(y))
    rarer = min(positives, len(y) - positives)
    low, high, method = _interval(float(auc), float(variance), rarer, level)
    return AucEstimate(float(auc), low, high, len(y), positives, method, _too_few_events(rarer))


def _too_few_events(events: int) -> str | None:
    """The note on an interval from under 15 cases of the rarer class."""
    return f"interval not calibrated ({events} events)" if events < FEW_EVENTS else None


def _interval(auc: float, variance: float, pairs: int, level: float) -> tuple[float, float, IntervalMethod]:
    """Interval of an AUC from its variance, and its method, by the rules that `auc_interval` states.

    Scores that do not vary have no variance and say nothing: 0 to 1.

    pairs: cases of the rarer class, each of which can be paired with a different case of the other class.
    """
    if variance <= ROUNDING and 0.0 < auc < 1.0:
        return 0.0, 1.0, "delong"
    reach = ndtri(0.5 + level / 2.0) * np.sqrt(variance)
    if auc in (0.0, 1.0):
        bound = ((1.0 - level) / 2.0) ** (1.0 / pairs)
        return (bound, 1.0, "exact-pairs") if auc == 1.0 else (0.0, 1.0 - bound, "exact-pairs")
    if max(auc, 1.0 - auc) > HIGH_AUC or pairs < FEW_EVENTS:
        low, high = expit(logit(auc) + np.array([-1.0, 1.0]) * reach / (auc * (1.0 - auc)))
        return float(low), float(high), "delong-logit"
    return float(max(0.0, auc - reach)), float(min(1.0, auc + reach)), "delong"


def delong_test(y: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Difference AUC(a) - AUC(b) of two scores (n,) of the same cases, and DeLong's two-sided p.

    p is 1 where both rank all pairs alike; it is NaN where the AUCs differ and DeLong's variance is zero (a perfect
    score against a constant one): the normal approximation says nothing there. Raises what `delong` raises.
    """
    of_positives, of_negatives = _components_with_variance(y, np.stack([a, b]))
    difference = float(of_positives[0].mean() - of_positives[1].mean())
    variance = sum(float(np.var(each[0] - each[1], ddof=1)) / each.shape[1] for each in (of_positives, of_negatives))
    return difference, _p_value(difference, variance)


def _p_value(difference: float, variance: float) -> float:
    """Two-sided normal p of a difference; 1 where it is zero without variance, NaN where it is not."""
    if variance > ROUNDING:
        return float(2.0 * ndtr(-abs(difference) / np.sqrt(variance)))
    return 1.0 if abs(difference) < 1e-12 else float("nan")


def components(y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per case the share of the other class that it is ordered rightly with: positives (k, m), negatives (k, n).

    y: 0 or 1, (m + n,), both present; scores (k, m + n). Raises ValueError for other labels and for NaN.
    """
    y, scores = np.asarray(y), np.asarray(scores, dtype=np.float64)
    if not ((y == 0) | (y == 1)).all() or np.isnan(scores).any():
        raise ValueError("labels must be 0 or 1 and scores must not be NaN")
    positive = y == 1
    m, n = int(positive.sum()), int((~positive).sum())
    if min(m, n) < 1:
        raise ValueError(f"an AUC needs cases of both classes, here are {m} positive and {n} negative")
    of_positives, of_negatives = np.empty((len(scores), m)), np.empty((len(scores), n))
    for row, score in enumerate(scores):
        ones, zeros = score[positive], score[~positive]
        of_positives[row] = _mean_rank(zeros, ones) / n
        of_negatives[row] = 1.0 - _mean_rank(ones, zeros) / m
    return of_positives, of_negatives


def _mean_rank(among: np.ndarray, values: np.ndarray) -> np.ndarray:
    """How many of `among` lie below each value, equal ones counted half."""
    ordered = np.sort(among)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2.0


def _components_with_variance(y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    m = int(np.sum(np.asarray(y) == 1))
    if min(m, len(y) - m) < 2:
        raise ValueError(f"DeLong's variance needs two cases of either class, here are {m} positive of {len(y)}")
    return components(y, scores)


def mean_auc(folds: Sequence[tuple[np.ndarray, np.ndarray]], level: float = 0.95) -> AucEstimate:
    """Mean over folds of the folds' AUCs with its two-sided confidence interval; with one fold it is `auc_interval`.

    "corrected-delong": normal interval with the variance that this module states, cut at 0 and 1.
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
    low, high, method = _interval(auc, variance, int(np.minimum(positives, negatives).sum()), level)
    notes = [_too_few_events(int(min(positives.sum(), negatives.sum()))), _left_out(len(folds), len(used))]
    return AucEstimate(
        auc=auc,
        low=low,
        high=high,
        n=int(positives.sum() + negatives.sum()),
        positives=int(positives.sum()),
        method=CORRECTED[method],
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
    return difference, _p_value(difference, variance)


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


def _variances(folds: Sequence[np.ndarray]) -> np.ndarray:
    """Variance of the mean of one class's components (m_k,), for each fold."""
    size = np.array([fold.size for fold in folds])
    freedom = int(np.sum(size - 1))
    if size.sum() < 2:
        raise ValueError("the variance of an AUC needs two cases of either class")
    if freedom:
        pooled = sum(float(np.sum((fold - fold.mean()) ** 2)) for fold in folds) / freedom
    else:
        pooled = float(np.var(np.concatenate(folds), ddof=1))
    return np.array([np.var(fold, ddof=1) if fold.size > 1 else pooled for fold in folds]) / size


def youden_threshold(y: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The cut with the largest sensitivity + specificity - 1 for "positive if score >= cut" (Youden 1950).

    It lies midway between the last score that is called positive and the next one below; at equal height the highest
    cut is taken. y: 0 or 1, (n,); scores: (n,); weights: how much each case counts, (n,), None: 1. Raises ValueError
    where y has one class only.
    """
    if len(np.unique(y)) != 2:
        raise ValueError("a threshold needs both classes")
    false_positive, true_positive, cuts = roc_curve(y, scores, sample_weight=weights, drop_intermediate=False)
    best = 1 + int(np.argmax((true_positive - false_positive)[1:]))
    below = cuts[best + 1] if best + 1 < len(cuts) else cuts[best]
    return float((cuts[best] + below) / 2.0)
