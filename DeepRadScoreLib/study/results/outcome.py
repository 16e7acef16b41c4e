"""What one outer fold of an evaluation gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

PREDICTION_COLUMNS: tuple[str, ...] = (
    "protocol",
    "fold",
    "endpoint",
    "model",
    "patient_id",
    "case_id",
    "label",
    "score",
    "probability",
    "decision",
)
SELECTED_COLUMNS: tuple[str, ...] = ("endpoint", "region", "feature", "coefficient", "mean", "sd", "rule")


@dataclass(frozen=True)
class Fit:
    """One endpoint and model fitted on the training part of one outer fold.

    Attributes
    ----------
    classifier: the chosen one.
    cv_auc: classifier -> AUC of each inner fold of each repeat, (repeats x folds,).
    threshold: a case is called positive from this probability on; frozen before the test part is seen.
    no_signal: the training scores do not rise with the label.
    labels, probability: (n,) of the training patients; the probabilities are inner out-of-fold ones.
    columns: how many columns the classifier has.
    """

    endpoint: str
    model: str
    classifier: str
    cv_auc: dict[str, np.ndarray]
    threshold: float
    no_signal: bool
    labels: np.ndarray
    probability: np.ndarray
    columns: int


@dataclass(frozen=True)
class Explanation:
    """Why Deep-RadScore says what it says of one fold's test cases, for one endpoint.

    Attributes
    ----------
    names: (d,) the fused columns: "deep_ct" or "deep_1" ... "deep_10", then those of the RadScores.
    columns, shap: (n, d) their values and their Shapley values of the raw score.
    correlations: one (regions, 10) Pearson's r of RadScores with deep features for each network.
    exact: whether the Shapley values are exact or estimated from random orders of the columns.
    """

    endpoint: str
    case_ids: tuple[str, ...]
    names: tuple[str, ...]
    columns: np.ndarray
    shap: np.ndarray
    correlations: tuple[np.ndarray, ...] = ()
    exact: bool = True


@dataclass(frozen=True)
class CamExample:
    """Grad-CAM of one test case: its patch (160, 160) in HU and the map (160, 160) from 0 to 1.

    `cells` is how many cells the map really has along each side.
    """

    endpoint: str
    case_id: str
    kind: Literal["most certain", "least certain"]
    label: int
    probability: float
    patch: np.ndarray
    heat: np.ndarray
    cells: tuple[int, int]


@dataclass(frozen=True)
class FoldOutcome:
    """One outer fold of one protocol.

    Attributes
    ----------
    name: "1" to "5", "test" for a single held-out part, or the site that was left out.
    predictions: one row per test patient, endpoint and model, `PREDICTION_COLUMNS` without protocol and fold; a patient
        with several cases has their mean score and probability, and their names joined in `case_id`.
    selected: features of the RadScores fitted on the training part, `SELECTED_COLUMNS`.
    refused: (endpoint, baseline) -> why the training part did not allow it to be fitted.
    """

    name: str
    predictions: pd.DataFrame
    fits: tuple[Fit, ...]
    selected: pd.DataFrame
    explanations: tuple[Explanation, ...] = ()
    cams: tuple[CamExample, ...] = ()
    refused: dict[tuple[str, str], str] = field(default_factory=dict)
