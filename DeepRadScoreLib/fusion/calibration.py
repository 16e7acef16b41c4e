"""From a raw score to a probability and from a probability to a decision."""

from __future__ import annotations

import numpy as np
from scipy.special import expit
from sklearn.linear_model import LogisticRegression


def platt(y: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of Platt's sigmoid, probability = 1 / (1 + exp(-(slope * score + intercept))).

    The targets are Platt's (N+ + 1) / (N+ + 2) and 1 / (N- + 2), so that perfectly separated scores get a finite slope
    (Platt 1999, "Probabilistic outputs for support vector machines", section 2.2).

    Parameters
    ----------
    y: 0 or 1, (n,).
    scores: out-of-fold scores, (n,) or (repeats, n); each repeat counts alike, and together they count as n cases.

    A slope of zero (constant scores) or below says that the scores know nothing of y.
    """
    scores = np.atleast_2d(scores)
    centre, spread = float(scores.mean()), float(scores.std())
    if not spread > 0:
        return 0.0, 0.0
    target = np.where(y == 1, (y.sum() + 1.0) / (y.sum() + 2.0), 1.0 / (len(y) - y.sum() + 2.0))
    column = ((scores - centre) / spread).reshape(-1, 1)
    weight = np.tile(target, len(scores))
    logistic = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(
        np.vstack([column, column]),
        np.repeat([1, 0], len(column)),
        sample_weight=np.concatenate([weight, 1.0 - weight]) / len(scores),
    )
    slope = float(logistic.coef_[0, 0]) / spread
    return slope, float(logistic.intercept_[0]) - slope * centre


def sigmoid(scores: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """The calibrated probability of each score, of the same shape."""
    return expit(slope * scores + intercept)
