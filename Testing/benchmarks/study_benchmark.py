"""What a complete strict study costs: its units timed, and their sum over 10 endpoints and 5 outer folds.

    OMP_NUM_THREADS=1 python Testing/benchmarks/study_benchmark.py

508 patients, random tables with a weak planted signal, 30 % positives. Times are processor seconds of one core, so that
other work on the machine counts little. The forests are timed by scikit-learn's own search, too. Feature extraction,
the deep network, SHAP, statistics and the report are not in it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV

from DeepRadScoreLib.fusion.classifiers import CLASSIFIERS, candidate, raw_score
from DeepRadScoreLib.fusion.model import FusionModel, grouped_folds
from DeepRadScoreLib.radscore import selection
from DeepRadScoreLib.radscore.radscore import RadScore

PATIENTS, FEATURES_PER_REGION, PREVALENCE = 508, 851, 0.3
OUTER_FOLDS, ENDPOINTS, INNER_FOLDS, REGIONS, CORES = 5, 10, 5, 2, 2
OUTER_PART = PATIENTS * 4 // 5
INNER_PART = OUTER_PART * 4 // 5


def tables(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features (508, 1702), fusion columns (508, 12) and labels (508,); the last two columns carry most signal."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(PATIENTS, 60))
    features = latent @ rng.normal(scale=0.35, size=(60, REGIONS * FEATURES_PER_REGION))
    features += rng.normal(size=features.shape)
    risk = 0.6 * latent[:, 0] + rng.logistic(size=PATIENTS)
    y = (risk > np.quantile(risk, 1 - PREVALENCE)).astype(int)
    columns = rng.normal(size=(PATIENTS, 12)) + np.array([0.15] * 10 + [0.5] * 2) * y[:, None]
    return features, columns, y


def seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def selection_unit(features: np.ndarray, y: np.ndarray, n: int) -> float:
    """One RadScore of one region on n patients, and how its time divides."""
    X, positive, patients = features[:n, :FEATURES_PER_REGION], y[:n] == 1, np.arange(n)
    score = RadScore(rule="lasso")
    total = seconds(lambda: score.fit(X, y[:n], patients))
    tests = seconds(lambda: selection._association(X, positive))
    folds = seconds(lambda: selection._folds(positive, patients, 0))
    print(
        f"  RadScore {n} x {X.shape[1]}: {total:.2f} s (Mann-Whitney {tests:.2f}, making folds {folds:.2f}, LASSO and "
        f"the rest {total - tests - folds:.2f}); {score.funnel_}"
    )
    return total


def plain_forest(columns: np.ndarray, y: np.ndarray) -> dict[str, int]:
    """The forests' search, comparison and refit with scikit-learn's classes alone."""
    patients = np.arange(len(y))
    pipeline, grid = candidate("RF", 0)
    search = GridSearchCV(
        pipeline, grid, scoring="roc_auc", cv=grouped_folds(y, patients, INNER_FOLDS, (0, 0)), refit=False
    )
    best = search.fit(columns, y).best_params_
    pipeline.set_params(**best)
    for repeat in range(10):
        for train, test in grouped_folds(y, patients, INNER_FOLDS, (0, 1 + repeat)):
            roc_auc_score(y[test], raw_score(pipeline.fit(columns[train], y[train]), columns[test]))
    pipeline.fit(columns, y)
    return best


def fusion_unit(columns: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Part -> seconds of one fused model of all classifiers; printed beside the forests' plain way."""
    folds = seconds(lambda: [grouped_folds(y, np.arange(len(y)), INNER_FOLDS, (0, i)) for i in range(11)])
    took = {"folds": folds}
    chosen: dict[str, dict] = {}
    for name in CLASSIFIERS:
        fused = FusionModel(classifiers=(name,))
        took[name] = seconds(partial(fused.fit, columns, y)) - folds
        chosen |= {name: fused.best_params_[name]}
    plain: dict[str, int] = {}
    before = seconds(lambda: plain.update(plain_forest(columns, y))) - folds
    assert plain == {"estimator__n_estimators": chosen["RF"]["n_estimators"]}
    total = sum(took.values())
    was = total - took["RF"] + before
    parts = ", ".join(f"{name} {value:.1f}" for name, value in took.items())
    print(f"  {columns.shape[1]} columns: {was:.1f} s with plain forests, {total:.1f} s now ({was / total:.2f} x)")
    print(f"    {parts}; RF plain {before:.1f} ({before / took['RF']:.2f} x), {chosen['RF']['n_estimators']} trees")
    return took | {"now": total, "before": was}


def main() -> None:
    warnings.simplefilter("ignore")
    features, columns, y = tables()
    print("processor seconds of one core")
    whole = selection_unit(features, y, OUTER_PART)
    part = selection_unit(features, y, INNER_PART)
    radscores = REGIONS * (INNER_FOLDS * part + whole)
    training, label = columns[:OUTER_PART], y[:OUTER_PART]
    fusions = {d: fusion_unit(training[:, -d:] if d == 2 else training[:, :d], label) for d in (2, 10, 12)}
    logistic = seconds(lambda: FusionModel(classifiers=("LR",)).fit(training[:, :1], label))
    print(f"  logistic regression of one column (volume, clinical): {logistic:.2f} s")

    times = OUTER_FOLDS * ENDPOINTS
    parts = {"selection and LASSO": 2 * radscores, "volume and clinical": 2 * logistic}
    of_models = {kind: 2 * fusions[2][kind] + fusions[10][kind] + fusions[12][kind] for kind in fusions[2]}
    saved = of_models.pop("before") - of_models.pop("now")
    parts |= of_models
    now = sum(parts.values())
    print(f"\na strict study on {CORES} cores, with three models, volume, clinical and shuffled labels:")
    for name, value in sorted(parts.items(), key=lambda item: -item[1]):
        print(f"  {name:22s} {times * value / CORES / 60:6.1f} min {value / now:6.1%}")
    print(f"  {'all':22s} {times * now / CORES / 60:6.1f} min")
    print(f"  {'all, plain forests':22s} {times * (now + saved) / CORES / 60:6.1f} min")
    print(f"  shuffled voxels (with images) add {times * (radscores + fusions[2]['now']) / CORES / 60:.1f} min")


if __name__ == "__main__":
    main()
