"""The shuffled-voxels baseline: a case that keeps shape and histogram and has no texture left."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.imaging.carriers import PreparedCase


def shuffled_voxels(prepared: PreparedCase, seed: int) -> PreparedCase:
    """The same case with the voxels of its tumour permuted among themselves, and those of its shell likewise.

    Both masks, the patch, and every voxel outside the two regions stay as they are: so do shape and histogram of each
    region, and what depends on where a voxel lies goes (texture, and all of the wavelet sub-bands). The permutation
    comes from `seed` and from the region's own voxels, so that it depends neither on the name of the case nor on the
    order of the cases, nor on the pixel type of the image.
    """
    values = sitk.GetArrayFromImage(prepared.image)
    for mask in (prepared.tumour, prepared.peritumoral):
        inside = sitk.GetArrayViewFromImage(mask) != 0
        region = values[inside]
        values[inside] = _generator(seed, region).permutation(region)
    image = sitk.GetImageFromArray(values)
    image.CopyInformation(prepared.image)
    return dataclasses.replace(prepared, image=image)


def _generator(seed: int, region: np.ndarray) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed}|".encode() + region.astype("<f8").tobytes()).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))
