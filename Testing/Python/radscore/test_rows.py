"""Rows of a feature table without pandas: the same RadScores as from the table, and the same refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from DeepRadScoreLib.radscore.radscore import RegionScores
from DeepRadScoreLib.radscore.rows import FeatureRows, positions


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    values = np.random.default_rng(4).normal(2, 3, size=(60, len(FEATURE_COLUMNS)))
    return pd.DataFrame(values, columns=list(FEATURE_COLUMNS))


@pytest.fixture(scope="module")
def regions(table: pd.DataFrame) -> RegionScores:
    labels = np.arange(60) % 2
    shifted = table.assign(tumour_original_firstorder_Mean=table["tumour_original_firstorder_Mean"] + 5 * labels)
    return RegionScores.fit(shifted, labels, np.arange(60), rule="lasso")


def test_radscores_are_those_of_the_table_to_the_bit(table, regions):
    rows = FeatureRows(table.to_numpy())
    np.testing.assert_array_equal(regions.raw(rows), regions.raw(table))
    np.testing.assert_array_equal(regions.columns(rows), regions.columns(table))
    alone = FeatureRows.of_case(table.iloc[7].sample(frac=1, random_state=0).to_dict())
    assert len(alone) == 1
    np.testing.assert_array_equal(regions.raw(alone)[0], regions.raw(table)[7])
    pd.testing.assert_frame_equal(alone.table(), table.iloc[[7]].reset_index(drop=True))


def test_gaps_and_unknown_features_are_refused(table, regions):
    name = regions.radscores["tumour"].selected_names[0]
    rows = FeatureRows(table.assign(**{name: np.nan}).to_numpy())
    with pytest.raises(ValueError, match="NaN or infinity"):
        regions.raw(rows)
    with pytest.raises(KeyError):
        FeatureRows.of_case({name: 1.0})
    with pytest.raises(KeyError, match="unknown"):
        positions(["unknown"])
