"""Metrics of decisions and probabilities, with 95 % intervals where one is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit, ndtri, stdtrit

from DeepRadScoreLib.statistics.auc import counts_by_threshold

LEVEL = 0.95
NORMAL_REACH = float(ndtri(0.5 + LEVEL / 2))
"""Half the width of the normal distribution's central share `LEVEL`."""

MIN_PROBABILITY = 1e-8
MAX_STEPS = 200
SMALLEST_STEP = 1e-14
Interval = tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """A metric with its 95 % interval; None where the data do not give it."""

    value: float | None
    ci: Interval | None = None


@dataclass(frozen=True)
class Calibration:
    """Slope of the logistic recalibration, calibration-in-the-large, and the curve: mean predicted, share observed, n.

    Over several folds the test patients are pooled: each has a probability from the fold that tested it, calibrated.
    """

    slope: float | None
    intercept: float | None
    curve: list[tuple[float, float, int]]


@dataclass(frozen=True)
class DecisionCurve:
    """Net benefit of the model, of calling all positive, and of none (0), at each threshold probability."""

    thresholds: list[float]
    net_benefit: list[float]
    all_positive: list[float]


def decision_metrics(y: np.ndarray, decision: np.ndarray) -> dict[str, Estimate]:
    """Accuracy, sensitivity, specificity, ppv, npv and f1 of 0/1 decisions (n,) on labels y (n,), 0 or 1.

    Recall is the sensitivity and precision the ppv; they stand once. Shares have Wilson's interval. F1 is 2 J / (1 + J)
    of the Jaccard index J = TP / (TP + FP + FN), itself a share (of the cases that are positive or called so), and has
    Wilson's interval of J carried through that function, which is increasing. A share of no cases is None.
    """
    y, decision = np.asarray(y) == 1, np.asarray(decision) == 1
    tp, fn = int(np.sum(y & decision)), int(np.sum(y & ~decision))
    fp, tn = int(np.sum(~y & decision)), int(np.sum(~y & ~decision))
    return {
        "accuracy": _share(tp + tn, len(y)),
        "sensitivity": _share(tp, tp + fn),
        "specificity": _share(tn, tn + fp),
        "ppv": _share(tp, tp + fp),
        "npv": _share(tn, tn + fn),
        "f1": _f1(_share(tp, tp + fn + fp)),
    }


def _share(count: int, total: int) -> Estimate:
    """A share with Wilson's interval (1927, J Am Stat Assoc 22, 209), cut at 0 and 1."""
    if total == 0:
        return Estimate(value=None)
    value, square = count / total, NORMAL_REACH**2
    widening = 1 + square / total
    centre = (value + square / (2 * total)) / widening
    reach = NORMAL_REACH * sqrt(value * (1 - value) / total + square / (4 * total**2)) / widening
    return Estimate(value=value, ci=(max(centre - reach, 0.0), min(centre + reach, 1.0)))


def _f1(jaccard: Estimate) -> Estimate:
    if jaccard.value is None or jaccard.ci is None:
        return jaccard
    value, low, high = (2 * j / (1 + j) for j in (jaccard.value, *jaccard.ci))
    return Estimate(value=value, ci=(low, high))


def probability_metrics(y: np.ndarray, probability: np.ndarray) -> dict[str, Estimate]:
    """Auprc and brier of probabilities (n,) on labels y (n,), 0 or 1.

    auprc: average precision; interval on the logit scale with the positives as the count (Boyd, Eng and Page 2013,
    "Area under the precision-recall curve", section 3.2); None without positives, without interval at 0 and 1.
    brier: mean squared error of the probability; Student's interval of that mean, cut at 0 and 1.
    """
    y, probability = np.asarray(y, dtype=int), np.asarray(probability, dtype=float)
    return {"auprc": _auprc(y, probability), "brier": _brier(y, probability)}


def _auprc(y: np.ndarray, probability: np.ndarray) -> Estimate:
    positives = int(y.sum())
    if positives == 0:
        return Estimate(value=None)
    true, false = counts_by_threshold(y, probability)
    precision, recall = true / (true + false), np.concatenate([[0.0], true]) / positives
    value = float(np.sum((np.diff(recall) * precision)[::-1]))
    if not 0 < value < 1:
        return Estimate(value=value)
    reach = NORMAL_REACH / np.sqrt(positives * value * (1 - value))
    return Estimate(value=value, ci=(float(expit(logit(value) - reach)), float(expit(logit(value) + reach))))


def _brier(y: np.ndarray, probability: np.ndarray) -> Estimate:
    errors = (probability - y) ** 2
    n, value = len(errors), float(errors.mean())
    if n < 2:
        return Estimate(value=value)
    reach = float(stdtrit(n - 1, 0.5 + LEVEL / 2) * errors.std(ddof=1) / np.sqrt(n))
    return Estimate(value=value, ci=(max(0.0, value - reach), min(1.0, value + reach)))


def calibration(y: np.ndarray, probability: np.ndarray, bins: int = 10) -> Calibration:
    """Slope, intercept and curve of probabilities (n,) on labels y (n,), 0 or 1.

    slope: b of logit P(y = 1) = a + b logit(probability), fitted jointly (Cox 1958; rms::val.prob); 1 is the aim, None
    where the probabilities are constant or separate the classes, so that no finite slope fits.
    intercept: calibration-in-the-large, the a of logit P(y = 1) = a + logit(probability) with the slope held at 1
    (Van Calster et al. 2019, doi 10.1186/s12916-019-1466-7); 0 is the aim, below it the probabilities are too high;
    None where y has one class. It isn't the a of the joint fit, which says nothing without b.
    curve: (mean probability, share of positives, cases) of groups between quantiles of the probability, equal ones
    together, so that there may be fewer than `bins`.

    Probabilities are clipped to 1e-8 from 0 and 1 for the two fits.
    """
    y, probability = np.asarray(y, dtype=int), np.asarray(probability, dtype=float)
    x = logit(np.clip(probability, MIN_PROBABILITY, 1 - MIN_PROBABILITY))
    slope = intercept = None
    if len(np.unique(y)) == 2:
        intercept = _in_the_large(y, x)
        if np.ptp(x) > 0 and not _separated(y, x):
            slope = _slope(y, x)
    return Calibration(slope=slope, intercept=intercept, curve=_curve(y, probability, bins))


def _in_the_large(y: np.ndarray, x: np.ndarray) -> float:
    """The a at which expit(a + x) has the mean of y; it lies where all of a + x is below that mean, or all above."""
    aim = logit(y.mean())
    return float(brentq(lambda a: np.mean(expit(a + x) - y), aim - x.max() - 1, aim - x.min() + 1, xtol=1e-14))


def _slope(y: np.ndarray, x: np.ndarray) -> float:
    """The b of logit P(y = 1) = a + b x of the largest likelihood, by Newton's steps until they no longer change it.

    No step is longer than the way from 0 so far, or 2 (in log-odds at one standard deviation of x): it could run away.
    """
    z = (x - x.mean()) / x.std()
    a = b = 0.0
    for _ in range(MAX_STEPS):
        p = expit(a + b * z)
        weight, error = p * (1.0 - p), y - p
        w, wz, wzz = weight.sum(), weight @ z, weight @ (z * z)
        step_a, step_b = np.linalg.solve([[w, wz], [wz, wzz]], [error.sum(), error @ z])
        cut = min(1.0, max(2.0, abs(a), abs(b)) / max(abs(step_a), abs(step_b), 2.0))
        a, b = a + cut * step_a, b + cut * step_b
        if abs(step_b) <= SMALLEST_STEP * abs(b):
            break
    return float(b / x.std())


def _separated(y: np.ndarray, x: np.ndarray) -> bool:
    positive, negative = x[y == 1], x[y == 0]
    return bool(positive.min() >= negative.max() or negative.min() >= positive.max())


def _curve(y: np.ndarray, probability: np.ndarray, bins: int) -> list[tuple[float, float, int]]:
    if len(y) == 0:
        return []
    edges = np.quantile(probability, np.linspace(0, 1, bins + 1))[1:-1]
    group = np.searchsorted(edges, probability)
    count = np.bincount(group)
    mean, share = np.bincount(group, probability), np.bincount(group, y)
    return [(float(mean[g] / count[g]), float(share[g] / count[g]), int(count[g])) for g in np.flatnonzero(count)]


def decision_curve(y: np.ndarray, probability: np.ndarray, thresholds: Sequence[float]) -> DecisionCurve:
    """Net benefit at each threshold probability t, 0 <= t < 1, of calling positive where probability >= t.

    TP / n - FP / n * t / (1 - t); `all_positive` is that of calling every case positive (Vickers and Elkin 2006,
    doi 10.1177/0272989X06295361). y: 0 or 1, (n,); probability: (n,). Raises ValueError for other thresholds.
    """
    cut = np.asarray(thresholds, dtype=float)
    if not ((cut >= 0) & (cut < 1)).all():
        raise ValueError("threshold probabilities must lie in [0, 1)")
    y = np.asarray(y) == 1
    called = np.asarray(probability) >= cut[:, None]
    odds = cut / (1 - cut)
    model = (called & y).mean(axis=1) - (called & ~y).mean(axis=1) * odds
    everyone = y.mean() - (~y).mean() * odds
    return DecisionCurve(thresholds=cut.tolist(), net_benefit=model.tolist(), all_positive=everyone.tolist())


def bootstrap_auc(y: np.ndarray, score: np.ndarray, seed: int, n: int = 2000) -> tuple[float, float]:
    """95 % percentile interval of the AUC over n stratified bootstrap samples, the cross-check of DeLong's.

    Positives and negatives are drawn with replacement, separately. y: 0 or 1, (cases,), both present; score
    (cases,). O(n cases); exact sums, so that the same seed gives the same bits. Raises ValueError for one class.
    """
    y, score = np.asarray(y) == 1, np.asarray(score, dtype=float)
    if not 0 < y.sum() < len(y):
        raise ValueError("an AUC needs cases of both classes")
    values, position = np.unique(score, return_inverse=True)
    rng = np.random.default_rng(seed)
    positives = _count_draws(rng, position[y], len(values), n)
    negatives = _count_draws(rng, position[~y], len(values), n)
    below = np.cumsum(negatives, axis=1) - negatives
    twice_ordered = np.sum(positives * (2 * below + negatives), axis=1)
    low, high = np.quantile(twice_ordered / (2.0 * y.sum() * (~y).sum()), [0.5 - LEVEL / 2, 0.5 + LEVEL / 2])
    return float(low), float(high)


def _count_draws(rng: np.random.Generator, positions: np.ndarray, values: int, n: int) -> np.ndarray:
    """How often each of the score's values is in each of n bootstrap samples, (n, values)."""
    chosen = positions[rng.integers(0, len(positions), (n, len(positions)))] + values * np.arange(n)[:, None]
    return np.bincount(chosen.ravel(), minlength=n * values).reshape(n, values)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p in the order given; None and NaN are not of the family and come back as None.

    Holm 1979, "A simple sequentially rejective multiple test procedure", Scand J Stat 6, 65. Not by statsmodels, whose
    `multipletests(method="holm")` runs a full garbage collection in each call: 0.2 s with the libraries loaded.
    """
    known = {i: p for i, p in enumerate(p_values) if p is not None and not np.isnan(p)}
    smallest_first = sorted(known, key=lambda i: known[i])
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for left, i in zip(range(len(known), 0, -1), smallest_first, strict=True):
        highest = max(highest, min(left * known[i], 1.0))
        adjusted[i] = highest
    return adjusted


def events_per_variable(events: int, columns: int) -> float:
    """Cases of the rarer class per column of the model; under 10 is a warning. Raises ValueError without columns."""
    if columns < 1:
        raise ValueError("a model has at least one column")
    return events / columns
