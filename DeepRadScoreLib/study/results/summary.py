"""Figures of every table, computed from the predictions of the outer folds (method: statistics)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from DeepRadScoreLib.fusion.explain import contribution_shares
from DeepRadScoreLib.models import (
    ALL_MODELS,
    CONFOUNDER_NAMES,
    CONFOUNDERS,
    MODELS,
    Baseline,
    Model,
    Protocol,
    Split,
    better_than_chance,
)
from DeepRadScoreLib.report.number_text import p_value
from DeepRadScoreLib.statistics.auc import mean_auc, mean_auc_difference, roc_area
from DeepRadScoreLib.statistics.metrics import (
    Estimate,
    bootstrap_auc,
    calibration,
    decision_curve,
    decision_metrics,
    events_per_variable,
    holm,
    probability_metrics,
)
from DeepRadScoreLib.study.results.document import (
    AssociationCard,
    Comparison,
    CorrelationCard,
    EndpointResult,
    FlowCard,
    ModelCard,
    ProtocolResult,
)
from DeepRadScoreLib.study.results.study import Explanation, Fit, FoldOutcome

THRESHOLDS = tuple(float(value) for value in np.round(np.arange(0.01, 1.0, 0.01), 2))
MIN_EVENTS_PER_VARIABLE = 10
SIGNIFICANT = 0.05
DELONG_HELD_OUT = "DeLong's paired test on the held-out part"
DELONG_FOLDS = "mean of the folds' AUC differences; p from the folds' paired DeLong covariances, summed"


def summarise(
    folds: dict[Protocol, tuple[FoldOutcome, ...]],
    flow: dict[str, FlowCard],
    models_not_run: dict[str, str],
    settings: dict,
    associations: dict[str, dict[str, AssociationCard]] | None = None,
) -> dict[Protocol, ProtocolResult]:
    """Every figure of every protocol's tables, from its outer folds.

    `associations`: endpoint -> confounder -> its test.
    """
    seed, split = int(settings.get("seed", 0)), str(settings.get("split"))
    results = {}
    for protocol, outcomes in folds.items():
        evaluated = [key for key in flow if _is_evaluated(key, outcomes)]
        tests = associations or {}
        endpoints = {key: _endpoint(key, outcomes, models_not_run, seed, tests.get(key, {})) for key in evaluated}
        results[protocol] = ProtocolResult(
            split=_describe_split(protocol, outcomes, split),
            folds={fold.name: {"test_patients": int(fold.predictions["patient_id"].nunique())} for fold in outcomes},
            endpoints=_with_holm(endpoints),
        )
    return results


def _is_evaluated(key: str, folds: tuple[FoldOutcome, ...]) -> bool:
    fitted = any(fit.endpoint == key for fold in folds for fit in fold.fits)
    return fitted and any((fold.predictions["endpoint"] == key).any() for fold in folds if len(fold.predictions))


def _describe_split(protocol: Protocol, folds: tuple[FoldOutcome, ...], split: str) -> str:
    if split == Split.COLUMN:
        return "one held-out part, by the table's column split"
    if protocol == Protocol.PAPER:
        return "one held-out part, 30 % of the patients by seed"
    if split == Split.SITE:
        return "each site left out in turn: " + ", ".join(fold.name for fold in folds)
    return f"{len(folds)} outer folds, stratified, grouped by patient"


def _endpoint(
    key: str,
    folds: tuple[FoldOutcome, ...],
    not_run: dict[str, str],
    seed: int,
    associations: dict[str, AssociationCard],
) -> EndpointResult:
    models: dict[str, ModelCard] = {}
    for model in ALL_MODELS:
        fitted = [any((fit.endpoint, fit.model) == (key, model) for fit in fold.fits) for fold in folds]
        if model in not_run:
            models[model] = ModelCard(not_run=not_run[model])
        elif all(fitted):
            models[model] = _model(key, model, folds, seed)
        else:
            reasons = (fold.refused.get((key, model)) for fold in folds)
            models[model] = ModelCard(not_run=next(filter(None, reasons), "its columns do not vary in a training part"))
    reference = next((model for model in reversed(MODELS) if models[model].not_run is None), Model.RADIOMICS)
    fits = [_fit_of(fold, key, reference) for fold in folds]
    ratio = min(events_per_variable(_rarer(fit.labels), fit.columns) for fit in fits)
    explanations = [[each for each in fold.explanations if each.endpoint == key] for fold in folds]
    with_signal = [each for each, fit in zip(explanations, fits, strict=True) if not fit.no_signal]
    follows = _follows(key, models, associations)
    return EndpointResult(
        models=models,
        delong=_comparisons(key, reference, models, folds),
        delong_reference=reference,
        delong_method=DELONG_HELD_OUT if len(folds) == 1 else DELONG_FOLDS,
        events_per_variable=ratio,
        correlation=_correlation([each for of_fold in explanations for each in of_fold]),
        contributions=_contributions([each for of_fold in with_signal for each in of_fold]),
        selected=_selected(key, folds),
        associations=associations,
        follows=follows,
        warnings=[*_warnings(models, reference, ratio), *follows.values()],
    )


def _fit_of(fold: FoldOutcome, key: str, model: str) -> Fit:
    return next(fit for fit in fold.fits if (fit.endpoint, fit.model) == (key, model))


def _rarer(labels: np.ndarray) -> int:
    return int(min(labels.sum(), len(labels) - labels.sum()))


def _model(key: str, model: str, folds: tuple[FoldOutcome, ...], seed: int) -> ModelCard:
    tables = [fold.predictions_of(key, model) for fold in folds]
    fits = {fold.name: _fit_of(fold, key, model) for fold in folds}
    pooled = pd.concat(tables)
    y, probability = pooled["label"].to_numpy(), pooled["probability"].to_numpy()
    return ModelCard(
        **_auc_fields(tables, seed),
        fold_aucs={fold.name: _auc(table) for fold, table in zip(folds, tables, strict=True)},
        n=len(y),
        positives=int(y.sum()),
        classifier={name: fit.classifier for name, fit in fits.items()},
        thresholds={name: fit.threshold for name, fit in fits.items()},
        no_signal=[name for name, fit in fits.items() if fit.no_signal],
        inner_auc=float(np.mean([fit.cv_auc[fit.classifier].mean() for fit in fits.values()])),
        inner_aucs=_inner_aucs(list(fits.values())),
        metrics=decision_metrics(y, pooled["decision"].to_numpy()) | probability_metrics(y, probability),
        training_metrics=_training_metrics(list(fits.values())),
        calibration=calibration(y, probability),
        decision=decision_curve(y, probability, THRESHOLDS),
    )


def _auc(table: pd.DataFrame) -> float | None:
    labels = table["label"].to_numpy()
    return roc_area(labels, table["score"].to_numpy()) if len(np.unique(labels)) > 1 else None


def _auc_fields(tables: Sequence[pd.DataFrame], seed: int) -> dict:
    folds = [(table["label"].to_numpy(), table["score"].to_numpy()) for table in tables]
    try:
        estimate = mean_auc(folds)
    except ValueError:
        return {"auc_note": "no AUC: too few patients of one class in the test parts"}
    fields = {
        "auc": estimate.auc,
        "auc_ci": (estimate.low, estimate.high),
        "auc_method": estimate.method,
        "auc_note": estimate.note,
    }
    if len(folds) == 1:
        fields["auc_bootstrap_ci"] = bootstrap_auc(*folds[0], seed)
    return fields


def _inner_aucs(fits: list[Fit]) -> dict[str, list[float]]:
    return {
        name: [float(value) for value in np.round(np.concatenate([fit.cv_auc[name] for fit in fits]), 4)]
        for name in fits[0].cv_auc
    }


def _training_metrics(fits: list[Fit]) -> dict[str, Estimate]:
    """Metrics of the training sets' out-of-fold probabilities; several sets overlap, so their mean has no interval."""
    each = []
    for fit in fits:
        found = decision_metrics(fit.labels, (fit.probability >= fit.threshold).astype(int))
        found |= probability_metrics(fit.labels, fit.probability)
        estimate = mean_auc([(fit.labels, fit.probability)])
        each.append({"auc": Estimate(value=estimate.auc, ci=(estimate.low, estimate.high))} | found)
    if len(each) == 1:
        return each[0]
    means = {}
    for name in each[0]:
        values = [found[name].value for found in each]
        known = [value for value in values if value is not None]
        means[name] = Estimate(value=float(np.mean(known)) if len(known) == len(values) else None)
    return means


def _comparisons(
    key: str, reference: str, models: dict[str, ModelCard], folds: tuple[FoldOutcome, ...]
) -> dict[str, Comparison]:
    found = {}
    for model, card in models.items():
        against = Model.RADIOMICS if model == Baseline.SHUFFLED_VOXELS else reference
        if model in (against, Baseline.SHUFFLED_LABELS) or card.auc is None or models[against].auc is None:
            continue
        pairs = []
        for fold in folds:
            a, b = (fold.predictions_of(key, name) for name in (against, model))
            order = pd.Index(b["patient_id"]).get_indexer(pd.Index(a["patient_id"]))
            pairs.append((a["label"].to_numpy(), a["score"].to_numpy(), b["score"].to_numpy()[order]))
        difference, p = mean_auc_difference(pairs)
        found[model] = Comparison(
            difference=difference, p=None if np.isnan(p) else p, reference=None if against == reference else against
        )
    return found


def _with_holm(endpoints: dict[str, EndpointResult]) -> dict[str, EndpointResult]:
    """Holm's correction over the endpoints, for each compared model by itself."""
    adjusted: dict[tuple[str, str], float | None] = {}
    for model in ALL_MODELS:
        keys = [key for key, result in endpoints.items() if model in result.delong]
        values = holm([endpoints[key].delong[model].p for key in keys])
        adjusted |= {(key, model): value for key, value in zip(keys, values, strict=True)}
    corrected = {}
    for key, result in endpoints.items():
        delong = {
            model: comparison.model_copy(update={"p_holm": adjusted[key, model]})
            for model, comparison in result.delong.items()
        }
        corrected[key] = result.model_copy(update={"delong": delong})
    return corrected


def _correlation(explanations: list[Explanation]) -> CorrelationCard | None:
    maps = [r for each in explanations for r in each.correlations]
    if not maps:
        return None
    size = np.abs(np.concatenate([np.ravel(r) for r in maps]))
    size = size[~np.isnan(size)]
    if not len(size):
        return CorrelationCard(largest=None, mean=None, sd=None, networks=len(maps))
    return CorrelationCard(largest=float(size.max()), mean=float(size.mean()), sd=float(size.std()), networks=len(maps))


def _contributions(explanations: list[Explanation]) -> dict[str, float]:
    """Shares of the RadScores and of all deep columns together, averaged over the folds with a signal."""
    shares: dict[str, list[float]] = {}
    for each in explanations:
        of_fold: dict[str, float] = {}
        for name, share in zip(each.names, contribution_shares(each.shap), strict=True):
            source = name if name.startswith("radscore") else "deep"
            of_fold[source] = of_fold.get(source, 0.0) + float(share)
        for source, share in of_fold.items():
            shares.setdefault(source, []).append(share)
    return {source: float(np.mean(values)) for source, values in shares.items()}


def _selected(key: str, folds: tuple[FoldOutcome, ...]) -> dict[str, dict[str, list[float]]]:
    """Region -> feature -> its coefficient in each fold that chose it; the most chosen first."""
    table = pd.concat([fold.selected for fold in folds])
    found: dict[str, dict[str, list[float]]] = {}
    for (region, feature), rows in table[table["endpoint"] == key].groupby(["region", "feature"], sort=True):
        found.setdefault(str(region), {})[str(feature)] = [float(value) for value in rows["coefficient"]]
    return {
        region: dict(sorted(features.items(), key=lambda item: (-len(item[1]), item[0])))
        for region, features in found.items()
    }


def _follows(key: str, models: dict[str, ModelCard], associations: dict[str, AssociationCard]) -> dict[str, str]:
    """Confounder -> a sentence, if its AUC's interval lies above 0.5 or, where it was not run, its test is significant.

    Highest AUC first.
    """
    found = {}
    for name in sorted(CONFOUNDERS, key=lambda name: -(models[name].auc or 0.0)):
        card, test = models[name], associations.get(name)
        p = None if test is None or test.p_holm is None else test.p_holm
        grounds = [] if p is None else [f"association: p {p_value(p)} after Holm"]
        words = CONFOUNDER_NAMES[name]
        if card.auc is not None and card.auc_ci is not None and better_than_chance(card.auc_ci):
            low, high = card.auc_ci
            alone = f": {words} alone reaches an AUC of {card.auc:.2f}"
            grounds.insert(0, f"95 % interval {low:.2f} to {high:.2f}")
        elif card.auc is None and p is not None and p < SIGNIFICANT:
            alone = ""
        else:
            continue
        found[name] = f"{key} follows the {words}{alone} ({'; '.join(grounds)}); a model may have learned the {words}"
    return {str(name): text for name, text in found.items()}


def _warnings(models: dict[str, ModelCard], reference: str, ratio: float) -> list[str]:
    found = []
    if ratio < MIN_EVENTS_PER_VARIABLE:
        found.append(
            f"{ratio:.1f} training events per column of {reference}'s classifier, under {MIN_EVENTS_PER_VARIABLE}"
        )
    card = models[reference]
    if card.auc_note:
        found.append(card.auc_note)
    if card.no_signal:
        folds = "fold" if len(card.no_signal) == 1 else "folds"
        found.append(f"{reference} found no signal in the training part of {folds} {', '.join(card.no_signal)}")
    if card.auc_ci is not None and not better_than_chance(card.auc_ci):
        found.append(f"{reference} is not shown to be better than chance")
    volume = models.get(Baseline.VOLUME)
    if volume is not None and volume.auc is not None and card.auc is not None and volume.auc >= card.auc:
        found.append(f"the tumour's volume alone does as well as {reference}")
    return found
