"""Fits of the models on one training set, by either protocol (method: protocols).

What a later step is trained on is out of fold in `strict`: scores of a training patient come from models that never
saw that patient. `paper` trains the classifiers on the training patients' scores of the same fit, as the paper states.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.errors import DeepRadScoreError, TooFewPositivesError
from DeepRadScoreLib.fusion.classifiers import CLASSIFIERS
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.models import Protocol
from DeepRadScoreLib.progress import Stage
from DeepRadScoreLib.radscore.radscore import RegionScores, regions_of
from DeepRadScoreLib.radscore.selection import Rule, modelling_rule
from DeepRadScoreLib.study.data import Labelled, StudyData
from DeepRadScoreLib.study.plans import TrainingPlan
from DeepRadScoreLib.study.splits import stratified_folds
from DeepRadScoreLib.study.training.fitted import (
    EndpointStage,
    FittedModels,
    Refused,
    RefusedEndpoints,
    columns_of_models,
)
from DeepRadScoreLib.study.training.networks import Networks, fit_fold_networks, fit_joint_network

INNER_FOLDS = 5
BASELINE_CLASSIFIERS = ("LR",)
Fit = TypeVar("Fit")
Name = TypeVar("Name")


def find_rules(training: StudyData) -> tuple[dict[str, Rule], dict[str, str]]:
    """How each endpoint is modelled on this training set, and why those that cannot be are not (one sentence)."""
    rules: dict[str, Rule] = {}
    reasons = {}
    for key in training.labels.columns:
        try:
            rules[key] = modelling_rule(training.labels_of_patients(key))
        except TooFewPositivesError as error:
            reasons[key] = str(error)
    return rules, reasons


def fit_models(training: StudyData, rules: dict[str, Rule], plan: TrainingPlan, run: Run) -> FittedModels:
    """Fit the endpoints of `rules`.

    Raises
    ------
    RefusedEndpoints: some of them cannot be fitted; those of the RadScores are found before networks are trained.
    """
    build = strict_stages if plan.protocol == Protocol.STRICT else paper_stages
    models = build(training, rules, plan, run)
    tasks = {
        (stage.key, name): fusion_task(columns, training.labelled(stage.key), plan)
        for stage in models.stages
        for name, columns in stage.columns.items()
    }
    fitted = run.load_or_compute_each(fit_fusion, tasks.values(), Stage.CLASSIFIERS)
    fusions: dict[str, dict[str, FusionModel]] = {stage.key: {} for stage in models.stages}
    allowed: dict[tuple[str, str], FusionModel] = _all_fitted(dict(zip(tasks, fitted, strict=True)))
    for (key, name), fusion in allowed.items():
        fusions[key][name] = fusion
    return replace(models, fusions=fusions)


def fit_possible_models(
    training: StudyData, rules: dict[str, Rule], plan: TrainingPlan, run: Run
) -> tuple[FittedModels | None, dict[str, str]]:
    """`fit_models` without the endpoints that cannot be fitted, and why each cannot; None where no endpoint can."""
    refused: dict[str, str] = {}
    while left := {key: rule for key, rule in rules.items() if key not in refused}:
        try:
            return fit_models(training, left, plan, run), refused
        except RefusedEndpoints as found:
            refused |= found.reasons
    return None, refused


def join_reasons(reasons: dict[str, str]) -> str:
    """The sentences of several endpoints as one."""
    return "; ".join(f"{key}: {reason.rstrip('.').replace('; ', ', ')}" for key, reason in reasons.items())


def fit_simple(
    name: str, columns: np.ndarray, training: StudyData, keys: Iterable[str], plan: TrainingPlan, run: Run
) -> dict[str, FusionModel | Refused]:
    """Endpoint -> logistic regression on a baseline's columns (n, d) of the training cases, or why there is none.

    Endpoints in whose labelled cases no column varies are left out.
    """
    known = {key: training.labelled(key) for key in keys}
    known = {key: cases for key, cases in known.items() if np.ptp(columns[cases.rows], axis=0).any()}
    tasks = [fusion_task(columns[cases.rows], cases, plan, BASELINE_CLASSIFIERS) for cases in known.values()]
    return dict(zip(known, run.load_or_compute_each(fit_fusion, tasks, Stage.BASELINE, name), strict=True))


def fusion_task(
    columns: np.ndarray, cases: Labelled, plan: TrainingPlan, classifiers: Sequence[str] = CLASSIFIERS
) -> dict:
    """The arguments of `fit_fusion`, from the columns of the labelled cases."""
    return {
        "columns": columns,
        "labels": cases.labels,
        "patients": np.unique(cases.patients, return_inverse=True)[1],
        "search": plan.search,
        "repeats": plan.repeats,
        "seed": plan.seed,
        "classifiers": tuple(classifiers),
    }


def fit_fusion(columns: np.ndarray, labels: np.ndarray, patients: np.ndarray, **settings: Any) -> FusionModel | Refused:
    """A fusion model fitted on columns (n, d), labels (n,) and patients (n,), or why they do not allow it."""
    try:
        return FusionModel(folds=INNER_FOLDS, **settings).fit(columns, labels, groups=patients)
    except DeepRadScoreError as error:
        return Refused(str(error))


def strict_stages(training: StudyData, rules: dict[str, Rule], plan: TrainingPlan, run: Run) -> FittedModels:
    """All but the classifiers, with out-of-fold columns to train these on. Raises RefusedEndpoints."""
    keys, patients = tuple(rules), training.patients.to_numpy()
    folds = stratified_folds(training.labels.to_numpy(), patients, plan.folds, plan.seed)
    regions = _fit_regions(training, rules, [train for train, _ in folds], plan, run)
    networks = None
    if training.patches is not None:
        labels = training.labels[list(keys)].to_numpy()
        networks = fit_fold_networks(training.patches, labels, patients, keys, folds, plan.network, plan.seed, run)
    stages = []
    for key in keys:
        radscores = None
        if regions:
            radscores = np.full((len(training.labels), len(regions[key, 0].radscores)), np.nan)
            for fold, (_, left_out) in enumerate(folds):
                radscores[left_out] = regions[key, fold].columns(training.features.iloc[left_out])
        fold_regions = tuple(regions[key, fold] for fold in range(len(folds))) if regions else ()
        labelled = training.features[training.labelled(key).rows]
        mean = RegionScores.mean_of(fold_regions, labelled) if fold_regions else None
        stages.append(_stage(training, key, radscores, mean, fold_regions, networks, networks))
    return FittedModels(tuple(stages), networks, networks)


def paper_stages(training: StudyData, rules: dict[str, Rule], plan: TrainingPlan, run: Run) -> FittedModels:
    """All but the classifiers, with in-sample columns to train these on. Raises RefusedEndpoints."""
    regions = _fit_regions(training, rules, [None], plan, run)
    keys = tuple(rules)
    radscores = {key: regions[key, 0].columns(training.features) for key in keys} if regions else {}
    image_only = joint = None
    if training.patches is not None:
        labels = training.labels[list(keys)].to_numpy()
        settings = (training.patients.to_numpy(), keys, plan.network, plan.seed, run)
        image_only = joint = fit_joint_network(training.patches, labels, None, *settings)
        if radscores:
            of_all = np.stack([radscores[key] for key in keys], axis=1)
            joint = fit_joint_network(training.patches, labels, of_all, *settings)
    stages = [_stage(training, key, radscores.get(key), regions.get((key, 0)), (), joint, image_only) for key in keys]
    return FittedModels(tuple(stages), joint, image_only)


def _stage(
    training: StudyData,
    key: str,
    radscores: np.ndarray | None,
    regions: RegionScores | None,
    fold_regions: tuple[RegionScores, ...],
    joint: Networks | None,
    image_only: Networks | None,
) -> EndpointStage:
    rows = training.labelled(key).rows
    columns = columns_of_models(
        None if joint is None else joint.training_columns[key],
        None if image_only is None else image_only.training_columns[key],
        radscores,
    )
    return EndpointStage(
        key,
        {name: values[rows] for name, values in columns.items()},
        regions,
        fold_regions,
        None if joint is None else joint.columns[key],
        None if image_only is None else image_only.columns[key],
    )


def _fit_regions(
    training: StudyData, rules: dict[str, Rule], subsets: Sequence[np.ndarray | None], plan: TrainingPlan, run: Run
) -> dict[tuple[str, int], RegionScores]:
    """RadScores of every endpoint on every subset of the training cases (None: all); none without radiomics.

    Raises
    ------
    RefusedEndpoints: features that vary, or repeatable ones, or patients are missing for some endpoints.
    """
    if not regions_of(training.features):
        return {}
    names = [(key, number) for key in rules for number in range(len(subsets))]
    tasks = (_regions_task(training, key, rules[key], subsets[number], plan.seed) for key, number in names)
    fitted = run.load_or_compute_each(_fit_regions_once, tasks, Stage.RADSCORES)
    return _all_fitted(dict(zip(names, fitted, strict=True)))


def _regions_task(training: StudyData, key: str, rule: Rule, subset: np.ndarray | None, seed: int) -> dict:
    chosen = training if subset is None else training.subset(subset)
    known = chosen.labelled(key)
    chosen = chosen.subset(known.rows)
    return {
        "features": chosen.features.to_numpy(),
        "names": tuple(str(name) for name in chosen.features.columns),
        "labels": known.labels,
        "patients": np.unique(known.patients, return_inverse=True)[1],
        "repeatable": chosen.repeatable,
        "rule": rule,
        "seed": seed,
    }


def _fit_regions_once(features: np.ndarray, names: tuple[str, ...], **of_fit: Any) -> RegionScores | Refused:
    try:
        return RegionScores.fit(pd.DataFrame(features, columns=list(names)), **of_fit)
    except DeepRadScoreError as error:
        return Refused(str(error))


def _all_fitted(fits: Mapping[tuple[str, Name], Fit | Refused]) -> dict[tuple[str, Name], Fit]:
    """The fits by endpoint and subset or model. Raises RefusedEndpoints with the first sentence of each endpoint."""
    refused: dict[str, str] = {}
    for (key, _), fit in fits.items():
        if isinstance(fit, Refused):
            refused.setdefault(key, fit.reason)
    if refused:
        raise RefusedEndpoints(refused)
    return {name: fit for name, fit in fits.items() if not isinstance(fit, Refused)}
