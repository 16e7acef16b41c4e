"""A made-up study for tests of what is written from it: two endpoints evaluated, one not.

Patient p000 has two cases, all others one; case-x could not be used.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit

from DeepRadScoreLib.models import CONFOUNDERS, MODELS, Protocol
from DeepRadScoreLib.study.results.document import FlowCard, QualityCard
from DeepRadScoreLib.study.results.study import SELECTED_COLUMNS, CamExample, Explanation, Fit, FoldOutcome, Study
from DeepRadScoreLib.study.results.summary import summarise

NAMES = ("radscore_tumour", "radscore_peritumoral", *(f"deep_{i}" for i in range(1, 11)))
STRENGTH = {
    "radiomics-score": 1.0,
    "deep-ct": 0.7,
    "deep-radscore": 1.4,
    "volume": 0.3,
    "clinical": 0.4,
    "shuffled-voxels": 0.3,
    "shuffled-labels": 0.0,
    **dict.fromkeys(CONFOUNDERS, 0.0),
}
CLASSIFIERS = ("SVM", "KNN", "RF", "NB", "LR", "MLP", "LDA")
"""Those of this study; its numbers do not change when the program gets another one."""


def made_up_study(
    n: int = 150, endpoints: tuple[str, ...] = ("EGFR", "LVI"), seed: int = 0, synthetic: bool = False
) -> Study:
    rng = np.random.default_rng(seed)
    labels = {key: (rng.random(n) < 0.35).astype(int) for key in endpoints}
    fold_of = rng.permutation(np.arange(n) % 5)
    strict = tuple(_fold(rng, str(k + 1), labels, np.flatnonzero(fold_of == k), n) for k in range(5))
    test = rng.permutation(n)[: int(0.3 * n)]
    paper = (_fold(rng, "test", labels, np.sort(test), n),)
    folds = {Protocol.STRICT: strict, Protocol.PAPER: paper}
    flow = {key: FlowCard(patients=n, labelled=n, positives=int(labels[key].sum())) for key in endpoints}
    refused = "2 patients are positive; at least 10 are needed."
    flow["ALK"] = FlowCard(patients=n, labelled=n - 20, positives=2, not_run=refused)
    settings = {"seed": seed, "folds": 5, "repeats": 10, "network": "frozen", "protocol": "both"}
    return Study(
        folds=folds,
        protocols=summarise(folds, flow, {}, settings),
        flow=flow,
        cohort_table=_cohort_table(n),
        models_not_run={},
        left_out={"case-x": "case-x.nrrd: the mask is empty; outline the tumour."},
        patients=n,
        cases=n + 2,
        settings=settings,
        versions={"DeepRadScore": "0.1", "numpy": "2"},
        hashes={"cohort.csv": "0" * 64},
        synthetic=synthetic,
        quality=(QualityCard(code="thick_slices", severity="warning", cases=n // 3, share=1 / 3, meaning="over 3 mm"),),
    )


def summarised(study: Study, **changes: Any) -> Study:
    """The study with these changes, its figures computed anew from its folds."""
    changed = replace(study, **changes)
    tests = {key: card.associations for each in study.protocols.values() for key, card in each.endpoints.items()}
    figures = summarise(changed.folds, changed.flow, changed.models_not_run, changed.settings, tests)
    return replace(changed, protocols=figures)


def _cohort_table(n: int) -> pd.DataFrame:
    """The cases that were used: patient p000 has two."""
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "case_id": [f"case-{i:03d}" for i in range(n)],
            "patient_id": [f"p{i:03d}" for i in range(n)],
            "age": [str(age) for age in rng.integers(40, 85, n)],
            "sex": rng.choice(["female", "male"], n),
        }
    )
    return pd.concat([table, table.iloc[:1].assign(case_id="case-000-b")], ignore_index=True)


def _fold(rng: np.random.Generator, name: str, labels: dict[str, np.ndarray], test: np.ndarray, n: int) -> FoldOutcome:
    apart = np.random.default_rng([7, *test])
    train = np.setdiff1d(np.arange(n), test)
    predictions, fits, selected, explanations, cams = [], [], [], [], []
    for key, y in labels.items():
        for model, strength in STRENGTH.items():
            draw = apart if model in CONFOUNDERS else rng
            score = strength * 1.5 * (y - 0.35) + draw.normal(size=n)
            probability = expit(score - 0.7)
            predictions.append(
                pd.DataFrame(
                    {
                        "case_id": ["case-000 + case-000-b" if i == 0 else f"case-{i:03d}" for i in test],
                        "patient_id": [f"p{i:03d}" for i in test],
                        "endpoint": key,
                        "model": model,
                        "label": y[test],
                        "score": score[test],
                        "probability": probability[test],
                        "decision": (probability[test] >= 0.35).astype(int),
                    }
                )
            )
            names = CLASSIFIERS if model in MODELS else ("LR",)
            fits.append(
                Fit(
                    endpoint=key,
                    model=model,
                    classifier=str(draw.choice(names)),
                    cv_auc={c: np.clip(draw.normal(0.6 + 0.12 * strength, 0.06, 50), 0, 1) for c in names},
                    threshold=0.35,
                    no_signal=False,
                    labels=y[train],
                    probability=probability[train],
                    columns={"radiomics-score": 2, "deep-ct": 10, "deep-radscore": 12}.get(model, 1),
                )
            )
        for region in ("tumour", "peritumoral"):
            for feature in ("original_firstorder_Mean", "wavelet-HLH_glcm_Imc2", "original_glszm_ZoneEntropy"):
                row = (key, region, feature, rng.normal(), rng.normal(), 1.0, "lasso")
                selected.append(dict(zip(SELECTED_COLUMNS, row, strict=True)))
        values = rng.normal(size=(len(test), len(NAMES)))
        explanations.append(
            Explanation(
                endpoint=key,
                case_ids=tuple(f"case-{i:03d}" for i in test),
                names=NAMES,
                columns=values,
                shap=values * rng.normal(0.2, 0.3, len(NAMES)),
                correlations=(rng.uniform(-0.6, 0.6, (2, 10)),),
            )
        )
        yy, xx = np.mgrid[:160, :160]
        for kind, case in (("most certain", test[0]), ("least certain", test[1])):
            disc = (yy - 80) ** 2 + (xx - 80) ** 2 < 25**2
            patch = np.where(disc, 30.0, -850.0) + rng.normal(0, 30, (160, 160))
            heat = np.exp(-((yy - 70) ** 2 + (xx - 90) ** 2) / 900)
            cams.append(CamExample(key, f"case-{case:03d}", kind, int(y[case]), 0.5, patch, heat, (5, 5)))
    return FoldOutcome(
        name,
        pd.concat(predictions, ignore_index=True),
        tuple(fits),
        pd.DataFrame(selected),
        tuple(explanations),
        tuple(cams),
    )
