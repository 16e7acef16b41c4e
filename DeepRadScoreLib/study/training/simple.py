"""Logistic regressions on the columns of baselines, fitted as the method's classifiers are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.progress import Stage
from DeepRadScoreLib.study.data import StudyData
from DeepRadScoreLib.study.plans import TrainingPlan
from DeepRadScoreLib.study.training.fitting import Refused, fit_fusion, fusion_task

BASELINE_CLASSIFIERS = ("LR",)


@dataclass(frozen=True)
class SimpleFit:
    """A logistic regression of one endpoint on a baseline's columns, or why there is none.

    `labels`, `patients`: (n,) of the cases with a label.
    """

    fusion: FusionModel | Refused
    labels: np.ndarray
    patients: np.ndarray


def fit_simple(
    name: str, columns: np.ndarray, training: StudyData, keys: Iterable[str], plan: TrainingPlan, run: Run
) -> dict[str, SimpleFit]:
    """Endpoint -> fit on a baseline's columns (n, d) of the training cases, where they vary among the labelled ones."""
    known = {key: training.labels[key].notna().to_numpy() for key in keys}
    known = {key: rows for key, rows in known.items() if np.ptp(columns[rows], axis=0).any()}
    tasks = [
        fusion_task(
            columns[rows],
            training.labels[key].to_numpy()[rows].astype(int),
            training.patients.to_numpy()[rows],
            plan,
            BASELINE_CLASSIFIERS,
        )
        for key, rows in known.items()
    ]
    fusions = run.load_or_compute_each(fit_fusion, tasks, Stage.BASELINE, name)
    return {
        key: SimpleFit(fusion, task["labels"], task["patients"])
        for key, fusion, task in zip(known, fusions, tasks, strict=True)
    }
