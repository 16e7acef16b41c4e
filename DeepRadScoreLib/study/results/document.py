"""`results.json`: every figure of every table of a study, described by a model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from DeepRadScoreLib.statistics.metrics import Calibration, DecisionCurve, Estimate, Interval

SCHEMA: Literal["deepradscore-study/1"] = "deepradscore-study/1"


class Card(BaseModel):
    """No field beyond those named."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelCard(Card):
    """One model of one endpoint under one protocol.

    `auc` is the mean over the outer folds, or that of the one held-out part; `auc_method` names the interval's method,
    `auc_note` says what speaks against the interval. `inner_auc` is the mean inner cross-validated AUC of the chosen
    classifiers; `inner_aucs` the distribution for all. `metrics` are of the test parts at the frozen thresholds,
    `training_metrics` the same of the training parts' out-of-fold probabilities.
    """

    not_run: str | None = None
    auc: float | None = None
    auc_ci: Interval | None = None
    auc_method: str | None = None
    auc_note: str | None = None
    auc_bootstrap_ci: Interval | None = None
    fold_aucs: dict[str, float | None] = {}
    n: int = 0
    positives: int = 0
    classifier: dict[str, str] = {}
    thresholds: dict[str, float] = {}
    no_signal: list[str] = []
    inner_auc: float | None = None
    inner_aucs: dict[str, list[float]] = {}
    metrics: dict[str, Estimate] = {}
    training_metrics: dict[str, Estimate] = {}
    calibration: Calibration | None = None
    decision: DecisionCurve | None = None


class Comparison(Card):
    """The reference model's AUC less that of another, with DeLong's p and Holm's p over the endpoints.

    `reference` is null where it is the endpoint's own; shuffled voxels, which are radiomics alone, are held against the
    Radiomics-Score.
    """

    difference: float
    p: float | None
    p_holm: float | None = None
    reference: str | None = None


class AssociationCard(Card):
    """A test of whether labels follow where, how or when CTs were made: by which column; Holm's p over all tests."""

    column: str
    test: str
    p: float
    p_holm: float | None = None


class CorrelationCard(Card):
    """|r| of RadScores with deep features, taken together over all networks: largest, mean, SD."""

    largest: float | None
    mean: float | None
    sd: float | None
    networks: int


class EndpointResult(Card):
    """One endpoint under one protocol.

    `delong` compares the others with `delong_reference` (Deep-RadScore if run); `selected` holds region -> feature ->
    the coefficient in each fold whose RadScore has it; `associations` the tests of site, scanner, slice thickness and
    date; `follows` holds a sentence on each of these that the endpoint follows, the highest AUC first.
    """

    models: dict[str, ModelCard]
    delong: dict[str, Comparison] = {}
    delong_reference: str | None = None
    delong_method: str | None = None
    events_per_variable: float | None = None
    correlation: CorrelationCard | None = None
    contributions: dict[str, float] = {}
    selected: dict[str, dict[str, list[float]]] = {}
    associations: dict[str, AssociationCard] = {}
    follows: dict[str, str] = {}
    warnings: list[str] = []


class ProtocolResult(Card):
    """One protocol: how it was split, and every endpoint that was evaluated."""

    split: str
    folds: dict[str, dict[str, int]]
    endpoints: dict[str, EndpointResult]


class QualityCard(Card):
    """How many of the cases used have a quality code with a severity, and their share; `meaning`: when it is given."""

    code: str
    severity: str
    cases: int
    share: float
    meaning: str


class FlowCard(Card):
    """How the cohort's patients became those of an endpoint."""

    patients: int
    labelled: int
    positives: int
    not_run: str | None = None
    warnings: list[str] = []


class GapCard(Card):
    """What the paper protocol promises and what holds: inner AUC, test AUC, strict AUC; gap = inner - strict."""

    paper_inner_auc: float | None
    paper_test_auc: float | None
    strict_auc: float | None
    optimism_gap: float | None


class Results(Card):
    """All of it.

    `quality` is null where nothing is known of it: a feature table without a notes file. `left_out_by_quality`: code ->
    how many cases were left out as `--exclude-quality` asked; a case with several such codes counts for the first.
    """

    schema_: Annotated[Literal["deepradscore-study/1"], Field(alias="schema")] = SCHEMA
    label: str | None = None
    patients: int
    cases: int
    left_out: dict[str, str]
    left_out_by_quality: dict[str, int] = {}
    quality: tuple[QualityCard, ...] | None = None
    flow: dict[str, FlowCard]
    models_not_run: dict[str, str]
    backbones: list[dict[str, str | int | float | None]] = []
    protocols: dict[str, ProtocolResult]
    optimism: dict[str, dict[str, GapCard]] = {}
    duplicates: list[str] = []
    column_notes: list[str] = []
    settings: dict
    versions: dict[str, str]
    hashes: dict[str, str]

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    def to_json(self) -> str:
        """Text with sorted, stable formatting; equal results give equal bytes."""
        return self.model_dump_json(by_alias=True, indent=1) + "\n"
