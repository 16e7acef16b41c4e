"""Sub-bands against PyWavelets, to the bit."""

from __future__ import annotations

import numpy as np
import pytest
import pywt

from DeepRadScoreLib.radscore.engine.wavelet import SubBands
from DeepRadScoreLib.radscore.names import SUB_BANDS

SHAPES = [(1, 5, 6), (2, 2, 2), (2, 3, 4), (3, 3, 3), (4, 4, 4), (7, 8, 9), (13, 6, 5), (20, 21, 22), (1, 1, 8)]


def pywavelets(image: np.ndarray) -> dict[str, np.ndarray]:
    """The sub-bands (z, y, x) as pyradiomics asks for them, by the letters of x, y, z."""
    even = np.pad(image, [(0, size % 2) for size in image.shape], "wrap")
    (found,) = pywt.swtn(even, "coif1", level=1, start_level=0, axes=(2, 1, 0))
    whole = tuple(slice(size) for size in image.shape)
    return {letters.replace("a", "L").replace("d", "H"): band[whole] for letters, band in found.items()}


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("whole", [True, False])
def test_equal_to_pywavelets_to_the_bit(shape: tuple[int, int, int], dtype: type, whole: bool) -> None:
    """Odd and even sizes down to one, in the whole image and in a box inside it."""
    image = np.random.default_rng(sum(shape)).normal(-300, 400, shape).astype(dtype)
    low = (0, 0, 0) if whole else tuple(size // 3 for size in shape)
    high = tuple(max(size - (1 if whole else 2), first) for size, first in zip(shape, low, strict=True))
    inside = np.zeros(shape, bool)
    inside[tuple(slice(first, last + 1) for first, last in zip(low, high, strict=True))] = True
    bands = SubBands(image, low, high)
    expected = pywavelets(image)
    for name in SUB_BANDS:
        letters = name.removeprefix("wavelet-")
        found = bands.at(letters, np.nonzero(inside))
        assert found.dtype == expected[letters].dtype
        np.testing.assert_array_equal(found, expected[letters][inside])
