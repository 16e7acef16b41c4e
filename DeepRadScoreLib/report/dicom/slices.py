"""Images put onto the CT's own slices as they are stored: many viewers draw only on the images of a series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.imaging.dicom.slices import Slice
from DeepRadScoreLib.imaging.grids.geometry import index_map, nearest_index, same_grid


@dataclass(frozen=True)
class RegionsOnSlices:
    """Tumour and shell on those of the CT's slices that hold one of them.

    Attributes
    ----------
    numbers: of these slices, from 0 in order of position, ascending.
    tumour, shell: (slices, rows, columns), uint8; no pixel is of both.
    """

    numbers: list[int]
    tumour: np.ndarray
    shell: np.ndarray


def regions_on_slices(
    tumour: sitk.Image, shell: sitk.Image, ct: sitk.Image, slices: Sequence[Slice]
) -> RegionsOnSlices:
    """Both as `planes_on_slices`; a pixel at the border that is nearest to voxels of both is the tumour's."""
    planes = [planes_on_slices(mask, ct, slices) for mask in (tumour, shell)]
    numbers = sorted(planes[0].keys() | planes[1].keys())
    columns, rows = slices[0].size
    both = np.zeros((2, len(numbers), rows, columns), np.uint8)
    for mask, found in zip(both, planes, strict=True):
        for n, k in enumerate(numbers):
            if k in found:
                mask[n] = found[k]
    both[1][both[0] > 0] = 0
    return RegionsOnSlices(numbers, both[0], both[1])


def planes_on_slices(image: sitk.Image, ct: sitk.Image, slices: Sequence[Slice]) -> dict[int, np.ndarray]:
    """An image at the pixel centres of the stored slices by nearest neighbour, 0 outside it.

    Parameters
    ----------
    ct: the volume read from `slices`, one slice from each and in their order. With gantry tilt its slices are the
        stored ones shifted within their planes, and the shift is undone to the nearest pixel.

    Returns
    -------
    Slice number from 0 -> (rows, columns), the pixel type of `image`; slices that are 0 are left out.
    """
    box = _on_grid(image, ct)
    columns, rows = slices[0].size
    planes = {}
    for n in np.flatnonzero(box.values.any(axis=(1, 2))).tolist():
        k = n + box.first[2]
        column, row = np.subtract(box.first[:2], _first_pixel(ct, k, slices[k])).tolist()
        planes[k] = _placed(box.values[n], row, column, (rows, columns))
    return {k: plane for k, plane in planes.items() if plane.any()}


@dataclass(frozen=True)
class _Box:
    """Values (z, y, x) of a part of a grid, and the index (x, y, z) of its first voxel."""

    values: np.ndarray
    first: tuple[int, int, int]


def _on_grid(image: sitk.Image, grid: sitk.Image) -> _Box:
    """An image at the voxel centres of another by nearest neighbour: the box of `grid` that it reaches."""
    if same_grid(image, grid):
        return _Box(sitk.GetArrayViewFromImage(image), (0, 0, 0))
    size = np.array(grid.GetSize())
    matrix, offset = index_map(image, grid)
    corners = (np.array(list(np.ndindex(2, 2, 2))) * image.GetSize() - 0.5) @ matrix.T + offset
    first = np.clip(np.floor(corners.min(axis=0)), 0, size - 1).astype(int).tolist()
    last = np.clip(np.ceil(corners.max(axis=0)), 0, size - 1).astype(int)
    box = sitk.Image((last - first + 1).tolist(), image.GetPixelID())
    box.SetOrigin(grid.TransformIndexToPhysicalPoint(first))
    box.SetSpacing(grid.GetSpacing())
    box.SetDirection(grid.GetDirection())
    resampled = sitk.Resample(image, box, sitk.Transform(), sitk.sitkNearestNeighbor, 0.0)
    return _Box(sitk.GetArrayFromImage(resampled), tuple(first))


def _first_pixel(ct: sitk.Image, k: int, stored: Slice) -> tuple[int, int]:
    """The column and row of the volume's slice `k` that are nearest to the first pixel of that slice as stored.

    The reader of SEG rounds in the same way: a mask that is written and read again is the same.
    """
    position = np.array(ct.TransformIndexToPhysicalPoint((0, 0, k)))
    shift = stored.orientation @ (stored.position - position) / stored.spacing
    column, row = nearest_index(shift).tolist()
    return column, row


def _placed(plane: np.ndarray, row: int, column: int, size: tuple[int, int]) -> np.ndarray:
    """A plane put into one of another size, its first pixel at (row, column); what reaches beyond is cut off."""
    out = np.zeros(size, plane.dtype)
    rows, columns = (
        (max(start, 0), min(start + length, whole))
        for start, length, whole in zip((row, column), plane.shape, size, strict=True)
    )
    out[slice(*rows), slice(*columns)] = plane[
        rows[0] - row : max(rows[1] - row, 0), columns[0] - column : max(columns[1] - column, 0)
    ]
    return out
