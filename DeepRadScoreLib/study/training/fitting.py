"""One training part, fitted whole: RadScores, networks, classifiers; and the columns it makes of other cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.deepct.outputs import NetworkOutputs
from DeepRadScoreLib.errors import DeepRadScoreError, TooFewPositivesError
from DeepRadScoreLib.fusion.classifiers import CLASSIFIERS, Search
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.models import Protocol
from DeepRadScoreLib.progress import Stage
from DeepRadScoreLib.radscore.selection import Rule, modelling_rule
from DeepRadScoreLib.study.data import StudyData
from DeepRadScoreLib.study.plans import TrainingPlan
from DeepRadScoreLib.study.training.protocols import Stages, paper_stages, strict_stages, three_models
from DeepRadScoreLib.study.training.refusals import Refused, RefusedEndpoints, all_fitted

INNER_FOLDS = 5


@dataclass(frozen=True)
class FittedPart:
    """What one training part taught: the stages of every endpoint, and endpoint -> model -> classifier."""

    stages: Stages
    fusions: dict[str, dict[str, FusionModel]]

    def outputs(self, patches: np.ndarray | None) -> tuple[list[NetworkOutputs], list[NetworkOutputs]]:
        """What Deep-RadScore's and Deep-CT's networks give for patches (n, 160, 160) in HU; nothing without images."""
        networks, deep_ct = self.stages.networks, self.stages.deep_ct_networks
        if networks is None or deep_ct is None or patches is None:
            return [], []
        joint = networks.outputs(patches)
        return joint, joint if deep_ct is networks else deep_ct.outputs(patches)

    def columns(
        self, cases: StudyData, outputs: tuple[list[NetworkOutputs], list[NetworkOutputs]]
    ) -> dict[str, dict[str, np.ndarray]]:
        """Endpoint -> model -> the classifier's columns (n, d) of cases that took no part in the training."""
        joint, image_only = outputs
        made = {}
        for stage in self.stages.stages:
            made[stage.key] = three_models(
                None if stage.deep is None else stage.deep.columns(joint, stage.key),
                None if stage.deep_ct is None else stage.deep_ct.columns(image_only, stage.key),
                None if stage.regions is None else stage.regions.columns(cases.features),
            )
        return made


def rules_of(training: StudyData) -> tuple[dict[str, Rule], dict[str, str]]:
    """How each endpoint is modelled on this training part, and why those that cannot be are not (one sentence)."""
    rules: dict[str, Rule] = {}
    reasons = {}
    for key in training.labels.columns:
        try:
            rules[key] = modelling_rule(training.labels_of_patients(key))
        except TooFewPositivesError as error:
            reasons[key] = str(error)
    return rules, reasons


def fit_part(training: StudyData, rules: dict[str, Rule], plan: TrainingPlan, run: Run) -> FittedPart:
    """Fit the endpoints of `rules`.

    Raises
    ------
    RefusedEndpoints: some of them cannot be fitted; those of the RadScores are found before networks are trained.
    """
    build = strict_stages if plan.protocol == Protocol.STRICT else paper_stages
    stages = build(training, rules, plan, run)
    tasks = {
        (stage.key, name): fusion_task(columns, stage.labels, training.patients.to_numpy()[stage.rows], plan)
        for stage in stages.stages
        for name, columns in stage.columns.items()
    }
    fitted = run.load_or_compute_each(fit_fusion, tasks.values(), Stage.CLASSIFIERS)
    fusions: dict[str, dict[str, FusionModel]] = {stage.key: {} for stage in stages.stages}
    fused: dict[tuple[str, str], FusionModel] = all_fitted(dict(zip(tasks, fitted, strict=True)))
    for (key, name), fusion in fused.items():
        fusions[key][name] = fusion
    return FittedPart(stages, fusions)


def fit_what_can_be(
    training: StudyData, rules: dict[str, Rule], plan: TrainingPlan, run: Run
) -> tuple[FittedPart | None, dict[str, str]]:
    """`fit_part` without the endpoints that cannot be fitted, and why each cannot; None where no endpoint can."""
    refused: dict[str, str] = {}
    while left := {key: rule for key, rule in rules.items() if key not in refused}:
        try:
            return fit_part(training, left, plan, run), refused
        except RefusedEndpoints as found:
            refused |= found.reasons
    return None, refused


def every_reason(reasons: dict[str, str]) -> str:
    """The sentences of several endpoints as one."""
    return "; ".join(f"{key}: {reason.rstrip('.').replace('; ', ', ')}" for key, reason in reasons.items())


def fusion_task(
    columns: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    plan: TrainingPlan,
    classifiers: Sequence[str] = CLASSIFIERS,
) -> dict:
    """The arguments of `fit_fusion`."""
    return {
        "columns": columns,
        "labels": labels,
        "patients": np.unique(patients, return_inverse=True)[1],
        "search": plan.search,
        "repeats": plan.repeats,
        "seed": plan.seed,
        "classifiers": tuple(classifiers),
    }


def fit_fusion(
    columns: np.ndarray,
    labels: np.ndarray,
    patients: np.ndarray,
    search: Search,
    repeats: int,
    seed: int,
    classifiers: tuple[str, ...],
) -> FusionModel | Refused:
    """A fusion model fitted on columns (n, d), labels (n,) and patients (n,), or why they do not allow it."""
    model = FusionModel(search=search, folds=INNER_FOLDS, repeats=repeats, seed=seed, classifiers=classifiers)
    try:
        return model.fit(columns, labels, groups=patients)
    except DeepRadScoreError as error:
        return Refused(str(error))
