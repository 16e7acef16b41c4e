"""Shapley values of any score by coalitions of columns: all of them, or those of random orders."""

from __future__ import annotations

from collections.abc import Callable, Generator
from math import comb

import numpy as np

ROWS_AT_ONCE = 8192
"""Rows that are scored in one step."""

Score = Callable[[np.ndarray], np.ndarray]


def enumeration_steps(
    score: Score, background: np.ndarray, X: np.ndarray
) -> Generator[str, None, tuple[np.ndarray, float]]:
    """Exact interventional Shapley values (n, d) of rows X (n, d), and the mean score of the background (m, d).

    A coalition's value is the mean score of the background's rows whose columns in the coalition are those of the case.
    Each of the 2 ** d coalitions is evaluated; a column's value is the weighted sum of Shapley (1953).
    """
    d = X.shape[1]
    coalitions = (np.arange(2**d)[:, None] >> np.arange(d)) & 1 == 1
    mixed = yield from _value_steps(score, background, X, coalitions[None, 1:-1])
    base = float(score(background).mean())
    values = np.column_stack([np.full(len(X), base), mixed, score(X)])
    size = coalitions.sum(axis=1, keepdims=True)
    with_column = np.array([0.0, *(1 / (d * comb(d - 1, k - 1)) for k in range(1, d + 1))])
    without = np.array([*(1 / (d * comb(d - 1, k)) for k in range(d)), 0.0])
    weights = np.where(coalitions, with_column[size], -without[size])
    return (values[:, :, None] * weights).sum(axis=1), base


def permutation_steps(
    score: Score, background: np.ndarray, X: np.ndarray, orders: int, seed: int = 0
) -> Generator[str, None, tuple[np.ndarray, float]]:
    """Estimated Shapley values (n, d) of rows X (n, d), and the mean score of the background (m, d).

    For each case columns enter in `orders` random orders, and leave again in the same order: a column's value is its
    mean gain over both ways. The orders are those of shap's `Permutation` explainer of the same seed.
    """
    n, d = X.shape
    random = np.random.RandomState(seed)
    columns = np.empty((n, orders, d), dtype=int)
    for case in range(n):
        order = np.arange(d)
        for number in range(orders):
            random.shuffle(order)
            columns[case, number] = order
    rank = np.argsort(columns, axis=2)[:, :, None]
    step = np.arange(2 * d + 1)[:, None]
    present = (rank < step) & (step - d <= rank)
    values = yield from _value_steps(score, background, X, present.reshape(n, -1, d))
    values = values.reshape(n, orders, 2 * d + 1)
    entering, leaving = np.diff(values[:, :, : d + 1]), -np.diff(values[:, :, d:])
    shapley = np.zeros((n, d))
    for number in range(orders):
        gains = (entering + leaving)[:, number] / (2 * orders)
        shapley[np.arange(n)[:, None], columns[:, number]] += gains
    return shapley, float(values[0, 0, 0])


def _value_steps(
    score: Score, background: np.ndarray, X: np.ndarray, coalitions: np.ndarray
) -> Generator[str, None, np.ndarray]:
    """Mean score over the background of each case in each coalition, (n, k); `coalitions` are bool (n or 1, k, d)."""
    n, k, m = len(X), coalitions.shape[1], len(background)
    coalitions = np.broadcast_to(coalitions, (n, *coalitions.shape[1:])).reshape(n * k, X.shape[1])
    of_case = np.repeat(np.arange(n), k)
    scores = np.empty((n * k, m))
    at_once = max(ROWS_AT_ONCE // m, 1)
    for start in range(0, n * k, at_once):
        if start:
            yield f"coalitions from {start} of {n * k}"
        part = slice(start, start + at_once)
        rows = np.where(coalitions[part, None], X[of_case[part], None], background)
        scores[part] = score(rows.reshape(-1, X.shape[1])).reshape(-1, m)
    return scores.mean(axis=1).reshape(n, k)
