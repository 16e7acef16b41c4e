"""The mean AUC over folds against pROC within folds, cvAUC and known truths."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit
from scipy.stats import norm

from DeepRadScoreLib.statistics.auc import auc_interval, delong_test, mean_auc, mean_auc_difference

HERE = Path(__file__).parent
REFERENCES = HERE / "references"
Z = norm.ppf(0.975)


@pytest.fixture(scope="module")
def benchmark():
    path = HERE.parents[1] / "benchmarks" / "coverage_benchmark.py"
    spec = importlib.util.spec_from_file_location("coverage_benchmark", path)
    module = sys.modules["coverage_benchmark"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stored(name):
    """The folds (y, a, b) of a stored case, and what R gave for them."""
    cases = pd.read_csv(REFERENCES / "statistics_cases.csv").query("case == @name")
    folds = [tuple(part[c].to_numpy() for c in ("y", "a", "b")) for _, part in cases.groupby("fold")]
    return folds, json.loads((REFERENCES / "statistics_r.json").read_text(encoding="utf-8"))[name]


def variance_of_mean(of_fold, size, n):
    """The double sum of the module's docstring, term by term."""
    total = 0.0
    for k, v in enumerate(of_fold):
        for m, w in enumerate(of_fold):
            r = 1.0 if k == m else np.sqrt(size[k] / (n - size[k]) * size[m] / (n - size[m]))
            total += r * np.sqrt(v * w)
    return total / len(of_fold) ** 2


@pytest.mark.parametrize("name", ["plain", "ties", "rare"])
def test_mean_interval_and_p_are_made_of_procs_fold_variances(name):
    folds, theirs = stored(name)
    auc_a, auc_b, var_a, var_b, cov = np.array(theirs["folds"]).T
    size = np.array([len(y) for y, _, _ in folds])
    estimate = mean_auc([(y, a) for y, a, _ in folds])
    assert estimate.auc == pytest.approx(auc_a.mean(), abs=1e-12)
    half = Z * np.sqrt(variance_of_mean(var_a, size, size.sum()))
    if name == "rare":
        half /= estimate.auc * (1 - estimate.auc)
        expected = expit(logit(estimate.auc) + np.array([-half, half]))
        assert (estimate.method, estimate.note) == ("corrected-delong-logit", "interval not calibrated (12 events)")
    else:
        expected = estimate.auc + np.array([-half, half])
        assert (estimate.method, estimate.note) == ("corrected-delong", None)
    np.testing.assert_allclose([estimate.low, estimate.high], expected, rtol=1e-9)
    difference, p = mean_auc_difference(folds)
    assert difference == pytest.approx(np.mean(auc_a - auc_b), abs=1e-12)
    se = np.sqrt(variance_of_mean(var_a + var_b - 2 * cov, size, size.sum()))
    assert p == pytest.approx(2 * norm.sf(abs(difference) / se), rel=1e-9)


@pytest.mark.parametrize("name", ["plain", "rare"])
def test_mean_is_that_of_cvauc_and_the_benchmarks_influence_curve_too(name, benchmark):
    """cvAUC counts ties otherwise, therefore the cases without ties."""
    folds, theirs = stored(name)
    auc, se = theirs["cvauc_a"]
    found = benchmark.intervals([(y, a) for y, a, _ in folds])
    assert mean_auc([(y, a) for y, a, _ in folds]).auc == pytest.approx(auc, abs=1e-12)
    np.testing.assert_allclose(found["influence curve"], [auc - Z * se, auc + Z * se], rtol=1e-9)


def test_one_fold_is_held_out():
    (y, a, b), *_ = stored("plain")[0]
    assert mean_auc([(y, a)]) == auc_interval(y, a)
    assert mean_auc([(y, a)], level=0.8) == auc_interval(y, a, level=0.8)
    assert mean_auc_difference([(y, a, b)]) == delong_test(y, a, b)


def test_exchanged_models_and_other_scales_change_nothing():
    folds, _ = stored("ties")
    difference, p = mean_auc_difference(folds)
    assert mean_auc_difference([(y, b, a) for y, a, b in folds]) == (-difference, p)
    assert mean_auc_difference([(y, np.exp(a), 5 * b - k) for k, (y, a, b) in enumerate(folds)]) == (difference, p)
    assert mean_auc_difference([(y, a, a) for y, a, _ in folds]) == (0.0, 1.0)
    assert np.isnan(mean_auc_difference([(y, y, np.zeros(len(y))) for y, _, _ in folds])[1])


def test_a_fold_with_one_class_is_left_out_and_it_is_said():
    folds = [(y, a) for y, a, _ in stored("plain")[0]]
    lone = (np.zeros(9, int), np.arange(9.0))
    whole, more = mean_auc(folds), mean_auc([*folds, lone])
    assert more.auc == whole.auc
    assert (more.n, more.positives) == (whole.n, whole.positives) == (508, 150)
    variances = np.array(stored("plain")[1]["folds"]).T[2]
    half = Z * np.sqrt(variance_of_mean(variances, [len(y) for y, _ in folds], 508 + 9))
    assert more.high - more.auc == pytest.approx(half, rel=1e-9)
    assert more.note == "1 of 6 folds have labels of one class or none and give no AUC"
    with pytest.raises(ValueError, match="cases of both classes"):
        mean_auc([lone, lone])


def test_a_fold_with_a_single_positive_takes_the_variance_of_the_others():
    folds = [(y, a) for y, a, _ in stored("plain")[0]]
    y, a = folds[0]
    keep = (y == 0) | (np.cumsum(y) == 1)
    folds[0] = (y[keep], a[keep])
    of_fold = []
    for k, (y, a) in enumerate(folds):
        rows = [np.mean((x > a[y == 0]) + 0.5 * (x == a[y == 0])) for x in a[y == 1]]
        columns = [np.mean((a[y == 1] > x) + 0.5 * (a[y == 1] == x)) for x in a[y == 0]]
        of_fold.append((np.array(rows), np.var(columns, ddof=1) / len(columns)))
        assert len(rows) == (1 if k == 0 else 30)
    pooled = sum(np.sum((rows - rows.mean()) ** 2) for rows, _ in of_fold) / (4 * 29)
    variances = [
        (pooled if len(rows) == 1 else np.var(rows, ddof=1)) / len(rows) + negatives for rows, negatives in of_fold
    ]
    size = [len(y) for y, _ in folds]
    half = Z * np.sqrt(variance_of_mean(variances, size, sum(size)))
    estimate = mean_auc(folds)
    assert estimate.high - estimate.auc == pytest.approx(half, rel=1e-9)


def test_folds_with_one_positive_each_have_an_interval_and_one_positive_in_all_has_none():
    rng = np.random.default_rng(0)
    y = np.repeat([1, 0], [1, 8])
    folds = [(y, rng.normal(size=9) + y) for _ in range(5)]
    estimate = mean_auc(folds)
    assert 0 < estimate.low < estimate.auc < estimate.high < 1
    assert estimate.note == "interval not calibrated (5 events)"
    with pytest.raises(ValueError, match="two cases of either class"):
        mean_auc([folds[0], (np.zeros(9, int), rng.normal(size=9))])


def test_perfect_folds_have_the_bound_of_their_pairs():
    y = np.repeat([1, 0], [4, 6])
    estimate = mean_auc([(y, y + 0.1 * np.arange(10))] * 5)
    assert (estimate.auc, estimate.high, estimate.method) == (1.0, 1.0, "exact-pairs")
    assert estimate.low == pytest.approx(0.025 ** (1 / 20))
    assert mean_auc([(1 - y, -y - 0.1 * np.arange(10))] * 5).low == pytest.approx(0.025 ** (1 / 20))


@pytest.mark.parametrize("y", [[0, 1, 2, 1], [0, 1, 1, 0]])
def test_nan_and_foreign_labels_are_refused(y):
    with pytest.raises(ValueError, match="0 or 1"):
        mean_auc([(np.array(y), np.array([0.1, np.nan, 0.3, 0.2]))] * 2)


@pytest.mark.parametrize("auc", [0.5, 0.75])
def test_intervals_cover_the_mean_of_the_true_fold_aucs(auc, benchmark):
    """400 tables of 100 with 30 events: at least 95 % less three standard errors; without fold correlation far less."""
    rows = benchmark.cross_validated(benchmark.Setting(100, 30, auc, "logistic"), 400, np.random.default_rng(3))
    covered = {name: np.mean((r[:, 1] <= r[:, 0]) & (r[:, 0] <= r[:, 2])) for name, r in rows.items()}
    print(f"coverage at AUC {auc}: {covered}")
    assert covered["mean_auc"] >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 400)
    if auc == 0.5:
        assert covered["influence curve"] < 0.9
        assert covered["fold DeLong"] < 0.9


def test_equal_models_are_seldom_called_different(benchmark):
    setting = benchmark.Setting(100, 30, 0.5, "logistic")
    ours, without = benchmark.false_alarms(setting, ([0, 1], [2, 3, 4]), 400, np.random.default_rng(3))
    assert ours / 400 <= 0.05 + 3 * np.sqrt(0.95 * 0.05 / 400)
    assert without / 400 > 0.1
