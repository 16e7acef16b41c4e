"""Shapley values of the fused columns, and the correlation of RadScores with deep features."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from DeepRadScoreLib.errors import MissingPackageError
from DeepRadScoreLib.fusion.classifiers import raw_score
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.progress import run_to_end

ADDED_NAMES = ("Alias", "Obj", "Slicer")
BACKGROUND_ROWS = 50
MAX_COLUMNS = 12
MAX_EVALUATIONS = 500_000
PERMUTATIONS = 10
ROWS_AT_ONCE = 8192
"""Evaluations of the model in one step."""


@dataclass(frozen=True)
class ShapResult:
    """Shapley values (n, d) of a model's raw score; each row and `base` add up to the score of that case.

    `exact` is false where they were estimated from random orders of the columns.
    """

    values: np.ndarray
    base: float
    exact: bool = True


def import_shap() -> ModuleType:
    """The shap package, also where `slicer` is the package of 3D Slicer (or slicer-core).

    shap needs three names of the small PyPI distribution "slicer", which the application's package of that name hides.
    They are read from the distribution's folder and added to the application's package; none of its names is replaced.

    Raises
    ------
    MissingPackageError: shap, or the PyPI distribution "slicer" it needs, is not installed.
    """
    try:
        package = importlib.import_module("slicer")
        if not all(hasattr(package, name) for name in ADDED_NAMES):
            _add_names(package)
        return importlib.import_module("shap")
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"the package {error.name} is not installed", where="SHAP", mend="run: pip install shap"
        ) from error


def _add_names(package: ModuleType) -> None:
    try:
        folder = Path(str(importlib.metadata.distribution("slicer").locate_file("slicer")))
    except importlib.metadata.PackageNotFoundError:
        folder = Path()
    if not (folder / "slicer_internal.py").is_file():
        raise MissingPackageError(
            "the PyPI distribution slicer is not installed",
            where="SHAP",
            mend="run: pip install --no-deps slicer==0.0.8",
        )
    before = list(getattr(package, "__path__", []))
    package.__path__ = [*before, str(folder)]
    try:
        inner = importlib.import_module("slicer.slicer")
    finally:
        package.__path__ = before
    for name in ADDED_NAMES:
        setattr(package, name, getattr(inner, name))


def explain(model: FusionModel, background: np.ndarray, X: np.ndarray) -> ShapResult:
    """Run `explain_steps` to their end."""
    return run_to_end(explain_steps(model, background, X))


def explain_steps(model: FusionModel, background: np.ndarray, X: np.ndarray) -> Generator[str, None, ShapResult]:
    """Interventional Shapley values of the model's `decision_function` against a background of training rows.

    Exact in closed form where the score is linear (LR, LDA, linear SVM) and by trees for RF; else by enumeration of all
    column subsets, or, where that takes over half a million evaluations (many cases of 12 columns), from 10 random
    orders of the columns and back. All but the closed form use at most 50 background rows, evenly spaced.

    Parameters
    ----------
    background: (m, d) training rows.
    X: (n, d) rows to explain.

    Raises
    ------
    ValueError: over 12 columns and no linear or tree score.
    MissingPackageError: shap is not installed.
    """
    background, X = np.asarray(background, dtype=np.float64), np.asarray(X, dtype=np.float64)
    shap = import_shap()
    pipeline = model.estimator_
    if hasattr(pipeline[-1], "coef_"):
        return _linear(shap, model, background, X)
    few = background[np.unique(np.linspace(0, len(background) - 1, BACKGROUND_ROWS).round().astype(int))]
    if not enumerates(model):
        return _trees(shap, model, few, X)
    if X.shape[1] > MAX_COLUMNS:
        raise ValueError(f"{X.shape[1]} columns are too many to enumerate their subsets, {MAX_COLUMNS} at most")
    masker = shap.maskers.Independent(few, max_samples=len(few))
    exact = len(X) * len(few) * 2 ** X.shape[1] <= MAX_EVALUATIONS
    if exact:
        explanation = yield from _enumeration(shap, lambda rows: raw_score(pipeline, rows), masker, X)
    else:
        explainer = shap.explainers.Permutation(lambda rows: raw_score(pipeline, rows), masker, seed=0)
        explanation = explainer(X, max_evals=PERMUTATIONS * (2 * X.shape[1] + 1), silent=True)
    return ShapResult(np.asarray(explanation.values), float(np.ravel(explanation.base_values)[0]), exact)


def enumerates(model: FusionModel) -> bool:
    """Whether the columns' subsets have to be enumerated: the score is neither linear nor of trees."""
    estimator = model.estimator_[-1]
    return not (hasattr(estimator, "coef_") or hasattr(estimator, "estimators_"))


def compile_enumeration() -> None:
    """Explain a sum of three columns, so that numba compiles shap's enumeration: seconds, once in a process."""
    shap = import_shap()
    masker = shap.maskers.Independent(np.zeros((2, 3)), max_samples=2)
    run_to_end(_enumeration(shap, lambda rows: rows.sum(axis=1), masker, np.ones((1, 3))))


def _enumeration(
    shap: ModuleType, score: Callable[[np.ndarray], np.ndarray], masker: Any, X: np.ndarray
) -> Generator[str, None, Any]:
    """shap's exact explanation; the rows that it asks about, which depend on no score, are scored in several steps."""
    evaluations = 2 ** X.shape[1] + 1
    asked: list[np.ndarray] = []

    def ask(rows: np.ndarray) -> np.ndarray:
        asked.append(np.array(rows))
        return np.zeros(len(rows))

    shap.explainers.Exact(ask, masker)(X, max_evals=evaluations, silent=True)
    answers = []
    for rows in asked:
        scores = []
        for start in range(0, len(rows), ROWS_AT_ONCE):
            if start:
                yield f"evaluations from {start} of {len(rows)}"
            scores.append(score(rows[start : start + ROWS_AT_ONCE]))
        answers.append(np.concatenate(scores))
    next_answer = iter(answers)
    return shap.explainers.Exact(lambda _: next(next_answer), masker)(X, max_evals=evaluations, silent=True)


def _linear(shap: ModuleType, model: FusionModel, background: np.ndarray, X: np.ndarray) -> ShapResult:
    scaler, estimator = model.estimator_
    slopes = np.ravel(estimator.coef_) / scaler.scale_
    intercept = float(np.ravel(estimator.intercept_)[0] - slopes @ scaler.mean_)
    masker = shap.maskers.Independent(background, max_samples=len(background))
    explainer = shap.explainers.Linear((slopes, intercept), masker)
    return ShapResult(np.asarray(explainer.shap_values(X)), float(explainer.expected_value))


def _trees(shap: ModuleType, model: FusionModel, background: np.ndarray, X: np.ndarray) -> ShapResult:
    scaler, forest = model.estimator_
    explainer = shap.explainers.Tree(
        forest, scaler.transform(background), feature_perturbation="interventional", model_output="raw"
    )
    values = np.asarray(explainer.shap_values(scaler.transform(X)))
    return ShapResult(values[..., 1], float(explainer.expected_value[1]))


def contribution_shares(values: np.ndarray) -> np.ndarray:
    """Mean |Shapley value| of each column as a share of their sum, (n, d) -> (d,); zeros where all values are zero."""
    size = np.abs(values).mean(axis=0)
    return size / size.sum() if size.sum() > 0 else size


def correlation(radscores: np.ndarray, deep: np.ndarray) -> np.ndarray:
    """Pearson's r of RadScores (n, 2) with deep features (n, d), (2, d); NaN where a column is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.corrcoef(radscores, deep, rowvar=False)[: radscores.shape[1], radscores.shape[1] :]
