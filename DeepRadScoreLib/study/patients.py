"""Scores of cases taken together by patient, over whom AUCs, intervals and decisions are counted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.study.data import StudyData

RULES = {"case_id": " + ".join, "label": "max", "score": "mean", "probability": "mean"}


def by_patient(cases: pd.DataFrame) -> pd.DataFrame:
    """One row per patient of a table of cases, in the order of each patient's first case.

    Of several cases the mean score and probability, positive where one of them is, their names joined by " + ".

    Parameters
    ----------
    cases: `patient_id`, and some of `case_id`, `label` (0, 1), `score`, `probability`.
    """
    rules = {name: rule for name, rule in RULES.items() if name in cases}
    return cases.groupby("patient_id", sort=False, as_index=False).agg(rules)


def predict_by_patient(fusion: FusionModel, columns: np.ndarray, cases: StudyData, key: str) -> pd.DataFrame:
    """What a fitted model gives the patients with a label of one endpoint: `by_patient` with all its columns.

    `columns` are the classifier's, (members, n, d), of all cases; no row where no case has a label.
    """
    known = cases.labels[key].notna().to_numpy()
    scores = fusion.member_scores(columns[:, known]).mean(axis=0) if known.any() else np.empty(0)
    return by_patient(
        pd.DataFrame(
            {
                "case_id": cases.case_ids[known].astype(str),
                "patient_id": cases.patients.to_numpy()[known],
                "label": cases.labels[key].to_numpy()[known].astype(int),
                "score": scores,
                "probability": fusion.calibrated(scores),
            }
        )
    )
