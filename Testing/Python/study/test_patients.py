"""Thirty patients with three cases each are thirty: scores, validation, calibration and thresholds by patient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.fusion.model import FusionModel, platt, shares_of_patients
from DeepRadScoreLib.statistics.auc import auc_interval, youden_threshold
from DeepRadScoreLib.study.training.fitted import by_patient
from DeepRadScoreLib.study.training.train import train_bundle, validation_card
from support.small_study import small_plan, small_study


def thirty_times_three(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    patient = np.repeat(rng.permutation(30), 3)
    label = rng.permutation(np.arange(30) % 2)[patient]
    score = label + 1.5 * rng.normal(size=30)[patient] + 0.3 * rng.normal(size=90)
    return pd.DataFrame({"patient_id": [f"p{i}" for i in patient], "label": label, "score": score})


def test_the_validation_counts_patients_and_its_auc_is_scikit_learns_of_their_means():
    cases = thirty_times_three()
    of_patient = cases.groupby("patient_id").agg({"label": "max", "score": "mean"})
    card = validation_card(by_patient(cases))
    assert (card.n, card.positives) == (30, 15)
    assert card.auc == pytest.approx(roc_auc_score(of_patient["label"], of_patient["score"]), abs=1e-12)
    width = card.auc_ci[1] - card.auc_ci[0]
    as_if_cases = auc_interval(cases["label"].to_numpy(), cases["score"].to_numpy())
    assert width > 1.4 * (as_if_cases.high - as_if_cases.low)


def test_a_patient_is_positive_where_one_case_is_and_keeps_the_place_of_the_first():
    cases = pd.DataFrame(
        {"case_id": list("abcd"), "patient_id": list("yxyz"), "label": [0, 1, 1, 0], "score": [1.0, 5.0, 2.0, 7.0]}
    )
    found = by_patient(cases)
    assert found["patient_id"].tolist() == ["y", "x", "z"]
    assert found["case_id"].tolist() == ["a + c", "b", "d"]
    assert found["label"].tolist() == [1, 1, 0]
    assert found["score"].tolist() == [1.5, 5.0, 7.0]


def test_training_judges_its_held_out_patients_once_each(tmp_path):
    cohort, computed = small_study(75)
    number = np.arange(75) // 3
    split = np.where(number % 5 == 0, "test", "train")
    table = cohort.table.assign(patient_id=[f"p{i:02d}" for i in number], split=split)
    labels = cohort.labels.assign(EGFR=(number % 2).astype(float), KRAS=np.nan)
    prints = [str(i) for i in range(75)]
    prints[3] = prints[67]
    cohort, computed = replace(cohort, table=table, labels=labels), replace(computed, fingerprints=prints)
    result = train_bundle(cohort, computed, small_plan(), Run(tmp_path))
    manifest = result.bundle.manifest
    card = manifest.endpoints["EGFR"]
    assert (card.n, card.positives) == (20, 10)
    assert {found.n for found in card.validation.values()} == {5}
    assert len(result.held_out) == 15
    assert manifest.trained_on["sites"] == {"a": 25}
    assert result.duplicates == (
        'the patients "p01" and "p22" have the same CT (cases "case-003" and "case-067"), though their labels of EGFR '
        "differ",
    )
    assert "1 pairs of patients" in manifest.facts()["duplicates"]


def repeated_cases(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, labels and patients; one patient stands in half of the cases."""
    rng = np.random.default_rng(seed)
    y = np.arange(60) % 2
    score = y + rng.normal(size=60)
    again = np.r_[np.arange(60), np.zeros(60, dtype=int)]
    return score[again], y[again], again


def test_calibration_and_threshold_are_those_of_each_patient_once():
    score, y, patients = repeated_cases()
    weights = shares_of_patients(patients)
    assert weights.sum() == pytest.approx(60, abs=1e-12)
    np.testing.assert_allclose(platt(y, score, weights), platt(y[:60], score[:60]), rtol=1e-6)
    assert youden_threshold(y, score, weights) == youden_threshold(y[:60], score[:60])
    assert not np.allclose(platt(y, score), platt(y[:60], score[:60]), rtol=0.05)


def test_the_prevalence_is_that_of_the_patients():
    score, y, patients = repeated_cases()
    model = FusionModel("quick", folds=3, repeats=1, classifiers=("LR",)).fit(score[:, None], y, groups=patients)
    assert model.prevalence_ == pytest.approx(0.5, abs=1e-12)
    assert y.mean() < 0.3
    twins = FusionModel("quick", folds=3, repeats=1, classifiers=("LR",)).fit(score[:60, None], y[:60])
    one_each = FusionModel("quick", folds=3, repeats=1, classifiers=("LR",))
    assert one_each.fit(score[:60, None], y[:60], groups=np.arange(60)).to_bytes() == twins.to_bytes()
