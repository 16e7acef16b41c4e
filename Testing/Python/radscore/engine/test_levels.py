"""Grey levels against pyradiomics' bins, and values of which it can make none."""

from __future__ import annotations

import numpy as np
import pytest

from DeepRadScoreLib.radscore.engine.levels import Levels, bin_edges

imageoperations = pytest.importorskip("radiomics.imageoperations")


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize(
    "low, high", [(-1000, 400), (-50, -50), (-49, -49), (-1024, 3071), (0, 25), (0.1, 24.9), (-1e-13, 0)]
)
def test_bins_of_pyradiomics(dtype: type, low: float, high: float) -> None:
    values = np.linspace(low, high, 200).astype(dtype)
    expected, edges = imageoperations.binImage(values, np.ones(200, bool), binWidth=25)
    levels = Levels.of(values)
    np.testing.assert_array_equal(levels.grey[levels.index], expected)
    np.testing.assert_array_equal(bin_edges(values.min(), values.max()), edges)


@pytest.mark.parametrize("low, high", [(-32768, 32767), (-20000, 20000), (-32768, -32000), (0, 32767)])
def test_int16_is_binned_as_int32(low: int, high: int) -> None:
    values = np.linspace(low, high, 500).round()
    expected, _ = imageoperations.binImage(values.astype(np.int32), np.ones(500, bool), binWidth=25)
    levels = Levels.of(values.astype(np.int16))
    np.testing.assert_array_equal(levels.grey[levels.index], expected)


@pytest.mark.parametrize(
    "value, what", [(np.nan, "no finite value"), (np.inf, "no finite value"), (1e9, "40000000 grey")]
)
def test_what_cannot_be_binned_is_said(value: float, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Levels.of(np.array([0.0, value]))
