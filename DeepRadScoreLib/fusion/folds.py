"""Folds inside a training part: stratified by the label, grouped by patient, both classes on either side."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from DeepRadScoreLib.errors import TooFewPositivesError

Fold = tuple[np.ndarray, np.ndarray]
TRIES = 20


def grouped_folds(y: np.ndarray, groups: np.ndarray, n_splits: int, seed: tuple[int, ...]) -> list[Fold]:
    """(train, test) indices of `n_splits` folds, or of fewer where the rarer class has fewer groups than that.

    Parameters
    ----------
    y: 0 or 1, (n,).
    groups: patient of each case, (n,); no patient stands on both sides of a fold.
    seed: the same numbers give the same folds.

    Raises
    ------
    TooFewPositivesError: no two folds can be made that hold both classes in train and test.
    """
    rarest = min(len(np.unique(groups[y == label])) for label in (0, 1))
    for splits in range(min(n_splits, rarest), 1, -1):
        for attempt in range(TRIES):
            state = int(np.random.default_rng([*seed, attempt]).integers(2**31))
            splitter = StratifiedGroupKFold(splits, shuffle=True, random_state=state)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "The least populated class", UserWarning)
                folds = list(splitter.split(np.zeros(len(y)), y, groups))
            if all(len(np.unique(y[part])) == 2 for fold in folds for part in fold):
                return folds
    raise TooFewPositivesError(
        f"the rarer class has {rarest} patient(s), too few for two folds with both classes",
        mend="add labelled cases of both classes",
    )
