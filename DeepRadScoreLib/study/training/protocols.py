"""The two protocols: which scores the classifiers of an endpoint are trained on (method: protocols).

What a later stage is trained on is out of fold in `strict`: scores of a training patient come from models that never
saw that patient. `paper` trains the classifiers on the training patients' own scores, as the paper states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.errors import DeepRadScoreError
from DeepRadScoreLib.fusion.columns import DeepColumns, RegionScores, regions_of
from DeepRadScoreLib.models import Model, NetworkForm
from DeepRadScoreLib.progress import Stage
from DeepRadScoreLib.radscore.selection import MIN_ICC, Rule, icc31
from DeepRadScoreLib.study.data import StudyData
from DeepRadScoreLib.study.plans import TrainingPlan
from DeepRadScoreLib.study.splits import stratified_folds
from DeepRadScoreLib.study.training.networks import Networks, fit_fold_networks, fit_frozen_network, fit_joint_network
from DeepRadScoreLib.study.training.refusals import Refused, all_fitted


@dataclass(frozen=True)
class EndpointStage:
    """What the classifiers of one endpoint are trained on, and how the fitted models make the same columns.

    Attributes
    ----------
    rows, labels: the training cases (positions) that have a label, and their labels.
    columns: model -> (n, d) of these cases; only the models whose sources are there.
    regions: the RadScores fitted on all training cases, None without radiomics; `fold_regions` those of the folds.
    deep, deep_ct: how Deep-RadScore and Deep-CT read the networks' outputs, None without images.
    """

    key: str
    rows: np.ndarray
    labels: np.ndarray
    columns: dict[str, np.ndarray]
    regions: RegionScores | None
    fold_regions: tuple[RegionScores, ...]
    deep: DeepColumns | None
    deep_ct: DeepColumns | None


@dataclass(frozen=True)
class Stages:
    """The stages of every endpoint with the networks behind them: Deep-RadScore's, and Deep-CT's (often the same)."""

    stages: tuple[EndpointStage, ...]
    networks: Networks | None
    deep_ct_networks: Networks | None


def strict_stages(training: StudyData, rules: dict[str, Rule], plan: TrainingPlan, run: Run) -> Stages:
    folds = stratified_folds(training.labels.to_numpy(), training.patients.to_numpy(), plan.folds, plan.seed)
    regions = _fit_regions(training, rules, [*(train for train, _ in folds), None], plan, run)
    networks = _strict_networks(training, tuple(rules), folds, plan, run)
    stages = []
    for key in rules:
        radscores = None
        if regions:
            radscores = np.full((len(training.labels), len(regions[key, 0].radscores)), np.nan)
            for fold, (_, left_out) in enumerate(folds):
                radscores[left_out] = regions[key, fold].columns(training.features.iloc[left_out])
        deep = None if networks is None else networks.out_of_fold[key]
        columns = three_models(deep, deep, radscores)
        fold_regions = tuple(regions[key, fold] for fold in range(len(folds))) if regions else ()
        stages.append(_stage(training, key, columns, regions.get((key, len(folds))), fold_regions, networks, networks))
    return Stages(tuple(stages), networks, networks)


def paper_stages(training: StudyData, rules: dict[str, Rule], plan: TrainingPlan, run: Run) -> Stages:
    regions = _fit_regions(training, rules, [None], plan, run)
    keys = tuple(rules)
    own = {key: regions[key, 0].columns(training.features) for key in keys} if regions else {}
    image_only = joint = None
    if training.patches is not None:
        labels = training.labels[list(keys)].to_numpy()
        settings = (training.patients.to_numpy(), keys, plan.network, plan.seed, run)
        image_only = joint = fit_joint_network(training.patches, labels, None, *settings)
        if own:
            radscores = np.stack([own[key] for key in keys], axis=1)
            joint = fit_joint_network(training.patches, labels, radscores, *settings)
    stages = []
    for key in keys:
        columns = three_models(
            None if joint is None else joint.out_of_fold[key],
            None if image_only is None else image_only.out_of_fold[key],
            own.get(key),
        )
        stages.append(_stage(training, key, columns, regions.get((key, 0)), (), joint, image_only))
    return Stages(tuple(stages), joint, image_only)


def three_models(
    joint: np.ndarray | None, image_only: np.ndarray | None, radscores: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Model -> its columns (n, d), for the models whose sources are there."""
    columns: dict[str, np.ndarray] = {}
    if radscores is not None:
        columns[Model.RADIOMICS] = radscores
    if image_only is not None:
        columns[Model.DEEP] = image_only
    if joint is not None and radscores is not None:
        columns[Model.FUSED] = np.hstack([joint, radscores])
    return columns


def _stage(
    training: StudyData,
    key: str,
    columns: dict[str, np.ndarray],
    regions: RegionScores | None,
    fold_regions: tuple[RegionScores, ...],
    networks: Networks | None,
    deep_ct_networks: Networks | None,
) -> EndpointStage:
    rows = np.flatnonzero(training.labels[key].notna().to_numpy())
    return EndpointStage(
        key,
        rows,
        training.labels[key].to_numpy()[rows].astype(int),
        {name: values[rows] for name, values in columns.items()},
        regions,
        fold_regions,
        None if networks is None else networks.columns[key],
        None if deep_ct_networks is None else deep_ct_networks.columns[key],
    )


def _strict_networks(
    training: StudyData,
    keys: tuple[str, ...],
    folds: list[tuple[np.ndarray, np.ndarray]],
    plan: TrainingPlan,
    run: Run,
) -> Networks | None:
    if training.patches is None:
        return None
    labels = training.labels[list(keys)].to_numpy()
    if plan.network.form == NetworkForm.FROZEN:
        return fit_frozen_network(training.patches, labels, keys, plan.network, plan.seed)
    return fit_fold_networks(
        training.patches, labels, training.patients.to_numpy(), keys, folds, plan.network, plan.seed, run
    )


def _fit_regions(
    training: StudyData,
    rules: dict[str, Rule],
    parts: Sequence[np.ndarray | None],
    plan: TrainingPlan,
    run: Run,
) -> dict[tuple[str, int], RegionScores]:
    """RadScores of every endpoint on every part of the training cases (None: all of them); none without radiomics.

    Raises
    ------
    RefusedEndpoints: features that vary, or repeatable ones, or patients are missing for some endpoints.
    """
    if not regions_of(training.features):
        return {}
    names = [(key, number) for key in rules for number in range(len(parts))]
    fitted = run.load_or_compute_each(
        _fit_one_region,
        (_region_task(training, key, rules[key], parts[number], plan.seed) for key, number in names),
        Stage.RADSCORES,
    )
    return all_fitted(dict(zip(names, fitted, strict=True)))


def _region_task(training: StudyData, key: str, rule: Rule, part: np.ndarray | None, seed: int) -> dict:
    chosen = training if part is None else training.part(part)
    chosen = chosen.part(chosen.labels[key].notna().to_numpy())
    return {
        "features": chosen.features.to_numpy(),
        "names": tuple(str(name) for name in chosen.features.columns),
        "labels": chosen.labels[key].to_numpy().astype(int),
        "patients": np.unique(chosen.patients, return_inverse=True)[1],
        "repeatable": _repeatable(chosen),
        "rule": rule,
        "seed": seed,
    }


def _fit_one_region(
    features: np.ndarray,
    names: tuple[str, ...],
    labels: np.ndarray,
    patients: np.ndarray,
    repeatable: np.ndarray | None,
    rule: Rule,
    seed: int,
) -> RegionScores | Refused:
    table = pd.DataFrame(features, columns=list(names))
    try:
        return RegionScores.fit(table, labels, patients, rule=rule, seed=seed, repeatable=repeatable)
    except DeepRadScoreError as error:
        return Refused(str(error))


def _repeatable(part: StudyData) -> np.ndarray | None:
    if part.repeats is None:
        return None
    both = ~np.isnan(part.repeats).any(axis=1)
    if both.sum() < 3:
        return None
    return icc31(part.features.to_numpy()[both], part.repeats[both]) >= MIN_ICC
