"""Folds of a cross-validation with their columns as z-scores, computed once for all classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sklearn
from sklearn.preprocessing import StandardScaler

Fold = tuple[np.ndarray, np.ndarray]


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
