"""Axes that are not at right angles: put right where that moves nothing, refused elsewhere."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError, Where
from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.grids.geometry import (
    SPACING_MM,
    affine_of,
    corner_indices,
    direction_of,
    orthonormal,
    spacing_text,
    with_affine,
)

SAME_ANGLE = 9.5e-5
"""Cosine between two axes that is rounding; ITK refuses a NIfTI file from 1e-4 on."""
MAX_ERROR_VOXELS = 0.1
MIN_TILT_DEGREES = 0.5
"""No gantry is tilted by less, and none is called so."""


def shear_degrees(direction: np.ndarray) -> float:
    """Largest departure from a right angle between two of the columns (unit vectors) of a (3, 3) matrix."""
    return float(np.degrees(np.arcsin(np.clip(_cosine(direction), 0, 1))))


def at_right_angles(image: sitk.Image, *, where: Where) -> tuple[QualityNote, ...]:
    """Give an image the nearest axes at right angles in place, about its centre; the remark on it where it had others.

    Raises
    ------
    InputError: a voxel would move by a tenth of a voxel or more.
    """
    direction = direction_of(image)
    if _cosine(direction) < SAME_ANGLE:
        return ()
    degrees, matrix = shear_degrees(direction), affine_of(image)
    straight = matrix.copy()
    straight[:3, :3] = orthonormal(direction) * image.GetSpacing()
    straight[:3, 3] += (matrix - straight)[:3, :3] @ (np.subtract(image.GetSize(), 1) / 2)
    corners = np.vstack([corner_indices(image.GetSize()).T, np.ones(8)])
    moved = float(np.abs(np.linalg.solve(straight, matrix @ corners) - corners).max())
    if moved >= MAX_ERROR_VOXELS:
        raise sheared(where, degrees)
    with_affine(image, straight)
    message = f"The image axes are {degrees:.2g} degrees off right angles and were straightened"
    return (QualityNote.info("axes_straightened", f"{message}: no corner moved by over {moved:.1g} voxels."),)


def check_spacing(image: sitk.Image | sitk.ImageFileReader, *, where: Where) -> None:
    """Refuse voxels that no CT has.

    Raises
    ------
    InputError: a spacing outside of `geometry.SPACING_MM`.
    """
    low, high = SPACING_MM
    spacing = image.GetSpacing()[:3]
    if not all(low <= value <= high for value in spacing):
        raise InputError(
            f"its voxels are {spacing_text(spacing)} mm, and those of a CT {low:g} to {high:g} mm",
            where=where,
            mend="correct the spacing in its header, or its unit, and export it again",
        )


def sheared(where: Where, degrees: float) -> InputError:
    """The error on an image whose axes are not at right angles."""
    cause = " (gantry tilt or shear)" if degrees >= MIN_TILT_DEGREES else ""
    return InputError(
        f"the image axes are not at right angles{cause}: {degrees:.2g} degrees off",
        where=where,
        mend="resample it to a rectangular grid first (in 3D Slicer: harden the transform)",
    )


def _cosine(direction: np.ndarray) -> float:
    """Largest cosine between two of the columns (unit vectors) of a (3, 3) matrix."""
    return float(np.abs(np.triu(direction.T @ direction, 1)).max())
