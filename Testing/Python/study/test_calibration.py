"""What findings claim, on made-up unseen cases of known probability: the short form of calibration_soak.py."""

from __future__ import annotations

import numpy as np
import pytest

from support.calibration_study import interval_rows, label_set_row, probability_row, train_and_judge


@pytest.fixture(scope="module")
def judged():
    return [one for seed in range(2) for one in train_and_judge(seed, ("LVI", "EGFR"), unseen=800)]


def test_label_sets_hold_each_class_about_as_often_as_they_say(judged):
    """Four calibration draws of some 60 patients each: the standard error of their mean coverage is about .02."""
    rows = [label_set_row(one) for one in judged]
    for label in ("present", "absent"):
        covered = np.mean([row[f"covered_{label}"] for row in rows])
        attainable = np.mean([row[f"attainable_{label}"] for row in rows])
        assert attainable - 0.06 < covered < attainable + 0.08
    assert np.mean([row["both"] for row in rows]) < 0.8


def test_the_interval_holds_the_known_probability_and_the_spread_of_the_folds_does_not(judged):
    rows = [interval_rows(one, 200) for one in judged]
    assert np.mean([row["maximum-entropy (shown)"]["holds_known"] for row in rows]) > 0.85
    assert np.mean([row["range of the folds"]["holds_known"] for row in rows]) < 0.5


def test_no_probability_lies_outside_its_fold_models_and_it_is_calibrated(judged):
    rows = [probability_row(one, one.log_odds) for one in judged]
    assert max(row["outside"] for row in rows) == 0
    assert np.mean([row["calibration_error_above_truth"] for row in rows]) < 0.06
    assert np.mean([row["auc"] for row in rows]) > 0.75
