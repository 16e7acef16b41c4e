"""Whether an image is a CT in HU, and whether the axes of an image or mask can be used."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError, Where
from DeepRadScoreLib.imaging.checks.plausibility import check_values
from DeepRadScoreLib.imaging.grids.axes import check_spacing, shear_degrees, sheared
from DeepRadScoreLib.imaging.grids.geometry import direction_of

HU_LIMITS = (-32768.0, 32767.0)


def check_ct(ct: sitk.Image, *, where: Where) -> None:
    """Refuse an image that is not a finite 3-D scalar CT in HU.

    HU: air, lung and tissue lie where they belong, see `plausibility`, and no voxel leaves the range of 16 bits.

    Raises
    ------
    InputError: the image is no such CT.
    """
    if ct.GetNumberOfComponentsPerPixel() != 1 or "vector" in ct.GetPixelIDTypeAsString():
        raise InputError(
            f"the CT has {ct.GetNumberOfComponentsPerPixel()} components per voxel, not 1 (a colour image?)",
            where=where,
            mend="export the CT itself, in HU",
        )
    check_axes(ct, where=where)
    check_hu(sitk.GetArrayViewFromImage(ct), ct.GetSpacing(), where=where)


def check_hu(values: np.ndarray, spacing: Sequence[float], *, where: Where) -> None:
    """Refuse values that are not the finite HU of a CT, see `check_ct`.

    Parameters
    ----------
    values: (z, y, x). spacing: mm along x, y, z.

    Raises
    ------
    InputError: they are not.
    """
    if np.iscomplexobj(values):
        raise InputError("the CT has complex numbers", where=where, mend="export the CT itself, in HU")
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise InputError("the CT has voxels that are not finite numbers (NaN)", where=where, mend="export it again")
    if low < HU_LIMITS[0] or high > HU_LIMITS[1]:
        raise InputError(
            f"the CT is not in HU: its values run from {low:g} to {high:g}",
            where=where,
            mend="export it with rescale slope and intercept applied, without windowing",
        )
    check_values(values, spacing, where=where)


def check_axes(image: sitk.Image, *, where: Where) -> None:
    """Refuse an image that is not 3-D, or whose voxels have no usable size or place.

    Raises
    ------
    InputError: dimensions, spacing, origin or direction of no 3-D volume at right angles.
    """
    if image.GetDimension() != 3:
        raise InputError(
            f"the image has {image.GetDimension()} dimensions, not 3", where=where, mend="give one 3-D volume"
        )
    spacing, position = np.array(image.GetSpacing()), np.array([*image.GetOrigin(), *image.GetDirection()])
    if not (np.isfinite([*spacing, *position]).all() and (spacing > 0).all()):
        raise InputError(
            "the header says no usable voxel size or position (zero, negative or no finite number)",
            where=where,
            mend="export the image again",
        )
    direction = direction_of(image)
    if not np.allclose(direction.T @ direction, np.eye(3), atol=1e-3):
        raise sheared(where, shear_degrees(direction))
    check_spacing(image, where=where)
