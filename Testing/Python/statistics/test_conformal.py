"""Label sets: against crepes, against the exact coverage of an order statistic, with patients as the unit."""

from __future__ import annotations

import numpy as np
import pytest

from DeepRadScoreLib.statistics.conformal import LabelThresholds, attainable_coverage, rank_threshold

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
