"""Masks with the CT's array size whose headers place them elsewhere: their geometry may have been lost on the way.

A converter that mirrors an axis or drops the origin leaves a mask that belongs to the CT voxel by voxel and lies
somewhere else by its header. Which of the two is right cannot be told from the files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import RegionError, Where
from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.grids.geometry import corner_indices, direction_of, geometry_in_lps, lps_axes
from DeepRadScoreLib.imaging.masks.segments import MaskContent
from DeepRadScoreLib.models import MaskGrid

MAX_APART_VOXELS = 0.5


def on_grid(content: MaskContent, ct: sitk.Image, grid: MaskGrid | None, ct_name: Path | str) -> MaskContent:
    """A mask where the user says that it lies.

    Parameters
    ----------
    ct: of its voxels nothing is read.
    grid: `SAME` puts a mask whose header places it elsewhere than the CT onto the CT voxel by voxel; `AS_STORED`
        believes the header; None: only where the two do not contradict each other. A mask whose corners are the CT's
        to half a voxel, in LPS order, lies where its header says, in whatever order it stores its axes.

    Raises
    ------
    RegionError: the mask has the CT's array size and lies elsewhere, and `grid` does not say what is right; or it has
        another size and should lie on the CT's grid.
    """
    note = replacement(content.layers[0], ct, grid, where=content.where, ct_name=ct_name)
    if note is None:
        return content
    layers = tuple(with_grid(layer, ct) for layer in content.layers)
    return replace(content, layers=layers, notes=(*content.notes, note))


def replacement(
    mask: sitk.Image, ct: sitk.Image, grid: MaskGrid | None, *, where: Where, ct_name: Path | str
) -> QualityNote | None:
    """The remark on a mask that is to be put onto the CT voxel by voxel; None where it stays, see `on_grid`.

    Raises
    ------
    RegionError: as `on_grid`.
    """
    if grid == MaskGrid.AS_STORED or not _elsewhere(mask, ct):
        return None
    sizes = mask.GetSize(), ct.GetSize()
    if grid is None and _same_size(mask, ct):
        raise RegionError(
            f"the mask has the CT's size ({_text(sizes[0])}) and lies up to {_distance(mask, ct):.3g} mm elsewhere",
            where=where,
            mend=(
                "say --mask-grid same if it belongs to ",
                ct_name,
                " voxel by voxel, or as-stored if its header is right (in a cohort table: the column mask_grid)",
            ),
        )
    if grid is None:
        return None
    if sizes[0] != sizes[1]:
        raise RegionError(
            f"the mask has {_text(sizes[0])} voxels and the CT {_text(sizes[1])}: it cannot lie on the same grid",
            where=where,
            mend=("give the mask that was drawn on ", ct_name, ", or say --mask-grid as-stored"),
        )
    message = (
        f"The mask lies up to {_distance(mask, ct):.3g} mm elsewhere by its header and was put onto the CT voxel by "
        "voxel, as was asked for."
    )
    return QualityNote.info("mask_grid_replaced", message)


def elsewhere_note(mask: sitk.Image, ct: sitk.Image) -> QualityNote | None:
    """The remark on a mask that may have lost its geometry and is used where it lies, as the reader sees it."""
    if not _same_size(mask, ct) or not _elsewhere(mask, ct):
        return None
    return QualityNote.warning(
        "mask_elsewhere",
        f"The mask has the CT's size ({_text(mask.GetSize())}) and lies up to {_distance(mask, ct):.3g} mm elsewhere: "
        "check its place on the CT.",
    )


def with_grid(mask: sitk.Image, ct: sitk.Image) -> sitk.Image:
    """A copy of a mask with the geometry of the CT."""
    placed = sitk.Image(mask)
    placed.CopyInformation(ct)
    return placed


def _same_size(mask: sitk.Image, ct: sitk.Image) -> bool:
    return mask.GetSize() == ct.GetSize() or _lps_size(mask) == _lps_size(ct)


def _elsewhere(mask: sitk.Image, ct: sitk.Image) -> bool:
    """Whether a corner of the mask lies over half a voxel from that of the CT, or their sizes differ, in LPS order."""
    if _lps_size(mask) != _lps_size(ct):
        return True
    corners = np.vstack([corner_indices(_lps_size(ct)).T, np.ones(8)])
    index = np.linalg.solve(_lps_affine(ct), _lps_affine(mask) @ corners)
    return bool(np.abs(index - corners).max() > MAX_APART_VOXELS)


def _distance(mask: sitk.Image, ct: sitk.Image) -> float:
    """Largest distance between corners of the same index, in mm."""
    first, second = (
        [image.TransformIndexToPhysicalPoint(corner) for corner in corner_indices(image.GetSize()).tolist()]
        for image in (mask, ct)
    )
    return float(np.linalg.norm(np.subtract(first, second), axis=1).max())


def _lps_size(image: sitk.Image) -> tuple[int, ...]:
    return tuple(image.GetSize()[axis] for axis in lps_axes(direction_of(image))[0])


def _lps_affine(image: sitk.Image) -> np.ndarray:
    """(4, 4) matrix from an index in LPS order to mm in LPS."""
    spacing, origin, direction = geometry_in_lps(image, lps_axes(direction_of(image)))
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = direction * spacing, origin
    return matrix


def _text(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))
