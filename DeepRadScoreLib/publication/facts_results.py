"""Facts on a study's patients, folds and results, as sentences for the checklists; None where unknown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from DeepRadScoreLib.models import MODELS, Baseline, Protocol
from DeepRadScoreLib.publication.facts_method import features_screened, trains_end_to_end
from DeepRadScoreLib.publication.sentences import judged_model, model_name, with_model_names
from DeepRadScoreLib.report.number_text import decimals, p_value, with_interval
from DeepRadScoreLib.study.results.document import Comparison, EndpointResult, ModelCard
from DeepRadScoreLib.study.results.study import Study

NON_RADIOMIC = (Baseline.VOLUME, Baseline.CLINICAL)
CLASSICAL = "LR"


def sample_size(study: Study) -> str | None:
    return f"All of the cohort table: {study.patients} patients, {study.cases} cases; no calculation was made here."


def flow(study: Study) -> str | None:
    texts = [
        f"{key}: {card.labelled} of {card.patients} patients labelled, {card.positives} positive"
        + (", not run" if card.not_run else "")
        for key, card in study.flow.items()
    ]
    by_quality = [f"{count} by quality {code}" for code, count in study.left_out_by_quality.items()]
    named = f" ({', '.join(by_quality)})" if by_quality else ""
    return (
        f"From the cohort table on: {len(study.left_out)} of {study.cases} cases left out{named}. {'; '.join(texts)}."
    )


def class_balance(study: Study) -> str | None:
    shares = [
        f"{key} {100 * card.positives / card.labelled:.0f} %" for key, card in study.flow.items() if card.labelled
    ]
    oversampling = study.settings.get("oversampling") or "no over- or undersampling"
    return f"Positive: {', '.join(shares)}; {oversampling}." if shares else None


def split(study: Study) -> str | None:
    texts = [f"{name}: {protocol.split}" for name, protocol in study.protocols.items()]
    return f"{'; '.join(texts)}. Whole patients only." if texts else None


def proper_partition(study: Study) -> str | None:
    if Protocol.STRICT not in study.protocols or study.settings.get("features"):
        return None
    return "Strict protocol: split by patient first; all that is learned is fitted inside each training part."


def analysis_counts(study: Study) -> str | None:
    texts = []
    for name, fold in study.each_fold():
        fits = {fit.endpoint: fit for fit in fold.fits if fit.model in MODELS}
        for key, fit in fits.items():
            rows = fold.predictions[fold.predictions["endpoint"] == key].drop_duplicates("patient_id")
            texts.append(
                f"{name} {fold.name}, {key}: training and tuning {len(fit.labels)} patients "
                f"({int(fit.labels.sum())} positive), test {len(rows)} ({int(rows['label'].sum())})"
            )
    return "; ".join(texts) + "." if texts else None


def _site_folds(study: Study) -> list[str]:
    """The sites of a leave-one-site-out study: its folds have other names than "test" or 1, 2, ..."""
    numbered = {str(number) for folds in study.folds.values() for number in range(1, len(folds) + 1)}
    names = dict.fromkeys(fold.name for folds in study.folds.values() for fold in folds if len(folds) > 1)
    return [] if set(names) <= numbered else list(names)


def several_sites(study: Study) -> str | None:
    sites = _site_folds(study)
    return f"{len(sites)} sites: {', '.join(sites)}." if len(sites) > 1 else None


def site_folds(study: Study) -> str | None:
    return "Every site was left out once and tested." if len(_site_folds(study)) > 1 else None


def site_performance(study: Study) -> str | None:
    if len(_site_folds(study)) < 2:
        return None
    texts = [
        f"{protocol}, {key}: " + ", ".join(f"{site} {decimals(auc)}" for site, auc in card.fold_aucs.items())
        for protocol, key, _, card in _judged(study)
    ]
    return f"AUC in each site. {'; '.join(texts)}."


def testing(study: Study) -> str | None:
    texts = []
    for name, folds in study.folds.items():
        if len(_site_folds(study)) > 1 and len(folds) > 1:
            texts.append(f"{name}: leave-one-site-out")
        else:
            texts.append(f"{name}: internal, {'one held-out part' if len(folds) == 1 else f'{len(folds)} outer folds'}")
    return f"{'; '.join(texts)}. No data from outside the cohort table." if texts else None


def held_out_testing(study: Study) -> str | None:
    names = [name for name, folds in study.folds.items() if [fold.name for fold in folds] == ["test"]]
    return f"One held-out part of the cohort ({', '.join(names)} protocol)." if names else None


def classifier_choice(study: Study) -> str | None:
    fits = [fit for _, fold in study.each_fold() for fit in fold.fits if fit.model in MODELS]
    if not fits:
        return None
    counts = ", ".join(f"{name} {count}" for name, count in Counter(fit.classifier for fit in fits).most_common())
    inner = max(len(values) for fit in fits for values in fit.cv_auc.values())
    return f"Best mean inner AUC of up to {inner} inner parts; chosen (times): {counts}. Distributions: inner_auc."


def _judged(study: Study) -> Iterator[tuple[str, str, str, ModelCard]]:
    for name, key, result in study.each_endpoint():
        model = judged_model(result)
        if model is not None:
            yield name, key, model, result.models[model]


def _auc_text(card: ModelCard) -> str:
    return f"AUC {with_interval(card.auc, card.auc_ci)}" + (f" ({card.auc_note})" if card.auc_note else "")


def performance(study: Study) -> str | None:
    texts = [f"{name}, {key}, {model_name(model)}: {_auc_text(card)}" for name, key, model, card in _judged(study)]
    return f"{'; '.join(texts)}. All models: table3_models. No subgroups." if texts else None


def metrics_given(study: Study) -> str | None:
    names = list(dict.fromkeys(name for *_, card in _judged(study) for name in card.metrics))
    return f"AUC, {', '.join(names)}." if names else None


def metrics_and_confusion(study: Study) -> str | None:
    """None with a network trained end to end: METRICS then asks for loss curves, which are not shown."""
    given = metrics_given(study)
    if given is None or trains_end_to_end(study) is not False:
        return None
    return f"{given} Confusion counts: table3_models."


def calibration(study: Study) -> str | None:
    texts = [
        f"{name}, {key}: slope {decimals(card.calibration.slope)}, intercept {decimals(card.calibration.intercept)}"
        for name, key, _, card in _judged(study)
        if card.calibration is not None and card.calibration.curve
    ]
    return f"{'; '.join(texts)}." if texts else None


def measures(study: Study) -> str | None:
    given, compared = metrics_given(study), comparison(study)
    if given is None or compared is None or calibration(study) is None:
        return None
    curves = any(card.decision is not None for *_, card in _judged(study))
    return f"{given} Calibration slope, intercept and curve{'; decision curve' if curves else ''}. {compared}"


def uncertainty(study: Study) -> str | None:
    methods = [card.auc_method for *_, card in _judged(study) if card.auc_ci is not None and card.auc_method]
    return f"95 % intervals; of the AUC by {', '.join(dict.fromkeys(methods))}." if methods else None


def comparison(study: Study) -> str | None:
    methods = [result.delong_method for *_, result in study.each_endpoint() if result.delong and result.delong_method]
    if not methods:
        return None
    corrected = any(card.p_holm is not None for *_, result in study.each_endpoint() for card in result.delong.values())
    return f"{'; '.join(dict.fromkeys(methods))}{'; Holm over the endpoints' if corrected else ''}."


def _tested(study: Study, baselines: tuple[str, ...]) -> list[tuple[str, str, str, Comparison]]:
    return [
        (name, key, baseline, result.delong[baseline])
        for name, key, result in study.each_endpoint()
        for baseline in baselines
        if baseline in result.delong and result.delong[baseline].p is not None
    ]


def non_radiomic(study: Study) -> str | None:
    ran = [name for name in NON_RADIOMIC if any(_auc(result, name) is not None for *_, result in study.each_endpoint())]
    return f"{', '.join(map(model_name, ran))}; no radiomic model with clinical columns." if ran else None


def _auc(result: EndpointResult, model: str) -> float | None:
    return result.models[model].auc if model in result.models else None


def non_radiomic_performance(study: Study) -> str | None:
    texts = [
        f"{name}, {key}, {model_name(model)}: AUC {decimals(_auc(result, model))}"
        for name, key, result in study.each_endpoint()
        for model in NON_RADIOMIC
        if _auc(result, model) is not None
    ]
    return f"{'; '.join(texts)}." if texts else None


def non_radiomic_tested(study: Study) -> str | None:
    texts = [
        f"{name}, {key}, {model_name(model)}: difference {decimals(card.difference)}, {_p_text(card)}"
        for name, key, model, card in _tested(study, NON_RADIOMIC)
    ]
    return f"{'; '.join(texts)}." if texts else None


def _p_text(card: Comparison) -> str:
    return f"p {p_value(card.p)}" if card.p_holm is None else f"p after Holm {p_value(card.p_holm)}"


def simple_model_tested(study: Study) -> str | None:
    """Baselines by logistic regression alone are the classical models."""
    simple = tuple(
        model
        for model in NON_RADIOMIC
        if all(
            set(result.models[model].classifier.values()) == {CLASSICAL}
            for *_, result in study.each_endpoint()
            if _auc(result, model) is not None
        )
    )
    found = dict.fromkeys(model for _, _, model, _ in _tested(study, simple))
    return f"{', '.join(map(model_name, found))} by logistic regression, tested beside." if found else None


def explanation(study: Study) -> str | None:
    folds = [fold for _, fold in study.each_fold()]
    kinds = []
    if any(fold.explanations for fold in folds):
        kinds.append("SHAP values of the fused columns")
    if any(fold.cams for fold in folds):
        kinds.append("Grad-CAM of the most and least certain cases")
    return f"{'; '.join(kinds)}." if kinds else None


def output(study: Study) -> str | None:
    thresholds = [value for *_, card in _judged(study) for value in card.thresholds.values()]
    if not thresholds:
        return None
    return (
        "A probability; positive from a threshold on, Youden's on out-of-fold training probabilities and frozen before "
        f"the test ({decimals(min(thresholds))} to {decimals(max(thresholds))})."
    )


def characteristics(study: Study) -> str | None:
    return "table1_cohort, of the columns that the cohort table has."


def selected_counts(study: Study) -> str | None:
    folds = [fold for _, fold in study.each_fold() if len(fold.selected)]
    if not folds:
        return None
    counts = [len(rows) for fold in folds for _, rows in fold.selected.groupby(["endpoint", "region"])]
    features = f"{min(counts)} to {max(counts)}" if min(counts) < max(counts) else f"{counts[0]}"
    return f"{features} features per RadScore; coefficients and scaling of each: coefficients."


def events_per_variable(study: Study) -> str | None:
    texts = [
        f"{name}, {key}: {result.events_per_variable:.1f}"
        for name, key, result in study.each_endpoint()
        if result.events_per_variable is not None
    ]
    if not texts:
        return None
    screened = features_screened(study)
    beside = "" if screened is None else f"; {screened} features were screened"
    return f"Events per variable, per column of the classifier{beside}. {'; '.join(texts)}."


def warnings(study: Study) -> str | None:
    found = [f"{key}: {text}" for key, card in study.flow.items() for text in card.warnings]
    found += (*study.duplicates, *study.column_notes)
    found += [f"{name}, {key}: {text}" for name, key, result in study.each_endpoint() for text in result.warnings]
    return with_model_names("; ".join(dict.fromkeys(found))) or None
