"""DeLong, intervals and splits against pairwise counting, other packages, R's pROC and simulation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.statistics.auc import auc_interval, delong, delong_test, youden_threshold
from DeepRadScoreLib.study.splits import holdout, stratified_folds

REFERENCES = Path(__file__).parent / "references"


def binormal(seed, positives, negatives, models=1, shift=1.0, correlation=0.6):
    """Labels and correlated normal scores, AUC = Phi(shift / sqrt 2) each."""
    rng = np.random.default_rng(seed)
    y = np.repeat([1, 0], [positives, negatives])
    common = rng.normal(size=len(y))
    own = rng.normal(size=(models, len(y)))
    scores = np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own + shift * y
    order = rng.permutation(len(y))
    return y[order], scores[:, order]


def pairwise_delong(y, scores):
    """DeLong 1988 as written: the kernel over all pairs, its row and column means, their covariances."""
    kernel = np.array(
        [[[1.0 if p > q else 0.5 if p == q else 0.0 for q in score[y == 0]] for p in score[y == 1]] for score in scores]
    )
    rows, columns = kernel.mean(axis=2), kernel.mean(axis=1)
    covariance = np.atleast_2d(np.cov(rows)) / rows.shape[1] + np.atleast_2d(np.cov(columns)) / columns.shape[1]
    return kernel.mean(axis=(1, 2)), covariance


@pytest.mark.parametrize("decimals", [None, 0])
@pytest.mark.parametrize(("positives", "negatives"), [(2, 2), (5, 40), (60, 45)])
def test_delong_is_the_pairwise_definition_with_and_without_ties(positives, negatives, decimals):
    y, scores = binormal(positives, positives, negatives, models=4)
    scores = scores if decimals is None else np.round(scores, decimals)
    auc, covariance = delong(y, scores)
    expected_auc, expected_covariance = pairwise_delong(y, scores)
    np.testing.assert_allclose(auc, expected_auc, rtol=0, atol=1e-14)
    np.testing.assert_allclose(covariance, expected_covariance, rtol=0, atol=1e-15)
    np.testing.assert_allclose(auc, [roc_auc_score(y, score) for score in scores], rtol=0, atol=1e-14)


@pytest.mark.parametrize("seed", range(4))
def test_delong_agrees_with_a_published_package(seed):
    mlstatkit = pytest.importorskip("MLstatkit", reason="MLstatkit, the other implementation of DeLong, is missing")
    y, scores = binormal(seed, 30, 80, models=2)
    z, their_p, interval_a, interval_b, auc_a, auc_b, _ = mlstatkit.Delong_test(y, scores[0], scores[1])
    difference, p = delong_test(y, scores[0], scores[1])
    assert difference == pytest.approx(auc_a - auc_b, abs=1e-12)
    assert p == pytest.approx(their_p, rel=1e-9)
    assert np.sign(difference) == -np.sign(z)
    for score, interval in zip(scores, (interval_a, interval_b), strict=True):
        ours = auc_interval(y, score)
        np.testing.assert_allclose([ours.low, ours.high], interval, rtol=1e-9)


@pytest.mark.parametrize("source", ["statistics_r.json", "statistics_python.json"])
@pytest.mark.parametrize("name", ["plain", "ties", "rare"])
def test_delong_is_that_of_proc_and_of_pauc(name, source):
    """Values stored with the scripts that made them: R's pROC 1.18.0 and the Python package pauc 0.2.2."""
    cases = pd.read_csv(REFERENCES / "statistics_cases.csv").query("case == @name")
    theirs = json.loads((REFERENCES / source).read_text(encoding="utf-8"))[name]
    y, a, b = (cases[column].to_numpy() for column in ("y", "a", "b"))
    auc, covariance = delong(y, np.stack([a, b]))
    np.testing.assert_allclose(auc, theirs["auc"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(covariance, theirs["covariance"], rtol=1e-9)
    difference, p = delong_test(y, a, b)
    assert difference == pytest.approx(theirs["auc"][0] - theirs["auc"][1], abs=1e-12)
    assert p == pytest.approx(theirs["paired_p"], rel=1e-9)
    estimate = auc_interval(y, a)
    assert estimate.method == ("delong-logit" if name == "rare" else "delong")
    assert estimate.note == ("interval not calibrated (12 events)" if name == "rare" else None)
    if name != "rare":
        np.testing.assert_allclose([estimate.low, estimate.high], np.array(theirs["ci_a"])[[0, -1]], rtol=1e-9)


def test_delong_gives_what_proc_gives_for_the_wfns_grade():
    """Counts of outcome by WFNS grade 1 to 5 (Turck 2010, doi 10.1007/s00134-009-1641-y), pROC's var(roc) of them."""
    good, poor = [37, 20, 3, 8, 4], [2, 12, 1, 8, 18]
    grade = np.concatenate([np.repeat(np.arange(1, 6), good), np.repeat(np.arange(1, 6), poor)])
    y = np.repeat([0, 1], [sum(good), sum(poor)])
    (auc,), ((variance,),) = delong(y, grade)
    assert auc == pytest.approx(0.8236789, abs=5e-8)
    assert variance == pytest.approx(0.00146991470882363, rel=1e-12)
    estimate = auc_interval(y, grade)
    assert (estimate.n, estimate.positives, estimate.method) == (113, 41, "delong")
    assert estimate.high - estimate.low == pytest.approx(2 * 1.959963984540054 * np.sqrt(variance), rel=1e-12)


def test_identical_and_reordered_scores_have_p_one():
    y, (score,) = binormal(1, 20, 30)
    assert delong_test(y, score, score) == (0.0, 1.0)
    assert delong_test(y, score, np.exp(score)) == (0.0, 1.0)
    difference, p = delong_test(y, y.astype(float), np.zeros(len(y)))
    assert difference == 0.5
    assert np.isnan(p)


def test_paired_p_is_uniform_where_the_models_are_equal():
    p = np.array([delong_test(y, *scores)[1] for y, scores in (binormal(s, 40, 60, models=2) for s in range(400))])
    assert abs(np.mean(p < 0.05) - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 400)
    assert abs(p.mean() - 0.5) < 3 / np.sqrt(12 * 400)


@pytest.mark.parametrize(
    ("positives", "negatives", "auc", "method"),
    [
        (40, 60, 0.75, "delong"),
        (10, 60, 0.75, "delong-logit"),
        (30, 270, 0.9, "delong-logit"),
        (60, 60, 0.97, "delong-logit"),
    ],
)
def test_intervals_cover_the_true_auc(positives, negatives, auc, method):
    """500 binormal draws of known AUC; 95 % less three standard errors of the count at least."""
    shift = np.sqrt(2) * norm.ppf(auc)
    estimates = [
        auc_interval(y, scores[0]) for y, scores in (binormal(s, positives, negatives, shift=shift) for s in range(500))
    ]
    covered = np.mean([estimate.low <= auc <= estimate.high for estimate in estimates])
    print(f"coverage at AUC {auc}, {positives}/{negatives}: {covered:.3f}")
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 500) <= covered <= 0.99
    assert np.mean([estimate.method == method for estimate in estimates]) > 0.7
    assert all(0 <= estimate.low <= estimate.auc <= estimate.high <= 1 for estimate in estimates)


@pytest.mark.parametrize("auc", [0.98, 0.995])
def test_the_bound_of_a_perfect_score_is_never_too_high(auc):
    """Where a sample of 8 and 12 comes out at AUC 1, the true AUC lies under the bound at most 2.5 % of all draws."""
    shift = np.sqrt(2) * norm.ppf(auc)
    draws = [binormal(s, 8, 12, shift=shift) for s in range(400)]
    perfect = [e for e in (auc_interval(y, scores[0]) for y, scores in draws) if e.auc == 1.0]
    assert len(perfect) > 20
    assert {e.method for e in perfect} == {"exact-pairs"}
    assert perfect[0].low == pytest.approx(0.025 ** (1 / 8))
    assert np.sum([e.low > auc for e in perfect]) / len(draws) <= 0.025


def test_an_inverted_score_mirrors_the_interval():
    for seed, counts, shift in ((1, (40, 60), 1.0), (2, (8, 60), 1.0), (3, (30, 30), 9.0)):
        y, (score,) = binormal(seed, *counts, shift=shift)
        up, down = auc_interval(y, score), auc_interval(y, -score)
        assert up.method == down.method
        np.testing.assert_allclose([down.low, down.high], [1 - up.high, 1 - up.low], atol=1e-12)


def test_a_wider_level_gives_a_wider_interval():
    y, (score,) = binormal(3, 20, 30)
    wide, narrow = auc_interval(y, score, 0.99), auc_interval(y, score, 0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize("y", [[1, 1, 1, 1], [1, 0, 0, 0], [0, 1, 2, 1]])
def test_delong_refuses_what_has_no_variance(y):
    with pytest.raises(ValueError, match=r"two cases|0 or 1"):
        delong(np.array(y), np.arange(4.0))


def test_youden_is_the_best_of_all_cuts():
    y, (score,) = binormal(5, 25, 40)
    cut = youden_threshold(y, score)
    height = [np.mean(score[y == 1] >= c) - np.mean(score[y == 0] >= c) for c in score]
    assert np.mean(score[y == 1] >= cut) - np.mean(score[y == 0] >= cut) == pytest.approx(max(height))
    assert youden_threshold(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.6, 0.9])) == pytest.approx(0.4)
    with pytest.raises(ValueError, match="both classes"):
        youden_threshold(np.zeros(4), np.arange(4.0))


def labelled_cohort(seed=0, patients=120):
    rng = np.random.default_rng(seed)
    groups = np.repeat([f"p{i:03d}" for i in range(patients)], rng.integers(1, 4, patients))
    prevalence = np.array([0.4, 0.6, 0.15, 0.3, 0.1])
    of_patient = (rng.random((patients, 5)) < prevalence).astype(float)
    of_patient[rng.random((patients, 5)) < np.array([0.0, 0.0, 0.1, 0.5, 0.3])] = np.nan
    return of_patient[np.unique(groups, return_inverse=True)[1]], groups


def test_folds_partition_the_cases_and_keep_patients_whole():
    labels, groups = labelled_cohort()
    folds = stratified_folds(labels, groups, 5, seed=3)
    np.testing.assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(len(groups)))
    for train, test in folds:
        assert not set(groups[train]) & set(groups[test])
        np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(len(groups)))


def test_folds_spread_positives_and_labels_of_every_endpoint():
    labels, groups = labelled_cohort()
    first = np.unique(groups, return_index=True)[1]
    folds = stratified_folds(labels, groups, 5, 0)
    in_test = np.array([np.isin(groups[first], groups[test]) for _, test in folds]).astype(float)
    positives = in_test @ (labels[first] == 1)
    labelled = in_test @ ~np.isnan(labels[first])
    rare = [2, 3, 4]
    assert (np.abs(positives - positives.mean(axis=0))[:, rare] <= 1).all()
    assert (np.abs(positives - positives.mean(axis=0)) <= 5).all()
    assert (np.abs(labelled - labelled.mean(axis=0)) <= 5).all()


def test_splits_depend_on_the_seed_and_not_on_the_order_of_cases():
    labels, groups = labelled_cohort()
    order = np.random.default_rng(1).permutation(len(groups))
    for one, two in zip(
        stratified_folds(labels, groups, 5, 7), stratified_folds(labels[order], groups[order], 5, 7), strict=True
    ):
        assert set(groups[one[1]]) == set(groups[order][two[1]])
    np.testing.assert_array_equal(holdout(labels, groups, 0.2, 7)[order], holdout(labels[order], groups[order], 0.2, 7))
    assert not np.array_equal(holdout(labels, groups, 0.2, 7), holdout(labels, groups, 0.2, 8))


def test_holdout_takes_its_share_of_patients_and_of_positives():
    labels, groups = labelled_cohort()
    test = holdout(labels, groups, 0.25, 0)
    held, patients = set(groups[test]), set(groups)
    assert not held & set(groups[~test])
    assert abs(len(held) - 0.25 * len(patients)) <= 2
    first = np.unique(groups, return_index=True)[1]
    positive = labels[first] == 1
    np.testing.assert_allclose(positive[test[first]].sum(axis=0), 0.25 * positive.sum(axis=0), atol=3)


def test_one_endpoint_alone_can_be_split():
    labels = np.repeat([0.0, 1.0], [30, 10])
    folds = stratified_folds(labels, np.arange(40), 5, 0)
    assert [int(labels[test].sum()) for _, test in folds] == [2] * 5
    assert holdout(labels, np.arange(40), 0.5, 0).sum() == 20


def test_too_few_patients_are_refused_in_one_sentence():
    with pytest.raises(CohortError, match="3 patients cannot be split into 5 folds; add patients"):
        stratified_folds(np.ones((6, 2)), np.repeat(["a", "b", "c"], 2), 5, 0)
    with pytest.raises(CohortError, match="one patient"):
        holdout(np.ones((2, 1)), np.array(["a", "a"]), 0.2, 0)
