"""Evaluation of the method on a cohort: every outer fold of every protocol, and what became of every endpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from DeepRadScoreLib.cohort.case_notes import CaseNotes
from DeepRadScoreLib.cohort.covariates import with_plain_numbers
from DeepRadScoreLib.cohort.table import Cohort
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.errors import CohortError, InputError, TooFewPositivesError
from DeepRadScoreLib.extras import LEARNING, require
from DeepRadScoreLib.imaging.checks.quality_codes import QUALITY_CODES
from DeepRadScoreLib.models import Baseline, Protocol, Split
from DeepRadScoreLib.progress import Progress, Stage
from DeepRadScoreLib.provenance import ENGINE_PACKAGES, LEARNING_PACKAGES, code_digest, content_digest, versions
from DeepRadScoreLib.radscore.selection import Rule
from DeepRadScoreLib.study.data import (
    Gathered,
    StudyCases,
    StudyData,
    StudyInputs,
    gather,
    has_images,
    read_study_cohort,
)
from DeepRadScoreLib.study.duplicates import Duplicate, find_duplicates, refuse_duplicates
from DeepRadScoreLib.study.evaluation.backbones import compare_backbones
from DeepRadScoreLib.study.evaluation.fold import FoldEvaluation
from DeepRadScoreLib.study.evaluation.screening import association_cards, label_problems
from DeepRadScoreLib.study.plans import EvaluationPlan
from DeepRadScoreLib.study.results.document import FlowCard, QualityCard
from DeepRadScoreLib.study.results.study import FoldOutcome, Study
from DeepRadScoreLib.study.results.summary import summarise
from DeepRadScoreLib.study.splits import OuterFold, outer_folds
from DeepRadScoreLib.study.training.fitted import RefusedEndpoints
from DeepRadScoreLib.study.training.fitting import find_rules, join_reasons

Rules = dict[str, Rule]


def evaluate_from_table(
    inputs: StudyInputs, plan: EvaluationPlan, run: Run, write: Callable[[Study], object] = lambda study: None
) -> Study:
    """Evaluate the method on a cohort table. An interrupted run resumes.

    `write` is called with the study before its finished units are removed; equal runs wait for each other.

    Raises
    ------
    CohortError: the tables cannot be used, or no endpoint can be evaluated.
    InputError: settings that cannot work (see `TrainingPlan.check`).
    """
    require("study", "a study", *LEARNING)
    cohort = read_study_cohort(inputs)
    _check_settings(inputs, plan, cohort)
    gathered = gather(inputs, cohort, plan.training, run)
    cases = _without_site_if_left_out(gathered.cases, plan)
    duplicates = find_duplicates(cases.data, gathered.fingerprints)
    duplicates = refuse_duplicates(duplicates, _subsets(cases, plan), inputs.table)
    run = run.within("runs").within(f"study-{_work_key(cases, plan, inputs)}")
    with run.alone():
        study = _evaluate(inputs, plan, cohort, gathered, cases, duplicates, run)
        write(study)
    return study


@threadpool_limits.wrap(limits=1, user_api="blas")
def _evaluate(
    inputs: StudyInputs,
    plan: EvaluationPlan,
    cohort: Cohort,
    gathered: Gathered,
    cases: StudyCases,
    duplicates: Sequence[Duplicate],
    run: Run,
) -> Study:
    not_run = cases.models_not_run()
    problems = {key: error.sentence(lambda path: path.name) for key, error in cohort.bad_labels.items()}
    try:
        folds, flow = evaluate_cases(cases, plan, problems, run)
    except CohortError as error:
        raise CohortError(error.what, where=inputs.table, mend=error.mend) from error
    evaluated = [key for key, card in flow.items() if not card.not_run]
    backbones = None
    if inputs.backbones and evaluated:
        try:
            backbones = _backbones(inputs, cases, plan, evaluated[0], run)
        except (CohortError, TooFewPositivesError) as error:
            not_run["backbones"] = str(error)
    files = {"cohort": inputs.table, "features": inputs.features, "weights": Path(plan.training.network.weights)}
    settings = _settings(inputs, plan, cohort, gathered)
    return Study(
        folds=folds,
        protocols=summarise(folds, flow, not_run, settings, association_cards(cases)),
        flow=flow,
        cohort_table=with_plain_numbers(cohort.of_cases(cases.data.case_ids)),
        models_not_run=not_run,
        left_out=gathered.left_out,
        patients=int(cohort.table["patient_id"].nunique()),
        cases=len(cohort),
        settings=settings,
        versions=versions((*LEARNING_PACKAGES, *ENGINE_PACKAGES[plan.training.cases.engine])),
        hashes={
            f"{role} ({path.name})": content_digest(path).hex()
            for role, path in files.items()
            if path is not None and path.is_file()
        },
        synthetic=gathered.notes is not None and bool(gathered.notes.synthetic.any()),
        failed=gathered.failed,
        columns_left_out=gathered.columns_left_out,
        rows_of_others=gathered.rows_of_others,
        quality=None if gathered.notes is None else _quality(gathered.notes),
        excluded=gathered.excluded,
        backbones=backbones,
        duplicates=tuple(each.sentence for each in duplicates),
        column_notes=gathered.column_notes,
    )


def evaluate_cases(
    cases: StudyCases, plan: EvaluationPlan, problems: dict[str, str], run: Run
) -> tuple[dict[Protocol, tuple[FoldOutcome, ...]], dict[str, FlowCard]]:
    """Every outer fold of every protocol, and what became of every endpoint.

    `problems` (endpoint -> sentence) names endpoints that are not to be evaluated; endpoints with too few patients,
    those that one column alone separates and those that a training set does not allow to be fitted are added.

    Raises
    ------
    CohortError: the cohort cannot be split as asked, or no endpoint can be evaluated; every endpoint's sentence is
        repeated.
    """
    fewest = plan.folds if plan.split == Split.CV and Protocol.STRICT in plan.protocols else 2
    problems = problems | (label_problems(cases, fewest) | problems)
    outer = {protocol: outer_folds(cases, plan, protocol) for protocol in plan.protocols}
    found = {protocol: _rules(cases.data, folds, problems) for protocol, folds in outer.items()}
    total = sum(len(folds) for protocol, folds in outer.items() if found[protocol][0][0])
    outcomes: dict[Protocol, tuple[FoldOutcome, ...]] = {}
    warnings: dict[str, list[str]] = {}
    done = 0
    for protocol, (rules, reasons) in found.items():
        refused: dict[str, str] = {}
        if rules[0]:
            of_protocol, refused = _outcomes(cases, protocol, outer[protocol], rules, plan, run, done, total)
            done += len(outer[protocol])
            if of_protocol:
                outcomes[protocol] = of_protocol
        for key, reason in (reasons | refused).items():
            warnings.setdefault(key, []).append(f"{protocol} protocol: {reason}")
    problems |= {key: texts[0] for key, texts in warnings.items() if len(texts) == len(plan.protocols)}
    if not outcomes:
        raise CohortError(
            f"no endpoint can be evaluated: {join_reasons(problems)}",
            mend="mend these or name others by --endpoints",
        )
    run.report(Progress(Stage.OUTER_FOLDS, done=total, total=total))
    return outcomes, _flow(cases.data, problems, warnings)


def _outcomes(
    cases: StudyCases,
    protocol: Protocol,
    folds: list[OuterFold],
    rules: list[Rules],
    plan: EvaluationPlan,
    run: Run,
    done: int,
    total: int,
) -> tuple[tuple[FoldOutcome, ...], dict[str, str]]:
    """Every fold's outcome, and why endpoints were left out; no outcome where no endpoint is left.

    An endpoint that one training set does not allow to be fitted is left out of all folds, since a mean over the others
    would be another quantity; the others then come out as if it had not been asked for.

    Parameters
    ----------
    rules: for each fold, of the same endpoints.
    done: of `total` folds, those of earlier protocols.
    """
    training = replace(plan.training, protocol=protocol)
    subsets = [fold.test for fold in folds] if len(folds) > 1 else [folds[0].train, folds[0].test]
    shuffled = cases.data.with_shuffled_labels(subsets, plan.training.seed)
    refused: dict[str, str] = {}
    outcomes: list[FoldOutcome] = []
    while len(outcomes) < len(folds):
        number = len(outcomes)
        fold = folds[number]
        of_fold = {key: rule for key, rule in rules[number].items() if key not in refused}
        if not of_fold:
            return (), refused
        run.report(Progress(Stage.OUTER_FOLDS, f"{protocol} {fold.name}", done + number, total))
        run_of_fold = run.within(f"{protocol}-{number + 1}")
        evaluation = FoldEvaluation(cases, shuffled, fold, of_fold, training, run_of_fold)
        name = f"outcome-{joblib.hash(list(of_fold))}"
        try:
            outcomes.append(run_of_fold.load_or_compute(name, evaluation.outcome, Stage.OUTER_FOLDS))
        except RefusedEndpoints as found:
            refused |= {key: f"training part {fold.name}: {reason}" for key, reason in found.reasons.items()}
            outcomes = []
    return tuple(outcomes), refused


def _without_site_if_left_out(cases: StudyCases, plan: EvaluationPlan) -> StudyCases:
    """The cases without the baseline "site" where each site is left out, which no training set then knows."""
    if plan.split != Split.SITE:
        return cases
    reason = "each site is left out in turn, so that no model knows the site that it is tested on"
    return replace(cases, confounders=cases.confounders.without(Baseline.SITE, reason))


def _subsets(cases: StudyCases, plan: EvaluationPlan) -> pd.Series | None:
    """Training or test set, or site, of each case; None where a protocol draws them by seed."""
    if plan.split == Split.COLUMN:
        return cases.split == "test"
    return cases.site if plan.split == Split.SITE and Protocol.PAPER not in plan.protocols else None


def _check_settings(inputs: StudyInputs, plan: EvaluationPlan, cohort: Cohort) -> None:
    if not has_images(cohort):
        if inputs.backbones:
            raise InputError(
                "comparing backbones needs images",
                where="--backbones",
                mend="give the cohort table the columns ct and mask",
            )
        return
    for backbone in inputs.backbones:
        replace(plan.training, network=replace(plan.training.network, backbone=backbone)).check()
    for protocol in plan.protocols:
        replace(plan.training, protocol=protocol).check()


def _rules(data: StudyData, folds: list[OuterFold], problems: dict[str, str]) -> tuple[list[Rules], dict[str, str]]:
    """Each fold's rules for the endpoints that can be modelled in all folds, and why the others cannot."""
    wanted = replace(data, labels=data.labels[[key for key in data.labels if key not in problems]])
    each: list[Rules] = []
    reasons: dict[str, str] = {}
    for fold in folds:
        rules, refused = find_rules(wanted.subset(fold.train))
        each.append(rules)
        for key, reason in refused.items():
            reasons.setdefault(key, f"training part {fold.name}: {reason}")
    for key in wanted.labels:
        if not any(wanted.labels[key].iloc[fold.test].notna().any() for fold in folds):
            reasons.setdefault(str(key), "no case of the test part has a label.")
    return [{key: rule for key, rule in rules.items() if key not in reasons} for rules in each], reasons


def _flow(data: StudyData, problems: dict[str, str], warnings: dict[str, list[str]]) -> dict[str, FlowCard]:
    flow = {}
    for key in data.labels:
        of_patient = data.labels[key].groupby(data.patients).max()
        flow[str(key)] = FlowCard(
            patients=len(of_patient),
            labelled=int(of_patient.notna().sum()),
            positives=int(of_patient.sum()),
            not_run=problems.get(key),
            warnings=[] if key in problems else warnings.get(key, []),
        )
    return flow


def _quality(notes: CaseNotes) -> tuple[QualityCard, ...]:
    return tuple(
        QualityCard(
            code=count.code,
            severity=count.severity,
            cases=count.cases,
            share=count.cases / len(notes),
            meaning=QUALITY_CODES.get(count.code, ""),
        )
        for count in notes.counts()
    )


def _backbones(inputs: StudyInputs, cases: StudyCases, plan: EvaluationPlan, key: str, run: Run) -> pd.DataFrame:
    """The comparison of backbones on one endpoint, under the outer folds of the first protocol."""
    folds = [(fold.train, fold.test) for fold in outer_folds(cases, plan, plan.protocols[0])]
    table = compare_backbones(cases.data, key, folds, plan.training, inputs.backbones, run)
    return table.assign(endpoint=key)[["endpoint", *table.columns]]


def _settings(inputs: StudyInputs, plan: EvaluationPlan, cohort: Cohort, gathered: Gathered) -> dict:
    training = plan.training.plain()
    network = training.pop("network")
    del training["protocol"], training["held_out_share"], training["stable_features"]
    used = network if gathered.cases.data.patches is not None else dict.fromkeys(network)
    if inputs.features is not None:
        training |= dict.fromkeys(("preprocessing", "shell_mm", "engine", "other_labels", "mask_grid"))
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
        "exclude_quality": list(inputs.exclude_quality),
        "pdl1_rules": cohort.pdl1_rules,
        "cd8a_cut": None if np.isnan(cohort.cd8a_cut) else cohort.cd8a_cut,
        "network": used.pop("form"),
        "inner_folds": training.pop("folds"),
        **training,
        **{name: value for name, value in used.items() if name != "device"},
    }


def _work_key(cases: StudyCases, plan: EvaluationPlan, inputs: StudyInputs) -> str:
    """Name of a study's folder of finished units, derived from every input, setting and version."""
    data, weights = cases.data, Path(plan.training.network.weights)
    names = (data.features.columns, data.case_ids, data.labels.columns, data.patients, cases.split, cases.site)
    everything = (
        (code_digest(), *versions(LEARNING_PACKAGES).values()),
        (plan.training.plain(), plan.training.network.device, plan.protocols, plan.split, plan.folds),
        (inputs.backbones, content_digest(weights).hex() if weights.is_file() else ""),
        [[str(name) for name in each] for each in names],
        (data.features.to_numpy(), data.patches, data.repeats, data.labels.to_numpy()),
        None if cases.shuffled is None else cases.shuffled.to_numpy(),
        None if cases.clinical is None else cases.clinical.to_csv(),
        {str(name): table.to_csv() for name, table in cases.confounders.tables.items()},
    )
    return joblib.hash(everything)[:16]
