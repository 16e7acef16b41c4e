"""The models fitted on one training set, the columns that they make of other cases, and their scores by patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from DeepRadScoreLib.deepct.outputs import NetworkOutputs
from DeepRadScoreLib.fusion.columns import DeepColumns
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.models import Model
from DeepRadScoreLib.radscore.radscore import RegionScores
from DeepRadScoreLib.study.data import StudyData
from DeepRadScoreLib.study.training.networks import Networks

OF_PATIENT = {"case_id": " + ".join, "label": "max", "score": "mean", "probability": "mean"}
"""How a column of cases becomes one of patients."""


@dataclass(frozen=True)
class Refused:
    """Result of a fit that the data do not allow: the error's sentence."""

    reason: str


class RefusedEndpoints(Exception):
    """Endpoints that cannot be fitted on a training set: endpoint -> the reason, a sentence."""

    def __init__(self, reasons: dict[str, str]) -> None:
        self.reasons = reasons
        super().__init__(reasons)


@dataclass(frozen=True)
class EndpointStage:
    """Training columns of one endpoint's classifiers, and the fitted models that compute them for other cases.

    Attributes
    ----------
    columns: model -> (n, d) of the training cases that have a label; only the models whose sources are there.
    regions: in `strict` the mean of the folds' RadScores, in `paper` those fitted on all training cases; None without
        radiomics.
    fold_regions: the RadScores of the folds; empty in `paper`.
    deep, deep_ct: how Deep-RadScore and Deep-CT read the networks' outputs, None without images.
    """

    key: str
    columns: dict[str, np.ndarray]
    regions: RegionScores | None
    fold_regions: tuple[RegionScores, ...]
    deep: DeepColumns | None
    deep_ct: DeepColumns | None

    def members(
        self, features: pd.DataFrame, joint: Sequence[NetworkOutputs], image_only: Sequence[NetworkOutputs]
    ) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]:
        """Columns (members, n, d) of Deep-RadScore's and Deep-CT's networks and of the RadScores, None without them."""
        every = self.fold_regions or (() if self.regions is None else (self.regions,))
        return (
            None if self.deep is None else self.deep.members(joint, self.key),
            None if self.deep_ct is None else self.deep_ct.members(image_only, self.key),
            np.stack([regions.columns(features) for regions in every]) if every else None,
        )


@dataclass(frozen=True)
class FittedModels:
    """All that is fitted on one training set.

    Attributes
    ----------
    stages: one for each endpoint.
    networks, deep_ct_networks: those of Deep-RadScore and of Deep-CT, often the same; None without images.
    fusions: endpoint -> model -> classifier; empty until the classifiers are fitted.
    """

    stages: tuple[EndpointStage, ...]
    networks: Networks | None
    deep_ct_networks: Networks | None
    fusions: dict[str, dict[str, FusionModel]] = field(default_factory=dict)

    def outputs(self, patches: np.ndarray | None) -> tuple[list[NetworkOutputs], list[NetworkOutputs]]:
        """Outputs of Deep-RadScore's and Deep-CT's networks for patches (n, 160, 160) in HU; nothing without images."""
        networks, deep_ct = self.networks, self.deep_ct_networks
        if networks is None or deep_ct is None or patches is None:
            return [], []
        joint = networks.outputs(patches)
        return joint, joint if deep_ct is networks else deep_ct.outputs(patches)

    def columns(
        self, cases: StudyData, outputs: tuple[list[NetworkOutputs], list[NetworkOutputs]]
    ) -> dict[str, dict[str, np.ndarray]]:
        """Endpoint -> model -> the classifier's columns (members, n, d) of cases not trained on.

        Their score is the mean over the members: the folds of `strict`, one of `paper`.
        """
        joint, image_only = outputs
        return {
            stage.key: columns_of_models(*stage.members(cases.features, joint, image_only)) for stage in self.stages
        }


def columns_of_models(
    joint: np.ndarray | None, image_only: np.ndarray | None, radscores: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Model -> its columns (..., n, d), for the models whose sources are there; one network serves every fold."""
    columns: dict[str, np.ndarray] = {}
    if radscores is not None:
        columns[Model.RADIOMICS] = radscores
    if image_only is not None:
        columns[Model.DEEP] = image_only
    if joint is not None and radscores is not None:
        shape = (*radscores.shape[:-1], joint.shape[-1])
        columns[Model.FUSED] = np.concatenate([np.broadcast_to(joint, shape), radscores], axis=-1)
    return columns


def by_patient(cases: pd.DataFrame) -> pd.DataFrame:
    """One row per patient of a table of cases, in the order of each patient's first case.

    Of several cases the mean score and probability, positive where one of them is, their names joined by " + ".

    Parameters
    ----------
    cases: `patient_id`, and some of `case_id`, `label` (0, 1), `score`, `probability`.
    """
    rules = {name: rule for name, rule in OF_PATIENT.items() if name in cases}
    return cases.groupby("patient_id", sort=False, as_index=False).agg(rules)


def predict_by_patient(fusion: FusionModel, columns: np.ndarray, cases: StudyData, key: str) -> pd.DataFrame:
    """What a fitted model gives the patients with a label of one endpoint: `by_patient` with all its columns.

    `columns` are the classifier's, (members, n, d), of all cases; no row where no case has a label.
    """
    known = cases.labelled(key)
    scores = fusion.member_scores(columns[:, known.rows]).mean(axis=0) if len(known.labels) else np.empty(0)
    return by_patient(
        pd.DataFrame(
            {
                "case_id": cases.case_ids[known.rows].astype(str),
                "patient_id": known.patients,
                "label": known.labels,
                "score": scores,
                "probability": fusion.calibrated(scores),
            }
        )
    )
