"""Whole runs, from a cohort table to a bundle or to the findings of a study; interrupted, they can be resumed."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from DeepRadScoreLib.bundle import write_bundle
from DeepRadScoreLib.cohort.table import Cohort, read_cohort
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.errors import CohortError, InputError, TooFewPositivesError
from DeepRadScoreLib.extras import LEARNING, require
from DeepRadScoreLib.provenance import LEARNING_PACKAGES, STUDY_PACKAGES, code_digest, content_digest, versions
from DeepRadScoreLib.study.data import Gathered, StudyCases, StudyInputs, extracted, gather, has_images, read_labels
from DeepRadScoreLib.study.evaluation.backbones import compare_backbones
from DeepRadScoreLib.study.evaluation.evaluate import evaluate
from DeepRadScoreLib.study.plans import EvaluationPlan, TrainingPlan
from DeepRadScoreLib.study.results.study import Study
from DeepRadScoreLib.study.results.summary import summarise
from DeepRadScoreLib.study.splits import outer_parts
from DeepRadScoreLib.study.training.train import TrainingResult, train_bundle, work_key


@dataclass(frozen=True)
class Evaluation:
    """A finished evaluation: the study to write, and the folder of its finished units, which may go once it is written.

    An interrupted run resumes from `work`; it is the caller's to remove.
    """

    study: Study
    work: Path


def train_from_table(
    table: Path, out: Path | None, plan: TrainingPlan, run: Run, *, cd8a_cut: float | None = None
) -> TrainingResult:
    """Train on a cohort table; the bundle is written if `out` is given."""
    require("study", "training", *LEARNING)
    cohort = read_cohort(table, needs=("case_id", "patient_id", "ct", "mask"), cd8a_cut=cd8a_cut)
    plan.check()
    computed = extracted(cohort, plan, "both", run)
    run = run.within("runs").within(work_key(cohort, computed, plan))
    result = train_bundle(cohort, computed, plan, run)
    if out is not None:
        write_bundle(result.bundle, out)
    shutil.rmtree(run.folder)
    return result


def evaluate_from_table(inputs: StudyInputs, plan: EvaluationPlan, run: Run) -> Evaluation:
    """Evaluate the method on a cohort table.

    Raises
    ------
    CohortError: the tables cannot be used, or no endpoint can be evaluated.
    InputError: settings that cannot work (see `TrainingPlan.check`).
    """
    require("study", "a study", *LEARNING)
    cohort = read_labels(inputs)
    if inputs.backbones and not has_images(cohort):
        raise InputError(
            "comparing backbones needs images",
            where="--backbones",
            mend="give the cohort table the columns ct and mask",
        )
    if has_images(cohort):
        for backbone in inputs.backbones:
            replace(plan.training, network=replace(plan.training.network, backbone=backbone)).check()
        for protocol in plan.protocols:
            replace(plan.training, protocol=protocol).check()
    gathered = gather(inputs, cohort, plan.training, run)
    run = run.within("runs").within(f"study-{_study_key(gathered.cases, plan, inputs)}")
    problems = {key: error.sentence(lambda path: path.name) for key, error in cohort.bad_labels.items()}
    try:
        folds, flow = evaluate(gathered.cases, plan, problems, run)
    except CohortError as error:
        raise CohortError(error.what, where=inputs.table, mend=error.mend) from error
    evaluated = [key for key, card in flow.items() if not card.not_run]
    not_run = gathered.cases.models_not_run()
    backbones = None
    if inputs.backbones and evaluated:
        try:
            backbones = _backbones(inputs, gathered.cases, plan, evaluated[0], run)
        except (CohortError, TooFewPositivesError) as error:
            not_run["backbones"] = str(error)
    files = {"cohort": inputs.table, "features": inputs.features, "weights": Path(plan.training.network.weights)}
    settings = _settings(inputs, plan, cohort, gathered)
    study = Study(
        folds=folds,
        protocols=summarise(folds, flow, not_run, settings),
        flow=flow,
        cohort_table=cohort.table.loc[gathered.cases.data.case_ids],
        models_not_run=not_run,
        left_out=gathered.left_out,
        patients=int(cohort.table["patient_id"].nunique()),
        cases=len(cohort),
        settings=settings,
        versions=versions(STUDY_PACKAGES),
        hashes={
            f"{role} ({path.name})": content_digest(path).hex()
            for role, path in files.items()
            if path is not None and path.is_file()
        },
        synthetic=gathered.synthetic,
        failed=gathered.failed,
        columns_left_out=gathered.columns_left_out,
        rows_of_others=gathered.rows_of_others,
        backbones=backbones,
    )
    return Evaluation(study, run.folder)


def _settings(inputs: StudyInputs, plan: EvaluationPlan, cohort: Cohort, gathered: Gathered) -> dict:
    training = plan.training.plain()
    network = training.pop("network")
    del training["protocol"], training["held_out_share"]
    used = network if gathered.cases.data.patches is not None else dict.fromkeys(network)
    if inputs.features is not None:
        training |= dict.fromkeys(("preprocessing", "shell_mm"))
    return {
        "cohort": inputs.table.name,
        "features": None if inputs.features is None else inputs.features.name,
        "case_column": inputs.case_column,
        "feature_columns": int(gathered.cases.data.features.shape[1]),
        "prefixes": None if inputs.prefixes is None else dict(inputs.prefixes),
        "protocols": list(plan.protocols),
        "split": plan.split,
        "outer_folds": plan.folds,
        "endpoints": [str(key) for key in cohort.labels],
        "covariates": list(inputs.covariates),
        "backbones": list(inputs.backbones),
        "pdl1_rules": cohort.pdl1_rules,
        "cd8a_cut": None if np.isnan(cohort.cd8a_cut) else cohort.cd8a_cut,
        "network": used.pop("form"),
        "inner_folds": training.pop("folds"),
        **training,
        **{name: value for name, value in used.items() if name != "device"},
    }


def _backbones(inputs: StudyInputs, cases: StudyCases, plan: EvaluationPlan, key: str, run: Run) -> pd.DataFrame:
    """The comparison of backbones on one endpoint, under the outer folds of the first protocol."""
    folds = [(part.train, part.test) for part in outer_parts(cases, plan, plan.protocols[0])]
    table = compare_backbones(cases.data, key, folds, plan.training, inputs.backbones, run)
    return table.assign(endpoint=key)[["endpoint", *table.columns]]


def _study_key(cases: StudyCases, plan: EvaluationPlan, inputs: StudyInputs) -> str:
    """Names the work folder of a study: another plan, other data or other versions never take up its parts."""
    data, weights = cases.data, Path(plan.training.network.weights)
    clinical = None if cases.clinical is None else cases.clinical.to_csv()
    everything = (
        code_digest(),
        plan.training.plain(),
        {name: value for name, value in asdict(plan).items() if name != "training"},
        inputs.backbones,
        plan.training.network.device,
        content_digest(weights).hex() if weights.is_file() else "",
        [str(name) for name in data.features.columns],
        [str(case_id) for case_id in data.features.index],
        data.features.to_numpy(),
        data.patches,
        data.repeats,
        [str(key) for key in data.labels],
        data.labels.to_numpy(),
        [str(patient) for patient in data.patients],
        None if cases.shuffled is None else cases.shuffled.to_numpy(),
        clinical,
        [str(cell) for cell in cases.split],
        [str(cell) for cell in cases.site],
        list(versions(LEARNING_PACKAGES).values()),
    )
    return joblib.hash(everything)[:16]
