"""The figures of a study: what is drawn equals the results, and equal inputs give equal bytes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score

from DeepRadScoreLib.study.outcome import StudyOutcome
from DeepRadScoreLib.study.results import (
    CalibrationCard,
    CorrelationCard,
    DecisionCard,
    EndpointResult,
    FlowCard,
    GapCard,
    ModelCard,
    ProtocolResult,
    Results,
)


def results_of(outcome: StudyOutcome) -> Results:
    """Results that belong to an outcome; intervals are made up."""
    protocols = {name: _protocol(outcome, name) for name in outcome.folds}
    return Results(
        label="synthetic: not for patients" if outcome.synthetic else None,
        patients=outcome.patients,
        cases=outcome.cases,
        left_out=outcome.left_out,
        flow={
            f.endpoint: FlowCard(
                patients=f.patients,
                labelled=f.labelled,
                positives=f.positives,
                not_run=f.not_run or None,
                warnings=list(f.warnings),
            )
            for f in outcome.flows
        },
        models_not_run=outcome.models_not_run,
        protocols=protocols,
        optimism=_optimism(protocols) if len(protocols) == 2 else {},
        settings=outcome.settings,
        versions=outcome.versions,
        hashes=outcome.hashes,
    )


def _optimism(protocols: dict[str, ProtocolResult]) -> dict[str, dict[str, GapCard]]:
    gaps: dict[str, dict[str, GapCard]] = {}
    for key, endpoint in protocols["strict"].endpoints.items():
        for model, card in endpoint.models.items():
            paper = protocols["paper"].endpoints[key].models[model]
            gaps.setdefault(key, {})[model] = GapCard(
                paper_inner_auc=paper.inner_auc,
                paper_test_auc=paper.auc,
                strict_auc=card.auc,
                optimism_gap=paper.inner_auc - card.auc,
            )
    return gaps


def _protocol(outcome: StudyOutcome, name: str) -> ProtocolResult:
    folds = outcome.folds[name]
    keys = dict.fromkeys(fit.endpoint for fold in folds for fit in fold.fits)
    several = len(folds) > 1
    return ProtocolResult(
        split="5 folds, stratified, grouped by patient" if several else "7:3, stratified, grouped by patient",
        folds={fold.name: {"train": 100, "test": len(fold.predictions["case_id"].unique())} for fold in folds},
        endpoints={key: _endpoint(folds, key, several) for key in keys},
    )


def _endpoint(folds: tuple, key: str, several: bool) -> EndpointResult:
    explained = [e for fold in folds for e in fold.explanations if e.endpoint == key]
    sizes = np.abs([r for e in explained for r in e.correlations])
    shares = np.mean([np.abs(e.shap).mean(axis=0) / np.abs(e.shap).mean(axis=0).sum() for e in explained], axis=0)
    return EndpointResult(
        models={fit.model: _model(folds, key, fit.model, several) for fit in folds[0].fits if fit.endpoint == key},
        correlation=CorrelationCard(largest=sizes.max(), mean=sizes.mean(), sd=sizes.std(), networks=len(explained)),
        contributions=dict(zip(explained[0].names, shares.tolist(), strict=True)),
    )


def _model(folds: tuple, key: str, model: str, several: bool) -> ModelCard:
    tables = [t[(t["endpoint"] == key) & (t["model"] == model)] for t in (fold.predictions for fold in folds)]
    fits = [f for fold in folds for f in fold.fits if (f.endpoint, f.model) == (key, model)]
    aucs = [roc_auc_score(t["label"], t["score"]) for t in tables]
    table = pd.concat(tables)
    y, p = table["label"].to_numpy(), table["probability"].to_numpy()
    observed, predicted = calibration_curve(y, p, n_bins=5, strategy="quantile")
    at = np.linspace(0.01, 0.99, 99)
    benefit = [np.mean((p >= t) & (y == 1)) - np.mean((p >= t) & (y == 0)) * t / (1 - t) for t in at]
    everyone = [y.mean() - (1 - y.mean()) * t / (1 - t) for t in at]
    auc = float(np.mean(aucs))
    return ModelCard(
        auc=auc,
        auc_ci=(max(auc - 0.08, 0), min(auc + 0.07, 1)),
        auc_method="corrected resampled t" if several else "DeLong",
        fold_aucs={fold.name: a for fold, a in zip(folds, aucs, strict=True)},
        n=len(y),
        positives=int(y.sum()),
        classifier={fold.name: fit.classifier for fold, fit in zip(folds, fits, strict=True)},
        inner_auc=float(np.mean([f.cv_auc[f.classifier].mean() for f in fits])),
        inner_aucs={c: np.concatenate([f.cv_auc[c] for f in fits]).tolist() for c in fits[0].cv_auc},
        calibration=CalibrationCard(
            slope=0.9,
            intercept=-0.1,
            curve=[(a, b, len(y) // 5) for a, b in zip(predicted.tolist(), observed.tolist(), strict=True)],
        ),
        decision=DecisionCard(thresholds=at.tolist(), net_benefit=benefit, all_positive=everyone),
    )
