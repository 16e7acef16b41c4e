"""Digests of an image: of its values, by which it is known again in any format, and of its very voxels and geometry."""

from __future__ import annotations

import hashlib

import numpy as np
import SimpleITK as sitk

LOWEST_HU, HIGHEST_HU = -(2**15), 2**16 - 1
VOXELS_AT_ONCE = 2**20


def image_fingerprint(image: sitk.Image) -> str:
    """SHA-256, in hexadecimal, of how many voxels a 3-D image has of each whole HU; empty for an image of one value.

    File format, pixel type, order of the axes and names do not change it; other CTs have other counts.
    """
    counts = np.zeros(HIGHEST_HU - LOWEST_HU + 1, dtype="<i8")
    voxels = sitk.GetArrayViewFromImage(image)
    planes = max(1, VOXELS_AT_ONCE // max(voxels[0].size, 1))
    for first in range(0, len(voxels), planes):
        some = voxels[first : first + planes]
        hu = some if some.dtype == np.int16 else np.clip(np.rint(some), LOWEST_HU, HIGHEST_HU)
        counts += np.bincount(hu.ravel().astype(np.intp) - LOWEST_HU, minlength=len(counts))
    return hashlib.sha256(counts.tobytes()).hexdigest() if np.count_nonzero(counts) > 1 else ""


def image_digest(image: sitk.Image) -> str:
    """SHA-256, in hexadecimal, of an image as it was read: its voxels, pixel type, size, spacing, origin and axes."""
    geometry = image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection(), image.GetPixelIDValue()
    digest = hashlib.sha256(repr(geometry).encode())
    digest.update(np.ascontiguousarray(sitk.GetArrayViewFromImage(image)).data)
    return digest.hexdigest()
