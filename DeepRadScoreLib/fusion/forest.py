"""A random forest as flat arrays: its votes, and exact Shapley values of its probability."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from math import factorial

import numpy as np
from sklearn.ensemble import RandomForestClassifier

PAIRS_AT_ONCE = 2_000_000
"""Triples of leaf, case and background row in one step."""


@dataclass(frozen=True)
class FlatForest:
    """The nodes of all trees of a forest of two classes one after another.

    Attributes
    ----------
    roots: (trees,) the number of each tree's first node.
    left, right: (nodes,) children, -1 at a leaf; column, threshold: (nodes,) a case goes left up to the threshold.
    positive: (nodes,) share of the second class.
    columns: how many columns a case has.
    """

    roots: np.ndarray
    left: np.ndarray
    right: np.ndarray
    column: np.ndarray
    threshold: np.ndarray
    positive: np.ndarray
    columns: int

    @classmethod
    def of(cls, forest: RandomForestClassifier) -> FlatForest:
        """From a fitted forest of scikit-learn."""
        trees = [tree.tree_ for tree in forest.estimators_]
        sizes = np.array([tree.node_count for tree in trees])
        roots = np.cumsum(sizes) - sizes
        shift = np.repeat(roots, sizes)
        left, right = (
            np.concatenate([getattr(tree, name) for tree in trees]) for name in ("children_left", "children_right")
        )
        return cls(
            roots,
            np.where(left >= 0, left + shift, -1),
            np.where(right >= 0, right + shift, -1),
            np.concatenate([tree.feature for tree in trees]),
            np.concatenate([tree.threshold for tree in trees]),
            np.concatenate([tree.value[:, 0, 1] for tree in trees]),
            forest.n_features_in_,
        )

    def scores(self, X: np.ndarray) -> np.ndarray:
        """`RandomForestClassifier.predict_proba` of rows (n, d), its second column, (n,); equal to the bit."""
        X = np.asarray(X, dtype=np.float32)
        rows = np.arange(len(X))[:, None]
        node = np.repeat(self.roots[None], len(X), axis=0)
        while (self.left[node] >= 0).any():
            left = self.left[node]
            goes_left = X[rows, np.maximum(self.column[node], 0)] <= self.threshold[node]
            node = np.where(left < 0, node, np.where(goes_left, left, self.right[node]))
        return np.cumsum(self.positive[node], axis=1)[:, -1] / len(self.roots)

    def leaves(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bounds of the leaves and their values: above (leaves, d), up to (leaves, d), share of the second class."""
        above = np.full((len(self.left), self.columns), -np.inf)
        up_to = np.full((len(self.left), self.columns), np.inf)
        node = self.roots
        while node.size:
            node = node[self.left[node] >= 0]
            left, right, column, threshold = (
                values[node] for values in (self.left, self.right, self.column, self.threshold)
            )
            above[left] = above[right] = above[node]
            up_to[left] = up_to[right] = up_to[node]
            up_to[left, column] = np.minimum(up_to[left, column], threshold)
            above[right, column] = np.maximum(above[right, column], threshold)
            node = np.concatenate([left, right])
        leaf = self.left < 0
        return above[leaf], up_to[leaf], self.positive[leaf]


def forest_shapley_steps(forest: FlatForest, background: np.ndarray, X: np.ndarray) -> Generator[str, None, np.ndarray]:
    """Exact interventional Shapley values (n, d) of a forest's probability for rows X (n, d).

    A coalition's value is the mean probability of the background's rows (m, d) whose columns in the coalition are
    those of the case. A leaf is reached by such a row if each of its bounds holds for the value that the row has
    there: with `a` columns in which only the case lies within the bounds, `b` in which only the background's row does,
    and none in which neither does, the leaf's value counts (a - 1)! b! / (a + b)! for each of the former and
    -a! (b - 1)! / (a + b)! for each of the latter (Lundberg et al., Nat Mach Intell 2:56, 2020, algorithm 3).
    """
    above, up_to, value = forest.leaves()
    cases, others = (np.asarray(rows, dtype=np.float32) for rows in (X, background))
    gain, loss = _leaf_weights(forest.columns)
    shapley = np.zeros(X.shape)
    at_once = max(PAIRS_AT_ONCE // max(len(cases) * len(others), 1), 1)
    for start in range(0, len(value), at_once):
        if start:
            yield f"leaves from {start} of {len(value)}"
        part = slice(start, start + at_once)
        inside, other_inside = (
            ((rows > above[part, None]) & (rows <= up_to[part, None])).astype(np.float64) for rows in (cases, others)
        )
        outside, other_outside = 1.0 - inside, 1.0 - other_inside
        only_case = inside @ other_outside.swapaxes(1, 2)
        only_other = outside @ other_inside.swapaxes(1, 2)
        neither = outside @ other_outside.swapaxes(1, 2)
        index = (only_case * (forest.columns + 1) + only_other).astype(np.intp)
        index[neither > 0] = 0
        gained = inside * (gain[index] @ other_outside)
        lost = outside * (loss[index] @ other_inside)
        shapley += np.einsum("l,lnd->nd", value[part], gained - lost)
    return shapley / (len(forest.roots) * len(others))


def _leaf_weights(columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of a leaf by `a` (columns + 1) + `b`, as in `forest_shapley_steps`; 0 where both are 0."""
    gain, loss = np.zeros((2, columns + 1, columns + 1))
    for a in range(columns + 1):
        for b in range(columns + 1 - a):
            every = factorial(a + b)
            gain[a, b] = factorial(a - 1) * factorial(b) / every if a else 0.0
            loss[a, b] = factorial(a) * factorial(b - 1) / every if b else 0.0
    return gain.ravel(), loss.ravel()
