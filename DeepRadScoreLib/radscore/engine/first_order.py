"""The 18 first-order features of a region (IBSI: intensity-based statistics), as in `pyradiomics.firstorder`."""

from __future__ import annotations

import numpy as np

from DeepRadScoreLib.radscore.engine.kernels import EPS

SHIFT = 1000.0
"""pyradiomics' voxelArrayShift, HU: added before squaring in Energy, TotalEnergy and RootMeanSquared alone."""


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
    ordered = np.sort(values)
    p10, p25, p75, p90 = (_percentile(ordered, share) for share in (0.10, 0.25, 0.75, 0.90))
    mean = float(values.mean())
    deviation = values - mean
    squares = deviation * deviation
    variance = float(squares.mean())
    scale = variance or 1.0
    robust = ordered[np.searchsorted(ordered, p10, "left") : np.searchsorted(ordered, p90, "right")]
    energy = float(np.sum((values + SHIFT) ** 2))
    p = level_counts / n
    return {
        "10Percentile": p10,
        "90Percentile": p90,
        "Energy": energy,
        "Entropy": -float(np.sum(p * np.log2(p + EPS))),
        "InterquartileRange": p75 - p25,
        "Kurtosis": float((squares * squares).mean()) / scale**2,
        "Maximum": float(ordered[-1]),
        "MeanAbsoluteDeviation": float(np.abs(deviation).mean()),
        "Mean": mean,
        "Median": float((ordered[(n - 1) // 2] + ordered[n // 2]) / 2),
        "Minimum": float(ordered[0]),
        "Range": float(ordered[-1] - ordered[0]),
        "RobustMeanAbsoluteDeviation": float(np.abs(robust - robust.mean()).mean()),
        "RootMeanSquared": float(np.sqrt(energy / n)),
        "Skewness": float((squares * deviation).mean()) / scale**1.5,
        "TotalEnergy": energy * voxel_mm3,
        "Uniformity": float(np.sum(p * p)),
        "Variance": variance,
    }


def _percentile(ordered: np.ndarray, share: float) -> float:
    """numpy's linear rule (`numpy.percentile`) for values that are in order already."""
    position = share * (len(ordered) - 1)
    index = min(int(position), max(len(ordered) - 2, 0))
    low, high = float(ordered[index]), float(ordered[min(index + 1, len(ordered) - 1)])
    weight = position - index
    return low + (high - low) * weight if weight < 0.5 else high - (high - low) * (1 - weight)
