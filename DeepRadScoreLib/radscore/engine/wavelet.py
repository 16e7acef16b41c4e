"""The eight sub-bands of an image at the voxels of a region, to the bit as PyWavelets gives them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from DeepRadScoreLib.radscore.engine.kernels import filter_at, filter_axis

COIF1_LOW = (
    -0.015655728135791993,
    -0.07273261951252645,
    0.3848648468648578,
    0.8525720202116004,
    0.3378976624574818,
    -0.07273261951252645,
)
"""Decomposition low-pass filter of the first coiflet, with the digits of `pywt.Wavelet("coif1")` (12 of them exact)."""
COIF1_LOW_OF_FLOAT32 = (*COIF1_LOW[:3], 0.852571964263916, *COIF1_LOW[4:])
"""The filter with which PyWavelets transforms float32 images: its largest tap is one float32 step smaller."""


def _filters(dtype: np.dtype) -> dict[str, np.ndarray]:
    low = np.array(COIF1_LOW_OF_FLOAT32 if dtype == np.float32 else COIF1_LOW, dtype)
    return {"L": low, "H": np.ascontiguousarray(low[::-1] * np.tile((-1, 1), 3).astype(dtype))}


@dataclass(frozen=True)
class AxisTaps:
    """Which filter taps are multiplied with which rows for some positions along an axis, in PyWavelets' order.

    Attributes
    ----------
    taps, rows: (n, 6) int64; the rows of an image that was cut to `needed`.
    needed: rows of the whole image that are needed, ascending.
    """

    taps: np.ndarray
    rows: np.ndarray
    needed: np.ndarray

    @classmethod
    def of(cls, size: int, first: int, last: int) -> AxisTaps:
        """For the positions `first` to `last` (included) along an axis of `size` voxels.

        The undecimated transform of level 1 is periodic; an odd axis is first made even by a copy of its first plane
        (`pyradiomics.imageoperations.getWaveletImage`). Beyond the last plane PyWavelets adds the wrapped terms
        first and in reverse (`downsampling_convolution_periodization`).
        """
        even = size + size % 2
        terms = [_terms(position, even) for position in range(first, last + 1)]
        taps = np.array([[tap for tap, _ in of_one] for of_one in terms])
        rows = np.array([[row for _, row in of_one] for of_one in terms])
        rows[rows == size] = 0
        needed, places = np.unique(rows, return_inverse=True)
        return cls(taps, places.reshape(rows.shape).astype(np.int64), needed)


def _terms(position: int, size: int) -> list[tuple[int, int]]:
    """The pairs (tap, row) of one position on an even axis, in the order of their addition."""
    length = len(COIF1_LOW)
    reach = position + length // 2
    wrapped = reach - size
    terms = [(tap, (wrapped - tap) % size) for tap in range(wrapped, -1, -1)] if wrapped >= 0 else []
    return terms + [(tap, (reach - tap) % size) for tap in range(len(terms), length)]


class SubBands:
    """The sub-bands of an image in a box that holds all voxels of interest.

    The passes along x and y are made once, on the box; that along z only at the voxels asked for.
    """

    def __init__(self, image: np.ndarray, low: tuple[int, int, int], high: tuple[int, int, int]) -> None:
        """`image` (z, y, x), integer, float32 or float64; `low`, `high`: first and last voxel of the box (z, y, x).

        Integer images are transformed in float64, others in their own type.
        """
        self.low = low
        z, y, x = (AxisTaps.of(*of_axis) for of_axis in zip(image.shape, low, high, strict=True))
        dtype = image.dtype if image.dtype in (np.float32, np.float64) else np.dtype(np.float64)
        self._filters = _filters(dtype)
        box = image[np.ix_(z.needed, y.needed, x.needed)].transpose(2, 1, 0)
        source = np.ascontiguousarray(box, dtype)
        self._z = z
        self._planes: dict[str, np.ndarray] = {}
        columns, (_, rows, depth) = len(x.taps), source.shape
        for letter_x, along_x in self._filter(source.reshape(1, -1, rows * depth), x).items():
            for letter_y, along_y in self._filter(along_x.reshape(columns, rows, depth), y).items():
                self._planes[letter_x + letter_y] = along_y.reshape(-1, depth)
        self._rows = len(y.taps)

    def _filter(self, source: np.ndarray, axis: AxisTaps) -> dict[str, np.ndarray]:
        shape = (source.shape[0], len(axis.taps), source.shape[2])
        found = {"L": np.empty(shape, source.dtype), "H": np.empty(shape, source.dtype)}
        filter_axis(source, axis.taps, axis.rows, self._filters["L"], self._filters["H"], found["L"], found["H"])
        return found

    def at(self, band: str, voxels: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
        """Values (n,) of a sub-band, "LLH" with the letters of x, y, z, at voxels of the box (z, y, x indices)."""
        plane = self._planes[band[:2]]
        z, y, x = (index - start for index, start in zip(voxels, self.low, strict=True))
        values = np.empty(len(z), plane.dtype)
        taps = self._filters[band[2]]
        filter_at(plane, self._z.taps, self._z.rows, taps, x * self._rows + y, z, values)
        return values
