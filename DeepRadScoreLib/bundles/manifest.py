"""The `manifest.json` of a bundle: what the model is, what it was trained on, how good it was."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from DeepRadScoreLib.abstention import AbstentionRules
from DeepRadScoreLib.endpoints import ENDPOINTS, KEYS
from DeepRadScoreLib.fusion.classifiers import CLASSIFIERS
from DeepRadScoreLib.imaging.carriers import PATCH_PIXELS
from DeepRadScoreLib.imaging.checks.quality_codes import counts_text
from DeepRadScoreLib.imaging.preparing import MAX_SHELL_MM
from DeepRadScoreLib.likeness.limits import FENCE, TrainingLimits
from DeepRadScoreLib.likeness.thresholds import BEYOND_SHARE, CONFIDENCE, FALSE_ALARMS
from DeepRadScoreLib.models import (
    CONFOUNDER_NAMES,
    CONFOUNDERS,
    MODELS,
    Engine,
    Flag,
    Model,
    NetworkForm,
    Preprocessing,
    Protocol,
)
from DeepRadScoreLib.statistics.conformal import LabelThresholds, as_means_of_folds
from DeepRadScoreLib.statistics.probability_interval import CalibrationError, probability_interval

LEVEL = 0.9
"""Of label sets and intervals."""

ROUNDING = 1e-9

SCHEMA = "deepradscore.bundle/2"
READABLE = ("deepradscore.bundle/1", SCHEMA)


LIMIT_NAMES = {
    "image": "measures of image and outline",
    "features": "radiomics features",
    "network": "the networks' features",
    "deep_columns": "deep scores",
    "acquisition": "kernel, tube voltage and contrast",
}

NO_AUC: dict[str, str] = {
    Flag.VALIDATION_ONE_CLASS: "none: one class only",
    Flag.VALIDATION_FEW_POSITIVES: "none: fewer than 5 of a class",
}
"""Why an endpoint has no AUC, in the words of a table's cell."""


def _one_of(*names: str) -> AfterValidator:
    def check(value: str) -> str:
        if value not in names:
            raise ValueError(f"it is none of {', '.join(names)}")
        return value

    return AfterValidator(check)


def _in_order(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] > ends[1]:
        raise ValueError("its ends are the wrong way round")
    return ends


Share = Annotated[float, Field(ge=0, le=1)]
Variance = Annotated[float, Field(ge=-ROUNDING)]
Key = Annotated[str, _one_of(*KEYS)]
ModelName = Annotated[str, _one_of(*MODELS)]
ClassifierName = Annotated[str, _one_of(*CLASSIFIERS)]
Confounder = Annotated[str, _one_of(*CONFOUNDERS)]
LimitName = Annotated[str, _one_of(*LIMIT_NAMES)]
Interval = Annotated[tuple[Share, Share], AfterValidator(_in_order)]


class _Card(BaseModel):
    """Content of a manifest: every field is known, every number finite."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=10_000)


class _Counted(_Card):
    """A card of so many patients, of whom some are positive."""

    n: NonNegativeInt
    positives: NonNegativeInt

    @model_validator(mode="after")
    def _no_more_than_all(self) -> Self:
        if self.positives > self.n:
            raise ValueError(f"{self.positives} positives are more than n, {self.n}")
        return self


class ValidationCard(_Counted):
    """A model's AUC on the held-out patients; AUC and interval are null where `flag` says why."""

    auc: Share | None = None
    auc_ci: Interval | None = None
    flag: str | None = None


class CalibrationCard(_Card):
    """What label sets and intervals are made of: numbers from out-of-fold probabilities, no patient's row.

    Attributes
    ----------
    level: of label sets and intervals.
    positive, negative: largest nonconformity (one minus the label's probability) with which a label stays in the set;
        null: it always stays, since it has too few patients.
    positives, negatives: training patients with each label.
    error: variance of the intercept, covariance, variance of the slope of the calibrated log-odds.
    """

    level: Share
    positive: Share | None
    negative: Share | None
    positives: NonNegativeInt
    negatives: NonNegativeInt
    error: tuple[Variance, float, Variance]

    @classmethod
    def of(
        cls, probabilities: np.ndarray, labels: np.ndarray, patients: np.ndarray, between_folds: float = 0.0
    ) -> CalibrationCard:
        """From out-of-fold probabilities of the positive label (n,), labels 0 or 1 (n,) and patients (n,).

        `between_folds`: how unseen cases' log-odds vary over the folds, see `as_means_of_folds`; 0 where not known.
        """
        of_means = as_means_of_folds(probabilities, labels, patients, between_folds)
        thresholds = LabelThresholds.of(of_means, labels, patients, LEVEL)
        error = CalibrationError.of(probabilities, labels, patients)
        return cls(
            **vars(thresholds),
            positives=len(np.unique(patients[labels == 1])),
            negatives=len(np.unique(patients[labels == 0])),
            error=(error.intercept, error.covariance, error.slope),
        )

    @property
    def thresholds(self) -> LabelThresholds:
        """Those of the label sets."""
        return LabelThresholds(self.level, self.positive, self.negative)

    def interval(self, log_odds_of_folds: np.ndarray, shift: float) -> tuple[float, float]:
        """See `probability_interval`."""
        return probability_interval(log_odds_of_folds, CalibrationError(*self.error), self.level, shift)


class EndpointCard(_Counted):
    """One endpoint of a bundle: whether it is modelled, from how many patients, how, and how good it was.

    `confounders`: those of site, scanner, slice thickness and date that it followed in the training patients, with the
    cross-validated AUC of each alone.
    """

    modelled: bool
    reason: str | None = None
    rule: str | None = None
    classifier: dict[ModelName, ClassifierName] = {}
    cv_auc: dict[ModelName, Share] = {}
    validation: dict[ModelName, ValidationCard] = {}
    shift: dict[str, tuple[float, float]] = {}
    calibration: CalibrationCard | None = None
    confounders: dict[Confounder, Share] = {}


class LimitsCard(_Card):
    """The rules by which a case is compared with the training cases.

    Attributes
    ----------
    cases: number of training cases.
    parts: kinds of evidence whose distance is judged; `missing`: what was not known in training.
    false_alarms, confidence: of cases like those in training, at most this share get a warning or no finding.
    warning_above, no_finding_above: limits of the score, -log10 of the share of training cases farther away by one
        part, the highest of the parts.
    no_finding_share: share of such cases that get no finding, extrapolated.
    fence: a score of an endpoint farther from its median than this many times the range of 99 % of training, to that
        side, gives no finding of this endpoint.
    """

    cases: PositiveInt
    parts: list[LimitName]
    missing: list[LimitName]
    false_alarms: Share
    confidence: Share
    warning_above: float
    no_finding_above: float
    no_finding_share: Share
    fence: Annotated[float, Field(gt=0)]

    @classmethod
    def of(cls, limits: TrainingLimits) -> LimitsCard:
        """The rules of a bundle's limits."""
        thresholds = limits.thresholds
        return cls(
            cases=thresholds.n,
            parts=[str(part) for part in limits.parts],
            missing=list(limits.missing),
            false_alarms=FALSE_ALARMS,
            confidence=CONFIDENCE,
            warning_above=thresholds.warn,
            no_finding_above=thresholds.beyond,
            no_finding_share=BEYOND_SHARE,
            fence=FENCE,
        )


class Manifest(_Card):
    """The content of `manifest.json`."""

    model_config = ConfigDict(populate_by_name=True)
    schema_: str = Field(SCHEMA, alias="schema")
    name: str
    label: str | None
    protocol: Protocol
    network: NetworkForm
    backbone: str
    weights: str
    pixels: Annotated[int, Field(ge=1, le=PATCH_PIXELS)]
    preprocessing: Preprocessing
    engine: Engine = Engine.PYRADIOMICS
    shell_mm: Annotated[float, Field(gt=0, le=MAX_SHELL_MM)]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    synthetic: bool
    settings: dict[str, Any]
    trained_on: dict[str, Any]
    endpoints: dict[Key, EndpointCard]
    rules: AbstentionRules = AbstentionRules()
    versions: dict[str, str]
    limits: LimitsCard | None = None
    networks: list[dict[str, dict[str, Any]]] = []
    files: dict[str, str] = {}

    def withheld(self, key: str, codes: Collection[str] = ()) -> tuple[Flag, ...]:
        """Why an endpoint has no probability, in a case with these quality codes; empty where it may have one."""
        card = self.endpoints[key]
        validated = card.validation.get(Model.FUSED)
        auc_ci = None if validated is None else validated.auc_ci
        return self.rules.broken_by(min(card.positives, card.n - card.positives), auc_ci, codes)

    def facts(self) -> dict[str, str]:
        """What it is, what it was trained on, and what it may not be used for, in words."""
        trained = self.trained_on
        facts = {
            "model": f"{self.name}, protocol {self.protocol}, network {self.network} "
            f"({self.backbone}, weights {self.weights}, {self.pixels} pixels)",
            "trained on": f"{trained['training_patients']} patients of {trained['cohort']}; "
            f"{trained['held_out_patients']} held out; {len(trained['left_out'])} cases left out",
            **_origin_facts(trained),
            **_quality_facts(trained),
            "sites": ", ".join(f"{site or 'not named'} {count}" for site, count in trained["sites"].items()),
            "preprocessing": f"{self.preprocessing}, shell {self.shell_mm:g} mm, engine {self.engine}",
            "not for": "clinical decisions: this is not a medical device, and its probabilities hold at best for "
            "patients like those it was trained on. The stored AUCs are of one held-out part of the same cohort.",
        }
        facts |= self.rules.sentences() | _limit_facts(self.limits)
        if self.preprocessing == Preprocessing.PYRADIOMICS:
            facts["caution"] = (
                "with this preprocessing features depend on how a file is stored: NIfTI and DICOM may differ."
            )
        if trained.get("duplicates"):
            facts["duplicates"] = (
                f"{trained['duplicates']} pairs of patients have the same image or features and were counted as two."
            )
        if followed := self._followed():
            facts["followed"] = f"{followed}. A model may have learned that in place of the tumour."
        return facts

    def _followed(self) -> str:
        """The endpoints that follow where, how or when the CTs were made, in words; empty where none does."""
        return "; ".join(
            f"{key} follows the {CONFOUNDER_NAMES[name]} (alone: AUC {auc:.2f})"
            for key, card in self.endpoints.items()
            for name, auc in card.confounders.items()
        )

    def endpoint_rows(self) -> list[dict[str, str]]:
        """One row of words per endpoint: whether it is modelled, from how many patients, and the held-out AUC."""
        return [_row(one.name, self.endpoints[one.key]) for one in ENDPOINTS if one.key in self.endpoints]


def _origin_facts(trained: dict[str, Any]) -> dict[str, str]:
    """The tables that it was made from, by their content; nothing where the bundle does not know."""
    names = {"cohort_sha256": "cohort table", "limits_features_sha256": "limits from"}
    return {word: f"the file of SHA-256 {trained[field]}" for field, word in names.items() if trained.get(field)}


def _quality_facts(trained: dict[str, Any]) -> dict[str, str]:
    """Quality codes of the cases, and who was left out for them, in words; nothing where the bundle does not know."""
    facts = {}
    if "quality" in trained:
        facts["quality"] = counts_text(trained["quality"], trained["cases"])
    if trained.get("left_out_by_quality"):
        counts = trained["left_out_by_quality"].items()
        facts["left out"] = ", ".join(f"{count} by quality {code}" for code, count in counts)
    return facts


def _limit_facts(card: LimitsCard | None) -> dict[str, str]:
    if card is None:
        return {"limits": "not known: nothing can be said of how like a case is to the training patients"}
    parts = [LIMIT_NAMES[part] for part in card.parts]
    facts = {
        "limits": f"of {card.cases} training cases, by {', '.join(parts)}. Beyond a distance that at most "
        f"{card.false_alarms:.0%} of cases like these exceed ({card.confidence:.0%} confidence) a warning; beyond that "
        f"of {card.no_finding_share:.1%}, or from a score {card.fence:g} times outside its training range, no finding"
    }
    if card.missing:
        facts["not limited"] = ", ".join(LIMIT_NAMES[name] for name in card.missing) + ": not known in training"
    return facts


def _row(name: str, card: EndpointCard) -> dict[str, str]:
    found = card.validation.get(Model.FUSED)
    auc = "-"
    if found is not None:
        auc = "-" if found.flag is None else NO_AUC.get(found.flag, found.flag)
        if found.auc is not None and found.auc_ci is not None:
            auc = f"{found.auc:.2f} ({found.auc_ci[0]:.2f}-{found.auc_ci[1]:.2f})"
    return {
        "endpoint": name,
        "modelled": "yes" if card.modelled else (card.reason or "no"),
        "training n (positive)": f"{card.n} ({card.positives})",
        "classifier": card.classifier.get(Model.FUSED, "-"),
        "held-out AUC (95 %)": auc,
        "n (positive)": "-" if found is None else f"{found.n} ({found.positives})",
    }
