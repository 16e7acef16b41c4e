"""Scores of random forests of several sizes, for the many forests of a search that are scored once and thrown away."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sklearn
from sklearn.tree import DecisionTreeClassifier

LARGEST_SEED = np.iinfo(np.int32).max


def forest_scores(X: np.ndarray, y: np.ndarray, unseen: np.ndarray, sizes: Sequence[int], seed: int) -> np.ndarray:
    """Probability of the positive class that random forests of so many trees give to other cases, (sizes, n unseen).

    To the bit what `RandomForestClassifier(size, random_state=seed).fit(X, y).predict_proba(unseen)[:, 1]` gives: it
    draws one seed per tree in turn and from that seed the tree's bootstrap sample, so that a forest is the beginning of
    every larger one. Each tree is grown once, without the forest's checks of each tree's input.

    Parameters
    ----------
    X: (n, d), finite. y: 0 or 1, (n,), both there. unseen: (m, d), finite.
    sizes: numbers of trees, ascending.
    """
    X, unseen = (np.ascontiguousarray(part, dtype=np.float32) for part in (X, unseen))
    seeds = np.random.RandomState(seed).randint(LARGEST_SEED, size=sizes[-1])
    votes, scores = np.zeros(len(unseen)), {}
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        for grown, tree_seed in enumerate(seeds, start=1):
            drawn = np.random.RandomState(tree_seed).randint(0, len(X), len(X), dtype=np.int32)
            tree = DecisionTreeClassifier(max_features="sqrt", random_state=int(tree_seed))
            tree.fit(X, y, sample_weight=np.bincount(drawn, minlength=len(X)), check_input=False)
            votes += tree.predict_proba(unseen, check_input=False)[:, 1]
            if grown in sizes:
                scores[grown] = votes / grown
    return np.stack([scores[size] for size in sizes])
