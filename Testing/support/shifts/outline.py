"""Another outline of the same tumour."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from support.shifts.volume import NotApplicableError, Volume


def grown(volume: Volume, rng: np.random.Generator, mm: float) -> Volume:
    """Dilated by `mm`, or eroded where it is negative; exact distances."""
    if mm > 0:
        return volume.with_mask(volume.distance_mm(volume.mask) <= mm)
    return volume.with_mask(volume.distance_mm(~volume.mask) > -mm)


def jittered(volume: Volume, rng: np.random.Generator, mm: float) -> Volume:
    """The surface moved in and out by `mm` (standard deviation), smoothly over 5 mm."""
    field = gaussian_filter(rng.standard_normal(volume.mask.shape, dtype=np.float32), volume.voxels(5.0))
    outwards = volume.distance_mm(volume.mask) - volume.distance_mm(~volume.mask)
    return volume.with_mask(outwards < mm * field / field.std())


def boxed(volume: Volume, rng: np.random.Generator) -> Volume:
    """The whole box around the tumour."""
    box = np.zeros_like(volume.mask)
    box[tuple(slice(low, high + 1) for low, high in zip(*volume.box, strict=True))] = True
    return volume.with_mask(box)


def scaled(volume: Volume, rng: np.random.Generator, factor: float) -> Volume:
    """Larger or smaller about the centroid."""
    return volume.with_mask(volume.scaled_mask(factor))


def tiny(volume: Volume, rng: np.random.Generator) -> Volume:
    """Ball of 2 mm radius in the tumour's middle: the voxel furthest from its surface."""
    depth = volume.distance_mm(~volume.mask)
    seed = np.zeros_like(volume.mask)
    seed[np.unravel_index(depth.argmax(), depth.shape)] = True
    return volume.with_mask(volume.distance_mm(seed) <= 2.0)


def moved(volume: Volume, rng: np.random.Generator, diameters: float) -> Volume:
    """Moved in plane in a random direction, by a share of the diameter; the first of 36 directions that fits."""
    start = rng.uniform(0, 2 * np.pi)
    for angle in start + np.linspace(0, 2 * np.pi, 36, endpoint=False):
        step = np.array([0, np.sin(angle), np.cos(angle)]) * volume.voxels(diameters * volume.diameter_mm)
        try:
            return volume.with_mask(volume.moved_mask(np.rint(step).astype(int)))
        except NotApplicableError:
            continue
    raise NotApplicableError
