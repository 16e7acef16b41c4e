"""The tables of a study, as numbers for CSV files and as text for a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from sklearn.metrics import confusion_matrix

from DeepRadScoreLib.models import ALL_MODELS, Protocol, Split
from DeepRadScoreLib.publication.characteristics import table_one
from DeepRadScoreLib.publication.fold_tables import IDENTITY, coefficients, inner_auc, selected_features
from DeepRadScoreLib.report.number_text import decimals, measured, p_value, with_interval
from DeepRadScoreLib.statistics.metrics import Estimate, Interval
from DeepRadScoreLib.study.results.document import EndpointResult, FlowCard, GapCard, ModelCard, QualityCard
from DeepRadScoreLib.study.results.study import FoldOutcome, Study

METRICS: tuple[str, ...] = ("accuracy", "sensitivity", "specificity", "ppv", "npv", "f1", "auprc", "brier")
HELD_OUT, NOT_HELD_OUT = "held out", "not held out"
NOT_KNOWN_HELD_OUT = "not held out, or without a label"
MAX_SITES = 6
P_COLUMNS = ("p", "p_holm")
COUNTS = ("tp", "fp", "tn", "fn")
SIZES = ("n", "positives")
QUALITY = "quality"


def study_tables(study: Study) -> dict[str, pd.DataFrame]:
    """Every table of the report, name -> table; an empty table has its columns and no rows.

    Intervals are two columns, `X_low` and `X_high`, beside `X`. Missing figures are NaN, missing texts "".

    table1_cohort: the patients of the study's `cohort_table`, see `table_one`. Where there is one test set its
        groups are "held out" and "not held out"; in a set drawn by seed only patients with a label of an evaluated
        endpoint are known to be held out, so the others belong to no group if the strict protocol says who they are,
        else the second group is "not held out, or without a label". Elsewhere the groups are the sites (2 to 6 of
        them), or none.
    table3_models: one row per protocol, endpoint and model or baseline; `classifiers` says how many folds chose which;
        `difference` is the AUC of `compared_with` (Deep-RadScore if it ran) less that of the row, with `p`, `p_holm`.
        `n`, `positives`, `tp`, `fp`, `tn`, `fn` are patients of all test sets at the frozen thresholds.
    training_metrics: the training sets' out-of-fold probabilities at the same thresholds.
    selected_features: in how many of the endpoint's folds a feature was chosen; mean and SD (n - 1) of its coefficients
        over the folds that chose it, and each fold's coefficient; coefficients are of z-scores.
    coefficients: one row per fold and feature with the training mean and SD: what a RadScore is computed from.
    inner_auc: distribution of each classifier's inner cross-validated AUCs over all folds, and how many folds chose it.
    optimism: the paper protocol's inner and test AUC, the strict AUC, and the gap (inner less strict).
    flow, events_per_variable, models_not_run, left_out: who and what was left out, and why.
    columns_left_out: columns of a feature table from elsewhere that could not be used, if there are any.
    quality: how many of the cases used have which quality code, if it is known. left_out_by_quality: code -> cases.
    table2_backbones: where backbones were compared, AUC and decisions of each in training, validation and test set.
    correlation: |r| of RadScores with deep features. contributions: share of each source in the SHAP values.
    """
    tables = {
        "table1_cohort": _table1(study),
        "table3_models": _models(study),
        "training_metrics": _training_metrics(study),
        "selected_features": selected_features(study),
        "coefficients": coefficients(study),
        "inner_auc": inner_auc(study),
        "optimism": _optimism(study),
        "flow": _flow(study),
        "events_per_variable": _events_per_variable(study),
        "correlation": _correlation(study),
        "contributions": _contributions(study),
        "models_not_run": _pairs(_models_not_run(study), ["model", "why"]),
        "left_out": _pairs(study.left_out, ["case_id", "why"]),
    }
    if study.quality is not None:
        rows = [card.model_dump() for card in study.quality]
        tables[QUALITY] = pd.DataFrame(rows, columns=list(QualityCard.model_fields))
    if study.excluded:
        tables["left_out_by_quality"] = _pairs(study.left_out_by_quality, ["code", "cases"])
    if study.columns_left_out:
        tables["columns_left_out"] = _pairs(study.columns_left_out, ["column", "why"])
    if study.backbones is not None:
        tables["table2_backbones"] = study.backbones
    return tables


def formatted(table: pd.DataFrame) -> pd.DataFrame:
    """A table as text for a page: `X`, `X_low`, `X_high` become one column "0.83 [0.75, 0.90]", p values two digits,
    other fractions two decimals, whole numbers whole (mean sizes with three digits), missing ones a dash. For Table 1:
    `formatted_table_one`.
    """
    result = {}
    for name in table:
        low, high = f"{name}_low", f"{name}_high"
        if low in table:
            bounds = zip(table[low], table[high], strict=True)
            result[name] = [with_interval(*figures) for figures in zip(table[name], bounds, strict=True)]
        elif not _is_bound(name, table):
            result[name] = [_text(name, value) for value in table[name]]
    return pd.DataFrame(result, index=table.index)


def _is_bound(name: str, table: pd.DataFrame) -> bool:
    return any(name.endswith(end) and name.removesuffix(end) in table for end in ("_low", "_high"))


def _text(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    number = float("nan") if value is None else float(value)  # type: ignore[arg-type]
    if name in P_COLUMNS:
        return p_value(number)
    if name in SIZES:
        return measured(number)
    whole = isinstance(value, int | np.integer) or (number.is_integer() and name in COUNTS)
    return f"{number:.0f}" if whole else decimals(number)


def _table1(study: Study) -> pd.DataFrame:
    return table_one(study.cohort_table, _groups(study), None, study.cohort_table["patient_id"])


def _groups(study: Study) -> pd.Series | None:
    for folds in study.folds.values():
        if [fold.name for fold in folds] == ["test"]:
            return _held_out(study, folds[0])
    sites = study.cohort_table.get("site")
    if sites is not None and 2 <= sites[sites != ""].nunique() <= MAX_SITES:
        return sites
    return None


def _held_out(study: Study, fold: FoldOutcome) -> pd.Series:
    """The group of each case where there is one test set; "" where it is not known."""
    patients = study.cohort_table["patient_id"]
    if study.settings.get("split") == Split.COLUMN:
        return pd.Series(np.where(study.cohort_table["split"] == "test", HELD_OUT, NOT_HELD_OUT), index=patients.index)
    held_out = patients.isin(fold.predictions["patient_id"])
    if Protocol.STRICT not in study.folds:
        return pd.Series(np.where(held_out, HELD_OUT, NOT_KNOWN_HELD_OUT), index=patients.index)
    labelled = patients.isin(study.predictions()["patient_id"])
    return pd.Series(np.where(held_out, HELD_OUT, np.where(labelled, NOT_HELD_OUT, "")), index=patients.index)


def _models(study: Study) -> pd.DataFrame:
    predictions = study.predictions()
    of_model = dict(list(predictions.groupby(["protocol", "endpoint", "model"])))
    rows = []
    for protocol, endpoint, result, model, card in _cards(study):
        rows.append(
            {"protocol": protocol, "endpoint": endpoint, "model": model, "n": card.n, "positives": card.positives}
            | _with_interval("auc", card.auc, card.auc_ci)
            | {"auc_method": card.auc_method or "", "auc_note": card.auc_note or ""}
            | _with_interval("auc_bootstrap", card.auc if card.auc_bootstrap_ci else None, card.auc_bootstrap_ci)
            | {"inner_auc": _number(card.inner_auc), "classifiers": _classifiers(card)}
            | _metrics(card.metrics)
            | _confusion(of_model.get((protocol, endpoint, model), predictions.iloc[:0]))
            | _calibration(card)
            | _comparison(result, model)
            | {"not_run": card.not_run or ""}
        )
    return pd.DataFrame(rows, columns=None if rows else ["protocol", "endpoint", "model", "n", "positives", "auc"])


def _cards(study: Study) -> Iterator[tuple[str, str, EndpointResult, str, ModelCard]]:
    order: dict[str, int] = {name: number for number, name in enumerate(ALL_MODELS)}
    for protocol, endpoint, result in study.each_endpoint():
        for model in sorted(result.models, key=lambda name: (order.get(name, len(order)), name)):
            yield protocol, endpoint, result, model, result.models[model]


def _with_interval(name: str, value: float | None, interval: Interval | None) -> dict[str, float]:
    low, high = interval or (None, None)
    return {name: _number(value), f"{name}_low": _number(low), f"{name}_high": _number(high)}


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _metrics(estimates: dict[str, Estimate]) -> dict[str, float]:
    result: dict[str, float] = {}
    for name in dict.fromkeys((*(name for name in estimates if name == "auc"), *METRICS, *estimates)):
        estimate = estimates.get(name, Estimate(value=None))
        result |= _with_interval(name, estimate.value, estimate.ci)
    return result


def _confusion(predictions: pd.DataFrame) -> dict[str, float]:
    if predictions.empty or predictions["decision"].isna().any():
        return dict.fromkeys(COUNTS, float("nan"))
    counts = confusion_matrix(predictions["label"].astype(int), predictions["decision"].astype(int), labels=[0, 1])
    (tn, fp), (fn, tp) = counts.tolist()
    return {"tp": tp, "fp": fp, "tn": tn, "fn": fn}


def _calibration(card: ModelCard) -> dict[str, float]:
    slope, intercept = (card.calibration.slope, card.calibration.intercept) if card.calibration else (None, None)
    return {"calibration_slope": _number(slope), "calibration_intercept": _number(intercept)}


def _classifiers(card: ModelCard) -> str:
    chosen = pd.Series(list(card.classifier.values()), dtype=str).value_counts()
    ordered = sorted(chosen.items(), key=lambda item: (-item[1], str(item[0])))
    return ", ".join(f"{name} x {count}" if count > 1 else str(name) for name, count in ordered)


def _comparison(result: EndpointResult, model: str) -> dict[str, float | str]:
    comparison = result.delong.get(model)
    if comparison is None:
        missing: dict[str, float | str] = dict.fromkeys(("difference", "p", "p_holm"), float("nan"))
        return missing | {"compared_with": "", "delong_method": ""}
    return {
        "difference": comparison.difference,
        "p": _number(comparison.p),
        "p_holm": _number(comparison.p_holm),
        "compared_with": comparison.reference or result.delong_reference or "",
        "delong_method": result.delong_method or "",
    }


def _training_metrics(study: Study) -> pd.DataFrame:
    rows = [
        {"protocol": protocol, "endpoint": endpoint, "model": model} | _metrics(card.training_metrics)
        for protocol, endpoint, _, model, card in _cards(study)
        if card.training_metrics
    ]
    return pd.DataFrame(rows, columns=None if rows else [*IDENTITY, "model"])


def _optimism(study: Study) -> pd.DataFrame:
    fields = list(GapCard.model_fields)
    rows = [
        {"endpoint": endpoint, "model": model} | gap.model_dump()
        for endpoint, gaps in study.optimism.items()
        for model, gap in gaps.items()
    ]
    return pd.DataFrame(rows, columns=["endpoint", "model", *fields]).astype(dict.fromkeys(fields, float))


def _flow(study: Study) -> pd.DataFrame:
    rows = [
        {"endpoint": endpoint}
        | card.model_dump()
        | {"not_run": card.not_run or "", "warnings": " ".join(card.warnings)}
        for endpoint, card in study.flow.items()
    ]
    return pd.DataFrame(rows, columns=["endpoint", *FlowCard.model_fields])


def _events_per_variable(study: Study) -> pd.DataFrame:
    rows = [
        (protocol, endpoint, _number(result.events_per_variable), "; ".join(result.warnings))
        for protocol, endpoint, result in study.each_endpoint()
    ]
    return pd.DataFrame(rows, columns=[*IDENTITY, "events_per_variable", "warnings"])


def _correlation(study: Study) -> pd.DataFrame:
    rows = [
        (protocol, endpoint, _number(card.largest), _number(card.mean), _number(card.sd), card.networks)
        for protocol, endpoint, result in study.each_endpoint()
        if (card := result.correlation) is not None
    ]
    return pd.DataFrame(rows, columns=[*IDENTITY, "largest", "mean", "sd", "networks"])


def _contributions(study: Study) -> pd.DataFrame:
    rows = [
        (protocol, endpoint, source, share)
        for protocol, endpoint, result in study.each_endpoint()
        for source, share in result.contributions.items()
    ]
    return pd.DataFrame(rows, columns=[*IDENTITY, "source", "share"])


def _models_not_run(study: Study) -> dict[str, str]:
    return {model: why for model, why in study.models_not_run.items() if model in ALL_MODELS}


def _pairs(found: Mapping[str, str | int], header: list[str]) -> pd.DataFrame:
    return pd.DataFrame(list(found.items()), columns=header)
