"""The columns of the fused model: the mean of the folds' RadScores is one RadScore."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from DeepRadScoreLib.radscore.radscore import RegionScores


@pytest.fixture(scope="module")
def folds():
    """A feature table (60 cases) with a signal in each region, and the RadScores of three folds."""
    rng = np.random.default_rng(4)
    features = pd.DataFrame(rng.normal(2, 3, size=(60, len(FEATURE_COLUMNS))), columns=FEATURE_COLUMNS)
    labels = rng.integers(0, 2, 60)
    features["tumour_original_firstorder_Mean"] += 5 * labels
    features["peritumoral_original_firstorder_Mean"] -= 4 * labels
    rows = [np.flatnonzero(np.arange(60) % 3 != fold) for fold in range(3)]
    fitted = [RegionScores.fit(features.iloc[r], labels[r], r, rule="lasso") for r in rows]
    return features, fitted


def test_the_mean_of_the_folds_is_one_radscore_with_the_mean_of_their_columns(folds):
    features, fitted = folds
    mean = RegionScores.mean_of(fitted, features)
    unseen = features.sample(10, random_state=1) + 1.5
    expected = np.mean([fold.columns(unseen) for fold in fitted], axis=0)
    np.testing.assert_allclose(mean.columns(unseen), expected, rtol=0, atol=1e-12)


def test_its_weights_are_of_features_z_scored_over_all_training_cases(folds):
    features, fitted = folds
    radscore = RegionScores.mean_of(fitted, features).radscores["tumour"]
    chosen = set().union(*(fold.radscores["tumour"].selected_names for fold in fitted))
    assert set(radscore.selected_names) == chosen
    table = features[list(radscore.selected_names)]
    np.testing.assert_allclose(radscore.mean_, table.mean(), atol=1e-12)
    z_scores = (table - table.mean()) / table.std(ddof=0)
    raw = radscore.score_samples(features[list(radscore.feature_names_in_)])
    np.testing.assert_allclose(raw, z_scores @ radscore.coef_, atol=1e-12)
    assert abs(raw.mean()) < 1e-12


def test_it_is_stored_as_any_other(folds):
    features, fitted = folds
    mean = RegionScores.mean_of(fitted, features)
    again = RegionScores.from_dict(json.loads(json.dumps(mean.to_dict())))
    np.testing.assert_array_equal(again.columns(features), mean.columns(features))
