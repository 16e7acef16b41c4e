"""Rows and pictures of a study's page, in the order in which they are shown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from DeepRadScoreLib.models import CONFOUNDERS, Baseline
from DeepRadScoreLib.publication.fold_tables import FOLD_PREFIX, IDENTITY, selected_features
from DeepRadScoreLib.publication.sentences import (
    BACKBONES,
    VERDICTS,
    endpoint_name,
    folds_named,
    judged_model,
    model_name,
    order_of,
    sentence,
    verdict,
)
from DeepRadScoreLib.radscore.names import REGIONS
from DeepRadScoreLib.statistics.auc import FEW_EVENTS, HIGH_AUC, IntervalMethod
from DeepRadScoreLib.statistics.metrics import Estimate
from DeepRadScoreLib.study.results.document import CorrelationCard, EndpointResult, ModelCard, ProtocolResult
from DeepRadScoreLib.study.results.study import Study

FIGURE_TITLES: dict[str, str] = {
    "patient_flow": "Flow of patients",
    "auc_overview": "AUC with its 95 % interval",
    "roc": "ROC curves",
    "inner_auc": "Inner cross-validated AUC of the classifiers",
    "calibration": "Calibration",
    "decision": "Decision curves",
    "correlation": "Correlation of RadScores with deep features",
    "contributions": "Contributions to Deep-RadScore",
    "shap": "SHAP values and signs",
    "gradcam": "Grad-CAM of the most and least certain cases",
}
ON_LOGIT_SCALE = (
    f"on the logit scale: AUC over {HIGH_AUC} or under {1 - HIGH_AUC:.2f}, or fewer than {FEW_EVENTS} events"
)
INTERVAL_METHODS: dict[IntervalMethod, str] = {
    "delong": "The AUC in the one held-out part, of the one model that was fitted; DeLong's interval.",
    "delong-logit": f"As delong, {ON_LOGIT_SCALE}.",
    "exact-pairs": "At an AUC of exactly 1 or 0, where the variance says nothing: a bound from independent pairs.",
    "corrected-delong": "The mean over the outer folds of the true AUCs of the models fitted in these folds, not the "
    "AUC of one model refitted on all; variance from DeLong's of the folds, corrected for folds that train each other.",
    "corrected-delong-logit": f"As corrected-delong, {ON_LOGIT_SCALE}.",
}
METRIC_NAMES: dict[str, str] = {"ppv": "PPV", "npv": "NPV", "f1": "F1", "auprc": "AUPRC", "auc": "AUC"}


@dataclass(frozen=True)
class Picture:
    """A figure of the page: its file's name without ending, its data URI, and what it shows in words."""

    name: str
    source: str
    title: str

    @property
    def file(self) -> str:
        """The name of its files, without ending."""
        return file_name(self.name)

    @property
    def is_vector(self) -> bool:
        """Whether the page shows the SVG and not the PNG."""
        return self.source.startswith("data:image/svg+xml")


@dataclass(frozen=True)
class SummaryRow:
    """One line of the first screen. `bar` holds low, AUC and high in percent of a scale from 0 to 1."""

    key: str
    model: str = ""
    card: ModelCard | None = None
    side: str = ""
    words: str = ""
    bar: tuple[float, float, float] | None = None
    not_run: str | None = None


@dataclass(frozen=True)
class SelectedFeature:
    """A feature, in how many folds it was chosen, the mean coefficient there, and each fold's (NaN: not chosen)."""

    name: str
    folds: int
    mean: float
    coefficients: list[float]


@dataclass(frozen=True)
class SelectedGroup:
    """The features of one endpoint's RadScore of one region under one protocol, most often chosen first.

    `folds` are those in which any feature of the region was chosen, out of `of_folds`.
    """

    protocol: str
    endpoint: str
    region: str
    of_folds: int
    folds: list[str]
    features: list[SelectedFeature]


def file_name(name: str) -> str:
    """A table's or figure's name as a file name: characters that a file system may refuse become % and their code."""
    return re.sub(r'[\x00-\x1f<>:"/\\|?*%]', lambda found: f"%{ord(found[0]):02X}", name)


def summary_rows(study: Study, protocol: ProtocolResult | None) -> list[SummaryRow]:
    """Every endpoint of the flow under one protocol, in the order asked for."""
    return [_summary_row(key, flow.not_run, protocol) for key, flow in study.flow.items()]


def _summary_row(key: str, not_run: str | None, protocol: ProtocolResult | None) -> SummaryRow:
    endpoint = None if protocol is None else protocol.endpoints.get(key)
    model = None if endpoint is None else judged_model(endpoint)
    if endpoint is None or model is None:
        return SummaryRow(key, not_run=sentence(not_run or "no model was run for this endpoint."))
    card = endpoint.models[model]
    side = verdict(card)
    low, high = card.auc_ci or (card.auc, card.auc)
    bar = tuple(round(100 * float(value or 0.0), 2) for value in (low, card.auc, high))
    return SummaryRow(key, model, card, side, VERDICTS[side], (bar[0], bar[1], bar[2]))


def pictures(figures: Mapping[str, str], stems: Iterable[str], protocol: str | None = None) -> list[Picture]:
    """The figures of these kinds, in order of kind; of one protocol only if it is named."""
    found = []
    for stem in stems:
        for name, source in figures.items():
            if _kind(name) == stem and (protocol is None or _rest(name, stem).split("_")[0] == protocol):
                found.append(Picture(name, source, _title(name, stem)))
    return found


def other_pictures(figures: Mapping[str, str]) -> list[Picture]:
    """Figures of a kind that no section of the page shows."""
    return [Picture(name, source, name) for name, source in figures.items() if _kind(name) is None]


def _kind(name: str) -> str | None:
    return next((stem for stem in FIGURE_TITLES if name == stem or name.startswith(stem + "_")), None)


def _rest(name: str, stem: str) -> str:
    return name[len(stem) + 1 :]


def _title(name: str, stem: str) -> str:
    protocol, _, rest = _rest(name, stem).partition("_")
    words = [FIGURE_TITLES[stem]]
    if rest:
        words.append(endpoint_name(rest) if stem == "shap" else f"part {rest}")
    if protocol:
        words.append(f"{protocol} protocol")
    return ", ".join(words)


def models_of(protocol: ProtocolResult) -> list[str]:
    """Every model or baseline that some endpoint holds a card of, in the order of the paper.

    Site, scanner, slice thickness and date only where they were run.
    """
    cards = [item for endpoint in protocol.endpoints.values() for item in endpoint.models.items()]
    return order_of({name: card for name, card in cards if name not in CONFOUNDERS or card.not_run is None})


def compared_models(protocol: ProtocolResult) -> list[str]:
    """The models that Deep-RadScore is compared with, in the order of the paper."""
    compared = {name for endpoint in protocol.endpoints.values() for name in endpoint.delong}
    return [name for name in models_of(protocol) if name in compared]


def correlations_of(protocol: ProtocolResult) -> dict[str, CorrelationCard]:
    """Endpoint -> its correlations of RadScores with deep features, where there are any."""
    return {key: e.correlation for key, e in protocol.endpoints.items() if e.correlation is not None}


def absences(study: Study) -> list[str]:
    """A sentence for each model that was not run: where and why."""
    texts = [f"{model_name(model)}: {why}" for model, why in study.models_not_run.items() if model != BACKBONES]
    for name, key, endpoint in study.each_endpoint():
        for model, card in endpoint.models.items():
            if card.not_run and study.models_not_run.get(model) != card.not_run:
                texts.append(f"{model_name(model)} for {endpoint_name(key)}, {name} protocol: {card.not_run}")
    return texts


def reasons_of(columns_left_out: Mapping[str, str]) -> dict[str, int]:
    """Reason for leaving columns out -> how many, most frequent first; reasons that differ only in numbers are one."""
    reasons = (re.sub(r"\b\d+ of (?=\d+ cases)", "some of ", why) for why in columns_left_out.values())
    return dict(Counter(reasons).most_common())


def metrics_of(endpoint: EndpointResult, *, training: bool) -> list[tuple[str, dict[str, Estimate]]]:
    """Each model with its metrics, in the order of the paper; models without metrics are left out."""
    cards = [(model, endpoint.models[model]) for model in order_of(endpoint.models)]
    given = [(model, card.training_metrics if training else card.metrics) for model, card in cards]
    return [(model, metrics) for model, metrics in given if metrics]


def metric_columns(protocol: ProtocolResult, *, training: bool) -> list[str]:
    """The metrics of any model, in the order in which they were given."""
    given = [found for e in protocol.endpoints.values() for _, found in metrics_of(e, training=training)]
    return list(dict.fromkeys(name for metrics in given for name in metrics))


def metric_name(name: str) -> str:
    """A metric's name for readers."""
    return METRIC_NAMES.get(name, name.replace("_", " ").capitalize())


def intervals_used(study: Study) -> dict[str, str]:
    """Method of an AUC's interval -> what it is and estimates, for the methods that the study has."""
    used = {card.auc_method for *_, endpoint in study.each_endpoint() for card in endpoint.models.values()}
    return {method: meaning for method, meaning in INTERVAL_METHODS.items() if method in used}


def comparisons_used(study: Study) -> list[str]:
    """How the AUCs of two models were compared, each method once."""
    methods = (endpoint.delong_method for *_, endpoint in study.each_endpoint())
    return list(dict.fromkeys(method for method in methods if method))


def warnings_of(study: Study) -> dict[str, list[str]]:
    """Endpoint -> what speaks against its figures, each once; endpoints without a warning are left out."""
    found = {key: list(flow.warnings) for key, flow in study.flow.items()}
    for name, key, endpoint in study.each_endpoint():
        texts = (*endpoint.warnings, *_notes(endpoint))
        found.setdefault(key, []).extend(f"{name.capitalize()} protocol: {text}." for text in texts)
    return {key: list(dict.fromkeys(map(sentence, texts))) for key, texts in found.items() if texts}


def _notes(endpoint: EndpointResult) -> list[str]:
    """Warnings about an endpoint's other models, which its list of warnings (the judged model's) lacks."""
    texts = []
    for model in order_of(endpoint.models):
        card = endpoint.models[model]
        if model == judged_model(endpoint):
            continue
        if card.auc_note:
            texts.append(f"{model_name(model)}: {card.auc_note}")
        if card.no_signal and model != Baseline.SHUFFLED_LABELS:
            folds = folds_named(card.no_signal)
            texts.append(f"{model_name(model)}: the training scores did not rise with the label in {folds}")
    return texts


def selected_groups(study: Study) -> dict[str, list[SelectedGroup]]:
    """Endpoint -> its groups, tumour first; empty without RadScores."""
    found: dict[str, list[SelectedGroup]] = {}
    for (protocol, endpoint, region), rows in selected_features(study).groupby([*IDENTITY, "region"], sort=False):
        fold_of = {f"{FOLD_PREFIX}{fold.name}": fold.name for fold in study.folds[protocol]}
        columns = [column for column in fold_of if column in rows and rows[column].notna().any()]
        names = [fold_of[column] for column in columns]
        features = [
            SelectedFeature(row["feature"], row["folds"], row["coefficient_mean"], [row[name] for name in columns])
            for row in rows.to_dict("records")
        ]
        group = SelectedGroup(protocol, endpoint, region, int(rows["of_folds"].iloc[0]), names, features)
        found.setdefault(endpoint, []).append(group)
    return {key: sorted(groups, key=lambda group: group.region != REGIONS[0]) for key, groups in found.items()}
