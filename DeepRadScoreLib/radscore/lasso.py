"""L1 logistic regression by liblinear, for the thousands of small fits of a search for the penalty."""

from __future__ import annotations

from functools import cache

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression

try:
    from sklearn.svm._liblinear import set_verbosity_wrap, train_wrap
except ImportError:
    train_wrap = None

FREE_INTERCEPT = 100.0
"""liblinear penalises the intercept too; its column of this value makes that negligible."""

MAX_ITERATIONS = 1000
TOLERANCE = 1e-4
L1_LOGISTIC = 6
"""liblinear's number of the solver."""

UNUSED_EPSILON = 0.1
PENALTY_BY_L1_RATIO = tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 8)


def lasso(Z: np.ndarray, positive: np.ndarray, inverse_penalty: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (1, p) and intercept (1,) of z-scores (n, p) and labels, bool (n,).

    Equal to the bit to `LogisticRegression(C=inverse_penalty, l1_ratio=1, solver="liblinear",
    intercept_scaling=FREE_INTERCEPT, max_iter=MAX_ITERATIONS, random_state=seed)`, whose checks of the input take ten
    times as long as its solver; the solver is called itself where scikit-learn has it.

    Raises ValueError for labels of one class.
    """
    if train_wrap is None or positive.all() or not positive.any():
        return _by_estimator(Z, positive, inverse_penalty, seed)
    set_verbosity_wrap(0)
    weights, _ = train_wrap(
        np.ascontiguousarray(Z),
        positive.astype(np.float64),
        False,
        L1_LOGISTIC,
        TOLERANCE,
        FREE_INTERCEPT,
        inverse_penalty,
        np.ones(2),
        MAX_ITERATIONS,
        _first_number(seed),
        UNUSED_EPSILON,
        np.ones(len(Z)),
    )
    return weights[:, :-1], FREE_INTERCEPT * weights[:, -1]


def _by_estimator(
    Z: np.ndarray, positive: np.ndarray, inverse_penalty: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    l1 = {"l1_ratio": 1.0} if PENALTY_BY_L1_RATIO else {"penalty": "l1"}
    model = LogisticRegression(
        C=inverse_penalty,
        solver="liblinear",
        intercept_scaling=FREE_INTERCEPT,
        tol=TOLERANCE,
        max_iter=MAX_ITERATIONS,
        random_state=seed,
        **l1,
    ).fit(Z, positive)
    return model.coef_, model.intercept_


@cache
def _first_number(seed: int) -> int:
    return int(np.random.RandomState(seed).randint(np.iinfo("i").max))
