"""The classifiers' tuning and comparison against scikit-learn's own searches, to the bit."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_val_predict
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline

from DeepRadScoreLib.fusion import search
from DeepRadScoreLib.fusion.classifiers import CLASSIFIERS, candidate
from DeepRadScoreLib.fusion.forest_scores import forest_scores
from DeepRadScoreLib.fusion.model import MAX_FOLD_TRIES, FusionModel, grouped_folds
from DeepRadScoreLib.fusion.perceptrons import perceptron_scores
from DeepRadScoreLib.statistics.folds import ScaledFold, ScaledFolds

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:The least populated")


def data(n: int = 90, d: int = 3, signal: float = 0.7, seed: int = 0, digits: int = 9):
    """Columns (n, d) of which each rises a little with the label, and labels (n,) of which a third are positive."""
    rng = np.random.default_rng([seed, n, d])
    y = (rng.random(n) < 0.35).astype(int)
    columns = rng.normal(size=(n, d)) * rng.uniform(0.2, 5.0, d) + signal * y[:, None] + 3.0
    return columns.round(digits), y


def plain_folds(y, groups, n_splits, seed):
    """The first splitter of scikit-learn, by seed, whose folds all hold both classes."""
    for attempt in range(MAX_FOLD_TRIES):
        state = int(np.random.default_rng([*seed, attempt]).integers(2**31))
        folds = list(StratifiedGroupKFold(n_splits, shuffle=True, random_state=state).split(y, y, groups))
        if all(len(np.unique(y[rows])) == 2 for fold in folds for rows in fold):
            return folds
    raise AssertionError("no folds")


def plain_comparison(name: str, columns, y, groups, folds: int, repeats: int, seed: int):
    """Hyper-parameters by `GridSearchCV`, then AUCs of the repeated folds and out-of-fold scores (repeats, n)."""
    pipeline, grid = candidate(name, seed)
    tuned = GridSearchCV(pipeline, grid, scoring="roc_auc", cv=plain_folds(y, groups, folds, (seed, 0)), refit=False)
    pipeline.set_params(**tuned.fit(columns, y).best_params_)
    method = "decision_function" if hasattr(pipeline, "decision_function") else "predict_proba"
    aucs, scores = [], []
    for repeat in range(repeats):
        cv = plain_folds(y, groups, folds, (seed, 1 + repeat))
        left_out = cross_val_predict(clone(pipeline), columns, y, cv=cv, method=method)
        scores.append(left_out if left_out.ndim == 1 else left_out[:, 1])
        aucs += [roc_auc_score(y[test], scores[-1][test]) for _, test in cv]
    return tuned.best_params_, np.array(aucs), np.array(scores), pipeline


def plain_score(pipeline: Pipeline, columns) -> np.ndarray:
    if hasattr(pipeline, "decision_function"):
        return pipeline.decision_function(columns)
    return pipeline.predict_proba(columns)[:, 1]


@pytest.mark.parametrize("name", CLASSIFIERS)
@pytest.mark.parametrize(("seed", "d", "signal", "digits"), [(0, 2, 0.7, 9), (1, 12, 0.0, 9), (2, 3, 1.5, 0)])
def test_tuning_comparison_and_predictions_are_those_of_plain_scikit_learn(name, seed, d, signal, digits):
    columns, y = data(75, d, signal, seed, digits)
    groups = np.where(np.arange(75) < 20, np.arange(75) // 2, np.arange(75))
    model = FusionModel(folds=3, repeats=2, seed=seed, classifiers=(name,)).fit(columns, y, groups)
    best, aucs, scores, pipeline = plain_comparison(name, columns, y, groups, 3, 2, seed)
    assert model.best_params_[name] == {key.removeprefix("estimator__"): best[key] for key in best}
    np.testing.assert_array_equal(model.cv_auc_[name], aucs)
    np.testing.assert_array_equal(model.oof_score_, model.calibrated(scores).mean(axis=0))
    unseen, _ = data(40, d, signal, seed + 10)
    np.testing.assert_array_equal(model.decision_function(unseen), plain_score(pipeline.fit(columns, y), unseen))


def test_the_best_of_all_is_that_of_plain_scikit_learn():
    columns, y = data(80, 2, 0.8, 5)
    groups = np.arange(80)
    model = FusionModel(search="quick", folds=3, repeats=2, seed=5).fit(columns, y)
    means = {}
    for name in CLASSIFIERS:
        best = {f"estimator__{key}": value for key, value in model.best_params_[name].items()}
        pipeline = candidate(name, 5)[0].set_params(**best)
        aucs = []
        for repeat in range(2):
            for train, test in plain_folds(y, groups, 3, (5, 1 + repeat)):
                pipeline.fit(columns[train], y[train])
                aucs.append(roc_auc_score(y[test], plain_score(pipeline, columns[test])))
        means[name] = np.mean(aucs)
        assert model.cv_auc_[name].mean() == means[name]
    assert model.classifier_ == max(CLASSIFIERS, key=lambda name: means[name])


def test_a_candidate_is_given_up_only_when_it_cannot_be_the_best(monkeypatch):
    """AUCs of three folds by candidate, all seen by a search that gives up none."""
    areas = {7: [1.0, 0.5, 0.9], 9: [0.2, 0.1, 1.0], 11: [0.4, 1.0, 1.0], 13: [0.9, 1.0, 0.5]}
    asked: list[tuple[int, int]] = []

    def area(truth, scores):
        asked.append(scores)
        return areas[scores[0]][scores[1]]

    monkeypatch.setattr(search, "grid_of", lambda name, _: [{"n_neighbors": list(areas)}])
    monkeypatch.setattr(search, "scores_of_fold", lambda name, settings, fold, seed: (settings["n_neighbors"], fold))
    monkeypatch.setattr(search, "roc_area", area)
    assert search.best_settings("KNN", "coarse", [0, 1, 2], [None] * 3, 0) == {"n_neighbors": 7}
    assert [fold for k, fold in asked if k == 9] == [0]
    assert [fold for k, fold in asked if k == 11] == [0, 1, 2]
    assert [fold for k, fold in asked if k == 13] == [0, 1, 2]


@pytest.mark.parametrize("d", [1, 2, 3, 12, 30])
@pytest.mark.parametrize("digits", [0, 1, 9])
def test_forests_of_several_sizes_are_scikit_learns_to_the_bit(d, digits):
    columns, y = data(150, d, digits=digits)
    columns[:, 0] = columns[0, 0] if digits == 0 else columns[:, 0] * 1e-7
    ours = forest_scores(columns[:100], y[:100], columns[100:], [1, 20, 60], seed=7)
    for size, scores in zip([1, 20, 60], ours, strict=True):
        forest = RandomForestClassifier(size, random_state=7).fit(columns[:100], y[:100])
        np.testing.assert_array_equal(scores, forest.predict_proba(columns[100:])[:, 1])


def test_forests_are_the_same_without_numba(monkeypatch):
    columns, y = data(60, 4)
    compiled = forest_scores(columns[:40], y[:40], columns[40:], [5, 20], seed=3)
    monkeypatch.setitem(sys.modules, "DeepRadScoreLib.fusion.trees", None)
    np.testing.assert_array_equal(forest_scores(columns[:40], y[:40], columns[40:], [5, 20], seed=3), compiled)


@pytest.mark.parametrize(("n", "d"), [(40, 1), (100, 10), (201, 2), (420, 12)])
def test_perceptrons_trained_side_by_side_are_scikit_learns_to_the_bit(n, d):
    """Some of these trainings end early, some at the last epoch; two folds have one case less."""
    folds = []
    for seed in range(6):
        columns, y = data(n + 20, d, 1.0, seed)
        columns = (columns - columns.mean(axis=0)) / columns.std(axis=0)
        train = n - (seed > 3)
        folds.append(ScaledFold(columns[:train], y[:train], columns[n:]))
    for fold, scores in zip(folds, perceptron_scores(folds, seed=4), strict=True):
        perceptron = candidate("MLP", 4)[0].named_steps["estimator"]
        assert isinstance(perceptron, MLPClassifier)
        perceptron.fit(fold.known, fold.labels)
        np.testing.assert_array_equal(scores, perceptron.predict_proba(fold.unseen)[:, 1])


def test_folds_are_scaled_by_their_training_cases():
    columns, y = data(60, 4)
    folds = grouped_folds(y, np.arange(60), 4, (0, 0))
    scaled = ScaledFolds.of(columns, y, [folds, folds[::-1]])
    for (train, test), fold in zip(folds + folds[::-1], scaled.folds, strict=True):
        mean, deviation = columns[train].mean(axis=0), columns[train].std(axis=0)
        np.testing.assert_allclose(fold.known, (columns[train] - mean) / deviation, atol=1e-12)
        np.testing.assert_allclose(fold.unseen, (columns[test] - mean) / deviation, atol=1e-12)
        np.testing.assert_array_equal(fold.labels, y[train])
    table = scaled.by_case([test * 1.0 for _, test in scaled.places])
    np.testing.assert_array_equal(table, np.tile(np.arange(60.0), (2, 1)))
