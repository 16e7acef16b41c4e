"""Folds and AUCs that are computed without scikit-learn's checks are scikit-learn's own."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold

from DeepRadScoreLib.statistics.auc import roc_area
from DeepRadScoreLib.statistics.folds import stratified_group_folds


@pytest.mark.filterwarnings("ignore:The least populated class")
@pytest.mark.parametrize("seed", range(40))
def test_folds_are_those_of_stratified_group_k_fold(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(20, 300))
    y = (rng.random(n) < rng.uniform(0.05, 0.9)).astype(int)
    y[:4] = 0, 1, 0, 1
    groups = np.arange(n) if seed % 2 else rng.integers(0, max(12, n // 2), n)
    labels = np.where(y, "b", "a") if seed % 5 == 0 else y
    splits = min(int(rng.integers(2, 11)), len(np.unique(groups)), max(np.bincount(y)))
    theirs = StratifiedGroupKFold(splits, shuffle=True, random_state=seed).split(y, labels, groups)
    for ours, fold in zip(stratified_group_folds(labels, groups, splits, seed), theirs, strict=True):
        for rows, expected in zip(ours, fold, strict=True):
            np.testing.assert_array_equal(rows, expected)


@pytest.mark.parametrize("digits", [0, 1, 9])
def test_the_area_under_the_roc_curve_is_rounded_as_scikit_learns(digits):
    rng = np.random.default_rng(digits)
    for _ in range(300):
        n = int(rng.integers(2, 120))
        y = (rng.random(n) < rng.uniform(0.05, 0.9)).astype(int)
        y[:2] = 0, 1
        scores = (rng.normal(size=n) + rng.normal() * y).round(digits)
        assert roc_area(y, scores) == roc_auc_score(y, scores)
    assert roc_area(np.array([0, 1, 1]), np.zeros(3)) == 0.5
