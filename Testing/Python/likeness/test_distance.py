"""The distance against scikit-learn's, against closed forms of process monitoring, and what is stored of it."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA

from DeepRadScoreLib.likeness.distance import ShrunkDistance


def correlated(n: int, p: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 6)) @ rng.normal(size=(6, p)) + 0.3 * rng.normal(size=(n, p)) + rng.normal(size=p)


@pytest.mark.parametrize("p", [12, 90])
def test_with_all_axes_it_is_the_mahalanobis_distance_of_ledoit_and_wolf(p: int) -> None:
    X, other = correlated(60, p), 2 * correlated(20, p, seed=1)
    found = ShrunkDistance(components=p, tame=False).fit(X)
    mean, sd = X.mean(axis=0), X.std(axis=0)
    expected = LedoitWolf(assume_centered=True).fit((X - mean) / sd).mahalanobis((other - mean) / sd)
    np.testing.assert_allclose(found.squared(other), expected, rtol=1e-6)


def test_few_axes_give_hotellings_t2_and_the_residual_over_its_variance() -> None:
    X, other = correlated(80, 30), correlated(10, 30, seed=2)
    found = ShrunkDistance(components=4, tame=False).fit(X)
    z, z_other = found.z_scores(X), found.z_scores(other)
    pca = PCA(4, svd_solver="full").fit(z)
    scores = pca.transform(z_other)
    residual = ((z_other - pca.inverse_transform(scores)) ** 2).sum(axis=1)
    expected = (scores**2 / found.variances_).sum(axis=1) + residual / found.rest_
    np.testing.assert_allclose(found.squared(other), expected, rtol=1e-9)
    total = found.variances_.sum() + found.rest_ * (30 - 4)
    assert total == pytest.approx(30, rel=1e-9), "shrinkage keeps the trace of the correlation matrix"


def test_contributions_add_up_and_name_the_column_that_moved() -> None:
    X = correlated(80, 30)
    found = ShrunkDistance(components=10).fit(X)
    moved = np.median(X, axis=0, keepdims=True)
    moved[0, 17] += 8 * X[:, 17].std()
    np.testing.assert_allclose(found.contributions(moved).sum(axis=1), found.squared(moved))
    assert found.contributions(moved)[0].argmax() == 17


def test_a_tamed_outlier_of_training_does_not_hide_a_far_case() -> None:
    X = correlated(80, 10)
    case = np.median(X, axis=0, keepdims=True) + 8 * X.std(axis=0)
    wild = X.copy()
    wild[0] *= 1e3
    ratio = [
        float(ShrunkDistance(tame=tame).fit(wild).squared(case)[0] / ShrunkDistance(tame=tame).fit(X).squared(case)[0])
        for tame in (True, False)
    ]
    assert ratio[0] > 0.03 > 0.003 > ratio[1]


def test_a_constant_column_counts_only_from_its_least_deviation() -> None:
    X = correlated(50, 5)
    X[:, 2] = 1.5
    case = np.median(X, axis=0, keepdims=True)
    moved = case.copy()
    moved[0, 2] = 3.0
    ignoring = ShrunkDistance().fit(X)
    assert ignoring.squared(moved)[0] == ignoring.squared(case)[0]
    looking = ShrunkDistance(min_sd=np.full(5, 0.05)).fit(X)
    assert looking.squared(moved)[0] > looking.squared(case)[0] + 100


def test_stored_arrays_give_it_back_and_hold_no_training_row() -> None:
    X, other = correlated(40, 60), correlated(10, 60, seed=3)
    fitted = ShrunkDistance(components=12).fit(X)
    arrays = fitted.to_arrays()
    np.testing.assert_allclose(ShrunkDistance.from_arrays(arrays).squared(other), fitted.squared(other), rtol=1e-5)
    rows = np.vstack([X, fitted.z_scores(X)])
    for array in arrays.values():
        for stored in np.atleast_2d(array):
            if stored.shape == (60,):
                assert not np.isclose(rows, stored, rtol=1e-4).all(axis=1).any()
                assert np.abs([np.corrcoef(row, stored)[0, 1] for row in rows]).max() < 0.99
    assert sum(array.shape[0] for array in arrays.values() if array.ndim == 2) < len(X) / 2
