"""The 1 mm lattice on which regions and features are computed: canonical, or that of pyradiomics."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import RegionError
from DeepRadScoreLib.imaging.carriers import Case
from DeepRadScoreLib.imaging.grids.geometry import nearest_index, with_geometry
from DeepRadScoreLib.imaging.grids.lps import LpsImage
from DeepRadScoreLib.imaging.grids.pyradiomics_grid import ct_on_pyradiomics_grid
from DeepRadScoreLib.imaging.grids.spline import interpolate_steps
from DeepRadScoreLib.progress import run_to_end

MARGIN_MM = 10.0
SUPPORT_VOXELS = 16
END_TOLERANCE_MM = 1e-6
"""How far rounding noise may push a lattice point over an end of the CT."""


@dataclass(frozen=True)
class Lattice:
    """Whole-mm points along the axes of an LPS image, anchored at the world's origin.

    Attributes
    ----------
    first, last: outermost points (mm along the three axes, both included).
    direction: (3, 3), its columns are the axes.
    """

    first: tuple[int, int, int]
    last: tuple[int, int, int]
    direction: np.ndarray

    @property
    def size(self) -> tuple[int, int, int]:
        """Number of points along x, y, z."""
        x, y, z = (last - first + 1 for first, last in zip(self.first, self.last, strict=True))
        return x, y, z

    def wrap(self, array: np.ndarray) -> sitk.Image:
        """An array (z, y, x) as an image on this lattice."""
        return with_geometry(sitk.GetImageFromArray(array), (1.0, 1.0, 1.0), self.origin, self.direction)

    @property
    def origin(self) -> list[float]:
        """World position of the first point, mm, LPS."""
        return (self.direction @ np.array(self.first, dtype=float)).tolist()


def canonical_lattice(tumour: LpsImage, shell_mm: float) -> Lattice:
    """The lattice of a tumour mask (method: canonical frame, 2).

    From the tumour voxels' outermost centres less (shell + 10 mm) to plus (shell + 10 mm), cut at the first and last
    voxel centres of the image.

    Raises
    ------
    RegionError: no whole-mm point lies inside the image (an image of one slice), or the tumour has no voxel.
    """
    if tumour.box is None:
        raise RegionError("the tumour mask is empty", mend="outline the tumour")
    first, last = [], []
    for centres, low, high in zip(tumour.centres, *(index[::-1] for index in tumour.box), strict=True):
        reach = shell_mm + MARGIN_MM
        first.append(math.ceil(max(centres[low] - reach, centres[0]) - END_TOLERANCE_MM))
        last.append(math.floor(min(centres[high] + reach, centres[-1]) + END_TOLERANCE_MM))
    if any(b < a for a, b in zip(first, last, strict=True)):
        raise RegionError(
            "the CT is too thin around the tumour for a 1 mm image", mend="give the whole CT series, not one slice"
        )
    return Lattice(tuple(first), tuple(last), tumour.direction)


def ct_on_lattice(ct: LpsImage, lattice: Lattice) -> sitk.Image:
    """All steps of `ct_on_lattice_steps`."""
    return run_to_end(ct_on_lattice_steps(ct, lattice))


def ct_on_lattice_steps(ct: LpsImage, lattice: Lattice) -> Generator[str, None, sitk.Image]:
    """The CT on the lattice: int16, whole HU, by float64 cubic B-spline; yields the axis that comes next.

    The spline sees 16 native voxels beyond the lattice on each side where they exist; values are rounded to 1e-4 HU,
    then half up (method: canonical frame, 2).
    """
    box, points = [], []
    for centres, first, last, step in zip(ct.centres, lattice.first, lattice.last, ct.spacing, strict=True):
        low = max(math.floor((first - centres[0]) / step) - SUPPORT_VOXELS, 0)
        high = min(math.ceil((last - centres[0]) / step) + SUPPORT_VOXELS, len(centres) - 1)
        box.append(slice(low, high + 1))
        points.append((np.arange(first, last + 1) - centres[0]) / step - low)
    hu = yield from interpolate_steps(ct.voxels[tuple(box[::-1])], points[::-1])
    limits = np.iinfo(np.int16)
    for plane in hu:
        np.clip(np.floor(np.round(plane, 4) + 0.5), limits.min, limits.max, out=plane)
    return lattice.wrap(hu.astype(np.int16))


def mask_on_lattice(mask: LpsImage, lattice: Lattice) -> sitk.Image:
    """A mask on the lattice by nearest neighbour, the higher index at equal distance: uint8."""
    rows = [
        np.clip(nearest_index((np.arange(first, last + 1) - centres[0]) / step), 0, len(centres) - 1)
        for centres, first, last, step in zip(mask.centres, lattice.first, lattice.last, mask.spacing, strict=True)
    ]
    low = [int(indices[0]) for indices in rows]
    x, y, z = (indices - indices[0] for indices in rows)
    part = mask.voxels[tuple(slice(a, int(b[-1]) + 1) for a, b in zip(low[::-1], rows[::-1], strict=True))] != 0
    return lattice.wrap(part[:, :, x][:, y][z].view(np.uint8))


def masks_on_lattice(case: Case, lattice: Lattice) -> Case:
    """The case with its masks on the lattice, see `mask_on_lattice`; its CT is not changed."""
    return case.change_masks(lambda mask: mask_on_lattice(LpsImage.of(mask), lattice))


def pyradiomics_frame(case: Case, shell_mm: float) -> Case:
    """A case exactly as stored on pyradiomics' 1 mm grid: CT in its pixel type, masks in uint8.

    The grid reaches 10 voxels beyond the tumour, more where the shell is thicker (see `ct_on_pyradiomics_grid`); masks
    by ITK's nearest neighbour.

    Raises
    ------
    RegionError: the tumour has no voxel.
    """
    ct = ct_on_pyradiomics_grid(case.ct, case.tumour, max(int(MARGIN_MM), math.ceil(shell_mm)))
    resampled = case.change_masks(
        lambda mask: sitk.Resample(mask, ct, sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8)
    )
    return replace(resampled, ct=ct)
