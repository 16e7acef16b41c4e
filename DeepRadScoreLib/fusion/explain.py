"""Shapley values of the fused columns, and the correlation of RadScores with deep features."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from DeepRadScoreLib.fusion.classifiers import pipeline_score
from DeepRadScoreLib.fusion.coalitions import enumeration_steps, permutation_steps
from DeepRadScoreLib.fusion.forest import FlatForest, forest_shapley_steps
from DeepRadScoreLib.fusion.model import FusionModel

BACKGROUND_ROWS = 50
MAX_COLUMNS = 12
MAX_EVALUATIONS = 250_000
MIN_ENUMERATED_ROWS = 10
PERMUTATIONS = 10


@dataclass(frozen=True)
class ShapResult:
    """Shapley values (n, d) of a model's raw score; each row and `base` add up to the score of that case.

    `exact` is false where they were estimated from random orders of the columns.
    """

    values: np.ndarray
    base: float
    exact: bool = True


def explain_steps(model: FusionModel, background: np.ndarray, X: np.ndarray) -> Generator[str, None, ShapResult]:
    """Interventional Shapley values of the model's `decision_function` against a background of training rows.

    Exact in closed form where the score is linear (LR, LDA, linear SVM) and by trees for RF; else by enumeration of all
    column subsets. All but the closed form use at most 50 background rows, evenly spaced; the enumeration of 12 columns
    as many fewer as keep it within 250,000 evaluations, and where that leaves under 10 (many cases), 10 random orders
    of the columns and back take its place.

    Parameters
    ----------
    background: (m, d) training rows.
    X: (n, d) rows to explain.

    Raises
    ------
    ValueError: over 12 columns and no linear or tree score.
    """
    background, X = np.asarray(background, dtype=np.float64), np.asarray(X, dtype=np.float64)
    pipeline = model.estimator_
    if hasattr(pipeline[-1], "coef_"):
        return _linear(model, background, X)
    few = _evenly_spaced(background, BACKGROUND_ROWS)
    if hasattr(pipeline[-1], "estimators_"):
        return (yield from _tree_steps(model, few, X))
    if X.shape[1] > MAX_COLUMNS:
        raise ValueError(f"{X.shape[1]} columns are too many to enumerate their subsets, {MAX_COLUMNS} at most")
    affordable = MAX_EVALUATIONS // (len(X) * 2 ** X.shape[1])
    exact = affordable >= min(MIN_ENUMERATED_ROWS, len(few))
    score = partial(pipeline_score, pipeline)
    if exact:
        values, base = yield from enumeration_steps(score, _evenly_spaced(few, affordable), X)
    else:
        values, base = yield from permutation_steps(score, few, X, PERMUTATIONS)
    return ShapResult(values, base, exact)


def explain_mean_steps(
    model: FusionModel, background: np.ndarray, columns: np.ndarray
) -> Generator[str, None, ShapResult]:
    """`explain_steps` of the mean score over members, of columns (members, n, d): the mean of the members' values."""
    result = yield from explain_steps(model, background, columns.reshape(-1, columns.shape[-1]))
    return replace(result, values=result.values.reshape(columns.shape).mean(axis=0))


def _evenly_spaced(rows: np.ndarray, most: int) -> np.ndarray:
    return rows[np.unique(np.linspace(0, len(rows) - 1, most).round().astype(int))]


def _linear(model: FusionModel, background: np.ndarray, X: np.ndarray) -> ShapResult:
    scaler, estimator = model.estimator_
    slopes = np.ravel(estimator.coef_) / scaler.scale_
    intercept = float(np.ravel(estimator.intercept_)[0] - slopes @ scaler.mean_)
    centre = background.mean(axis=0)
    return ShapResult(slopes * (X - centre), float(slopes @ centre) + intercept)


def _tree_steps(model: FusionModel, background: np.ndarray, X: np.ndarray) -> Generator[str, None, ShapResult]:
    scaler, forest = model.estimator_
    flat = FlatForest.of(forest)
    scaled = scaler.transform(background)
    values = yield from forest_shapley_steps(flat, scaled, scaler.transform(X))
    return ShapResult(values, float(flat.scores(scaled).mean()))


def contribution_shares(values: np.ndarray) -> np.ndarray:
    """Mean |Shapley value| of each column as a share of their sum, (n, d) -> (d,); zeros where all values are zero."""
    size = np.abs(values).mean(axis=0)
    return size / size.sum() if size.sum() > 0 else size


def correlation(radscores: np.ndarray, deep: np.ndarray) -> np.ndarray:
    """Pearson's r of RadScores (n, 2) with deep features (n, d), (2, d); NaN where a column is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(radscores, deep, rowvar=False)[: radscores.shape[1], radscores.shape[1] :]
