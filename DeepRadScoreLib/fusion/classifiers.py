"""The seven classifiers of the paper, with the named grids from which their hyper-parameters are searched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

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

GRIDS: dict[Search, dict[str, Grid]] = {
    "coarse": {
        "SVM": [
            {
                "kernel": ["rbf"],
                "C": [2.0**power for power in (-2, 2, 6, 10)],
                "gamma": [2.0**power for power in (-9, -5, -1, 3)],
            },
            {"kernel": ["linear"], "C": [2.0**power for power in (-2, 1, 4)]},
        ],
        "KNN": [{"n_neighbors": [7, 9]}],
        "RF": [{"n_estimators": [20, 60, 200]}],
        "NB": [{}],
        "LR": [{}],
        "MLP": [{}],
        "LDA": [{}],
    },
    "quick": {
        "SVM": [{"kernel": ["rbf"], "C": [4.0], "gamma": [2.0**-5]}, {"kernel": ["linear"], "C": [0.25]}],
        "KNN": [{"n_neighbors": [9]}],
        "RF": [{"n_estimators": [50]}],
        "NB": [{}],
        "LR": [{}],
        "MLP": [{}],
        "LDA": [{}],
    },
}


def candidate(name: str, seed: int, search: Search = "coarse") -> tuple[Pipeline, Grid]:
    """An unfitted pipeline "scaler", "estimator" and the grid of its hyper-parameters (method: fusion and classifiers).

    The grid has scikit-learn's form; `{}` stands for the estimator as it is. Raises ValueError for an unknown name.
    """
    if name not in CLASSIFIERS:
        raise ValueError(f"{name!r} is none of the classifiers {', '.join(CLASSIFIERS)}")
    if search not in GRIDS:
        raise ValueError(f"{search!r} is none of the searches {', '.join(GRIDS)}")
    pipeline = Pipeline([("scaler", StandardScaler()), ("estimator", _ESTIMATORS[name](seed))])
    grid = [{f"estimator__{key}": list(values) for key, values in part.items()} for part in GRIDS[search][name]]
    return pipeline, grid
