"""Scores of random forests of several sizes, for the many forests of a search that are scored once and dropped."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from sklearn.ensemble import RandomForestClassifier

MAX_SEED = np.iinfo(np.int32).max


def forest_scores(X: np.ndarray, y: np.ndarray, unseen: np.ndarray, sizes: Sequence[int], seed: int) -> np.ndarray:
    """Probability of the positive class that random forests of so many trees give to other cases, (sizes, n unseen).

    Equal to the bit to `RandomForestClassifier(size, random_state=seed).fit(X, y).predict_proba(unseen)[:, 1]`, which
    draws one seed per tree in turn and from that seed the tree's bootstrap sample, so that a forest is the beginning of
    every larger one. Each tree is grown once, by compiled code where numba works, else by scikit-learn.

    Parameters
    ----------
    X: (n, d), finite. y: 0 or 1, (n,), both there. unseen: (m, d), finite.
    sizes: numbers of trees.
    """
    X, unseen = (np.ascontiguousarray(table, dtype=np.float32) for table in (X, unseen))
    votes = np.cumsum(_votes(X, y, unseen, max(sizes), seed), axis=0)
    return np.stack([votes[size - 1] / size for size in sizes])


def _votes(X: np.ndarray, y: np.ndarray, unseen: np.ndarray, trees: int, seed: int) -> np.ndarray:
    """Probability of the positive class by each tree, (trees, n unseen)."""
    try:
        from DeepRadScoreLib.fusion.trees import tree_votes
    except (ImportError, RuntimeError):
        forest = RandomForestClassifier(trees, random_state=seed).fit(X, y)
        return np.stack([tree.predict_proba(unseen)[:, 1] for tree in forest.estimators_])
    values = np.ascontiguousarray(X.T)
    ranks = np.argsort(np.argsort(values, axis=1, kind="stable"), axis=1).astype(np.uint32)
    weights, states = _draws(len(X), trees, seed)
    return tree_votes(values, y.astype(np.float64), ranks, weights, states, unseen, max(1, int(np.sqrt(len(values)))))


@lru_cache(maxsize=8)
def _draws(n: int, trees: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each tree's bootstrap sample holds each of n cases, (trees, n), and its generator's state (trees,)."""
    seeds = np.random.RandomState(seed).randint(MAX_SEED, size=trees)
    weights, states = np.empty((trees, n)), np.empty(trees, dtype=np.uint32)
    for tree, tree_seed in enumerate(seeds):
        drawn = np.random.RandomState(tree_seed).randint(0, n, n, dtype=np.int32)
        weights[tree] = np.bincount(drawn, minlength=n)
        states[tree] = np.random.RandomState(tree_seed).randint(0, MAX_SEED)
    return weights, states
