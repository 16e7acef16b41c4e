"""Whether the values of an image are HU of a CT, judged by shares of voxels: air, lung and tissue where they belong.

Thresholds were set between the whole and cropped CTs of patients that the tests read and the same with wrong values
(intercept missing or applied twice, half or double slope, inverted, 8 bits, MR); each constant says by how much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from DeepRadScoreLib.errors import InputError, Where
from DeepRadScoreLib.imaging.checks.quality import METAL_HU, PADDING_HU

SAMPLE_MM, SAMPLE_VOXELS = 3.0, 60_000
PADDING = (PADDING_HU, METAL_HU)
"""Values beyond these are padding or metal and are left out."""
PADDING_VALUES = 3
"""Padding has one value, or a few; air that lies too low has many."""
MAX_TOO_LOW = 0.03
"""Share of values under the padding limit that are no padding: 0 in CTs, 0.14 and more where the offset is doubled."""
MAX_DENSE = 0.15
"""Share over 400 HU: at most 0.04 in CTs; 0.19 and more of what is inverted or lacks its intercept."""
MIN_TISSUE = 0.02
"""Share of -200..400 HU under which other signs count: 0.12 and more in CTs of `KNOWN_ML`."""
GAP = (-650.0, -200.0)
MAX_GAP, MIN_DARK_OF_GAP = 0.15, 0.1
"""Between lung and tissue lies little; half a slope brings all lung there, so that next to nothing is darker."""
MIN_NEGATIVE = 0.02
"""Of the tissue, the share of -150..-1 HU (fat, noise): 0.20 and more in CTs, 0 in images without negative values."""
MIN_AIR, KNOWN_ML = 0.001, 200.0
"""Share of -990..-200 HU (lung, surfaces) in CTs: 0.07 and more; a smaller volume may lie within a mass."""
MIN_SPREAD = 20.0
MIN_LEVELS, MAX_LEVELS, MIN_STEP_HU, EVEN_STEPS, ENOUGH_VOXELS = 32, 260, 3.0, 0.7, 1000
"""A thousand voxels of a CT have 325 values and more, most of them 1 HU apart."""
MANY_VOXELS = 8000
"""Nearly always enough to see more than `MAX_LEVELS` values."""
ONLY_AIR_HU = -960.0

BELTS = ((-1030.0, -970.0), (-950.0, -750.0), (-130.0, -60.0), (0.0, 80.0))
"""HU of air, lung, fat and muscle."""
MIN_LIKENESS = 0.5


@dataclass(frozen=True)
class _Cause:
    """What may have happened to the HU, and how to undo it."""

    text: str
    undo: Callable[[np.ndarray], np.ndarray]


CAUSES = (
    _Cause("the rescale intercept is not applied", lambda v: v - 1024),
    _Cause("the rescale intercept is applied twice", lambda v: v + 1024),
    _Cause("the values are inverted", lambda v: -v),
    _Cause("the rescale slope is half of what it should be", lambda v: v * 2),
    _Cause("the rescale slope is half of what it should be", lambda v: v * 2 + 1024),
    _Cause("the rescale slope is half of what it should be and the intercept is not applied", lambda v: v * 2 - 1024),
    _Cause("the rescale slope is twice what it should be", lambda v: v / 2),
    _Cause("the rescale slope is twice what it should be", lambda v: (v - 1024) / 2),
)


def check_values(array: np.ndarray, spacing: Sequence[float], *, where: Where) -> None:
    """Refuse an image whose values cannot be the HU of a CT; where a small volume leaves it open, say nothing.

    Parameters
    ----------
    array: (z, y, x), finite; every third millimetre, or fewer of a large image, is looked at.
    spacing: mm along x, y, z.

    Raises
    ------
    InputError: with the likeliest cause.
    """
    values, volume_ml = _sample(array, spacing[::-1])
    if looks_like_hu(values, volume_ml):
        return
    raise InputError(
        f"the CT is not in HU: {_cause(values, volume_ml)} (nine tenths of its voxels lie between "
        f"{np.percentile(values, 5):g} and {np.percentile(values, 95):g})",
        where=where,
        mend="export it with rescale slope and intercept applied once, without windowing",
    )


def looks_like_hu(values: np.ndarray, volume_ml: float) -> bool:
    """Whether values can be the HU of a chest CT or of a part of one.

    Parameters
    ----------
    values: (n,) float, evenly sampled.
    volume_ml: the volume they stand for.
    """
    if _share_too_low(values) > MAX_TOO_LOW:
        return False
    inside = values[(values >= PADDING[0]) & (values <= PADDING[1])]
    if inside.size == 0 or np.ptp(inside) < MIN_SPREAD:
        return False
    if _eight_bits(inside) or (volume_ml > KNOWN_ML and _lacks_a_part(inside)):
        return False
    return not (_too_dense_or_dark(inside) or _nothing_negative(inside))


def _share_too_low(values: np.ndarray) -> float:
    """The share of values under the padding limit, without their most frequent ones (the padding)."""
    low = np.round(values[values < PADDING[0]])
    counts = np.sort(np.unique(low, return_counts=True)[1])
    return float(counts[:-PADDING_VALUES].sum() / values.size)


def _eight_bits(values: np.ndarray) -> bool:
    """Whether there are grey levels at even distances, as in 8 bits stretched over a wider range."""
    if values.size < ENOUGH_VOXELS or np.unique(values[:MANY_VOXELS]).size > MAX_LEVELS:
        return False
    levels = np.unique(values)
    if not MIN_LEVELS <= levels.size <= MAX_LEVELS:
        return False
    steps = np.diff(levels)
    step = float(np.median(steps))
    return step > MIN_STEP_HU and float(np.mean(np.abs(steps - step) <= 1)) > EVEN_STEPS


def _too_dense_or_dark(values: np.ndarray) -> bool:
    gap, dark = _share(values, *GAP), _share(values, -np.inf, GAP[0])
    if _share(values, 400, np.inf) > MAX_DENSE or (gap > MAX_GAP and dark < MIN_DARK_OF_GAP * gap):
        return True
    return float(np.median(values)) < ONLY_AIR_HU and not (values > -500).any()


def _nothing_negative(values: np.ndarray) -> bool:
    tissue, lung = _share(values, -200, np.inf), _share(values, -950, -500)
    return lung < 0.01 and tissue > 0.5 and _share(values, -150, 0) < MIN_NEGATIVE * tissue


def _lacks_a_part(values: np.ndarray) -> bool:
    """Whether there is no air, nothing but air and lung, or in place of tissue what lies between the two."""
    if _share(values, -990, -200) < MIN_AIR or values.max() < -500:
        return True
    return _share(values, *GAP) > MAX_GAP and _share(values, -200, 400) < MIN_TISSUE


def _share(values: np.ndarray, low: float, high: float) -> float:
    return float(np.count_nonzero((values >= low) & (values < high)) / values.size)


def _cause(values: np.ndarray, volume_ml: float) -> str:
    """The cause whose undoing brings most voxels to where air, lung, fat and muscle lie; or that none does."""
    shown = values[values > -990]
    if _eight_bits(values) or (shown.size and shown.min() >= 0 and 64 < shown.max() <= 255):
        return "its values are those of an image of 8 bits"
    undone = ((cause.text, cause.undo(values)) for cause in CAUSES)
    found = [(_likeness(hu), text) for text, hu in undone if looks_like_hu(hu, volume_ml)]
    likeness, text = max(found, default=(0.0, ""))
    if likeness < MIN_LIKENESS:
        return "air, lung and tissue are not where they belong, as in an MR or a windowed image"
    return f"it is no CT, or {text}"


def _likeness(values: np.ndarray) -> float:
    return sum(_share(values, low, high) for low, high in BELTS)


def _sample(array: np.ndarray, spacing: Sequence[float]) -> tuple[np.ndarray, float]:
    """Evenly spread values, (n,) float, and the volume of the image in mL; spacing in the order of the array's axes."""
    volume_mm3 = float(array.size * np.prod(spacing))
    sample_mm = max(SAMPLE_MM, np.cbrt(volume_mm3 / SAMPLE_VOXELS))
    steps = tuple(slice(None, None, max(1, round(sample_mm / step))) for step in spacing)
    return array[steps].ravel().astype(float), volume_mm3 / 1000
