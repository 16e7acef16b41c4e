"""The shuffled-voxels baseline: a case with the same shapes and histograms and without texture."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.imaging.carriers import PreparedCase
from DeepRadScoreLib.imaging.grids.geometry import image_like


def shuffled_voxels(prepared: PreparedCase, seed: int) -> PreparedCase:
    """The case with the HU values of its tumour permuted among the tumour's voxels, and those of its shell likewise.

    Both masks, the patch, and every voxel outside the two regions stay as they are: so do shape and histogram of each
    region, but not what depends on where a voxel lies (texture, and all of the wavelet sub-bands). The permutation
    derives from `seed` and the region's values, so that it depends neither on the name of the case nor on the order of
    the cases, nor on the pixel type of the image.
    """
    values = sitk.GetArrayFromImage(prepared.image)
    for mask in (prepared.tumour, prepared.peritumoral):
        inside = sitk.GetArrayViewFromImage(mask) != 0
        region = values[inside]
        values[inside] = _generator(seed, region).permutation(region)
    return dataclasses.replace(prepared, image=image_like(values, prepared.image))


def _generator(seed: int, region: np.ndarray) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}|".encode() + region.astype("<f8").tobytes()).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))
