"""An endpoint that follows the site, the scanner, the slice thickness or the date is named, and no other one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import fisher_exact, mannwhitneyu
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from DeepRadScoreLib.cohort.table import Cohort
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.imaging.acquisition import Acquisition
from DeepRadScoreLib.models import CONFOUNDERS
from DeepRadScoreLib.study.confounders import find_confounders
from DeepRadScoreLib.study.data import StudyData, StudyInputs
from DeepRadScoreLib.study.evaluation.evaluate import evaluate_from_table
from DeepRadScoreLib.study.plans import EvaluationPlan, TrainingPlan
from DeepRadScoreLib.study.results.document import AssociationCard
from DeepRadScoreLib.study.results.summary import summarise
from DeepRadScoreLib.study.training.confounding import followed_confounders
from support.made_up_study import made_up_study
from support.small_evaluation import write_small_cohort
from support.small_study import small_plan, small_study

QUICK = TrainingPlan(folds=2, repeats=1, search="quick")
TESTED = {"site": "site", "scanner": "kernel", "slice-thickness": "slice_thickness", "date": "study_date"}


def table_of(**columns: object) -> Cohort:
    table = pd.DataFrame(columns)
    table = table.set_index(pd.Index([f"c{i}" for i in range(len(table))]), drop=False)
    return Cohort(Path("c.csv"), table, pd.DataFrame(index=table.index, columns=list(KEYS)), {}, float("nan"))


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A study whose EGFR is the site's, the kernel's, the slices' and the day's, and whose KRAS is nobody's."""
    folder = tmp_path_factory.mktemp("planted")
    table, features = write_small_cohort(folder, 90)
    cohort, rng = pd.read_csv(table), np.random.default_rng(4)
    person = cohort["patient_id"].str[1:].astype(int).to_numpy()
    changed = (rng.random(90) < 0.04)[person]
    planted = np.where(changed, 1 - cohort["EGFR"], cohort["EGFR"])
    days = pd.Timestamp("2015-01-01") + pd.to_timedelta(200 * planted + rng.integers(0, 190, 90)[person], unit="D")
    copied = pd.read_csv(features)
    copied.iloc[50, 1:] = copied.iloc[41, 1:]
    copied.to_csv(features, index=False)
    cohort = cohort.assign(
        split=np.where(person % 5 < 2, "test", "train"),
        site=np.where(planted == 1, "north", "south"),
        kernel=np.where(planted == 1, "B30f", "B70f"),
        slice_thickness=np.where(planted == 1, 1.0, 5.0),
        study_date=days.strftime("%Y-%m-%d"),
    )
    cohort.to_csv(table, index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPRADSCORE_CACHE", str(folder / "cache"))
        inputs = StudyInputs(table, features, endpoints=("EGFR", "KRAS"))
        study = evaluate_from_table(inputs, EvaluationPlan(("strict",), QUICK, "column"), Run())
    return study, cohort


def test_a_planted_confounder_is_a_baseline_near_1_and_named(planted):
    study, _ = planted
    found = study.protocols["strict"].endpoints["EGFR"]
    for name in CONFOUNDERS:
        assert found.models[name].auc > 0.9
        assert found.delong[name].p is not None
    assert set(found.follows) == set(CONFOUNDERS)
    sentence = found.follows["slice-thickness"]
    assert sentence in found.warnings
    low, high = found.models["slice-thickness"].auc_ci
    assert sentence.startswith("EGFR follows the slice thickness: slice thickness alone reaches an AUC of ")
    assert f"(95 % interval {low:.2f} to {high:.2f}; association: p < 0.001 after Holm)" in sentence


def test_a_baseline_counts_each_patient_once(planted):
    study, cohort = planted
    card = study.protocols["strict"].endpoints["EGFR"].models["site"]
    rows = study.predictions().query("endpoint == 'EGFR' and model == 'site'")
    tested = cohort[cohort["split"] == "test"]
    assert card.n == len(rows) == tested["patient_id"].nunique() < len(tested)
    assert card.auc == pytest.approx(roc_auc_score(rows["label"], rows["score"]), abs=1e-12)
    site = cohort.groupby("patient_id")["site"].first()[rows["patient_id"]].to_numpy()
    assert rows.groupby(site)["score"].nunique().eq(1).all()


def test_two_patients_with_the_same_features_in_one_part_are_named(planted):
    study, _ = planted
    assert len(study.duplicates) == 1
    assert 'patients "p041" and "p050" have the same features' in study.duplicates[0]
    assert json.loads(study.to_json())["duplicates"] == list(study.duplicates)


def test_a_label_that_follows_nothing_is_not_named(planted):
    found = planted[0].protocols["strict"].endpoints["KRAS"]
    assert found.follows == {}
    assert not any("follows" in text for text in found.warnings)
    assert all(found.models[name].auc is not None for name in CONFOUNDERS)


def test_the_tests_are_scipys_of_the_patients_and_holms_of_all(planted):
    study, cohort = planted
    patients = cohort.groupby("patient_id").first()
    found = study.protocols["strict"].endpoints
    expected = {}
    for key in ("EGFR", "KRAS"):
        for name in ("site", "scanner"):
            expected[key, name] = fisher_exact(pd.crosstab(patients[TESTED[name]], patients[key])).pvalue
        days = pd.to_datetime(patients["study_date"]).astype("int64")
        for name, values in (("slice-thickness", patients["slice_thickness"]), ("date", days)):
            expected[key, name] = mannwhitneyu(values[patients[key] == 1], values[patients[key] == 0]).pvalue
    corrected = dict(zip(expected, multipletests(list(expected.values()), method="holm")[1], strict=True))
    for (key, name), p in expected.items():
        card = found[key].associations[name]
        assert card.p == pytest.approx(p, rel=1e-9)
        assert card.p_holm == pytest.approx(corrected[key, name], rel=1e-9)


def test_no_date_is_written(planted):
    study, cohort = planted
    assert not any(day in study.to_json() for day in cohort["study_date"])


def test_a_confounder_that_is_not_run_is_named_by_its_test_alone():
    study = made_up_study()
    card = AssociationCard(column="site", test="Fisher", p=1e-4, p_holm=0.004)
    tests = {"EGFR": {"site": card}, "LVI": {"site": card.model_copy(update={"p_holm": 0.2})}}
    found = summarise(study.folds, study.flow, {"site": "left out"}, study.settings, tests)["strict"].endpoints
    assert list(found["EGFR"].follows) == ["site"]
    assert found["EGFR"].follows["site"].startswith("EGFR follows the site (association: p 0.004 after Holm)")
    assert found["LVI"].follows == {}


def test_what_is_absent_or_the_same_everywhere_is_not_run_and_says_why():
    cohort = table_of(site=["a"] * 4, kernel=[""] * 4, slice_thickness=["1", "5", "", "1"])
    found = find_confounders(cohort, cohort.table.index)
    assert list(found.tables) == ["slice-thickness"]
    assert "same in all cases" in found.absent["site"]
    assert "neither the headers" in found.absent["scanner"]
    assert set(found.absent) == {"site", "scanner", "date"}


def test_headers_and_grids_of_the_images_come_before_the_table():
    cohort = table_of(slice_thickness=["9", "8", "7"], kernel=["x", "y", "z"], date=["2001", "2002", "2003"])
    scans = [Acquisition(kernel="B30f", tube_voltage_kv=120.0, study_month=24240, model=m) for m in "abb"]
    scans[2] = replace(scans[2], study_month=24242)
    spacing = pd.DataFrame({"spacing_between_slices_mm": [1.0, 1.0, 5.0]}, index=cohort.table.index)
    found = find_confounders(cohort, cohort.table.index, scans, spacing).tables
    assert found["scanner"].to_dict("list") == {"model": ["a", "b", "b"]}
    assert found["slice-thickness"].iloc[:, 0].tolist() == [1.0, 1.0, 5.0]
    assert found["date"].iloc[:, 0].tolist() == [24240.0, 24240.0, 24242.0]


@pytest.mark.parametrize(
    "cells", [["20200101", "20200131"], ["01.01.2020", "31.01.2020"], ["2020-01-01", "2020-01-31"]]
)
def test_dates_are_days_from_the_first(cells):
    cohort = table_of(Study_Date=cells)
    assert find_confounders(cohort, cohort.table.index).tables["date"].iloc[:, 0].tolist() == [0.0, 30.0]


def test_a_bundle_names_what_its_endpoint_followed_in_training(tmp_path):
    cohort, computed = small_study(80)
    flip = np.random.default_rng(1).random(80) < 0.05
    site = np.where((cohort.labels["EGFR"].fillna(0) == 1) ^ flip, "north", "south")
    cohort = replace(cohort, table=cohort.table.assign(site=site))
    data = StudyData.of(cohort, computed)
    known = find_confounders(cohort, data.case_ids, computed.acquisitions, computed.measures)
    found = followed_confounders(data, known, ("EGFR", "KRAS"), small_plan(), Run(tmp_path))
    assert found["EGFR"]["site"] > 0.85
    assert "site" not in found["KRAS"]
