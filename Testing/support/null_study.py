"""What the two protocols say of labels that mean nothing: their AUC should be 0.5, and the interval should hold it.

One draw is judged three ways, with RadScores alone and without a choice of classifier, so that hundreds can be run:
`strict` fits the RadScores in each outer training part and scores the part left out; `inner` is the paper protocol's
inner cross-validation, of a score whose features and weights have seen all training patients; `test` is that score on
the paper protocol's held-out 30 %.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_score

from DeepRadScoreLib.radscore.radscore import RegionScores
from DeepRadScoreLib.radscore.selection import modelling_rule
from DeepRadScoreLib.statistics.auc import mean_auc
from DeepRadScoreLib.study.splits import holdout, stratified_folds

FOLDS = 5
HELD_OUT = 0.3


@dataclass(frozen=True)
class NullDraw:
    """AUCs of one set of labels that mean nothing; `low` and `high` bound the strict one's 95 % interval."""

    strict: float
    low: float
    high: float
    inner: float
    test: float


@dataclass(frozen=True)
class NullSummary:
    """Means over draws with the standard error of the strict one; the share of intervals that hold 0.5, with its own.

    `coverage_ci` is the exact binomial 95 % interval of that share (Clopper and Pearson).
    """

    draws: int
    strict: float
    strict_se: float
    coverage: float
    coverage_ci: tuple[float, float]
    inner: float
    test: float


def judge(features: pd.DataFrame, labels: np.ndarray, seed: int) -> NullDraw:
    """One draw: features (n x p) with the regions' prefixes, one case per patient; labels (n,), 0 or 1."""
    patients = np.arange(len(labels))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        estimate = mean_auc(
            [
                (labels[test], _scores(features, labels, train, seed).columns(features.iloc[test]).sum(axis=1))
                for train, test in stratified_folds(labels, patients, FOLDS, seed)
            ]
        )
        held_out = holdout(labels, patients, HELD_OUT, seed)
        columns = _scores(features, labels, np.flatnonzero(~held_out), seed).columns(features)
    inner = cross_val_score(
        LogisticRegression(),
        columns[~held_out],
        labels[~held_out],
        cv=StratifiedKFold(FOLDS, shuffle=True, random_state=seed),
        scoring="roc_auc",
    )
    fitted = LogisticRegression().fit(columns[~held_out], labels[~held_out])
    test_auc = roc_auc_score(labels[held_out], fitted.decision_function(columns[held_out]))
    return NullDraw(estimate.auc, estimate.low, estimate.high, float(inner.mean()), float(test_auc))


def _scores(features: pd.DataFrame, labels: np.ndarray, train: np.ndarray, seed: int) -> RegionScores:
    """RadScores of one training part; their sum, each on the scale of that part, is the cheapest way to join them."""
    rule = modelling_rule(labels[train])
    return RegionScores.fit(features.iloc[train], labels[train], train, rule=rule, seed=seed)


def summarise(draws: Sequence[NullDraw]) -> NullSummary:
    strict = np.array([draw.strict for draw in draws])
    held = sum(draw.low <= 0.5 <= draw.high for draw in draws)
    interval = binomtest(held, len(draws)).proportion_ci()
    return NullSummary(
        len(draws),
        float(strict.mean()),
        float(strict.std(ddof=1) / np.sqrt(len(draws))),
        held / len(draws),
        (float(interval.low), float(interval.high)),
        float(np.mean([draw.inner for draw in draws])),
        float(np.mean([draw.test for draw in draws])),
    )


def noise(n: int, columns: int, regions: Sequence[str], seed: int) -> pd.DataFrame:
    """Independent normal features, (n x columns per region)."""
    names = [f"{region}_noise_{i}" for region in regions for i in range(columns)]
    return pd.DataFrame(np.random.default_rng(seed).standard_normal((n, len(names))), columns=names)


def exactly(positives: int, n: int, seed: Sequence[int]) -> np.ndarray:
    """Labels (n,) with so many positives at random places."""
    return np.random.default_rng(seed).permutation(np.arange(n) < positives).astype(int)
