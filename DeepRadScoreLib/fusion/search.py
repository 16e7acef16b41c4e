"""Tuning of a classifier on folds, and its scores of the cases that each fold leaves out."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import ParameterGrid

from DeepRadScoreLib.fusion.classifiers import Search, estimator, grid_of, raw_score
from DeepRadScoreLib.fusion.forest_scores import forest_scores
from DeepRadScoreLib.fusion.perceptrons import perceptron_scores
from DeepRadScoreLib.statistics.auc import roc_area
from DeepRadScoreLib.statistics.folds import ScaledFold

Settings = dict[str, Any]
ROUNDING = 1e-9


def best_settings(
    name: str, search: Search, folds: Sequence[ScaledFold], truths: Sequence[np.ndarray], seed: int
) -> Settings:
    """The hyper-parameters with the largest mean AUC over the folds, the first of the grid where several have it.

    The choice of `GridSearchCV(pipeline, grid, scoring="roc_auc", cv=folds)`. A candidate is given up when it could not
    reach the best one even with an AUC of 1 in every fold that is left; a forest is the beginning of every larger one.

    truths: labels of each fold's other cases, 0 or 1.
    """
    grid = list(ParameterGrid(grid_of(name, search)))
    if len(grid) == 1:
        return grid[0]
    if name == "RF":
        return grid[int(_mean_areas(_forests(grid, folds, seed), truths).argmax())]
    best, most = grid[0], -np.inf
    for settings in grid:
        areas: list[float] = []
        for fold, truth in zip(folds, truths, strict=True):
            areas.append(roc_area(truth, scores_of_fold(name, settings, fold, seed)))
            if sum(areas) + len(folds) - len(areas) < len(folds) * (most - ROUNDING):
                break
        if len(areas) == len(folds) and np.mean(areas) > most:
            best, most = settings, float(np.mean(areas))
    return best


def scores_of_folds(name: str, settings: Settings, folds: Sequence[ScaledFold], seed: int) -> list[np.ndarray]:
    """Scores (m,) of each fold's other cases by the classifier with these hyper-parameters (`raw_score`)."""
    if name == "RF":
        return [scores[0] for scores in _forests([settings], folds, seed)]
    if name == "MLP":
        return perceptron_scores(folds, seed)
    return [scores_of_fold(name, settings, fold, seed) for fold in folds]


def scores_of_fold(name: str, settings: Settings, fold: ScaledFold, seed: int) -> np.ndarray:
    """The scores of one fold, by scikit-learn's classifier."""
    with sklearn.config_context(assume_finite=True, skip_parameter_validation=True):
        model = estimator(name, seed).set_params(**settings)
        return raw_score(fitted(model, fold.known, fold.labels), fold.unseen)


def fitted(model: Any, X: np.ndarray, y: np.ndarray) -> Any:
    """Fit a pipeline or classifier on X (n, d) and y (n,), without a warning where it stops at its last iteration."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


def _forests(grid: Sequence[Settings], folds: Sequence[ScaledFold], seed: int) -> Iterator[np.ndarray]:
    """Scores (sizes, m) of each fold's other cases by forests of every size of the grid."""
    sizes = [settings["n_estimators"] for settings in grid]
    for fold in folds:
        yield forest_scores(fold.known, fold.labels, fold.unseen, sizes, seed)


def _mean_areas(scores: Iterator[np.ndarray], truths: Sequence[np.ndarray]) -> np.ndarray:
    """Mean AUC over the folds of each candidate."""
    areas = [[roc_area(truth, row) for row in rows] for rows, truth in zip(scores, truths, strict=True)]
    return np.ascontiguousarray(np.transpose(areas)).mean(axis=1)
