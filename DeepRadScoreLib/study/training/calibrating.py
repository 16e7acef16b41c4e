"""What the label sets and intervals of a bundle are made of, from the training cases' out-of-fold probabilities."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from DeepRadScoreLib.bundles.manifest import CalibrationCard
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.models import Model
from DeepRadScoreLib.study.data import StudyData
from DeepRadScoreLib.study.training.fitted import FittedModels

MIN_UNSEEN_CASES = 10
"""With fewer held-out cases it is not known how a case's score varies between the folds."""


def calibrate(
    fitted: FittedModels, training: StudyData, unseen: Mapping[str, Mapping[str, np.ndarray]]
) -> dict[str, CalibrationCard]:
    """Endpoint -> calibration, where there is a signal.

    `unseen`: columns of the held-out cases, as `FittedModels.columns` gives them; nothing is used of their labels.
    """
    cards = {}
    for key, models in fitted.fusions.items():
        fusion, cases = models[Model.FUSED], training.labelled(key)
        if not fusion.no_signal_:
            between_folds = _between_folds(fusion, unseen[key][Model.FUSED])
            cards[key] = CalibrationCard.of(fusion.oof_score_, cases.labels, cases.patients, between_folds)
    return cards


def _between_folds(fusion: FusionModel, columns: np.ndarray) -> float:
    """Variance of a case's log-odds over the folds, mean over the cases whose `columns` (members, n, d) are given."""
    if columns.shape[1] < MIN_UNSEEN_CASES:
        return 0.0
    return float(fusion.log_odds(fusion.member_scores(columns)).var(axis=0).mean())
