"""A study: what its outer folds found, the figures of its tables, and the facts behind them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from DeepRadScoreLib.imaging.origin import synthetic_label
from DeepRadScoreLib.models import MODELS, Protocol
from DeepRadScoreLib.study.results.document import (
    EndpointResult,
    FlowCard,
    GapCard,
    ProtocolResult,
    QualityCard,
    Results,
)

PREDICTION_COLUMNS: tuple[str, ...] = (
    *("protocol", "fold", "endpoint", "model", "patient_id", "case_id"),
    *("label", "score", "probability", "decision"),
)
SELECTED_COLUMNS: tuple[str, ...] = ("endpoint", "region", "feature", "coefficient", "mean", "sd", "rule")


@dataclass(frozen=True)
class Fit:
    """One endpoint and model fitted on the training set of one outer fold.

    Attributes
    ----------
    classifier: the chosen one.
    cv_auc: classifier -> AUC of each inner fold of each repeat, (repeats x folds,).
    threshold: a case is called positive from this probability on; frozen before the test set is seen.
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
    """Shapley values and correlations of Deep-RadScore for one fold's test cases and one endpoint.

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
    name: "1" to "5", "test" for a single test set, or the site that was left out.
    predictions: one row per test patient, endpoint and model, `PREDICTION_COLUMNS` without protocol and fold; a patient
        with several cases has their mean score and probability, and their names joined in `case_id`.
    selected: features of the RadScores fitted on the training set, `SELECTED_COLUMNS`.
    refused: (endpoint, baseline) -> why it could not be fitted on the training set.
    """

    name: str
    predictions: pd.DataFrame
    fits: tuple[Fit, ...]
    selected: pd.DataFrame
    explanations: tuple[Explanation, ...] = ()
    cams: tuple[CamExample, ...] = ()
    refused: dict[tuple[str, str], str] = field(default_factory=dict)

    def predictions_of(self, endpoint: str, model: str) -> pd.DataFrame:
        """The rows of `predictions` of one endpoint and model; none where it was not fitted."""
        return self._predictions_by_model.get((endpoint, model), self.predictions[:0])

    @cached_property
    def _predictions_by_model(self) -> dict[tuple[str, str], pd.DataFrame]:
        if not len(self.predictions):
            return {}
        groups = self.predictions.groupby(["endpoint", "model"], sort=False)
        return {(str(endpoint), str(model)): rows for (endpoint, model), rows in groups}


@dataclass(frozen=True)
class Study:
    """All that an evaluation found.

    Attributes
    ----------
    folds: protocol -> its outer folds.
    protocols: protocol -> the figures of every endpoint, as `summarise` computes them from the folds.
    flow: endpoint asked for -> its patients, or why it was not evaluated.
    cohort_table: the cases that were used, one row each, cells as text.
    models_not_run: model or baseline -> the sentence that says why it was run for no endpoint.
    left_out: case_id -> why this case could not be used; `failed` are those whose images could not be worked on.
    patients: how many patients, and `cases` how many cases, the cohort table has.
    settings: what was asked for, plain values.
    versions: package -> version.
    hashes: name of an input file -> SHA-256.
    synthetic: at least one of the cases that were used is synthetic.
    backbones: the comparison of backbones on one endpoint, or None.
    columns_left_out: column of the feature table -> why it could not be used.
    rows_of_others: how many rows of the feature table belong to no case of the cohort.
    quality: how many of the cases that were used have which quality code; None: nothing is known of it.
    excluded: case left out for its quality -> the code; these are in `left_out` too.
    duplicates: sentences on patients with the same image or features, who are counted as two.
    column_notes: a sentence on each column of the cohort table that holds more than numbers but was read as such.
    """

    folds: dict[Protocol, tuple[FoldOutcome, ...]]
    protocols: dict[Protocol, ProtocolResult]
    flow: dict[str, FlowCard]
    cohort_table: pd.DataFrame
    models_not_run: dict[str, str]
    left_out: dict[str, str]
    patients: int
    cases: int
    settings: dict
    versions: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    synthetic: bool = False
    backbones: pd.DataFrame | None = None
    failed: tuple[str, ...] = ()
    columns_left_out: dict[str, str] = field(default_factory=dict)
    rows_of_others: int = 0
    quality: tuple[QualityCard, ...] | None = None
    excluded: dict[str, str] = field(default_factory=dict)
    duplicates: tuple[str, ...] = ()
    column_notes: tuple[str, ...] = ()

    @property
    def label(self) -> str | None:
        """The text printed beside every number of a synthetic study, else None."""
        return synthetic_label(self.synthetic)

    @property
    def left_out_by_quality(self) -> dict[str, int]:
        """Code -> how many cases were left out for it; a case with several counts for the first that was named."""
        return dict(Counter(self.excluded.values()))

    @property
    def optimism(self) -> dict[str, dict[str, GapCard]]:
        """Endpoint -> model -> what the paper protocol promises beside what the strict one finds; none without both."""
        if set(self.protocols) != set(Protocol):
            return {}
        strict = self.protocols[Protocol.STRICT].endpoints
        return {
            key: {model: _gap(paper, strict.get(key), model) for model in MODELS if paper.models[model].not_run is None}
            for key, paper in self.protocols[Protocol.PAPER].endpoints.items()
        }

    def each_fold(self) -> Iterator[tuple[Protocol, FoldOutcome]]:
        """Protocol and outer fold, for every fold of every protocol."""
        for protocol, folds in self.folds.items():
            for fold in folds:
                yield protocol, fold

    def each_endpoint(self) -> Iterator[tuple[Protocol, str, EndpointResult]]:
        """Protocol, endpoint and its figures, for every endpoint that was evaluated."""
        for protocol, result in self.protocols.items():
            for key, endpoint in result.endpoints.items():
                yield protocol, key, endpoint

    def predictions(self) -> pd.DataFrame:
        """Test predictions of every protocol and fold, `PREDICTION_COLUMNS`."""
        tables = [fold.predictions.assign(protocol=protocol, fold=fold.name) for protocol, fold in self.each_fold()]
        joined = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(PREDICTION_COLUMNS))
        return joined[list(PREDICTION_COLUMNS)]

    def to_json(self) -> str:
        """The text of `results.json`; equal studies give equal bytes."""
        values = {name: getattr(self, name) for name in Results.model_fields if name not in ("schema_", "backbones")}
        return Results(**values, backbones=_plain_rows(self.backbones)).to_json()


def _gap(paper: EndpointResult, strict: EndpointResult | None, model: str) -> GapCard:
    inner, found = paper.models[model].inner_auc, None if strict is None else strict.models[model].auc
    return GapCard(
        paper_inner_auc=inner,
        paper_test_auc=paper.models[model].auc,
        strict_auc=found,
        optimism_gap=None if inner is None or found is None else inner - found,
    )


def _plain_rows(table: pd.DataFrame | None) -> list[dict]:
    """A table's rows as plain values, null for NaN."""
    return [] if table is None else table.astype(object).where(table.notna(), None).to_dict("records")
