"""What a bundle's label sets are made of: the scatter of the held-out cases over the folds, without their labels."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from DeepRadScoreLib.bundles.manifest import CalibrationCard
from DeepRadScoreLib.models import Model
from DeepRadScoreLib.study.data import Labelled
from DeepRadScoreLib.study.training.calibrating import calibrate

RNG = np.random.default_rng(0)
N = 60
LABELS = np.repeat([0, 1], N // 2)
OUT_OF_FOLD = 1 / (1 + np.exp(-RNG.normal(LABELS - 0.5, 1.0)))


def card(unseen: np.ndarray) -> CalibrationCard:
    """The calibration by a model whose log-odds are its only column, of held-out cases (folds, n)."""
    fusion = SimpleNamespace(
        no_signal_=False,
        oof_score_=OUT_OF_FOLD,
        member_scores=lambda columns: columns[:, :, 0],
        log_odds=lambda scores: 2 * scores,
    )
    fitted = SimpleNamespace(fusions={"EGFR": {Model.FUSED: fusion}})
    training = SimpleNamespace(labelled=lambda key: Labelled(np.ones(N, dtype=bool), LABELS, np.arange(N)))
    return calibrate(fitted, training, {"EGFR": {Model.FUSED: unseen[:, :, None]}})["EGFR"]


def test_sets_are_made_with_the_variance_of_the_held_out_cases_between_the_folds():
    unseen = RNG.normal(0, 0.2, (3, 40))
    expected = CalibrationCard.of(OUT_OF_FOLD, LABELS, np.arange(N), 4 * np.mean(np.var(unseen, axis=0)))
    assert card(unseen) == expected
    assert expected.positive < CalibrationCard.of(OUT_OF_FOLD, LABELS, np.arange(N)).positive


@pytest.mark.parametrize("unseen", [RNG.normal(0, 0.2, (3, 9)), np.zeros((1, 40))])
def test_of_too_few_held_out_cases_and_of_one_member_nothing_is_concluded(unseen):
    assert card(unseen) == CalibrationCard.of(OUT_OF_FOLD, LABELS, np.arange(N))
