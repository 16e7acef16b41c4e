"""The evaluation: nested, resumable, and honest about what could not be run."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score

from DeepRadScoreLib.cohort.covariates import clinical_columns
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.progress import Progress, ignore
from DeepRadScoreLib.study.data import StudyInputs, gather, read_study_cohort
from DeepRadScoreLib.study.evaluation.evaluate import evaluate_cases, evaluate_from_table
from DeepRadScoreLib.study.plans import EvaluationPlan, TrainingPlan
from DeepRadScoreLib.study.splits import outer_folds
from support.small_evaluation import write_small_cohort

N = 72
KILLED_AFTER = 20
QUICK = TrainingPlan(folds=2, repeats=1, search="quick")


def run(inputs: StudyInputs, plan: EvaluationPlan, report=ignore):
    return evaluate_from_table(inputs, plan, Run(report=report))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> StudyInputs:
    cohort, features = write_small_cohort(tmp_path_factory.mktemp("cohort"), N)
    return StudyInputs(cohort, features, covariates=("age", "sex"))


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPRADSCORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def both(inputs, own_cache):
    return run(inputs, EvaluationPlan(("strict", "paper"), QUICK, "cv", 2))


def test_every_case_is_tested_once_by_a_model_that_never_saw_its_patient(both):
    predictions = both.predictions()
    strict = predictions.query("protocol == 'strict' and endpoint == 'EGFR' and model == 'radiomics-score'")
    cases = [name for names in strict["case_id"] for name in names.split(" + ")]
    assert sorted(cases) == [f"case-{i:03d}" for i in range(N)]
    assert strict["patient_id"].is_unique
    assert len(strict) == N - 10


def test_the_figures_are_those_of_the_predictions(both):
    table = both.predictions()
    for protocol, found in both.protocols.items():
        for key, endpoint in found.endpoints.items():
            for model, card in endpoint.models.items():
                where = (table["protocol"] == protocol) & (table["endpoint"] == key) & (table["model"] == model)
                rows = table[where]
                if card.not_run:
                    assert rows.empty
                    continue
                aucs = [roc_auc_score(fold["label"], fold["score"]) for _, fold in rows.groupby("fold")]
                assert card.auc == pytest.approx(np.mean(aucs), abs=1e-12)
                accuracy = accuracy_score(rows["label"], rows["decision"])
                assert card.metrics["accuracy"].value == pytest.approx(accuracy, abs=1e-12)
                assert (card.n, card.positives) == (len(rows), rows["label"].sum())


def test_the_signal_is_found_and_noise_is_not(both):
    strict = both.protocols["strict"].endpoints
    assert strict["EGFR"].models["radiomics-score"].auc > 0.75
    assert strict["EGFR"].models["shuffled-labels"].auc < 0.7
    low, high = strict["KRAS"].models["radiomics-score"].auc_ci
    assert low < 0.5 < high + 0.1


def test_what_has_no_source_is_not_run_and_says_so(both):
    without_images = {"scanner", "slice-thickness", "date"}
    assert set(both.models_not_run) == {"deep-ct", "deep-radscore", "shuffled-voxels", *without_images}
    assert both.protocols["strict"].endpoints["EGFR"].models["deep-ct"].auc is None
    assert "all 62 labelled patients are negative" in both.flow["ALK"].not_run
    assert "ALK" not in both.protocols["strict"].endpoints


def test_the_optimism_gap_is_inner_less_strict(both):
    gap = both.optimism["KRAS"]["radiomics-score"]
    strict = both.protocols["strict"].endpoints["KRAS"].models["radiomics-score"].auc
    assert gap.optimism_gap == pytest.approx(gap.paper_inner_auc - strict, abs=1e-15)


def test_a_test_part_touches_nothing_that_is_learned(inputs, tmp_path):
    cohort = read_study_cohort(inputs)
    gathered = gather(inputs, cohort, QUICK, Run())
    plan = EvaluationPlan(("strict",), QUICK, "column")
    (fold,) = outer_folds(gathered.cases, plan, "strict")
    features = gathered.cases.data.features.copy()
    features.iloc[fold.test] += 3.0
    labels = gathered.cases.data.labels.copy()
    labels.iloc[fold.test] = 1.0 - labels.iloc[fold.test]
    changed = dataclasses.replace(
        gathered.cases, data=dataclasses.replace(gathered.cases.data, features=features, labels=labels)
    )
    first, second = (
        evaluate_cases(cases, plan, {}, Run(tmp_path / name))[0]["strict"][0]
        for name, cases in (("as_is", gathered.cases), ("changed", changed))
    )
    for a, b in zip(first.fits, second.fits, strict=True):
        assert (a.model, a.classifier, a.threshold) == (b.model, b.classifier, b.threshold)
        np.testing.assert_array_equal(a.probability, b.probability)
    pd.testing.assert_frame_equal(first.selected, second.selected)


class Killed(Exception):
    pass


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(both, inputs, tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPRADSCORE_CACHE", str(tmp_path))
    calls = []

    def kill(event: Progress) -> None:
        calls.append(event)
        if len(calls) == KILLED_AFTER:
            raise Killed

    plan = EvaluationPlan(("strict", "paper"), QUICK, "cv", 2)
    with pytest.raises(Killed):
        run(inputs, plan, kill)
    assert run(inputs, plan).to_json() == both.to_json()


def test_sites_are_left_out_in_turn(inputs, own_cache):
    found = run(inputs, EvaluationPlan(("strict",), QUICK, "site"))
    predictions = found.predictions()
    site = pd.read_csv(inputs.table).groupby("patient_id")["site"].first()
    assert (site[predictions["patient_id"]].to_numpy() == predictions["fold"].to_numpy()).all()
    assert "north, south" in found.protocols["strict"].split
    assert "left out in turn" in found.protocols["strict"].endpoints["EGFR"].models["site"].not_run


def test_a_bad_label_stops_its_own_endpoint_alone(inputs, tmp_path, own_cache):
    cohort = pd.read_csv(inputs.table)
    cohort["KRAS"] = cohort["KRAS"].astype(object)
    cohort.loc[4, "KRAS"] = "maybe"
    cohort.to_csv(tmp_path / "cohort.csv", index=False)
    plan = EvaluationPlan(("strict",), QUICK, "column")
    results = run(dataclasses.replace(inputs, table=tmp_path / "cohort.csv"), plan)
    assert 'column "KRAS"' in results.flow["KRAS"].not_run
    assert list(results.protocols["strict"].endpoints) == ["EGFR"]


def test_a_column_that_is_the_label_is_named_and_not_used(inputs, tmp_path, own_cache):
    features = pd.read_csv(inputs.features)
    features["tumour_original_firstorder_F7"] = pd.read_csv(inputs.table)["EGFR"] + 1.0
    features.to_csv(tmp_path / "features.csv", index=False)
    plan = EvaluationPlan(("strict",), QUICK, "column")
    results = run(dataclasses.replace(inputs, features=tmp_path / "features.csv"), plan)
    assert "tumour_original_firstorder_F7" in results.flow["EGFR"].not_run
    assert list(results.protocols["strict"].endpoints) == ["KRAS"]


def test_nothing_to_evaluate_is_one_sentence_with_every_reason(inputs, own_cache):
    with pytest.raises(CohortError, match=r"no endpoint can be evaluated.*ALK: "):
        run(dataclasses.replace(inputs, endpoints=("ALK",)), EvaluationPlan(("strict",), QUICK, "column"))


def test_shuffled_labels_stay_with_patients_and_parts(inputs):
    data = gather(inputs, read_study_cohort(inputs), QUICK, Run()).cases.data
    parts = [np.flatnonzero(np.isin(data.patients, chosen)) for chosen in np.array_split(np.unique(data.patients), 4)]
    shuffled = data.with_shuffled_labels(parts, 0)
    assert (shuffled.labels["EGFR"].groupby(data.patients).nunique() == 1).all()
    assert not shuffled.labels["EGFR"].equals(data.labels["EGFR"])
    for part in parts:
        before, after = (
            each.labels["EGFR"].iloc[part].groupby(data.patients.iloc[part]).max().sum() for each in (data, shuffled)
        )
        assert before == after


def test_clinical_columns_are_made_as_pandas_would():
    training = pd.DataFrame({"age": [60.0, np.nan, 70.0, 50.0], "sex": ["f", "m", None, "m"]})
    others = pd.DataFrame({"age": [np.nan, 55.0], "sex": ["f", "x"]})
    made, other = clinical_columns(training, others)
    dummies = pd.get_dummies(training["sex"].fillna("missing")).to_numpy(dtype=float)
    np.testing.assert_array_equal(made, np.column_stack([[60.0, 60.0, 70.0, 50.0], dummies]))
    np.testing.assert_array_equal(other, [[60.0, 1.0, 0.0, 0.0], [55.0, 0.0, 0.0, 0.0]])


def test_results_hold_no_path_and_are_described_by_their_schema(both):
    import jsonschema

    from DeepRadScoreLib.study.results.document import Results

    text = both.to_json()
    assert str(Path.cwd()) not in text and "/tmp" not in text
    jsonschema.validate(json.loads(text), Results.model_json_schema(by_alias=True))


def changed(inputs: StudyInputs, folder: Path, change) -> StudyInputs:
    """The same inputs with `change(cohort table)` in place of the cohort table."""
    change(pd.read_csv(inputs.table)).to_csv(folder / "cohort.csv", index=False)
    return dataclasses.replace(inputs, table=folder / "cohort.csv")


def test_more_cases_of_the_same_patients_make_nobody_surer(inputs, tmp_path, own_cache):
    """Every case twice, as another case of the same patient: the same number of patients stands behind each figure."""
    table, features = pd.read_csv(inputs.table), pd.read_csv(inputs.features)
    for each, name in ((table, "cohort.csv"), (features, "features.csv")):
        again = each.assign(case_id=each["case_id"] + "-again")
        pd.concat([each, again]).to_csv(tmp_path / name, index=False)
    twice = dataclasses.replace(inputs, table=tmp_path / "cohort.csv", features=tmp_path / "features.csv")
    plan = EvaluationPlan(("strict",), QUICK, "column")
    once, again = (run(each, plan).protocols["strict"].endpoints["EGFR"].models["volume"] for each in (inputs, twice))
    assert (once.n, once.positives) == (again.n, again.positives)
    assert (again.auc, *again.auc_ci) == pytest.approx((once.auc, *once.auc_ci), abs=0.02)


def test_a_site_without_labels_and_a_constant_covariate_stop_nothing(inputs, tmp_path, own_cache):
    def change(cohort):
        number = cohort["patient_id"].str[1:].astype(int)
        cohort["site"] = np.where(number % 2 == 0, "north", "south")
        cohort.loc[number % 10 == 7, ["site", "EGFR", "KRAS"]] = ["east", None, None]
        return cohort.assign(country="x").assign(sex="f")

    plan = EvaluationPlan(("strict",), QUICK, "site")
    covariates = dataclasses.replace(changed(inputs, tmp_path, change), covariates=("country", "sex"))
    results = run(covariates, plan)
    card = results.protocols["strict"].endpoints["EGFR"].models
    assert card["radiomics-score"].fold_aucs["east"] is None
    assert card["radiomics-score"].auc is not None
    assert "do not vary" in card["clinical"].not_run


def test_a_protocol_without_enough_patients_leaves_the_other(inputs, tmp_path, own_cache):
    def change(cohort):
        positive = cohort["patient_id"][cohort["EGFR"] == 1].unique()[:13]
        return cohort.assign(EGFR=cohort["patient_id"].isin(positive).astype(int))

    plan = EvaluationPlan(("strict", "paper"), dataclasses.replace(QUICK, seed=1), "cv", 5)
    results = run(dataclasses.replace(changed(inputs, tmp_path, change), endpoints=("EGFR",)), plan)
    assert list(results.protocols) == ["strict"]
    assert any("paper protocol" in sentence for sentence in results.flow["EGFR"].warnings)
