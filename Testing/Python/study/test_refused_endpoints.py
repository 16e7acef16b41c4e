"""An endpoint whose data cannot be fitted is left out with a sentence, and the others come out as without it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.progress import Progress
from DeepRadScoreLib.radscore.radscore import RegionScores
from DeepRadScoreLib.study.data import StudyInputs, gather, read_study_cohort
from DeepRadScoreLib.study.duplicates import MIN_COLUMNS
from DeepRadScoreLib.study.evaluation.evaluate import evaluate_cases, evaluate_from_table
from DeepRadScoreLib.study.plans import EvaluationPlan, TrainingPlan
from DeepRadScoreLib.study.training.train import train_bundle
from support.made_up_study import summarised
from support.small_evaluation import write_small_cohort
from support.small_study import small_plan, small_study

N = 110
QUICK = TrainingPlan(folds=2, repeats=1, search="quick")
BY_SITE = EvaluationPlan(("strict",), QUICK, "site")
BY_COLUMN = EvaluationPlan(("strict",), QUICK, "column")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPRADSCORE_CACHE", str(tmp_path / "cache"))


def write_cohort(folder, varies_at):
    """KRAS is known for every second patient, whose features are all the same but at the sites `varies_at`.

    There are too few features for equal ones to count as those of one patient.
    """
    table, features = write_small_cohort(folder, N)
    cohort, values = pd.read_csv(table), pd.read_csv(features)
    number = cohort["patient_id"].str[1:].astype(int)
    site = np.where(number % 8 < 4, "north", "south")
    split = np.where(number % 16 < 12, "train", "test")
    known = (number % 2 == 0).to_numpy()
    label = (number % 4 == 0).astype(float).where(known)
    cohort.assign(site=site, split=split, KRAS=label).to_csv(table, index=False)
    values.loc[known & ~np.isin(site, varies_at), values.columns[1:]] = 1.0
    values.iloc[:, :MIN_COLUMNS].to_csv(features, index=False)
    return StudyInputs(table, features, endpoints=("EGFR", "KRAS"))


class Killed(Exception):
    pass


class KilledAtItsSecondBeginning:
    """A run ends here when it has left out an endpoint and is at its first fold again."""

    beginnings = 0

    def __call__(self, event: Progress) -> None:
        self.beginnings += event.text == "outer folds: strict north"
        if self.beginnings == 2:
            raise Killed


def test_one_fold_that_cannot_be_fitted_leaves_its_endpoint_out_of_all_killed_or_not(tmp_path):
    inputs = write_cohort(tmp_path, ["south"])
    with pytest.raises(Killed):
        evaluate_from_table(inputs, BY_SITE, Run(report=KilledAtItsSecondBeginning()))
    study = evaluate_from_table(inputs, BY_SITE, Run())
    sentence = "strict protocol: training part south: no feature varies between the training patients"
    assert study.flow["KRAS"].not_run.startswith(sentence)
    assert set(study.predictions()["endpoint"]) == {"EGFR"}

    cases = gather(inputs, read_study_cohort(inputs), QUICK, Run()).cases
    screened, _ = evaluate_cases(cases, BY_SITE, {"KRAS": "not asked for"}, Run(tmp_path / "work"))
    expected = summarised(study, folds=screened)
    pd.testing.assert_frame_equal(study.predictions(), expected.predictions())
    assert study.protocols == expected.protocols


@pytest.fixture(scope="module")
def never_fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("never")
    inputs = write_cohort(folder, [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPRADSCORE_CACHE", str(folder / "cache"))
        return inputs, evaluate_from_table(inputs, BY_COLUMN, Run())


def test_an_endpoint_that_no_fold_can_fit_leaves_the_others(never_fitted):
    study = never_fitted[1]
    assert "training part test: no feature varies" in study.flow["KRAS"].not_run
    assert list(study.protocols["strict"].endpoints) == ["EGFR"]


def test_where_no_endpoint_can_be_fitted_every_reason_is_one_sentence(tmp_path):
    inputs = dataclasses.replace(write_cohort(tmp_path, []), endpoints=("KRAS",))
    with pytest.raises(CohortError, match=r"no endpoint can be evaluated: KRAS: .*no feature varies"):
        evaluate_from_table(inputs, BY_SITE, Run())


def test_a_baseline_that_cannot_be_fitted_is_not_run_and_says_why(never_fitted, tmp_path):
    inputs, study = never_fitted
    cases = gather(inputs, read_study_cohort(inputs), QUICK, Run()).cases
    cases = dataclasses.replace(cases, shuffled=cases.data.features * 0.0)
    folds, _ = evaluate_cases(cases, BY_COLUMN, {}, Run(tmp_path / "work"))
    found = summarised(study, folds=folds, models_not_run={}).protocols["strict"]
    models = found.endpoints["EGFR"].models
    assert "no feature varies" in models["shuffled-voxels"].not_run
    assert models["radiomics-score"].auc is not None and models["shuffled-labels"].auc is not None


def test_a_fault_of_the_program_still_ends_the_run(tmp_path, monkeypatch):
    def faulty(*arguments, **settings):
        raise ZeroDivisionError("a fault")

    inputs = write_cohort(tmp_path, ["north"])
    monkeypatch.setattr(RegionScores, "fit", faulty)
    with pytest.raises(ZeroDivisionError):
        evaluate_from_table(inputs, BY_SITE, Run())


def repeated_study(keys):
    """80 cases; those of KRAS, every second patient, have second masks that agree in nothing, the others have none."""
    cohort, computed = small_study(80)
    number = cohort.table["patient_id"].str[1:].astype(int)
    repeated = (number % 2 == 0).to_numpy()
    labels = cohort.labels.copy()
    labels["KRAS"] = (number % 4 == 0).astype(float).where(repeated)
    labels["EGFR"] = labels["EGFR"].where(~repeated) if "EGFR" in keys else np.nan
    noise = np.random.default_rng(5).normal(size=computed.features.shape)
    noise[~repeated] = np.nan
    noise[:, ::7] *= 1e-9
    return dataclasses.replace(cohort, labels=labels), dataclasses.replace(computed, repeats=noise)


def test_training_leaves_out_an_endpoint_without_a_repeatable_feature(tmp_path):
    cohort, computed = repeated_study(("EGFR", "KRAS"))
    bundle = train_bundle(cohort, computed, small_plan(), Run(tmp_path)).bundle
    assert list(bundle.endpoints) == ["EGFR"]
    card = bundle.manifest.endpoints["KRAS"]
    assert not card.modelled
    assert "no feature has an ICC(3,1)" in card.reason and "repeat_mask" in card.reason
    assert bundle.manifest.endpoints["EGFR"].modelled


def test_training_without_an_endpoint_that_can_be_fitted_is_one_sentence(tmp_path):
    cohort, computed = repeated_study(("KRAS",))
    with pytest.raises(CohortError, match=r"no endpoint can be modelled: KRAS: .*ICC"):
        train_bundle(cohort, computed, small_plan(), Run(tmp_path))
