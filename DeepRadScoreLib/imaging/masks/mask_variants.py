"""Plausible other outlines of a tumour: grown, shrunk, and with a smoothly moved surface."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import distance_transform_edt, gaussian_filter

from DeepRadScoreLib.imaging.carriers import Case
from DeepRadScoreLib.imaging.grids.geometry import image_like, index_box

STEP_MM = 1.0
"""By how much the surface is moved outwards and inwards."""
JITTER_MM = 0.75
"""Standard deviation of the movement of a jittered surface; it is cut at twice this."""
SMOOTH_MM = 5.0
"""Standard deviation of the Gaussian that smooths the movement along the surface."""
MARGIN_MM = 4.0


def mask_variants(case: Case, n: int, seed: int = 0) -> Iterator[Case]:
    """The case with `n` other tumour masks: grown by 1 mm, shrunk by 1 mm, then jittered ones; the CT stays as it is.

    The surface lies half a voxel outside the outermost voxels of the mask and is moved along its distance map (mm). A
    jittered surface moves by a smooth random field: 0.75 mm standard deviation, smoothed over 5 mm. A variant is a mask
    on the CT's grid, so that in slices that are thicker than the movement only the outline within them changes. Voxels
    of other tumours are never taken in.

    Parameters
    ----------
    seed: with the mask's own voxels it decides the jitter, and so does not depend on the case's name.
    """
    box = _box(case)
    mask = sitk.GetArrayFromImage(case.tumour) != 0
    spacing = np.array(case.tumour.GetSpacing()[::-1])
    depth = _depth(mask[box], spacing)
    rng = np.random.default_rng(_state(mask[box], seed))
    for number in range(n):
        moved = mask.copy()
        moved[box] = depth + _movement(number, depth.shape, spacing, rng) >= 0
        if case.other_tumours is not None:
            moved &= sitk.GetArrayViewFromImage(case.other_tumours) == 0
        yield replace(case, tumour=image_like(moved.astype(np.uint8), case.tumour), mask_ml=None)


def jittered_mask(case: Case, seed: int) -> Case:
    """The case with one jittered tumour mask, as another reader might have drawn it; see `mask_variants`."""
    *_, jittered = mask_variants(case, 3, seed)
    return jittered


def _movement(number: int, shape: tuple[int, ...], spacing: np.ndarray, rng: np.random.Generator) -> np.ndarray | float:
    """By how much the surface is moved outwards at each voxel, in mm."""
    if number < 2:
        return STEP_MM if number == 0 else -STEP_MM
    field = gaussian_filter(rng.standard_normal(shape), SMOOTH_MM / spacing, mode="wrap")
    field *= JITTER_MM / field.std()
    return np.clip(field, -2 * JITTER_MM, 2 * JITTER_MM)


def _depth(mask: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """Distance of each voxel's centre from the mask's surface in mm, positive inside."""
    inside, outside = (distance_transform_edt(each, sampling=spacing) for each in (mask, ~mask))
    half = spacing.min() / 2
    return np.where(mask, inside - half, half - outside)


def _box(case: Case) -> tuple[slice, ...]:
    """The tumour's box with a margin, z, y, x."""
    mask = sitk.GetArrayViewFromImage(case.tumour)
    found = index_box(mask)
    if found is None:
        return tuple(slice(0, size) for size in mask.shape)
    margin = np.ceil(MARGIN_MM / np.array(case.tumour.GetSpacing()[::-1])).astype(int)
    low, high = np.maximum(found[0] - margin, 0), found[1] + margin + 1
    return tuple(slice(int(first), int(last)) for first, last in zip(low, high, strict=True))


def _state(mask: np.ndarray, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}|{mask.shape}|".encode() + np.packbits(mask).tobytes()).digest())
