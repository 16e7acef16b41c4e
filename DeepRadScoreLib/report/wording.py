"""Flags as sentences, and SHAP values by source: a finding in words."""

from __future__ import annotations

from collections.abc import Sequence

from DeepRadScoreLib.models import Flag

WITHHELD = "No probability"
"""What sentences on flags begin with that say themselves that the finding has none."""
FLAG_SENTENCES: dict[str, str] = {
    Flag.NO_MODEL: "No trained model was given.",
    Flag.NOT_MODELLED: "The model does not cover this endpoint: it was trained on too few patients with a known label.",
    Flag.NOT_VALIDATED: "The model was not checked on held-out patients.",
    Flag.VALIDATION_ONE_CLASS: "Not validated: the held-out patients are all positive or all negative.",
    Flag.VALIDATION_FEW_POSITIVES: "Not validated: fewer than 5 patients of either class were held out.",
    Flag.NOT_BETTER_THAN_CHANCE: "The interval of the validated AUC includes 0.5: the model may know nothing here.",
    Flag.SINGLE_FEATURE_RADSCORE: "Few positive training patients: each RadScore rests on a single feature.",
    Flag.OUTSIDE_SPREAD: "The fold models contradict this probability: it lies outside their range.",
    Flag.NO_SIGNAL: "No probability: in training the model found no signal for this endpoint.",
    Flag.NOT_FINITE: "The model gave no valid number for this case.",
    Flag.UNLIKE_TRAINING: "No probability: the case is unlike the patients that the model was trained on.",
    Flag.QUALITY_FAILURE: "No probability: the image or the outline is not what the model can judge (see the remarks).",
}

SHORT_REASONS: dict[str, str] = {
    Flag.NOT_MODELLED: "not covered by the model",
    Flag.NOT_VALIDATED: "not validated",
    Flag.VALIDATION_ONE_CLASS: "not validated",
    Flag.VALIDATION_FEW_POSITIVES: "not validated",
    Flag.NOT_BETTER_THAN_CHANCE: "may be chance",
    Flag.SINGLE_FEATURE_RADSCORE: "few positive patients",
    Flag.NO_SIGNAL: "no signal in training",
    Flag.NOT_FINITE: "no valid number",
    Flag.UNLIKE_TRAINING: "unlike training",
    Flag.QUALITY_FAILURE: "image or outline",
}

COLUMN_NAMES: dict[str, str] = {
    "radscore_tumour": "Tumour RadScore",
    "radscore_peritumoral": "Peritumoral RadScore",
}
DEEP_NAME = "Deep network"


def flag_sentence(code: str) -> str:
    """The sentence for a flag; an unknown flag is returned as it is."""
    return FLAG_SENTENCES.get(code, code)


def short_reason(flags: Sequence[str]) -> str:
    """Why a finding has no probability, in two or three words: by its first flag, which is what withheld it."""
    return next((SHORT_REASONS[flag] for flag in flags if flag in SHORT_REASONS), "")


def grouped_shap(shap: dict[str, float]) -> dict[str, float]:
    """SHAP by source: the columns of the network (one logit or ten deep features) added up, then the two RadScores.

    Shapley values of one score are additive, so a sum over columns is the contribution of these columns together.
    """
    deep = [value for name, value in shap.items() if name.startswith("deep_")]
    groups = {DEEP_NAME: sum(deep)} if deep else {}
    return groups | {COLUMN_NAMES[name]: shap[name] for name in COLUMN_NAMES if name in shap}
