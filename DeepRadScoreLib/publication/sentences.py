"""The results of a study in sentences."""

from __future__ import annotations

import re

from DeepRadScoreLib.endpoints import BY_KEY
from DeepRadScoreLib.models import (
    ALL_MODELS,
    BASELINES,
    CONFOUNDER_NAMES,
    Baseline,
    Model,
    NetworkForm,
    Protocol,
    better_than_chance,
)
from DeepRadScoreLib.numerals import counted
from DeepRadScoreLib.report.number_text import decimals, p_value, signed, with_interval
from DeepRadScoreLib.study.results.document import Comparison, EndpointResult, ModelCard, ProtocolResult
from DeepRadScoreLib.study.results.study import Study

MODEL_NAMES: dict[str, str] = {
    Model.RADIOMICS: "Radiomics-Score",
    Model.DEEP: "Deep-CT",
    Model.FUSED: "Deep-RadScore",
    Baseline.VOLUME: "Volume alone",
    Baseline.CLINICAL: "Clinical variables alone",
    Baseline.SITE: "Site alone",
    Baseline.SCANNER: "Scanner alone",
    Baseline.THICKNESS: "Slice thickness alone",
    Baseline.DATE: "Date alone",
    Baseline.SHUFFLED_VOXELS: "Shuffled voxels",
    Baseline.SHUFFLED_LABELS: "Shuffled labels",
}
BASELINE_MEANINGS: dict[str, str] = {
    Baseline.VOLUME: "The tumour's volume and nothing else. A model that is no better is not shown to see more than "
    "size.",
    Baseline.CLINICAL: "Only the columns named by --covariates. Whether the model adds to them is another question.",
    Baseline.SITE: "The column site of the cohort table and nothing else. Where it does well, so may a model that "
    "has learned to tell the sites apart.",
    Baseline.SCANNER: "Manufacturer, model, kernel, tube voltage and contrast, from the headers of the CTs or the "
    "cohort table. As with the site.",
    Baseline.THICKNESS: "The distance of the CT's slices and nothing else. As with the site.",
    Baseline.DATE: "The day of the study, from the headers of the CTs or the cohort table. As with the site.",
    Baseline.SHUFFLED_VOXELS: "Features of the same tumour with its voxels permuted inside the mask: shape and "
    "histogram stay, texture is destroyed. A Radiomics-Score that is no better is not shown to read texture.",
    Baseline.SHUFFLED_LABELS: "The Radiomics-Score trained on labels dealt out at random. It should give 0.5; if it "
    "does not, something leaks or the interval is too narrow.",
}
BACKBONES = "backbones"
"""Key in `models_not_run` of the reason why Table 2 was not made."""
NO_TABLE_2 = "The backbones were not compared"
SIGNIFICANT = 0.05
_MODEL_IN_TEXT = re.compile(rf"\b({'|'.join(name for name in MODEL_NAMES if '-' in name)})\b")


def endpoint_name(key: str) -> str:
    """The endpoint's full name; a column that is no endpoint key is called by its name."""
    return BY_KEY[key].name if key in BY_KEY else key


def model_name(model: str) -> str:
    """The name of a model or baseline for readers."""
    return MODEL_NAMES.get(model, model)


def with_model_names(text: str) -> str:
    """A text in which models are called by their names."""
    return _MODEL_IN_TEXT.sub(lambda found: MODEL_NAMES[found[0]], text)


def sentence(text: str) -> str:
    """A text with its models named and a capital at its start."""
    named = with_model_names(text)
    return named[:1].upper() + named[1:]


def folds_named(names: list[str]) -> str:
    """ "fold 1", "folds 1, 2"."""
    return f"{_plural(len(names), 'fold')} {', '.join(names)}"


def judged_model(endpoint: EndpointResult) -> str | None:
    """The model that an endpoint is judged by, fixed before any result: the most complete one that was run."""
    model = endpoint.delong_reference
    return model if model in endpoint.models and endpoint.models[model].auc is not None else None


def verdict(card: ModelCard) -> str:
    """The side of 0.5 on which the whole interval lies: "above", "below", "unclear"; "open" without a sound one."""
    if card.auc_ci is None or card.auc_note is not None:
        return "open"
    if better_than_chance(card.auc_ci):
        return "above"
    return "below" if card.auc_ci[1] < 0.5 else "unclear"


VERDICTS: dict[str, str] = {
    "above": "better than chance",
    "unclear": "not told from chance",
    "below": "worse than chance",
    "open": "interval not to be relied on",
}


def leading_protocol(study: Study) -> Protocol | None:
    """The protocol that is reported first: the strict one where it was run."""
    return Protocol.STRICT if Protocol.STRICT in study.protocols else next(iter(study.protocols), None)


def quality_sentences(study: Study) -> list[str]:
    """Who was left out for quality, and what is known of the quality of the others where no table says it."""
    found = [
        f"Left out by quality {code}: {counted(count, 'case')}." for code, count in study.left_out_by_quality.items()
    ]
    if study.quality is None:
        found.append(
            "The feature table has no notes file: the quality of its cases, and whether one is synthetic, is not known."
        )
    elif not study.quality:
        found.append("No case that was used has a quality note.")
    return found


def answer(study: Study) -> list[str]:
    """The first screen: what was found, how far it can be trusted, what speaks against it."""
    name = leading_protocol(study)
    if name is None:
        return ["No endpoint could be evaluated; the flow of patients says why."]
    return [
        _count_sentence(name, study.protocols[name]),
        "On labels that mean nothing, about 1 endpoint in 40 would.",
        *_open_sentence(study.protocols[name]),
        *_baseline_answer(study.protocols[name]),
        *_confounder_answer(study.protocols[name]),
        *_gap_answer(study),
    ]


def _count_sentence(name: str, protocol: ProtocolResult) -> str:
    judged = [v for v in (_judged_verdict(e) for e in protocol.endpoints.values()) if v is not None]
    total, above = len(judged), judged.count("above")
    if total == 0:
        return f"No endpoint has an AUC under the {name} protocol."
    verb = "have" if above > 1 else "has"
    return (
        f"Of {counted(total, 'endpoint')} evaluated, {above or 'none'} {verb} an AUC under the {name} protocol "
        "whose 95 % interval lies above 0.5."
    )


def _open_sentence(protocol: ProtocolResult) -> list[str]:
    judged = {key: _judged_verdict(endpoint) for key, endpoint in protocol.endpoints.items()}
    doubtful = [endpoint_name(key) for key, v in judged.items() if v == "open"]
    if not doubtful:
        return []
    return [f"Not counted among these, because the interval cannot be relied on: {_listed(doubtful)}."]


def _baseline_answer(protocol: ProtocolResult) -> list[str]:
    compared = {
        key: e.delong[Baseline.VOLUME]
        for key, e in protocol.endpoints.items()
        if Baseline.VOLUME in e.delong and _judged_verdict(e) != "open" and e.models[Baseline.VOLUME].auc_note is None
    }
    if not compared:
        return []
    models = list(dict.fromkeys(model_name(str(protocol.endpoints[key].delong_reference)) for key in compared))
    better = [key for key, comparison in compared.items() if _is_above(comparison)]
    return [
        f"{_listed(models, 'or')} is better than the tumour's volume alone (p < {SIGNIFICANT} after Holm) in "
        f"{len(better) or 'none'} of {counted(len(compared), 'endpoint')}."
    ]


def _confounder_answer(protocol: ProtocolResult) -> list[str]:
    followed = [
        f"{endpoint_name(key)} ({_listed([CONFOUNDER_NAMES[name] for name in e.follows])})"
        for key, e in protocol.endpoints.items()
        if e.follows
    ]
    if not followed:
        return []
    return [f"A model may have learned where, how or when the CTs were made, which these follow: {_listed(followed)}."]


def _gap_answer(study: Study) -> list[str]:
    gaps = optimism_gaps(study)
    if not gaps:
        return []
    return [
        f"The inner cross-validated AUC of the paper protocol lies {_above_by(sum(gaps) / len(gaps))} the strict AUC "
        f"on average over {counted(len(gaps), 'endpoint')}."
    ]


def optimism_gaps(study: Study) -> list[float]:
    """Gap of the model that each endpoint is judged by, where there is one."""
    strict = study.protocols.get(Protocol.STRICT)
    if strict is None:
        return []
    judged = {key: judged_model(endpoint) for key, endpoint in strict.endpoints.items()}
    cards = [study.optimism.get(key, {}).get(model) for key, model in judged.items() if model is not None]
    return [card.optimism_gap for card in cards if card is not None and card.optimism_gap is not None]


def optimism_sentence(study: Study) -> str:
    """One sentence on what the gap between the protocols means here."""
    gaps = optimism_gaps(study)
    if not gaps:
        return "No endpoint has all three figures, so the gap cannot be given."
    mean = sum(gaps) / len(gaps)
    meaning = (
        "its selection and scores were fitted on the very patients that then judge them, which flatters"
        if mean > 0
        else "here the paper protocol's inner figure does not flatter"
    )
    return (
        f"The paper protocol's inner AUC lies {_above_by(mean)} the strict AUC on average "
        f"(from {signed(min(gaps))} to {signed(max(gaps))}): {meaning}."
    )


def backbone_sentences(study: Study) -> list[str]:
    """Sentences on what Table 2 compares and how to read it."""
    if study.backbones is None:
        return []
    endpoint = _listed([endpoint_name(str(key)) for key in study.backbones["endpoint"].unique()])
    chosen = "the threshold was" if study.settings.get("network") == NetworkForm.FROZEN else "epoch and threshold were"
    return [
        f"{endpoint}: Deep-CT alone, one backbone after the other on the same splits, validation parts and seeds "
        f"({next(iter(study.folds), 'first')} protocol).",
        f"Validation figures flatter: {chosen} chosen on these patients. Training figures are of the patients that the "
        "network was fitted on. Test patients were judged once, with all frozen.",
        "Over several folds the test AUC is the mean over folds and the decisions are pooled; training and validation "
        "parts overlap, so there sizes, figures and bounds are means over folds. Each fold stands in the file.",
    ]


def baseline_sentences(endpoint: EndpointResult) -> list[str]:
    """Per baseline that was run: whether the model that the endpoint is judged by does better, in words."""
    model = judged_model(endpoint)
    if model is None:
        return []
    sentences = []
    for baseline in BASELINES:
        card = endpoint.models.get(baseline)
        if card is None or card.auc is None:
            continue
        if baseline == Baseline.SHUFFLED_LABELS:
            sentences.append(_shuffled_labels(card))
        else:
            comparison = endpoint.delong.get(baseline)
            against = model if comparison is None or comparison.reference is None else comparison.reference
            sentences.append(_against(against, endpoint.models[against], baseline, card, comparison))
    return sentences


def _against(
    model: str, card: ModelCard, baseline: str, baseline_card: ModelCard, comparison: Comparison | None
) -> str:
    name = model_name(model)
    figures = f"{model_name(baseline)}: {decimals(baseline_card.auc)} against {decimals(card.auc)} of {name}"
    note = card.auc_note or baseline_card.auc_note
    if note is not None:
        return f"{figures}; no verdict: {note}."
    if comparison is None:
        inside = card.auc_ci is not None and card.auc_ci[0] <= (baseline_card.auc or 0.0) <= card.auc_ci[1]
        return f"{figures}, {'within' if inside else 'outside'} the interval of {name}; no paired test was made."
    test = f"difference {signed(comparison.difference)}, {_p_words(comparison)}"
    if comparison.difference <= 0:
        return f"{figures} ({test}). {name} is no better."
    if _is_above(comparison):
        return f"{figures} ({test}). {name} is better."
    return f"{figures} ({test}). That {name} is better is not shown."


def _shuffled_labels(card: ModelCard) -> str:
    if card.auc_ci is None:
        return f"Shuffled labels: {decimals(card.auc)}, no interval."
    figures = with_interval(card.auc, card.auc_ci)
    if card.auc_note is not None:
        return f"Shuffled labels: {figures}; no verdict: {card.auc_note}."
    if verdict(card) == "unclear":
        return f"Shuffled labels give chance, as they should: {figures}."
    return f"Shuffled labels do not give 0.5: {figures}. One time in 20 this is chance; else something leaks."


def _judged_verdict(endpoint: EndpointResult) -> str | None:
    model = judged_model(endpoint)
    return None if model is None else verdict(endpoint.models[model])


def _is_above(comparison: Comparison) -> bool:
    p = comparison.p if comparison.p_holm is None else comparison.p_holm
    return comparison.difference > 0 and p is not None and p < SIGNIFICANT


def _p_words(comparison: Comparison) -> str:
    if comparison.p is None:
        return "no p"
    text = f"p {p_value(comparison.p)}"
    return text if comparison.p_holm is None else f"{text}, after Holm {p_value(comparison.p_holm)}"


def _above_by(difference: float) -> str:
    return f"{decimals(abs(difference))} {'above' if difference >= 0 else 'below'}"


def _plural(number: int, word: str) -> str:
    return word if number == 1 else word + "s"


def _listed(words: list[str], last: str = "and") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def order_of(models: dict[str, ModelCard]) -> list[str]:
    """Names of the models of a result in the order of the paper, baselines last."""
    known = [name for name in ALL_MODELS if name in models]
    return known + [name for name in models if name not in known]
