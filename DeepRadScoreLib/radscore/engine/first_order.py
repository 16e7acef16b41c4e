"""The 18 first-order features of a region (IBSI: intensity-based statistics), as in `pyradiomics.firstorder`."""

from __future__ import annotations

import numpy as np

from DeepRadScoreLib.radscore.engine.kernels import EPS, gather_ranks, mean_deviation_within

SHIFT = 1000.0
"""pyradiomics' voxelArrayShift, HU: added before squaring in Energy, TotalEnergy and RootMeanSquared alone."""
SHARES = (0.10, 0.25, 0.75, 0.90)
"""Of the percentiles."""
RANGES = 4096
"""Ranges of values that are told apart before those around a percentile are put in order."""
MIN_WIDTH = 1e-300
"""Range of values that cannot be divided."""


def first_order_features(values: np.ndarray, level_counts: np.ndarray, voxel_mm3: float) -> dict[str, float]:
    """First-order features of a region.

    Parameters
    ----------
    values: (n,) HU, or those of a sub-band.
    level_counts: (k,) voxels of each grey level of the region.
    voxel_mm3: volume of a voxel.

    Departures of pyradiomics from IBSI, kept: Kurtosis (IPH6) is not the excess; a region of equal values has Skewness
    and Kurtosis 0; `SHIFT`; RobustMeanAbsoluteDeviation (WRZB) keeps values equal to the two percentiles; Entropy and
    Uniformity (TLU2, BJ5W of the intensity histogram) are of bins of 25 HU.
    """
    values = values.astype(np.float64, copy=False)
    n = len(values)
    ordered = _Ordered(values)
    p10, p25, p75, p90 = (ordered.percentile(share) for share in SHARES)
    mean = float(values.mean())
    deviation = values - mean
    squares = deviation * deviation
    variance = float(squares.mean())
    scale = variance or 1.0
    energy = float(np.sum((values + SHIFT) ** 2))
    p = level_counts / n
    return {
        "10Percentile": p10,
        "90Percentile": p90,
        "Energy": energy,
        "Entropy": -float(np.sum(p * np.log2(p + EPS))),
        "InterquartileRange": p75 - p25,
        "Kurtosis": float((squares * squares).mean()) / scale**2,
        "Maximum": ordered.highest,
        "MeanAbsoluteDeviation": float(np.abs(deviation).mean()),
        "Mean": mean,
        "Median": ordered.median,
        "Minimum": ordered.lowest,
        "Range": ordered.highest - ordered.lowest,
        "RobustMeanAbsoluteDeviation": mean_deviation_within(values, p10, p90),
        "RootMeanSquared": float(np.sqrt(energy / n)),
        "Skewness": float((squares * deviation).mean()) / scale**1.5,
        "TotalEnergy": energy * voxel_mm3,
        "Uniformity": float(np.sum(p * p)),
        "Variance": variance,
    }


class _Ordered:
    """The values (n,) of a region in order, as far as median and percentiles need it."""

    def __init__(self, values: np.ndarray) -> None:
        self.lowest, self.highest = float(values.min()), float(values.max())
        self._last = len(values) - 1
        ranks = sorted({*self._middle, *(rank for share in SHARES for rank in self._around(share))})
        width = self.highest - self.lowest
        scale = RANGES / width if width > MIN_WIDTH else 0.0
        gathered, places = np.empty(len(values)), np.empty(len(ranks), np.int64)
        scratch = np.empty(RANGES, np.int64)
        count = gather_ranks(values, self.lowest, scale, np.array(ranks), scratch, gathered, places)
        self._at = dict(zip(ranks, np.sort(gathered[:count])[places].tolist(), strict=True))

    @property
    def median(self) -> float:
        low, high = self._middle
        return (self._at[low] + self._at[high]) / 2

    def percentile(self, share: float) -> float:
        """numpy's linear rule (`numpy.percentile`)."""
        index, following = self._around(share)
        low, high = self._at[index], self._at[following]
        weight = share * self._last - index
        return low + (high - low) * weight if weight < 0.5 else high - (high - low) * (1 - weight)

    @property
    def _middle(self) -> tuple[int, int]:
        return self._last // 2, (self._last + 1) // 2

    def _around(self, share: float) -> tuple[int, int]:
        """The positions of the values between which a percentile lies."""
        index = min(int(share * self._last), max(self._last - 1, 0))
        return index, min(index + 1, self._last)
