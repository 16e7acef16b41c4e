"""GLRLM, GLSZM and GLDM: matrices of grey level by size (run length, zone size, dependence) and their 46 features."""

from __future__ import annotations

import math

import numpy as np

from DeepRadScoreLib.radscore.engine.compiled import kernel
from DeepRadScoreLib.radscore.engine.counts import TextureCounts
from DeepRadScoreLib.radscore.engine.kernels import EPS

(
    SMALL,
    LARGE,
    LEVEL_NON_UNIFORMITY,
    LEVEL_NON_UNIFORMITY_NORMALISED,
    SIZE_NON_UNIFORMITY,
    SIZE_NON_UNIFORMITY_NORMALISED,
    PERCENTAGE,
    LEVEL_VARIANCE,
    SIZE_VARIANCE,
    ENTROPY,
    LOW_LEVEL,
    HIGH_LEVEL,
    SMALL_LOW_LEVEL,
    SMALL_HIGH_LEVEL,
    LARGE_LOW_LEVEL,
    LARGE_HIGH_LEVEL,
) = range(16)


def _names(small: str, large: str, size: str, entity: str, of_level: str) -> tuple[str, ...]:
    """pyradiomics' names of a class, at the positions above."""
    return (
        f"{small}Emphasis",
        f"{large}Emphasis",
        "GrayLevelNonUniformity",
        "GrayLevelNonUniformityNormalized",
        f"{size}NonUniformity",
        f"{size}NonUniformityNormalized",
        f"{entity}Percentage",
        "GrayLevelVariance",
        f"{entity}Variance",
        f"{entity}Entropy",
        f"LowGrayLevel{of_level}Emphasis",
        f"HighGrayLevel{of_level}Emphasis",
        f"{small}LowGrayLevelEmphasis",
        f"{small}HighGrayLevelEmphasis",
        f"{large}LowGrayLevelEmphasis",
        f"{large}HighGrayLevelEmphasis",
    )


GLRLM = _names("ShortRun", "LongRun", "RunLength", "Run", "Run")
GLSZM = _names("SmallArea", "LargeArea", "SizeZone", "Zone", "Zone")
GLDM = _names("SmallDependence", "LargeDependence", "Dependence", "Dependence", "")
WITHDRAWN = frozenset({"GrayLevelNonUniformityNormalized", "DependencePercentage"})
"""Of the class gldm: equal to the first-order Uniformity, and to 1."""


def glrlm_features(counts: TextureCounts) -> dict[str, float]:
    """Run lengths, by direction and then averaged (`pyradiomics.glrlm`, IBSI TP0I, 3D average).

    pyradiomics leaves out directions along which no line holds two voxels of the region; IBSI does not.
    """
    runs = counts.runs[counts.runs.any((1, 2))]
    return dict(zip(GLRLM, _mean_features(runs, counts.grey, np.arange(1, runs.shape[2] + 1)), strict=True))


def glszm_features(counts: TextureCounts) -> dict[str, float]:
    """Sizes of the zones of equal level, 26 neighbours (`pyradiomics.glszm`, IBSI 9SAK)."""
    level, size = counts.zones
    sizes = np.flatnonzero(np.bincount(size))
    places = np.empty(sizes[-1] + 1, np.int64)
    places[sizes] = np.arange(len(sizes))
    shape = (1, len(counts.grey), len(sizes))
    zones = (
        np.bincount(level * len(sizes) + places[size], minlength=shape[1] * shape[2]).reshape(shape).astype(np.int32)
    )
    return dict(zip(GLSZM, _mean_features(zones, counts.grey, sizes), strict=True))


def gldm_features(counts: TextureCounts) -> dict[str, float]:
    """Voxels by the number of neighbours of equal level and themselves (`pyradiomics.gldm`; IBSI REK0 with distance 1
    and coarseness 0)."""
    dependence = counts.dependence
    sizes = np.arange(1, dependence.shape[1] + 1)
    found = zip(GLDM, _mean_features(dependence[None], counts.grey, sizes), strict=True)
    return {name: value for name, value in found if name not in WITHDRAWN}


def _mean_features(matrices: np.ndarray, grey: np.ndarray, sizes: np.ndarray) -> list[float]:
    """The 16 features, averaged over the matrices (angles, K, S) of int32 counts; NaN if there is none."""
    if not len(matrices):
        return [math.nan] * 16
    found = np.empty((len(matrices), 16))
    _features(matrices, grey, sizes, found, np.empty(len(grey)), np.empty(len(sizes)))
    return found.mean(0).tolist()


@kernel("void(float64[::1], int64[::1], float64, float64[::1], int64, int64, int64, int64)", inner=True)
def _margin(
    counts: np.ndarray,
    sizes: np.ndarray,
    n: float,
    values: np.ndarray,
    inverse: int,
    square: int,
    non_uniformity: int,
    variance: int,
) -> None:
    """Features of the levels alone, or of the sizes alone, at the given positions of `values`."""
    mean = 0.0
    for s in range(len(sizes)):
        size = float(sizes[s])
        values[inverse] += counts[s] / (size * size) / n
        values[square] += counts[s] * size * size / n
        values[non_uniformity] += counts[s] * counts[s] / n
        mean += counts[s] * size / n
    values[non_uniformity + 1] = values[non_uniformity] / n
    for s in range(len(sizes)):
        values[variance] += counts[s] / n * (sizes[s] - mean) ** 2


@kernel("void(int32[:,:,::1], int64[::1], int64[::1], float64[:,::1], float64[::1], float64[::1])")
def _features(
    matrices: np.ndarray,
    grey: np.ndarray,
    sizes: np.ndarray,
    found: np.ndarray,
    of_level: np.ndarray,
    of_size: np.ndarray,
) -> None:
    """`found` (angles, 16) from matrices (angles, K, S); of_level, of_size: scratch, (K,) and (S,)."""
    for a in range(len(matrices)):
        matrix, values = matrices[a], found[a]
        of_level[:] = 0.0
        of_size[:] = 0.0
        for k in range(len(grey)):
            for s in range(len(sizes)):
                of_level[k] += matrix[k, s]
                of_size[s] += matrix[k, s]
        n = of_level.sum()
        values[:] = 0.0
        for k in range(len(grey)):
            if of_level[k] == 0:
                continue
            level2 = float(grey[k]) * float(grey[k])
            for s in range(len(sizes)):
                count = float(matrix[k, s])
                if count == 0:
                    continue
                size2 = float(sizes[s]) * float(sizes[s])
                values[ENTROPY] -= count / n * math.log2(count / n + EPS)
                values[SMALL_LOW_LEVEL] += count / (level2 * size2)
                values[SMALL_HIGH_LEVEL] += count * level2 / size2
                values[LARGE_LOW_LEVEL] += count * size2 / level2
                values[LARGE_HIGH_LEVEL] += count * level2 * size2
        _margin(of_level, grey, n, values, LOW_LEVEL, HIGH_LEVEL, LEVEL_NON_UNIFORMITY, LEVEL_VARIANCE)
        _margin(of_size, sizes, n, values, SMALL, LARGE, SIZE_NON_UNIFORMITY, SIZE_VARIANCE)
        voxels = 0.0
        for s in range(len(sizes)):
            voxels += of_size[s] * sizes[s]
        for feature in (SMALL_LOW_LEVEL, SMALL_HIGH_LEVEL, LARGE_LOW_LEVEL, LARGE_HIGH_LEVEL):
            values[feature] /= n
        values[PERCENTAGE] = n / voxels
