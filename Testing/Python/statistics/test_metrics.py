"""Decisions, calibration, decision curve, bootstrap and Holm against R, dcurves, scikit-learn and simulation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, precision_score, recall_score
from statsmodels.stats.proportion import proportion_confint

from DeepRadScoreLib.statistics.auc import auc_interval
from DeepRadScoreLib.statistics.metrics import (
    Estimate,
    bootstrap_auc,
    calibration,
    decision_curve,
    decision_metrics,
    events_per_variable,
    holm,
    probability_metrics,
)

REFERENCES = Path(__file__).parent / "references"
R = json.loads((REFERENCES / "statistics_r.json").read_text(encoding="utf-8"))
PYTHON = json.loads((REFERENCES / "statistics_python.json").read_text(encoding="utf-8"))
CASES = pd.read_csv(REFERENCES / "statistics_cases.csv")
NAMES = ("plain", "ties", "rare")


def case(name):
    part = CASES[CASES["case"] == name]
    return part["y"].to_numpy(), part["p"].to_numpy(), part["a"].to_numpy()


@pytest.mark.parametrize("name", NAMES)
def test_shares_have_the_intervals_of_rs_prop_test(name):
    y, p, _ = case(name)
    found = decision_metrics(y, p >= 0.3)
    assert list(found) == ["accuracy", "sensitivity", "specificity", "ppv", "npv", "f1"]
    for key, interval in R[name]["wilson"].items():
        ours = [2 * j / (1 + j) for j in interval] if key == "jaccard" else interval
        np.testing.assert_allclose(found["f1" if key == "jaccard" else key].ci, ours, rtol=1e-9)
    decision = (p >= 0.3).astype(int)
    assert found["sensitivity"].value == pytest.approx(recall_score(y, decision), abs=1e-15)
    assert found["specificity"].value == pytest.approx(recall_score(1 - y, 1 - decision), abs=1e-15)
    assert found["ppv"].value == pytest.approx(precision_score(y, decision), abs=1e-15)
    assert found["npv"].value == pytest.approx(precision_score(1 - y, 1 - decision), abs=1e-15)
    assert found["f1"].value == pytest.approx(f1_score(y, decision), abs=1e-15)
    assert found["accuracy"].value == np.mean(y == decision)


def test_f1_interval_is_near_takahashis_and_covers():
    """Takahashi et al. (2022) by the package confidenceinterval, a normal approximation; and 2,000 known tables."""
    y, p, _ = case("plain")
    value, low, high = PYTHON["plain"]["f1"]
    ours = decision_metrics(y, p >= 0.3)["f1"]
    assert ours.value == pytest.approx(value, abs=1e-12)
    np.testing.assert_allclose(ours.ci, [low, high], atol=0.005)
    rng = np.random.default_rng(0)
    truth = 2 * 0.2 / (2 * 0.2 + 0.1 + 0.15)
    cell = rng.choice(4, p=[0.2, 0.1, 0.15, 0.55], size=(2000, 80))
    intervals = [decision_metrics(np.isin(c, (0, 1)), np.isin(c, (0, 2)))["f1"].ci for c in cell]
    covered = np.mean([low <= truth <= high for low, high in intervals])
    assert abs(covered - 0.95) < 3 * np.sqrt(0.95 * 0.05 / 2000) + 0.005


def test_shares_of_no_cases_are_null():
    nobody = decision_metrics(np.zeros(5, int), np.zeros(5, int))
    assert nobody["sensitivity"] == nobody["ppv"] == nobody["f1"] == Estimate(value=None)
    assert nobody["specificity"].value == nobody["npv"].value == nobody["accuracy"].value == 1.0
    nothing = np.array([], int)
    assert set(map(str, decision_metrics(nothing, nothing).values())) == {str(Estimate(value=None))}


@pytest.mark.parametrize("name", NAMES)
def test_auprc_and_brier_are_those_of_scikit_learn_and_rms(name):
    y, p, _ = case(name)
    found = probability_metrics(y, p)
    assert found["auprc"].value == pytest.approx(average_precision_score(y, p), abs=1e-12)
    assert found["brier"].value == pytest.approx(brier_score_loss(y, p), abs=1e-12)
    assert found["brier"].value == pytest.approx(R[name]["val_prob"][1], rel=1e-9)
    cuts = np.unique(p)[::-1]
    recall = np.array([0.0, *(np.mean(p[y == 1] >= cut) for cut in cuts)])
    precision = np.array([np.mean(y[p >= cut]) for cut in cuts])
    assert found["auprc"].value == pytest.approx(np.sum(np.diff(recall) * precision), abs=1e-12)


def test_auprc_and_brier_intervals_cover():
    """Gaussian classes, 1,000 tables of 120 with 40 positives; truths from one table of a million.

    Boyd's interval of the AUPRC is wider than it need be.
    """
    rng = np.random.default_rng(1)

    def table(n):
        y = np.arange(n) % 3 == 0
        return y.astype(int), expit(1.2 * (rng.normal(size=n) + y) - 1.2)

    y, p = table(999_999)
    truth = {"auprc": average_precision_score(y, p), "brier": np.mean((p - y) ** 2)}
    found = [probability_metrics(*table(120)) for _ in range(1000)]
    for key, value in truth.items():
        covered = np.mean([e[key].ci[0] <= value <= e[key].ci[1] for e in found])
        print(f"{key}: {covered}")
        assert 0.93 <= covered <= (0.97 if key == "brier" else 0.995)


def test_probability_metrics_at_the_edge():
    assert probability_metrics(np.zeros(4, int), np.full(4, 0.2))["auprc"] == Estimate(value=None)
    perfect = probability_metrics(np.array([0, 0, 1]), np.array([0.0, 0.0, 1.0]))
    assert perfect["auprc"] == Estimate(value=1.0)
    assert perfect["brier"] == Estimate(value=0.0, ci=(0.0, 0.0))


@pytest.mark.parametrize("name", NAMES)
def test_calibration_is_that_of_glm_and_val_prob(name):
    y, p, _ = case(name)
    card = calibration(y, p)
    assert card.slope == pytest.approx(R[name]["slope"], rel=1e-9)
    assert card.intercept == pytest.approx(R[name]["intercept"], rel=1e-9)
    assert card.slope == pytest.approx(R[name]["val_prob"][0], rel=1e-6)
    share, mean = calibration_curve(y, p, n_bins=10, strategy="quantile")
    np.testing.assert_allclose([point[:2] for point in card.curve], np.column_stack([mean, share]), rtol=1e-12)
    assert sum(count for _, _, count in card.curve) == len(y)


def test_calibration_finds_what_was_distorted():
    rng = np.random.default_rng(2)
    truth = rng.normal(-1, 1, 200_000)
    y = (rng.random(len(truth)) < expit(truth)).astype(int)
    good = calibration(y, expit(truth))
    assert good.slope == pytest.approx(1, abs=0.02)
    assert good.intercept == pytest.approx(0, abs=0.02)
    assert calibration(y, expit(2 * truth)).slope == pytest.approx(0.5, abs=0.01)
    assert calibration(y, expit(truth + 0.7)).intercept == pytest.approx(-0.7, abs=0.02)


def test_calibration_of_what_has_none():
    y = np.array([0, 0, 1, 1, 0, 1])
    constant = calibration(y, np.full(6, 0.2))
    assert constant.slope is None
    assert constant.intercept == pytest.approx(logit(0.5) - logit(0.2), abs=1e-9)
    assert constant.curve == [(pytest.approx(0.2), 0.5, 6)]
    touching = np.array([0.1, 0.5, 0.5, 0.8, 0.2, 0.5])
    for probability in (y * 1.0, 1.0 - y, 0.2 + 0.6 * y, touching, 1 - touching):
        assert calibration(y, probability).slope is None
    one_class = calibration(np.zeros(6, int), np.arange(6) / 6)
    assert (one_class.slope, one_class.intercept) == (None, None)
    assert calibration(y, np.array([0, 1, 0, 1, 0.5, 0.5])).slope is not None
    astray = calibration(y, 1.0 - y)
    assert astray.intercept == pytest.approx(0, abs=1e-6)
    assert calibration(np.array([], int), np.array([])).curve == []


@pytest.mark.parametrize("name", NAMES)
def test_decision_curve_is_that_of_dcurves(name):
    y, p, _ = case(name)
    card = decision_curve(y, p, PYTHON["thresholds"])
    assert card.thresholds == PYTHON["thresholds"]
    np.testing.assert_allclose(card.net_benefit, PYTHON[name]["decision_curve"]["p"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(card.all_positive, PYTHON[name]["decision_curve"]["all"], rtol=0, atol=1e-12)


def test_decision_curve_in_closed_form():
    card = decision_curve(np.array([1, 0, 1, 0]), np.array([0.9, 0.6, 0.4, 0.1]), [0.0, 0.4, 0.5, 0.8])
    np.testing.assert_allclose(card.net_benefit, [0.5, 0.5 - 0.25 * 2 / 3, 0.25 - 0.25, 0.25], atol=1e-15)
    np.testing.assert_allclose(card.all_positive, [0.5, 0.5 - 0.5 * 2 / 3, 0.0, 0.5 - 0.5 * 4], atol=1e-12)
    with pytest.raises(ValueError, match="must lie in"):
        decision_curve(np.array([0, 1]), np.array([0.2, 0.3]), [1.0])


@pytest.mark.parametrize("name", NAMES)
def test_bootstrap_is_near_procs_and_delongs(name):
    y, _, score = case(name)
    theirs = np.array(R[name]["bootstrap_a"])[[0, 2]]
    se = np.sqrt(R[name]["covariance"][0][0])
    np.testing.assert_allclose(bootstrap_auc(y, score, 0, n=20_000), theirs, atol=0.15 * se)
    np.testing.assert_allclose(bootstrap_auc(y, score, 0), theirs, atol=0.25 * se)
    if name != "rare":
        estimate = auc_interval(y, score)
        np.testing.assert_allclose(bootstrap_auc(y, score, 1), [estimate.low, estimate.high], atol=0.3 * se)


def test_bootstrap_draws_are_the_aucs_of_the_drawn_cases():
    """Every AUC that two positives and two negatives can give, at its probability."""
    y, score = np.array([1, 1, 0, 0]), np.array([0.3, 0.8, 0.3, 0.1])
    pairs = np.array([[1.0 if p > q else 0.5 if p == q else 0.0 for q in (0.3, 0.1)] for p in (0.3, 0.8)])
    draws = [pairs[np.ix_(i, j)].mean() for i in np.ndindex(2, 2) for j in np.ndindex(2, 2)]
    assert bootstrap_auc(y, score, 0, n=40_000) == (min(draws), max(draws)) == (0.5, 1.0)
    assert bootstrap_auc(y, score, 3) == bootstrap_auc(y, np.exp(score), 3)
    large = np.random.default_rng(0)
    y, score = np.repeat([0, 1], 100), large.normal(size=200)
    assert bootstrap_auc(y, score, 3) == bootstrap_auc(y, score, 3) != bootstrap_auc(y, score, 4)
    with pytest.raises(ValueError, match="both classes"):
        bootstrap_auc(np.zeros(3), np.arange(3.0), 0)


def test_bootstrap_covers():
    rng = np.random.default_rng(4)
    y = np.repeat([1, 0], [40, 80])
    truth = norm.cdf(1 / np.sqrt(2))
    intervals = [bootstrap_auc(y, rng.normal(size=120) + y, seed, n=400) for seed in range(500)]
    covered = np.mean([low <= truth <= high for low, high in intervals])
    assert 0.91 <= covered <= 0.98


def test_holm_is_that_of_r_and_leaves_gaps():
    p, adjusted = R["holm"]["p"], R["holm"]["adjusted"]
    np.testing.assert_allclose(holm(p), adjusted, rtol=1e-12)
    gaps = holm([None, *p[:4], float("nan"), *p[4:]])
    assert gaps[0] is None
    assert gaps[5] is None
    np.testing.assert_allclose([v for v in gaps if v is not None], adjusted, rtol=1e-12)
    assert holm([None, float("nan")]) == [None, None]
    assert holm([]) == []
    assert holm([0.6, 0.7]) == [1.0, 1.0]


def test_events_per_variable():
    assert events_per_variable(34, 12) == pytest.approx(2.8333, abs=1e-4)
    with pytest.raises(ValueError, match="at least one column"):
        events_per_variable(10, 0)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("spread", [0.3, 2.0, 8.0])
def test_metrics_are_those_of_statsmodels_and_scikit_learn_on_random_probabilities(seed, spread):
    """At the largest spread the probabilities nearly separate the classes, and some are clipped."""
    rng = np.random.default_rng([seed, int(spread)])
    truth = spread * rng.normal(size=150)
    y = (rng.random(150) < expit(truth)).astype(int)
    p = expit(truth * rng.choice([0.3, 1.0, 3.0]) + rng.normal())
    x = logit(np.clip(p, 1e-8, 1 - 1e-8))
    binomial = sm.GLM(y, sm.add_constant(x), family=sm.families.Binomial()).fit(tol=1e-14, maxiter=200)
    assert calibration(y, p).slope == pytest.approx(binomial.params[1], rel=1e-11)
    assert probability_metrics(y, p)["auprc"].value == average_precision_score(y, p)
    low, high = proportion_confint(int(np.sum((p >= 0.5) == y)), 150, method="wilson")
    assert decision_metrics(y, p >= 0.5)["accuracy"].ci == pytest.approx((low, high), abs=1e-15)
