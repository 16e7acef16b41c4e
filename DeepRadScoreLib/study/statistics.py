"""How good a score is, and how sure one can be of it (method: statistics)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from DeepRadScoreLib.fusion.calibration import youden_threshold

__all__ = ["AucEstimate", "auc_interval", "delong", "delong_test", "youden_threshold"]

IntervalMethod = Literal["delong", "delong-logit", "exact-pairs"]
HIGH_AUC = 0.95
FEW_EVENTS = 15
ROUNDING = 1e-24


@dataclass(frozen=True)
class AucEstimate:
    """An AUC with its confidence interval, the cases and positives it stands on, and how the interval was made."""

    auc: float
    low: float
    high: float
    n: int
    positives: int
    method: IntervalMethod


def delong(y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUCs (k,) and their covariance (k, k) for k scores of the same cases.

    The structural components of DeLong, DeLong and Clarke-Pearson (1988) by mid-ranks, O(n log n) (Sun and Xu 2014,
    IEEE Signal Processing Letters 21(11), algorithm 2).

    Parameters
    ----------
    y: 0 or 1, (n,).
    scores: (k, n), higher for the positive class; ties count one half.

    Raises ValueError for fewer than two cases of either class, for NaN, and for labels other than 0 and 1.
    """
    of_positives, of_negatives = _components(y, np.atleast_2d(scores))
    auc = of_positives.mean(axis=1)
    covariance = np.atleast_2d(np.cov(of_positives)) / of_positives.shape[1]
    return auc, covariance + np.atleast_2d(np.cov(of_negatives)) / of_negatives.shape[1]


def auc_interval(y: np.ndarray, score: np.ndarray, level: float = 0.95) -> AucEstimate:
    """AUC of one score (n,) with its two-sided confidence interval.

    "delong": DeLong's normal interval, cut at 0 and 1.
    "delong-logit": the same on the logit scale, by the delta method; at an AUC over 0.95 (or under 0.05) or where the
    rarer class has under 15 cases.
    "exact-pairs": at an AUC of exactly 1 or 0, where the variance is zero and says nothing. The m cases of the rarer
    class can be paired with m of the other; each pair is in the right order with probability AUC, independently of the
    others, so that all m are with probability AUC ** m, and AUC >= ((1 - level) / 2) ** (1 / m).

    Raises what `delong` raises.
    """
    (auc,), ((variance,),) = delong(y, score)
    positives = int(np.sum(y))
    rarer = min(positives, len(y) - positives)
    reach = norm.ppf(0.5 + level / 2.0) * np.sqrt(variance)
    method: IntervalMethod = "delong"
    if auc in (0.0, 1.0):
        method, bound = "exact-pairs", ((1.0 - level) / 2.0) ** (1.0 / rarer)
        low, high = (bound, 1.0) if auc == 1.0 else (0.0, 1.0 - bound)
    elif max(auc, 1.0 - auc) > HIGH_AUC or rarer < FEW_EVENTS:
        method = "delong-logit"
        low, high = expit(logit(auc) + np.array([-1.0, 1.0]) * reach / (auc * (1.0 - auc)))
    else:
        low, high = max(0.0, auc - reach), min(1.0, auc + reach)
    return AucEstimate(float(auc), float(low), float(high), len(y), positives, method)


def delong_test(y: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Difference AUC(a) - AUC(b) of two scores (n,) of the same cases, and DeLong's two-sided p.

    p is 1 where both rank all pairs alike; it is NaN where the AUCs differ and DeLong's variance is zero (a perfect
    score against a constant one): the normal approximation says nothing there. Raises what `delong` raises.
    """
    of_positives, of_negatives = _components(y, np.stack([a, b]))
    difference = float(of_positives[0].mean() - of_positives[1].mean())
    variance = sum(float(np.var(part[0] - part[1], ddof=1)) / part.shape[1] for part in (of_positives, of_negatives))
    if variance > ROUNDING:
        return difference, float(2.0 * norm.sf(abs(difference) / np.sqrt(variance)))
    return difference, 1.0 if abs(difference) < 1e-12 else float("nan")


def _components(y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per case the share of the other class that it is ordered rightly with: positives (k, m), negatives (k, n)."""
    y, scores = np.asarray(y), np.asarray(scores, dtype=np.float64)
    if not np.isin(y, (0, 1)).all() or np.isnan(scores).any():
        raise ValueError("labels must be 0 or 1 and scores must not be NaN")
    positive = y == 1
    m, n = int(positive.sum()), int((~positive).sum())
    if min(m, n) < 2:
        raise ValueError(f"DeLong's variance needs two cases of either class, here are {m} positive and {n} negative")
    overall = rankdata(scores, axis=1)
    of_positives = (overall[:, positive] - rankdata(scores[:, positive], axis=1)) / n
    of_negatives = 1.0 - (overall[:, ~positive] - rankdata(scores[:, ~positive], axis=1)) / m
    return of_positives, of_negatives
