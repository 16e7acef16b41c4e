"""The seven classifiers of the paper: their hyper-parameter grids, and the scores of fitted ones for unseen cases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from DeepRadScoreLib.fusion.forest import FlatForest
from DeepRadScoreLib.fusion.perceptrons import HIDDEN, L2, LEARNING_RATE, MAX_EPOCHS

MAX_FLAT_ROWS = 100
"""scikit-learn's own loop over trees is the faster one for more rows."""
Search = Literal["coarse", "quick"]
Grid = list[dict[str, list[Any]]]

CLASSIFIERS: tuple[str, ...] = ("SVM", "KNN", "RF", "NB", "LR", "MLP", "LDA")

_ESTIMATORS: dict[str, Callable[[int], BaseEstimator]] = {
    "SVM": lambda seed: SVC(),
    "KNN": lambda seed: KNeighborsClassifier(algorithm="brute"),
    "RF": lambda seed: RandomForestClassifier(random_state=seed),
    "NB": lambda seed: GaussianNB(),
    "LR": lambda seed: LogisticRegression(C=10.0, solver="lbfgs"),
    "MLP": lambda seed: MLPClassifier(
        hidden_layer_sizes=HIDDEN,
        activation="tanh",
        solver="sgd",
        alpha=L2,
        learning_rate_init=LEARNING_RATE,
        max_iter=MAX_EPOCHS,
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


def estimator(name: str, seed: int) -> BaseEstimator:
    """An unfitted classifier, for columns that are z-scores. Raises ValueError for an unknown name."""
    if name not in CLASSIFIERS:
        raise ValueError(f"{name!r} is none of the classifiers {', '.join(CLASSIFIERS)}")
    return _ESTIMATORS[name](seed)


def candidate(name: str, seed: int, search: Search = "coarse") -> tuple[Pipeline, Grid]:
    """An unfitted pipeline "scaler", "estimator" and the grid of its hyper-parameters (method: fusion and classifiers).

    The grid has scikit-learn's form; `{}` means the estimator's defaults. Raises ValueError for an unknown name.
    """
    pipeline = Pipeline([("scaler", StandardScaler()), ("estimator", estimator(name, seed))])
    return pipeline, [{f"estimator__{key}": values for key, values in group.items()} for group in grid_of(name, search)]


def grid_of(name: str, search: Search) -> Grid:
    """The hyper-parameters of a classifier to try. Raises ValueError for an unknown search."""
    if search not in GRIDS:
        raise ValueError(f"{search!r} is none of the searches {', '.join(GRIDS)}")
    return [{key: list(values) for key, values in group.items()} for group in GRIDS[search][name]]


def raw_score(model: Any, X: np.ndarray) -> np.ndarray:
    """The decision function (n,) of a fitted pipeline or classifier, or its probability of the positive class."""
    if hasattr(model, "decision_function"):
        return model.decision_function(X)
    return model.predict_proba(X)[:, 1]


def pipeline_score(pipeline: Pipeline, X: np.ndarray) -> np.ndarray:
    """`raw_score` of a fitted pipeline of `candidate` for finite rows X (n, d), equal to the bit.

    Without the pipeline's checks and joblib's threads, which take longer than the scores of a few rows.
    """
    scaler, model = pipeline
    scaled = (np.asarray(X, dtype=np.float64) - scaler.mean_) / scaler.scale_
    if isinstance(model, RandomForestClassifier) and len(scaled) <= MAX_FLAT_ROWS:
        return FlatForest.of(model).scores(scaled)
    return raw_score(model, scaled)
