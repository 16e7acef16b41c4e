"""Folds stratified by the label and grouped by patient, and their columns as z-scores, for many classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
import sklearn
from sklearn.preprocessing import StandardScaler

Fold = tuple[np.ndarray, np.ndarray]
"""Positions of the training and of the other cases."""
ABSOLUTE, RELATIVE = 1e-8, 1e-5
"""Tolerances within which two folds are as even as each other: those of `numpy.isclose`."""


def stratified_group_folds(y: np.ndarray, groups: np.ndarray, n_splits: int, seed: int) -> list[Fold]:
    """(train, test) indices of `n_splits` shuffled folds.

    The same folds as `StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed)`, without its warnings and about
    twenty times faster: groups go one by one, the most uneven first, to the fold that is then the most even.

    Parameters
    ----------
    y: two labels, (n,).
    groups: patient of each case, (n,); no patient is in both train and test.
    n_splits: at most the number of groups.
    """
    _, label, of_label = np.unique(y, return_inverse=True, return_counts=True)
    names, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((len(names), 2))
    np.add.at(counts, (group, label), 1.0)
    order = np.arange(len(names))
    np.random.RandomState(seed).shuffle(order)
    order = order[np.argsort(-np.std(counts[order], axis=1), kind="stable")]
    fold_of_group = np.empty(len(names), dtype=int)
    fold_of_group[order] = _most_even(counts[order].tolist(), [float(count) for count in of_label], n_splits)
    fold = fold_of_group[group]
    return [(np.flatnonzero(fold != number), np.flatnonzero(fold == number)) for number in range(n_splits)]


def _most_even(groups: list[list[float]], of_label: list[float], n_splits: int) -> list[int]:
    """Fold of each group in turn: the one with which the labels' shares vary least over the folds.

    groups: numbers of both labels in each group.
    """
    negatives, positives = [0.0] * n_splits, [0.0] * n_splits
    chosen = []
    for negative, positive in groups:
        least, fewest, best = inf, inf, 0
        for fold in range(n_splits):
            before = negatives[fold], positives[fold]
            negatives[fold] += negative
            positives[fold] += positive
            spread = (_spread(negatives, of_label[0]) + _spread(positives, of_label[1])) / 2.0
            negatives[fold], positives[fold] = before
            size = before[0] + before[1]
            alike = abs(spread - least) <= ABSOLUTE + RELATIVE * abs(least) < inf
            if spread < least or (alike and size < fewest):
                least, fewest, best = spread, size, fold
        negatives[best] += negative
        positives[best] += positive
        chosen.append(best)
    return chosen


def _spread(counts: list[float], total: float) -> float:
    """Standard deviation of the counts' shares, rounded as numpy's over the rows of a matrix."""
    mean = squares = 0.0
    shares = [count / total for count in counts]
    for share in shares:
        mean += share
    mean /= len(shares)
    for share in shares:
        squares += (share - mean) * (share - mean)
    return sqrt(squares / len(shares))


@dataclass(frozen=True)
class ScaledFold:
    """One fold: its training cases and the cases to score, as z-scores by mean and deviation of the training cases.

    Attributes
    ----------
    known, labels: (n, d) and 0 or 1, (n,), of the training cases.
    unseen: (m, d), of the others.
    """

    known: np.ndarray
    labels: np.ndarray
    unseen: np.ndarray


@dataclass(frozen=True)
class ScaledFolds:
    """The folds of one or more repeats of a cross-validation of n cases.

    Attributes
    ----------
    places: repeat and cases (m,) that are scored, of each fold.
    truths: their labels, 0 or 1.
    folds: the columns of each fold.
    shape: number of repeats, and n.
    """

    places: list[tuple[int, np.ndarray]]
    truths: list[np.ndarray]
    folds: list[ScaledFold]
    shape: tuple[int, int]

    @classmethod
    def of(cls, X: np.ndarray, y: np.ndarray, repeats: Sequence[Sequence[Fold]]) -> ScaledFolds:
        """The folds (train, test) of each repeat, of columns X (n, d) and labels y (n,)."""
        places, folds = [], []
        with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
            for repeat, pairs in enumerate(repeats):
                for train, test in pairs:
                    scaler = StandardScaler()
                    folds.append(ScaledFold(scaler.fit_transform(X[train]), y[train], scaler.transform(X[test])))
                    places.append((repeat, test))
        return cls(places, [y[test] for _, test in places], folds, (len(repeats), len(y)))

    def by_case(self, scores: Sequence[np.ndarray]) -> np.ndarray:
        """Scores of each fold's cases as one table, (repeats, n)."""
        table = np.empty(self.shape)
        for place, values in zip(self.places, scores, strict=True):
            table[place] = values
        return table
