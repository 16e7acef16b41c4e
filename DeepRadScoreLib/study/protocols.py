"""The two protocols: which scores the classifiers of an endpoint are trained on (method: protocols).

What a later stage is trained on is out of fold in `strict`: scores of a training patient come from models that never
saw that patient. `paper` trains the classifiers on the training patients' own scores, as the paper states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from DeepRadScoreLib.bundle import MODELS
from DeepRadScoreLib.fusion.columns import DeepColumns, RegionScores
from DeepRadScoreLib.imaging import Preprocessing
from DeepRadScoreLib.radscore.selection import LOWEST_ICC, Rule, icc31
from DeepRadScoreLib.study.cohort import Cohort
from DeepRadScoreLib.study.features import CohortFeatures
from DeepRadScoreLib.study.networks import (
    NetworkPlan,
    Networks,
    fit_fold_networks,
    fit_frozen_network,
    fit_joint_network,
)
from DeepRadScoreLib.study.splits import stratified_folds

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TrainingPlan:
    """All settings of a training run; two runs with the same plan and data give the same bundle."""

    protocol: Literal["strict", "paper"] = "strict"
    preprocessing: Preprocessing = "canonical"
    shell_mm: float = 3.0
    network: NetworkPlan = field(default_factory=NetworkPlan)
    folds: int = 5
    repeats: int = 10
    search: Literal["coarse", "quick"] = "coarse"
    held_out_share: float = 0.2
    seed: int = 0


@dataclass(frozen=True)
class StudyData:
    """The computed cases of a cohort: features (n x 1702), patches (n, 160, 160) HU, labels (n x 10), patients (n,)."""

    features: pd.DataFrame
    patches: np.ndarray
    labels: pd.DataFrame
    patients: np.ndarray
    repeats: np.ndarray | None

    @classmethod
    def of(cls, cohort: Cohort, computed: CohortFeatures) -> StudyData:
        rows = computed.rows
        return cls(
            computed.features,
            computed.patches,
            cohort.labels.iloc[rows].set_axis(computed.features.index),
            cohort.table["patient_id"].to_numpy()[rows],
            computed.repeats,
        )

    def part(self, rows: np.ndarray) -> StudyData:
        """The cases at `rows` (positions or a bool mask)."""
        return StudyData(
            self.features.iloc[rows],
            self.patches[rows],
            self.labels.iloc[rows],
            self.patients[rows],
            None if self.repeats is None else self.repeats[rows],
        )


@dataclass(frozen=True)
class Stage:
    """What the classifiers of one endpoint are trained on, and how the shipped model makes the same columns."""

    key: str
    rows: np.ndarray
    labels: np.ndarray
    columns: dict[str, np.ndarray]
    regions: RegionScores
    fold_regions: tuple[RegionScores, ...]
    deep: DeepColumns


def strict_stages(
    training: StudyData, rules: dict[str, Rule], plan: TrainingPlan, work: Path, jobs: int, progress: Progress
) -> tuple[Networks, Networks, list[Stage]]:
    folds = stratified_folds(training.labels.to_numpy(), training.patients, plan.folds, plan.seed)
    regions = _fit_regions(training, rules, [*(train for train, _ in folds), None], plan, jobs, progress)
    keys = tuple(rules)
    labels = training.labels[list(keys)].to_numpy()
    if plan.network.form == "frozen":
        networks = fit_frozen_network(training.patches, labels, keys, plan.network, plan.seed)
    else:
        networks = fit_fold_networks(
            training.patches, labels, training.patients, keys, folds, plan.network, plan.seed, work, progress
        )
    stages = []
    for key in keys:
        known = training.labels[key].notna().to_numpy()
        radscores = np.full((len(known), 2), np.nan)
        for fold, (_, left_out) in enumerate(folds):
            radscores[left_out] = regions[key, fold].columns(training.features.iloc[left_out])
        deep = networks.out_of_fold[key]
        rows = np.flatnonzero(known)
        stages.append(
            Stage(
                key,
                rows,
                training.labels[key].to_numpy()[rows].astype(int),
                three_models(deep[rows], deep[rows], radscores[rows]),
                regions[key, len(folds)],
                tuple(regions[key, fold] for fold in range(len(folds))),
                networks.columns[key],
            )
        )
    return networks, networks, stages


def paper_stages(
    training: StudyData, rules: dict[str, Rule], plan: TrainingPlan, work: Path, jobs: int, progress: Progress
) -> tuple[Networks, Networks, list[Stage]]:
    regions = _fit_regions(training, rules, [None], plan, jobs, progress)
    keys = tuple(rules)
    labels = training.labels[list(keys)].to_numpy()
    own = {key: regions[key, 0].columns(training.features) for key in keys}
    radscores = np.stack([own[key] for key in keys], axis=1)
    settings = (training.patients, keys, plan.network, plan.seed, work, progress)
    image_only = fit_joint_network(training.patches, labels, None, *settings)
    joint = fit_joint_network(training.patches, labels, radscores, *settings)
    stages = []
    for key in keys:
        rows = np.flatnonzero(training.labels[key].notna().to_numpy())
        stages.append(
            Stage(
                key,
                rows,
                training.labels[key].to_numpy()[rows].astype(int),
                three_models(joint.out_of_fold[key][rows], image_only.out_of_fold[key][rows], own[key][rows]),
                regions[key, 0],
                (),
                joint.columns[key],
            )
        )
    return joint, image_only, stages


def three_models(joint: np.ndarray, image_only: np.ndarray, radscores: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(MODELS, (radscores, image_only, np.hstack([joint, radscores])), strict=True))


def _fit_regions(
    training: StudyData,
    rules: dict[str, Rule],
    parts: Sequence[np.ndarray | None],
    plan: TrainingPlan,
    jobs: int,
    progress: Progress,
) -> dict[tuple[str, int], RegionScores]:
    """RadScores of every endpoint on every part of the training cases (None: all of them)."""
    tasks = [(key, number, part) for key in rules for number, part in enumerate(parts)]
    fitted = Parallel(n_jobs=jobs, return_as="generator", inner_max_num_threads=1)(
        delayed(_fit_one_region)(training, key, rules[key], part, plan.seed) for key, _, part in tasks
    )
    result = {}
    for done, ((key, number, _), regions) in enumerate(zip(tasks, fitted, strict=True), start=1):
        result[key, number] = regions
        progress("selecting features and adding up RadScores", done, len(tasks))
    return result


def _fit_one_region(training: StudyData, key: str, rule: Rule, part: np.ndarray | None, seed: int) -> RegionScores:
    chosen = training if part is None else training.part(part)
    known = chosen.labels[key].notna().to_numpy()
    chosen = chosen.part(known)
    return RegionScores.fit(
        chosen.features,
        chosen.labels[key].to_numpy().astype(int),
        chosen.patients,
        rule=rule,
        seed=seed,
        repeatable=_repeatable(chosen),
    )


def _repeatable(part: StudyData) -> np.ndarray | None:
    if part.repeats is None:
        return None
    both = ~np.isnan(part.repeats).any(axis=1)
    if both.sum() < 3:
        return None
    return icc31(part.features.to_numpy()[both], part.repeats[both]) >= LOWEST_ICC
