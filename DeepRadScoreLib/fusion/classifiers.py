"""The seven classifiers of the paper: their hyper-parameter grids, and the scores of fitted ones for unseen cases."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import sklearn
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

Search = Literal["coarse", "quick"]
Grid = list[dict[str, list[Any]]]
MAX_SEED = np.iinfo(np.int32).max

CLASSIFIERS: tuple[str, ...] = ("SVM", "KNN", "RF", "NB", "LR", "MLP", "LDA")

_ESTIMATORS: dict[str, Callable[[int], BaseEstimator]] = {
    "SVM": lambda seed: SVC(),
    "KNN": lambda seed: KNeighborsClassifier(algorithm="brute"),
    "RF": lambda seed: RandomForestClassifier(random_state=seed),
    "NB": lambda seed: GaussianNB(),
    "LR": lambda seed: LogisticRegression(C=10.0, solver="lbfgs"),
    "MLP": lambda seed: MLPClassifier(
        hidden_layer_sizes=(5, 2),
        activation="tanh",
        solver="sgd",
        alpha=1e-5,
        learning_rate_init=1e-3,
        max_iter=200,
        random_state=seed,
    ),
    "LDA": lambda seed: LinearDiscriminantAnalysis(solver="svd"),
}

_FIXED: dict[str, Grid] = {name: [{}] for name in ("NB", "LR", "MLP", "LDA")}
GRIDS: dict[Search, dict[str, Grid]] = {
    "coarse": {
        "SVM": [
            {"kernel": ["rbf"], "C": [0.25, 4.0, 64.0, 1024.0], "gamma": [2.0**-9, 2.0**-5, 0.5, 8.0]},
            {"kernel": ["linear"], "C": [0.25, 2.0, 16.0]},
        ],
        "KNN": [{"n_neighbors": [7, 9]}],
        "RF": [{"n_estimators": [20, 60, 200]}],
        **_FIXED,
    },
    "quick": {
        "SVM": [{"kernel": ["rbf"], "C": [4.0], "gamma": [2.0**-5]}, {"kernel": ["linear"], "C": [0.25]}],
        "KNN": [{"n_neighbors": [9]}],
        "RF": [{"n_estimators": [50]}],
        **_FIXED,
    },
}


def candidate(name: str, seed: int, search: Search = "coarse") -> tuple[Pipeline, Grid]:
    """An unfitted pipeline "scaler", "estimator" and the grid of its hyper-parameters (method: fusion and classifiers).

    The grid has scikit-learn's form; `{}` means the estimator's defaults. Raises ValueError for an unknown name.
    """
    if name not in CLASSIFIERS:
        raise ValueError(f"{name!r} is none of the classifiers {', '.join(CLASSIFIERS)}")
    if search not in GRIDS:
        raise ValueError(f"{search!r} is none of the searches {', '.join(GRIDS)}")
    pipeline = Pipeline([("scaler", StandardScaler()), ("estimator", _ESTIMATORS[name](seed))])
    grid = [{f"estimator__{key}": list(values) for key, values in group.items()} for group in GRIDS[search][name]]
    return pipeline, grid


def raw_score(pipeline: Pipeline, X: np.ndarray) -> np.ndarray:
    """The pipeline's decision function (n,), or its probability of the positive class where it has none."""
    if hasattr(pipeline, "decision_function"):
        return pipeline.decision_function(X)
    return pipeline.predict_proba(X)[:, 1]


def fitted(pipeline: Pipeline, X: np.ndarray, y: np.ndarray) -> Pipeline:
    """Fit a pipeline on X (n, d) and y (n,), without a warning where it stops at its limit of iterations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return pipeline.fit(X, y)


def fit_and_score(pipeline: Pipeline, X: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Raw scores (n test,) of a pipeline fitted on the rows `train` of X (n, d) and y (n,)."""
    if isinstance(pipeline[-1], RandomForestClassifier):
        return scores_of_forests(pipeline, X, y, train, test, [pipeline[-1].n_estimators])[0]
    return raw_score(fitted(pipeline, X[train], y[train]), X[test])


def scores_of_forests(
    pipeline: Pipeline, X: np.ndarray, y: np.ndarray, train: np.ndarray, test: np.ndarray, sizes: list[int]
) -> np.ndarray:
    """Scores of the test rows by a pipeline's forest fitted on the training rows, at several sizes, (sizes, n test)."""
    scaler, forest = pipeline
    known, unseen = scaler.fit_transform(X[train]), scaler.transform(X[test])
    return forest_scores(known, y[train], unseen, sizes, forest.random_state)


def forest_scores(X: np.ndarray, y: np.ndarray, unseen: np.ndarray, sizes: Sequence[int], seed: int) -> np.ndarray:
    """Probability of the positive class that random forests of so many trees give to other cases, (sizes, n unseen).

    Equal to the bit to `RandomForestClassifier(size, random_state=seed).fit(X, y).predict_proba(unseen)[:, 1]`, which
    draws one seed per tree in turn and from that seed the tree's bootstrap sample, so that a forest is the beginning of
    every larger one. Each tree is grown once, without the forest's checks of each tree's input.

    Parameters
    ----------
    X: (n, d), finite. y: 0 or 1, (n,), both there. unseen: (m, d), finite.
    sizes: numbers of trees, ascending.
    """
    X, unseen = (np.ascontiguousarray(table, dtype=np.float32) for table in (X, unseen))
    seeds = np.random.RandomState(seed).randint(MAX_SEED, size=sizes[-1])
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
