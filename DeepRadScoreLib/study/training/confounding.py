"""Which endpoints follow the site, the scanner, the slice thickness or the date of the training patients."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from DeepRadScoreLib.cohort.covariates import clinical_columns
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.models import better_than_chance
from DeepRadScoreLib.statistics.auc import auc_interval
from DeepRadScoreLib.study.confounders import Confounders
from DeepRadScoreLib.study.data import StudyData
from DeepRadScoreLib.study.plans import TrainingPlan
from DeepRadScoreLib.study.training.fitted import by_patient
from DeepRadScoreLib.study.training.fitting import fit_simple


def followed_confounders(
    training: StudyData, confounders: Confounders, keys: Iterable[str], plan: TrainingPlan, run: Run
) -> dict[str, dict[str, float]]:
    """Endpoint -> confounder -> AUC of the confounder alone, where its 95 % interval lies above 0.5.

    The AUC is that of the cross-validated probabilities of a logistic regression, by patient.
    """
    found: dict[str, dict[str, float]] = {key: {} for key in keys}
    for name, table in confounders.tables.items():
        columns, _ = clinical_columns(table.loc[training.case_ids], table.loc[training.case_ids])
        for key, fusion in fit_simple(name, columns, training, found, plan, run).items():
            if isinstance(fusion, FusionModel):
                known = training.labelled(key)
                cases = {"patient_id": known.patients, "label": known.labels, "score": fusion.oof_score_}
                patients = by_patient(pd.DataFrame(cases))
                estimate = auc_interval(patients["label"].to_numpy(), patients["score"].to_numpy())
                if better_than_chance((estimate.low, estimate.high)):
                    found[key][name] = round(estimate.auc, 4)
    return found
