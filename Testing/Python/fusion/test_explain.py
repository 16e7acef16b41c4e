"""Shapley values of the fused models: equal to shap's and to Shapley's definition."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from sklearn.base import clone

from DeepRadScoreLib.fusion.classifiers import CLASSIFIERS, pipeline_score, raw_score
from DeepRadScoreLib.fusion.coalitions import permutation_steps
from DeepRadScoreLib.fusion.explain import contribution_shares, correlation, explain_mean_steps, explain_steps
from DeepRadScoreLib.fusion.forest import FlatForest
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.progress import run_to_end
from support.shap_package import import_shap

KINDS = (*CLASSIFIERS, "SVM rbf", "SVM linear")


def cases(n: int = 150, d: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Columns (n, d) of which the first raises the log-odds, and labels (n,)."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(n, d)) * np.array([1.0, 5.0, 0.2, *[1.0] * d])[:d] + 3.0
    return columns, (rng.random(n) < 1 / (1 + np.exp(-1.5 * (columns[:, 0] - 3.0)))).astype(int)


def quick(kind: str, d: int = 3, n: int = 150) -> FusionModel:
    columns, y = cases(n, d)
    name = kind.split(maxsplit=1)[0]
    model = FusionModel(search="quick", folds=3, repeats=1, classifiers=(name,)).fit(columns, y)
    if kind != name:
        model.estimator_ = clone(model.estimator_).set_params(estimator__kernel=kind.split()[1]).fit(columns, y)
    return model


@pytest.fixture(scope="module")
def fitted() -> dict[str, FusionModel]:
    return {kind: quick(kind) for kind in KINDS}


def explain(model, background, X):
    return run_to_end(explain_steps(model, background, X))


def shaps_own(model: FusionModel, background: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, float]:
    """Values and base by shap's `Linear` or `Exact` explainer."""
    shap = import_shap()
    scaler, estimator = model.estimator_
    if hasattr(estimator, "coef_"):
        masker = shap.maskers.Independent(scaler.transform(background), max_samples=len(background))
        linear = (np.ravel(estimator.coef_), float(np.ravel(estimator.intercept_)[0]))
        explainer = shap.explainers.Linear(linear, masker)
        return explainer.shap_values(scaler.transform(X)), explainer.expected_value
    masker = shap.maskers.Independent(background, max_samples=len(background))
    explainer = shap.explainers.Exact(lambda rows: raw_score(model.estimator_, rows), masker)
    found = explainer(X, max_evals=2 ** X.shape[1] + 1, silent=True)
    return found.values, found.base_values[0]


@pytest.mark.parametrize("kind", KINDS)
def test_values_are_those_of_shap(fitted, kind):
    columns, _ = cases()
    background, unseen = columns[:50], cases(7, seed=6)[0]
    result = explain(fitted[kind], background, unseen)
    values, base = shaps_own(fitted[kind], background, unseen)
    assert result.exact
    np.testing.assert_allclose(result.values, values, rtol=0, atol=1e-10)
    assert result.base == pytest.approx(base, abs=1e-10)


@pytest.mark.parametrize("kind", ["RF", "KNN", "NB", "MLP", "SVM rbf"])
@pytest.mark.parametrize("d", [1, 2, 8])
def test_values_of_other_numbers_of_columns_are_those_of_shap(kind, d):
    model = quick(kind, d, n=80)
    background, unseen = cases(80, d)[0][:12], cases(2, d, seed=3)[0]
    values, base = shaps_own(model, background, unseen)
    result = explain(model, background, unseen)
    np.testing.assert_allclose(result.values, values, rtol=0, atol=1e-10)
    assert result.base == pytest.approx(base, abs=1e-10)


def test_twelve_columns_of_a_forest_are_those_of_shaps_tree_explainer():
    """Which computes in single precision: its values add up to the score within 1e-8, ours within 1e-15."""
    scaler, forest = (model := quick("RF", 12)).estimator_
    columns = np.round(cases(d=12)[0], 1)
    background, unseen = columns[:50], columns[60:75]
    explainer = import_shap().explainers.Tree(
        forest, scaler.transform(background), feature_perturbation="interventional", model_output="raw"
    )
    expected = explainer.shap_values(scaler.transform(unseen))[..., 1]
    np.testing.assert_allclose(explain(model, background, unseen).values, expected, rtol=0, atol=1e-7)


def test_random_orders_are_those_of_shap():
    shap = import_shap()
    model, columns = quick("MLP", 12, n=80), cases(80, 12)[0]
    background, unseen = columns[:20], columns[30:36]

    def score(rows: np.ndarray) -> np.ndarray:
        return raw_score(model.estimator_, rows)

    explainer = shap.explainers.Permutation(score, shap.maskers.Independent(background), seed=0)
    expected = explainer(unseen, max_evals=10 * 25, silent=True)
    values, base = run_to_end(permutation_steps(score, background, unseen, 10))
    np.testing.assert_allclose(values, expected.values, rtol=0, atol=1e-10)
    assert base == pytest.approx(expected.base_values[0], abs=1e-10)


@pytest.mark.parametrize("d", [1, 3, 12])
def test_a_flat_forest_scores_as_scikit_learn_to_the_bit(d):
    scaler, forest = quick("RF", d).estimator_
    X = np.round(cases(300, d, seed=5)[0], 1)
    X[:20] = cases(20, d)[0]
    np.testing.assert_array_equal(
        FlatForest.of(forest).scores(scaler.transform(X)), forest.predict_proba(scaler.transform(X))[:, 1]
    )


@pytest.mark.parametrize("name", KINDS)
def test_shapley_values_add_up_to_the_score(fitted, name):
    columns, _ = cases()
    unseen, _ = cases(8, seed=6)
    result = explain(fitted[name], columns[:70], unseen)
    assert result.values.shape == (8, 3)
    score = fitted[name].decision_function(unseen)
    np.testing.assert_allclose(result.values.sum(axis=1) + result.base, score, atol=1e-12)
    assert contribution_shares(result.values)[0] == max(contribution_shares(result.values)) or name == "MLP"


@pytest.mark.parametrize("name", ["LR", "LDA", "SVM linear"])
def test_a_linear_score_has_its_closed_form(fitted, name):
    columns, _ = cases()
    model = fitted[name]
    at = model.decision_function(np.vstack([np.zeros(3), np.eye(3)]))
    coefficients = at[1:] - at[0]
    result = explain(model, columns[:130], columns[130:])
    np.testing.assert_allclose(result.values, coefficients * (columns[130:] - columns[:130].mean(axis=0)), atol=1e-12)
    assert result.base == pytest.approx(model.decision_function(columns[:130]).mean(), abs=1e-12)


@pytest.mark.parametrize("name", ["RF", "KNN", "SVM rbf"])
def test_other_scores_are_the_average_over_all_orders(fitted, name):
    """Shapley's definition: a column's gain averaged over all orders, absent columns filled from the background."""
    columns, _ = cases()
    background, case, model = columns[:10], columns[40], fitted[name]
    expected = np.zeros(3)
    for order in permutations(range(3)):
        rows = background.copy()
        before = model.decision_function(rows).mean()
        for column in order:
            rows[:, column] = case[column]
            after = model.decision_function(rows).mean()
            expected[column] += (after - before) / 6
            before = after
    np.testing.assert_allclose(explain(model, background, case[None]).values[0], expected, atol=1e-12)


@pytest.mark.parametrize("name", ["SVM rbf", "LR", "RF"])
def test_a_mean_over_members_is_explained_by_the_mean_of_their_values(fitted, name):
    columns, _ = cases()
    members = np.stack([columns[:4], columns[10:14], columns[20:24]])
    result = run_to_end(explain_mean_steps(fitted[name], columns, members))
    alone = [explain(fitted[name], columns, member).values for member in members]
    np.testing.assert_allclose(result.values, np.mean(alone, axis=0), atol=1e-12)
    score = fitted[name].member_scores(members).mean(axis=0)
    np.testing.assert_allclose(result.values.sum(axis=1) + result.base, score, atol=1e-12)


def test_twelve_columns_of_five_members_are_still_enumerated():
    columns, _ = cases(80, d=12)
    model = quick("NB", 12, n=80)
    members = np.stack([columns[i : i + 1] for i in range(5)])
    result = run_to_end(explain_mean_steps(model, columns[:60], members))
    assert result.exact
    assert not explain(model, columns[:60], columns[:40]).exact


def test_twelve_columns_are_enumerated_and_thirteen_refused():
    columns, _ = cases(80, d=13)
    model = quick("NB", 12, n=80)
    result = explain(model, columns[:60, :12], columns[:2, :12])
    np.testing.assert_allclose(
        result.values.sum(axis=1) + result.base, model.decision_function(columns[:2, :12]), atol=1e-12
    )
    with pytest.raises(ValueError, match="13 columns"):
        explain(quick("NB", 13, n=80), columns, columns[:1])


@pytest.mark.parametrize("d", [1, 2])
def test_one_and_two_columns_can_be_explained(d):
    columns, _ = cases(80, d=d)
    for name in ("KNN", "RF", "LR"):
        model = quick(name, d, n=80)
        result = explain(model, columns[:20], columns[:3])
        np.testing.assert_allclose(
            result.values.sum(axis=1) + result.base, model.decision_function(columns[:3]), atol=1e-12
        )


def test_correlation_is_pearsons():
    rng = np.random.default_rng(0)
    radscores, deep = rng.normal(size=(40, 2)), rng.normal(size=(40, 10))
    deep[:, 3] = -radscores[:, 1]
    r = correlation(radscores, deep)
    centred = [(part - part.mean(axis=0)) / part.std(axis=0) for part in (radscores, deep)]
    np.testing.assert_allclose(r, centred[0].T @ centred[1] / 40, atol=1e-12)
    assert np.abs(r).max() == pytest.approx(1.0)
    deep[:, 5] = 2.0
    constant = correlation(radscores, deep)
    assert np.isnan(constant[:, 5]).all()
    assert np.nanmax(np.abs(constant)) == pytest.approx(1.0)


def test_shares_add_up_to_one():
    values = np.array([[1.0, -3.0, 0.0], [-1.0, 1.0, 0.0]])
    np.testing.assert_allclose(contribution_shares(values), [1 / 3, 2 / 3, 0])
    np.testing.assert_array_equal(contribution_shares(np.zeros((2, 3))), np.zeros(3))


@pytest.mark.parametrize("kind", KINDS)
def test_scores_without_the_pipelines_checks_are_equal_to_the_bit(fitted, kind):
    columns, _ = cases(400, seed=8)
    model = fitted[kind]
    for rows in (columns[:1], columns[:5], columns[:100], columns):
        np.testing.assert_array_equal(pipeline_score(model.estimator_, rows), model.decision_function(rows))
