"""Whether a CT shows its contours twice along z, as where two phases of the breath were averaged into one image.

The changes from slice to slice are compared with those some millimetres further along z. Those of an image averaged
with itself, displaced, correlate by one half at the displacement (by a third where it lies between slices), and less
one slice nearer. Where they correlate because surfaces run on slowly from slice to slice, they do so the more the
nearer they lie.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.grids.lps import LpsCase, box_slices

REACH_MM = 15.0
"""The tumour and so much around it is looked at."""
SQUARE_MM = 3.0
"""Means over such squares of a slice: the noise, which is no contour, is lost."""
LIMITS_HU = (-1000, 200)
"""Air to soft tissue; metal and bone count no more than that."""
APART_MM = (4.0, 12.0)
MIN_PAIRS = 4
MIN_RISE, MAX_CORRELATION = 0.05, 0.25
"""Correlation above that of one slice nearer; and 0.30 and more in phantoms averaged with themselves 5 or 8 mm away.
As they are, phantoms, CTs of patients around the tumour and 712 other parts of these have at most 0.19."""


def double_contour_notes(case: LpsCase) -> Iterator[QualityNote]:
    """A remark on contours that stand twice around the tumour."""
    low, high = case.tumour_box
    reach = np.ceil(REACH_MM / np.array(case.ct.spacing[::-1])).astype(int)
    around = case.ct.voxels[box_slices(np.maximum(low - reach, 0), high + reach)]
    found = strongest_repeat(around, case.ct.spacing[::-1])
    if found is not None and found[0] > MAX_CORRELATION:
        yield QualityNote.warning(
            "double_contours",
            f"Contours stand twice around the tumour, {found[1]:.0f} mm apart along z, as where the patient breathed "
            "during the scan.",
        )


def strongest_repeat(hu: np.ndarray, spacing: tuple[float, float, float]) -> tuple[float, float] | None:
    """Highest peak of the correlation of changes from slice to slice with those 4 to 12 mm further, and how far, in mm.

    Parameters
    ----------
    hu, spacing: array (z, y, x) in HU; mm along z, y, x.

    Returns
    -------
    None where there is no peak, or slices are too thick or too few to show one.
    """
    step = spacing[0]
    changes = np.diff(_means_over_squares(hu, spacing[1:]), axis=0)
    if not changes.size:
        return None
    last = min(int(APART_MM[1] / step), len(changes) - MIN_PAIRS)
    found = np.array([_correlation(changes[n:], changes[:-n]) for n in range(1, last + 1)])
    apart = step * np.arange(1, last + 1)
    peaks = np.diff(found, prepend=1.0) > MIN_RISE
    peaks &= apart >= APART_MM[0]
    return max(zip(found[peaks].tolist(), apart[peaks].tolist(), strict=True), default=None)


def _means_over_squares(hu: np.ndarray, spacing: tuple[float, float]) -> np.ndarray:
    """Means over squares of each slice, (z, y, x) float32."""
    rows, columns = (max(1, round(SQUARE_MM / mm)) for mm in spacing)
    z, y, x = hu.shape[0], hu.shape[1] // rows, hu.shape[2] // columns
    whole = np.clip(hu[:, : y * rows, : x * columns], *LIMITS_HU)
    return whole.reshape(z, y, rows, x, columns).mean(axis=(2, 4), dtype=np.float32)


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    size = float(np.sqrt(np.mean(one**2) * np.mean(other**2)))
    return float(np.mean(one * other)) / size if size > 0 else 0.0
