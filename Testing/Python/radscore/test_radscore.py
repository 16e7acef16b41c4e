"""Selection and RadScore against scipy, published values, closed forms and scikit-learn's own estimator contract."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import mannwhitneyu
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from DeepRadScoreLib.errors import CohortError, TooFewPositivesError
from DeepRadScoreLib.radscore.lasso import lasso
from DeepRadScoreLib.radscore.radscore import RadScore
from DeepRadScoreLib.radscore.selection import FeatureSelector, icc31, modelling_rule

SHROUT_FLEISS_TABLE_2 = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])


@parametrize_with_checks(
    [estimator(rule=rule) for estimator in (FeatureSelector, RadScore) for rule in ("lasso", "single")]
)
def test_scikit_learn_contract(estimator, check) -> None:
    """The rule is given, since `"auto"` refuses the checks' tables of a few cases as it must."""
    check(estimator)


def cohort(n: int = 120, p: int = 200, seed: int = 0, positives: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Correlated features in blocks, on very different scales; the label follows three latent causes."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 12))
    X = latent[:, rng.integers(0, 12, p)] * rng.uniform(0.5, 4, p) + rng.normal(size=(n, p))
    cause = latent[:, 0] - latent[:, 1] + 0.7 * latent[:, 2] + rng.logistic(size=n)
    y = np.zeros(n, dtype=int)
    y[np.argsort(cause)[n - positives :]] = 1
    return X * 10.0 ** rng.uniform(-4, 6, p) + rng.normal(size=p) * 100, y


def test_icc_of_the_published_example() -> None:
    judges = [SHROUT_FLEISS_TABLE_2[:, [judge]] for judge in range(4)]
    assert icc31(*judges).round(2) == [0.71]


def test_icc_ignores_a_shift_and_sees_noise() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(size=(4000, 3))
    second = first + np.array([100.0, 0.0, 0.0]) + rng.normal(size=first.shape) * np.array([0.0, 1.0, 0.0])
    second[:, 2] = rng.permutation(second[:, 2])
    first_to_second = np.corrcoef(first[:, 2], second[:, 2])[0, 1]
    np.testing.assert_allclose(icc31(first, second), [1.0, 2 / 3, first_to_second], atol=0.03)
    assert icc31(np.ones((5, 1)), np.ones((5, 1))) == [0.0]


def test_the_single_rule_keeps_the_smallest_mann_whitney_p() -> None:
    X, y = cohort()
    p = [mannwhitneyu(X[y == 1, j], X[y == 0, j], method="asymptotic").pvalue for j in range(X.shape[1])]
    selector = FeatureSelector(rule="single").fit(X, y)
    assert selector.get_support(indices=True).tolist() == [int(np.argmin(p))]


def test_the_funnel_counts_what_scipy_counts() -> None:
    X, y = cohort()
    X[:, 7] = 5.0
    p = np.array([mannwhitneyu(X[y == 1, j], X[y == 0, j], method="asymptotic").pvalue for j in range(X.shape[1])])
    funnel = FeatureSelector().fit(X, y).funnel_
    assert funnel["all"] == 200
    assert funnel["varying"] == 199
    assert funnel["associated"] == (p < 0.05).sum() > 10


def test_the_best_ten_go_on_if_fewer_are_associated() -> None:
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(100, 40)), np.arange(100) % 2
    assert FeatureSelector().fit(X, y).funnel_["associated"] == 10


def test_no_two_selected_features_say_the_same_and_the_smaller_p_stays() -> None:
    X, y = cohort()
    twin = X * 3.0 - 7.0 + np.random.default_rng(2).normal(size=X.shape) * X.std(axis=0) * 0.05
    both = np.hstack([X, twin])
    selected = FeatureSelector().fit(both, y).get_support(indices=True)
    correlation = np.abs(np.corrcoef(both[:, selected], rowvar=False))
    assert (correlation[~np.eye(len(selected), dtype=bool)] <= 0.9).all()
    p = mannwhitneyu(both[y == 1], both[y == 0], axis=0, method="asymptotic").pvalue
    assert all(p[j] <= p[(j + 200) % 400] for j in selected)


def test_lasso_weights_meet_the_optimality_conditions_of_the_penalty() -> None:
    """At the optimum the loss has one and the same |slope| along every weight that entered (Tibshirani 1996).

    The intercept, which is not penalised, is found by bisection: the probabilities add up to the positives.
    """
    X, y = cohort()
    score = RadScore().fit(X, y)
    Z = (X[:, score.selected_] - score.mean_) / score.scale_
    low, high = -20.0, 20.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if expit(Z @ score.coef_ + middle).sum() < y.sum() else (low, middle)
    slope = Z.T @ (y - expit(Z @ score.coef_ + low)) * np.sign(score.coef_)
    assert len(score.coef_) > 3
    np.testing.assert_allclose(slope, slope.mean(), rtol=0.01)


def test_a_repeatable_mask_keeps_the_others_out() -> None:
    X, y = cohort()
    best = FeatureSelector(rule="single").fit(X, y).get_support(indices=True)[0]
    repeatable = np.ones(200, dtype=bool)
    repeatable[best] = False
    selector = FeatureSelector(repeatable=repeatable).fit(X, y)
    assert best not in selector.get_support(indices=True)
    assert selector.funnel_["repeatable"] == 199
    with pytest.raises(CohortError, match="repeat_mask"):
        FeatureSelector(repeatable=np.zeros(200, dtype=bool)).fit(X, y)


def test_features_that_do_not_vary_are_refused() -> None:
    _, y = cohort()
    noise_of_rounding = np.full((120, 3), 7.25) + np.arange(120)[:, None] % 2 * 1e-15
    with pytest.raises(CohortError, match="no feature varies"):
        RadScore().fit(noise_of_rounding, y)


@pytest.mark.parametrize(("rarer", "rule"), [(9, None), (10, "single"), (14, "single"), (15, "lasso"), (40, "lasso")])
@pytest.mark.parametrize("flip", [False, True])
def test_the_rule_counts_the_rarer_class(rarer: int, rule: str | None, flip: bool) -> None:
    X, y = cohort(positives=rarer)
    y = 1 - y if flip else y
    if rule is None:
        with pytest.raises(TooFewPositivesError, match="9 training patients"):
            modelling_rule(y)
        with pytest.raises(TooFewPositivesError):
            RadScore().fit(X, y)
        return
    score = RadScore().fit(X, y)
    assert modelling_rule(y) == score.rule_ == rule
    if rule == "single":
        assert np.abs(score.coef_).tolist() == [1.0]


def test_a_label_of_one_class_is_not_modelled() -> None:
    with pytest.raises(TooFewPositivesError, match="0 training patients"):
        modelling_rule(np.ones(50))


def test_the_sign_of_a_single_feature_is_that_of_its_association() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    rising = rng.normal(size=(60, 1)) + 3 * y[:, None]
    assert RadScore(rule="single").fit(rising, y).coef_.tolist() == [1.0]
    assert RadScore(rule="single").fit(-rising, y).coef_.tolist() == [-1.0]


@pytest.mark.parametrize("seed", range(5))
def test_a_score_of_noise_is_never_a_constant(seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(80, 30)), rng.permutation(np.arange(80) % 4 == 0)
    score = RadScore().fit(X, y)
    assert np.ptp(score.transform(X)) > 0
    if score.lasso_empty_:
        assert np.abs(score.coef_).tolist() == [1.0]


def test_without_any_difference_of_means_the_best_single_feature_stays() -> None:
    x = np.tile([-3.0, -1.0, 1.0, 3.0], 30)[:, None]
    score = RadScore().fit(x, np.abs(x[:, 0]) > 2)
    assert score.lasso_empty_
    assert score.selected_.tolist() == [0]


def test_the_score_is_the_sum_of_coefficients_times_z_scores() -> None:
    X, y = cohort()
    score = RadScore().fit(X[:90], y[:90])
    Z = StandardScaler().fit(X[:90]).transform(X)[:, score.selected_]
    np.testing.assert_allclose(score.transform(X), (Z @ score.coef_)[:, None], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(score.contributions(X), Z * score.coef_, rtol=1e-8, atol=1e-9)
    np.testing.assert_array_equal(score.score_samples(X), score.transform(X)[:, 0])


def test_what_is_scored_later_changes_nothing() -> None:
    X, y = cohort()
    score = RadScore().fit(X[:90], y[:90])
    before = score.transform(X[:100])
    X[100:] *= 1000
    np.testing.assert_array_equal(score.transform(X)[:100], before)
    np.testing.assert_array_equal(RadScore().fit(X[:90], y[:90]).transform(X[:100]), before)


@pytest.mark.parametrize("rule", ["lasso", "single"])
def test_the_order_of_the_columns_does_not_matter(rule: str) -> None:
    X, y = cohort()
    X[:, 150:] = X[:, 100:150] * 2.0
    order = np.random.default_rng(5).permutation(X.shape[1])
    one, other = RadScore(rule=rule).fit(X, y), RadScore(rule=rule).fit(X[:, order], y)
    assert sorted(order[other.selected_]) == one.selected_.tolist()
    np.testing.assert_allclose(other.transform(X[:, order]), one.transform(X), rtol=1e-12, atol=1e-12)


def test_the_same_seed_gives_the_same_score() -> None:
    X, y = cohort()
    np.testing.assert_array_equal(RadScore(seed=3).fit(X, y).transform(X), RadScore(seed=3).fit(X, y).transform(X))


def test_the_cases_of_a_patient_share_a_fold() -> None:
    X, y = cohort()
    patients = np.repeat(np.arange(60), 2)
    y = np.repeat(y[::2], 2)
    seen = []

    def spy(Z: np.ndarray, *others: Any) -> tuple[np.ndarray, np.ndarray]:
        seen.append(Z)
        return lasso(Z, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("DeepRadScoreLib.radscore.selection.lasso", spy)
        RadScore().fit(np.repeat(X[::2], 2, axis=0), y, groups=patients)
    assert len(seen) > 10
    for Z in seen:
        _, counts = np.unique(Z, axis=0, return_counts=True)
        assert (counts % 2 == 0).all()


def test_labels_may_have_other_names() -> None:
    X, y = cohort()
    named = np.where(y == 1, "present", "absent")
    np.testing.assert_array_equal(RadScore().fit(X, named).transform(X), RadScore().fit(X, y == 1).transform(X))


@pytest.mark.parametrize("frame", [False, True])
def test_json_gives_the_same_scores_to_the_last_bit(frame: bool) -> None:
    X, y = cohort()
    table = pd.DataFrame(X, columns=[f"tumour_f{i}" for i in range(200)]) if frame else X
    score = RadScore().fit(table, y)
    read = RadScore.from_dict(json.loads(json.dumps(score.to_dict())))
    np.testing.assert_array_equal(read.transform(table), score.transform(table))
    assert read.to_dict() == score.to_dict()
    assert score.selected_names[0] == f"{'tumour_f' if frame else 'x'}{score.selected_[0]}"
    if frame:
        with pytest.raises(ValueError, match="feature names"):
            read.transform(table.iloc[:, ::-1])


def test_nan_is_refused() -> None:
    X, y = cohort()
    score = RadScore().fit(X, y)
    X[3, 4] = np.nan
    for refused in (lambda: RadScore().fit(X, y), lambda: score.transform(X)):
        with pytest.raises(ValueError, match="NaN"):
            refused()


def test_it_works_in_a_pipeline_and_names_its_column() -> None:
    X, y = cohort()
    pipeline = make_pipeline(RadScore().set_output(transform="pandas"), LogisticRegression())
    assert pipeline.fit(X, y).score(X, y) > 0.7
    assert pipeline[0].transform(X).columns.tolist() == ["radscore"]


def test_contributions_by_name_are_the_same_bits_and_refuse_gaps():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(60, 30)), columns=[f"f{number}" for number in range(30)])
    labels = (table["f3"] + table["f7"] + rng.normal(size=60) > 0).astype(int)
    radscore = RadScore().fit(table, labels)
    other = table.sample(frac=1, axis=1, random_state=1).assign(more=np.nan)
    np.testing.assert_array_equal(radscore.named_contributions(other), radscore.contributions(table))
    with pytest.raises(ValueError, match="NaN"):
        radscore.named_contributions(table.assign(**{radscore.selected_names[0]: np.nan}))
