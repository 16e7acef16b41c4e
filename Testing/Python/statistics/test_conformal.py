"""Label sets: against crepes, against the exact coverage of an order statistic, with patients as the unit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import norm

from DeepRadScoreLib.statistics.conformal import (
    LabelThresholds,
    as_means_of_folds,
    attainable_coverage,
    rank_threshold,
)

PRESENT = (0.51, 0.77, 0.63, 0.41, 0.67, 0.49, 0.85, 0.66, 0.74, 0.39, 0.92, 0.41, 0.41, 0.71)
ABSENT = (
    *(0.48, 0.44, 0.09, 0.16, 0.23, 0.32, 0.21, 0.52, 0.42, 0.60, 0.25, 0.17, 0.70, 0.25, 0.10, 0.16),
    *(0.14, 0.60, 0.41, 0.76, 0.15, 0.59, 0.42, 0.58, 0.26, 0.43, 0.52, 0.41, 0.48, 0.44, 0.27),
)
GRID = np.round(np.linspace(0.02, 0.98, 49), 2)


def thresholds(present, absent, level=0.9) -> LabelThresholds:
    labels = np.repeat([1, 0], [len(present), len(absent)])
    return LabelThresholds.of(np.array([*present, *absent]), labels, np.arange(len(labels)), level)


def test_the_sets_are_those_of_crepes():
    """crepes 0.9.1, class_cond=True, nc=hinge, confidence .90, smoothing=False: absent up to .60, present from .40."""
    found = thresholds(PRESENT, ABSENT)
    positive, negative = found.keeps(GRID)
    np.testing.assert_array_equal(positive, GRID >= 0.40)
    np.testing.assert_array_equal(negative, GRID <= 0.60)


def test_a_case_that_ties_with_the_threshold_stays():
    """The same expression is compared as was sorted: 1 - .7 is above .3 in binary."""
    found = thresholds([0.7] * 20, [0.3] * 20)
    assert found.positive != 0.3
    assert [bool(found.keeps(p)[0]) for p in (0.7, 0.69)] == [True, False]
    assert [bool(found.keeps(p)[1]) for p in (0.3, 0.31)] == [True, False]


@pytest.mark.parametrize(("n", "rank"), [(8, None), (9, 9), (10, 10), (18, 18), (19, 18), (99, 90)])
def test_the_threshold_is_the_order_statistic_of_the_rule(n, rank):
    scores = np.random.default_rng(n).permutation(n) + 1.0
    assert rank_threshold(scores, np.arange(n), 0.9) == rank


def test_a_label_without_enough_patients_always_stays():
    found = thresholds(PRESENT[:8], ABSENT)
    assert found.positive is None
    assert found.keeps(GRID)[0].all()


@pytest.mark.parametrize("n", [9, 14, 40])
def test_mean_coverage_over_calibration_draws_is_the_attainable_one(n):
    """Uniform scores: the coverage of a draw is its threshold itself, a beta variable of mean rank / (n + 1)."""
    rng = np.random.default_rng(3)
    found = np.array([rank_threshold(rng.random(n), np.arange(n), 0.9) for _ in range(3000)])
    assert found.mean() == pytest.approx(attainable_coverage(n, 0.9), abs=4 * found.std() / np.sqrt(3000))


def test_cases_repeated_of_every_patient_change_nothing_and_one_patient_counts_once():
    scores = np.random.default_rng(1).random(30)
    patients = np.arange(30)
    once = rank_threshold(scores, patients, 0.9)
    assert rank_threshold(np.tile(scores, 3), np.tile(patients, 3), 0.9) == once
    many = rank_threshold(np.append(scores, [5.0] * 500), np.append(patients, [30] * 500), 0.9)
    assert many == rank_threshold(np.append(scores, 5.0), np.append(patients, 30), 0.9)


def test_scores_drawn_to_the_scatter_of_a_mean_over_folds_cover_at_the_level_and_the_others_over_it():
    """Normal log-odds: a mean over k folds covers Phi(z sqrt(V / (V - w))), w of V between them, where it should z."""
    rng = np.random.default_rng(7)
    n, folds, of_case, of_fold = 20_000, 3, 1.0, 0.5
    labels = np.repeat([1, 0], n)
    centre = np.where(labels == 1, 0.8, -0.6)
    calibration = centre + rng.normal(0, np.hypot(of_case, of_fold), 2 * n)
    unseen = centre + rng.normal(0, of_case, 2 * n) + rng.normal(0, of_fold, (folds, 2 * n))
    between = unseen.var(axis=0).mean()
    patients = np.arange(2 * n)
    for scores, covered in (
        (
            expit(calibration),
            norm.cdf(norm.ppf(0.9) * np.hypot(of_case, of_fold) / np.hypot(of_case, of_fold / 3**0.5)),
        ),
        (as_means_of_folds(expit(calibration), labels, patients, between), 0.9),
    ):
        present, absent = LabelThresholds.of(scores, labels, patients, 0.9).keeps(expit(unseen.mean(axis=0)))
        assert present[labels == 1].mean() == pytest.approx(covered, abs=0.008)
        assert absent[labels == 0].mean() == pytest.approx(covered, abs=0.008)


def test_drawn_scores_keep_their_order_and_a_patient_counts_once():
    probabilities, labels = np.array([*PRESENT, *ABSENT]), np.repeat([1, 0], [len(PRESENT), len(ABSENT)])
    patients = np.arange(len(labels))
    drawn = as_means_of_folds(probabilities, labels, patients, 0.1)
    for label in (0, 1):
        rows = labels == label
        log_odds, before = logit(drawn[rows]), logit(probabilities[rows])
        assert log_odds.mean() == pytest.approx(before.mean())
        assert log_odds.var() == pytest.approx(before.var() - 0.1)
        assert (np.argsort(drawn[rows], kind="stable") == np.argsort(probabilities[rows], kind="stable")).all()
    again = np.concatenate([np.arange(len(labels)), np.zeros(9, dtype=int)])
    repeated = as_means_of_folds(probabilities[again], labels[again], patients[again], 0.1)
    np.testing.assert_allclose(repeated[: len(labels)], drawn)


@pytest.mark.parametrize("between_folds", [0.0, 1e3])
def test_scores_that_do_not_vary_by_more_than_the_folds_stay_as_they_are(between_folds):
    probabilities, labels = np.array([*PRESENT, *ABSENT]), np.repeat([1, 0], [len(PRESENT), len(ABSENT)])
    same = as_means_of_folds(probabilities, labels, np.arange(len(labels)), between_folds)
    np.testing.assert_array_equal(same, probabilities)
