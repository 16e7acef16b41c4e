"""GLCM: how often two grey levels are neighbours, and its 24 features."""

from __future__ import annotations

import math

import numpy as np

from DeepRadScoreLib.radscore.engine.compiled import kernel
from DeepRadScoreLib.radscore.engine.counts import TextureCounts
from DeepRadScoreLib.radscore.engine.eigenvalues import MAX_LANCZOS_STEPS, second_eigenvalue
from DeepRadScoreLib.radscore.engine.kernels import EPS
from DeepRadScoreLib.radscore.names import FEATURES_OF_CLASS

MIN_GAIN = 1e-13
"""Entropy (bits) that two levels share below which they are independent, but for rounding."""
(
    AUTOCORRELATION,
    CLUSTER_PROMINENCE,
    CLUSTER_SHADE,
    CLUSTER_TENDENCY,
    CONTRAST,
    CORRELATION,
    DIFFERENCE_AVERAGE,
    DIFFERENCE_ENTROPY,
    DIFFERENCE_VARIANCE,
    ID,
    IDM,
    IDMN,
    IDN,
    IMC1,
    IMC2,
    INVERSE_VARIANCE,
    JOINT_AVERAGE,
    JOINT_ENERGY,
    JOINT_ENTROPY,
    MCC,
    MAXIMUM_PROBABILITY,
    SUM_AVERAGE,
    SUM_ENTROPY,
    SUM_SQUARES,
) = range(24)
"""Positions of the features, as in `FEATURES_OF_CLASS["glcm"]`."""


def glcm_features(counts: TextureCounts) -> dict[str, float]:
    """Features of the symmetric grey level co-occurrence matrix of each direction, averaged over the directions that
    have pairs (`pyradiomics.glcm`; IBSI LFYI, 3D average); NaN if there is none, but MCC is 1 for a single level.

    Departures of pyradiomics from IBSI, kept: EPS inside the logarithms and beside the divisor of Correlation, which is
    1 where a level has no deviation; Idmn and Idn divide by the largest level; MCC has no IBSI code.
    """
    names = FEATURES_OF_CLASS["glcm"]
    pairs = counts.pairs[counts.pairs.any((1, 2))]
    if not len(pairs):
        return dict.fromkeys(names, math.nan) | ({"MCC": 1.0} if len(counts.grey) == 1 else {})
    levels = len(counts.grey)
    largest = int(counts.grey[-1])
    entries = levels * (levels + 1) // 2
    steps = min(levels, MAX_LANCZOS_STEPS) + 1
    found = np.empty((len(pairs), len(names)))
    of_pairs = np.empty((2, entries), np.int64), np.empty((2, entries))
    of_levels = np.empty(levels), np.empty(levels, np.int64), np.empty((3, levels))
    krylov = np.empty((steps, levels)), np.empty((levels, steps)), np.empty((3, steps))
    _features(pairs, counts.grey, found, *of_pairs, np.empty(2 * largest + 1), *of_levels, *krylov)
    return dict(zip(names, found.mean(0).tolist(), strict=True))


@kernel("int64(int32[:,::1], int64[::1], int64[::1], float64[::1], float64[::1])", inner=True)
def _entries(pairs: np.ndarray, row: np.ndarray, column: np.ndarray, p: np.ndarray, px: np.ndarray) -> int:
    """The number of level pairs i <= j that occur; their probability, of one order, in p; px (K,) the marginal one."""
    total = 0
    for i in range(len(pairs)):
        px[i] = 0.0
        for j in range(len(pairs)):
            total += pairs[i, j]
    entries = 0
    for i in range(len(pairs)):
        for j in range(i, len(pairs)):
            count = pairs[i, j] + pairs[j, i]
            if count > 0:
                row[entries] = i
                column[entries] = j
                p[entries] = count / (2 * total)
                px[i] += p[entries]
                if i < j:
                    px[j] += p[entries]
                entries += 1
    return entries


@kernel("void(int64[::1], int64[::1], float64[::1], float64[::1], int64[::1], float64[::1])", inner=True)
def _sums(
    row: np.ndarray, column: np.ndarray, p: np.ndarray, px: np.ndarray, grey: np.ndarray, found: np.ndarray
) -> None:
    """The features that are sums over level pairs; at IMC1 the entropy HXY1."""
    found[:] = 0.0
    largest = float(grey[-1])
    for e in range(len(row)):
        i, j = float(grey[row[e]]), float(grey[column[e]])
        share = p[e] if row[e] == column[e] else 2 * p[e]
        apart = j - i
        found[AUTOCORRELATION] += share * i * j
        found[CONTRAST] += share * apart * apart
        found[DIFFERENCE_AVERAGE] += share * apart
        found[ID] += share / (1 + apart)
        found[IDM] += share / (1 + apart * apart)
        found[IDMN] += share / (1 + apart * apart / (largest * largest))
        found[IDN] += share / (1 + apart / largest)
        if apart > 0:
            found[INVERSE_VARIANCE] += share / (apart * apart)
        found[SUM_AVERAGE] += share * (i + j)
        found[JOINT_ENERGY] += share * p[e]
        found[JOINT_ENTROPY] -= share * math.log2(p[e] + EPS)
        found[IMC1] -= share * math.log2(px[row[e]] * px[column[e]] + EPS)
        found[MAXIMUM_PROBABILITY] = max(found[MAXIMUM_PROBABILITY], p[e])
    mean = 0.0
    for i in range(len(px)):
        mean += px[i] * grey[i]
    found[JOINT_AVERAGE] = mean
    covariance = 0.0
    for e in range(len(row)):
        i, j = grey[row[e]] - mean, grey[column[e]] - mean
        share = p[e] if row[e] == column[e] else 2 * p[e]
        both = i + j
        apart = j - i - found[DIFFERENCE_AVERAGE]
        found[CLUSTER_TENDENCY] += share * both * both
        found[CLUSTER_SHADE] += share * both * both * both
        found[CLUSTER_PROMINENCE] += share * both * both * both * both
        found[DIFFERENCE_VARIANCE] += share * apart * apart
        found[SUM_SQUARES] += share * (i * i + j * j) / 2
        covariance += share * i * j
    variance = math.sqrt(found[SUM_SQUARES]) ** 2
    found[CORRELATION] = covariance / (variance + EPS) if variance > 0 else 1.0


@kernel("float64(int64[::1], int64[::1], float64[::1], int64[::1], int64, float64[::1])", inner=True)
def _entropy_of_values(
    row: np.ndarray, column: np.ndarray, p: np.ndarray, grey: np.ndarray, sign: int, of_value: np.ndarray
) -> float:
    """Entropy (bits) of the sum (sign 1) or difference (-1) of two levels; of_value: scratch."""
    last = int(2 * grey[-1])
    for value in range(last + 1):
        of_value[value] = 0.0
    for e in range(len(row)):
        share = p[e] if row[e] == column[e] else 2 * p[e]
        of_value[grey[column[e]] + sign * grey[row[e]]] += share
    entropy = 0.0
    for value in range(last + 1):
        if of_value[value] > 0:
            entropy -= of_value[value] * math.log2(of_value[value] + EPS)
    return entropy


@kernel("void(float64[::1], float64[::1])", inner=True)
def _information(px: np.ndarray, found: np.ndarray) -> None:
    """Information correlations 1 (R8DG) and 2 (JN9H) from the entropies HXY and HXY1 in `found`.

    HXY2, that of independent levels, is twice the entropy of one; the EPS in each of its logarithms adds up to
    EPS / ln 2 for each pair of levels.
    """
    entropy = 0.0
    exact = 0.0
    levels = 0
    for i in range(len(px)):
        if px[i] > 0:
            entropy -= px[i] * math.log2(px[i] + EPS)
            exact -= px[i] * math.log2(px[i])
            levels += 1
    joint = found[JOINT_ENTROPY]
    found[IMC1] = (joint - found[IMC1]) / entropy if entropy != 0 else 0.0
    gain = 2 * exact - levels * levels * EPS / math.log(2.0) - joint
    found[IMC2] = math.sqrt(1 - math.exp(-2 * gain)) if gain > MIN_GAIN else 0.0


@kernel(
    "void(int32[:,:,::1], int64[::1], float64[:,::1], int64[:,::1], float64[:,::1], float64[::1], float64[::1],"
    " int64[::1], float64[:,::1], float64[:,::1], float64[:,::1], float64[:,::1])"
)
def _features(
    pairs: np.ndarray,
    grey: np.ndarray,
    found: np.ndarray,
    places: np.ndarray,
    shares: np.ndarray,
    of_value: np.ndarray,
    px: np.ndarray,
    group: np.ndarray,
    of_levels: np.ndarray,
    basis: np.ndarray,
    transposed: np.ndarray,
    tridiagonal: np.ndarray,
) -> None:
    """`found` (angles, 24) from pairs (angles, K, K), counted in one order; all else is scratch."""
    for a in range(len(pairs)):
        entries = _entries(pairs[a], places[0], places[1], shares[0], px)
        row, column, p = places[0, :entries], places[1, :entries], shares[0, :entries]
        _sums(row, column, p, px, grey, found[a])
        found[a, DIFFERENCE_ENTROPY] = _entropy_of_values(row, column, p, grey, -1, of_value)
        found[a, SUM_ENTROPY] = _entropy_of_values(row, column, p, grey, 1, of_value)
        _information(px, found[a])
        scaled = shares[1, :entries]
        second = second_eigenvalue(row, column, p, scaled, px, group, of_levels, basis, transposed, tridiagonal)
        found[a, MCC] = math.sqrt(second)
