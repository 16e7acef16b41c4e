"""Changes that must change nothing in features and findings, or little: the controls."""

from __future__ import annotations

import numpy as np

from support.shifts.body import middle_slice
from support.shifts.volume import Volume

PADDING_HU = -2000
VOXEL_HU = -3024


def padding_rim(volume: Volume, rng: np.random.Generator) -> Volume:
    """A rim of 20 mm of -2000 HU around the field, in plane."""
    pixels = [int(np.ceil(n)) for n in volume.voxels(20.0)]
    wide = volume.padded((0, pixels[1], pixels[2]))
    hu = np.full_like(wide.hu, PADDING_HU)
    inside = (slice(None), slice(pixels[1], -pixels[1]), slice(pixels[2], -pixels[2]))
    hu[inside] = volume.hu
    return wide.with_values(hu)


def padding_voxels(volume: Volume, rng: np.random.Generator) -> Volume:
    """Fifty single voxels of -3024 HU, over 35 mm from the tumour and not in the slice of the patch."""
    free = volume.distance_mm(volume.mask) > 35
    free[middle_slice(volume)] = False
    places = rng.choice(np.flatnonzero(free), 50)
    hu = volume.hu.copy()
    hu.ravel()[places] = VOXEL_HU
    return volume.with_values(hu)


def cropped(volume: Volume, rng: np.random.Generator, mm: float) -> Volume:
    """The field cut to the tumour and `mm` around it; the deep patch is then padded."""
    low, high = volume.box
    reach = np.ceil(volume.voxels(mm)).astype(int)
    return volume.cut(np.maximum(low - reach, 0), np.minimum(high + reach + 1, volume.hu.shape))


def mirrored(volume: Volume, rng: np.random.Generator) -> Volume:
    """CT and mask with left and right exchanged: a mirror-image patient."""
    return volume.with_mask(volume.mask[:, :, ::-1].copy()).with_values(volume.hu[:, :, ::-1])
