"""The limits of a training set, from all that its models were fitted on."""

from __future__ import annotations

import pandas as pd

from DeepRadScoreLib.computing.extraction import CohortFeatures
from DeepRadScoreLib.fusion.endpoint_model import EndpointModel
from DeepRadScoreLib.likeness.evidence import Evidence
from DeepRadScoreLib.likeness.limits import TrainingLimits
from DeepRadScoreLib.models import Model
from DeepRadScoreLib.study.data import StudyData
from DeepRadScoreLib.study.plans import TrainingPlan
from DeepRadScoreLib.study.splits import stratified_folds
from DeepRadScoreLib.study.training.fitted import FittedModels


def training_limits(
    training: StudyData,
    computed: CohortFeatures,
    fitted: FittedModels,
    models: dict[str, EndpointModel],
    plan: TrainingPlan,
) -> TrainingLimits | None:
    """The limits of the training cases, by the folds of their networks; None with too few cases.

    `computed` holds these cases and others. A network trained on all cases (protocol `paper`) has no pooled features
    of cases that it has not seen, and limits nothing.
    """
    patients = training.patients.to_numpy()
    folds = stratified_folds(training.labels.to_numpy(), patients, min(plan.folds, len(set(patients))), plan.seed)
    of_training = computed.of_cases(training.case_ids)
    columns = {
        stage.key: pd.DataFrame(stage.columns[Model.FUSED], columns=list(models[stage.key].names))
        for stage in fitted.stages
        if not models[stage.key].fusion.no_signal_
    }
    networks = fitted.networks
    evidence = Evidence(
        training.features,
        of_training.measures,
        () if networks is None else networks.training_pooled,
        columns,
        of_training.acquisitions if _told(of_training) else (),
    )
    return TrainingLimits.fit(evidence, folds)


def _told(cases: CohortFeatures) -> bool:
    """Whether the header of any of these CTs tells anything."""
    return any(value is not None for scan in cases.acquisitions for value in vars(scan).values())
