"""The 1 mm lattice on which regions and features are computed: canonical, or that of pyradiomics."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import MissingPackageError, RegionError
from DeepRadScoreLib.imaging.carriers import Case
from DeepRadScoreLib.imaging.geometry import direction_of, index_box, nearest_index, to_lps, with_geometry

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


def in_lps_order(case: Case) -> Case:
    """The case with all its images in LPS order and with rounded geometry (method: canonical frame, 1)."""
    return replace(case.change_masks(to_lps), ct=to_lps(case.ct))


def voxel_centres(image: sitk.Image) -> list[np.ndarray]:
    """Positions of the voxel centres along each of the image's axes x, y, z, in mm from the world's origin."""
    start = direction_of(image).T @ np.array(image.GetOrigin())
    return [start[a] + image.GetSpacing()[a] * np.arange(image.GetSize()[a]) for a in range(3)]


def canonical_lattice(tumour: sitk.Image, shell_mm: float) -> Lattice:
    """The lattice of a tumour mask in LPS order (method: canonical frame, 2).

    From the tumour voxels' outermost centres less (shell + 10 mm) to plus (shell + 10 mm), cut at the first and last
    voxel centres of the image.

    Raises
    ------
    RegionError: no whole-mm point lies inside the image (an image of one slice).
    """
    box = index_box(sitk.GetArrayViewFromImage(tumour))
    if box is None:
        raise RegionError("the tumour mask is empty", mend="outline the tumour")
    first, last = [], []
    for centres, low, high in zip(voxel_centres(tumour), box[0][::-1], box[1][::-1], strict=True):
        reach = shell_mm + MARGIN_MM
        first.append(math.ceil(max(centres[low] - reach, centres[0]) - END_TOLERANCE_MM))
        last.append(math.floor(min(centres[high] + reach, centres[-1]) + END_TOLERANCE_MM))
    if any(b < a for a, b in zip(first, last, strict=True)):
        raise RegionError(
            "the CT is too thin around the tumour for a 1 mm image", mend="give the whole CT series, not one slice"
        )
    return Lattice(tuple(first), tuple(last), direction_of(tumour))


def ct_on_lattice(ct: sitk.Image, lattice: Lattice) -> sitk.Image:
    """The CT (LPS order) on the lattice: int16, whole HU, by float64 cubic B-spline.

    The spline sees 16 native voxels beyond the lattice on each side where they exist; values are rounded to 1e-4 HU,
    then half up (method: canonical frame, 2).
    """
    bounds = []
    for centres, first, last, step in zip(voxel_centres(ct), lattice.first, lattice.last, ct.GetSpacing(), strict=True):
        low = math.floor((first - centres[0]) / step) - SUPPORT_VOXELS
        high = math.ceil((last - centres[0]) / step) + SUPPORT_VOXELS
        bounds.append(slice(max(low, 0), min(high, len(centres) - 1) + 1))
    resampled = sitk.Resample(
        sitk.Cast(ct[bounds[0], bounds[1], bounds[2]], sitk.sitkFloat64),
        lattice.size,
        sitk.Transform(),
        sitk.sitkBSpline,
        lattice.origin,
        (1.0, 1.0, 1.0),
        lattice.direction.ravel().tolist(),
        0.0,
        sitk.sitkFloat64,
    )
    whole = np.floor(np.round(sitk.GetArrayViewFromImage(resampled), 4) + 0.5)
    limits = np.iinfo(np.int16)
    return lattice.wrap(np.clip(whole, limits.min, limits.max).astype(np.int16))


def mask_on_lattice(mask: sitk.Image, lattice: Lattice) -> sitk.Image:
    """A mask (LPS order) on the lattice by nearest neighbour, the higher index at equal distance: uint8."""
    rows = [
        np.clip(nearest_index((np.arange(first, last + 1) - centres[0]) / step), 0, len(centres) - 1)
        for centres, first, last, step in zip(
            voxel_centres(mask), lattice.first, lattice.last, mask.GetSpacing(), strict=True
        )
    ]
    values = sitk.GetArrayViewFromImage(mask)[np.ix_(rows[2], rows[1], rows[0])]
    return lattice.wrap((values != 0).astype(np.uint8))


def masks_on_lattice(case: Case, lattice: Lattice) -> Case:
    """The case with its masks (LPS order) on the lattice, see `mask_on_lattice`; its CT is not changed."""
    return case.change_masks(partial(mask_on_lattice, lattice=lattice))


def canonical_frame(case: Case, shell_mm: float) -> Case:
    """A case in LPS order, resampled to its canonical lattice: CT in int16, masks in uint8.

    Raises
    ------
    RegionError: as `canonical_lattice`.
    """
    lattice = canonical_lattice(case.tumour, shell_mm)
    return replace(masks_on_lattice(case, lattice), ct=ct_on_lattice(case.ct, lattice))


def pyradiomics_frame(case: Case, shell_mm: float) -> Case:
    """A case exactly as stored, resampled to pyradiomics' 1 mm grid: CT in its pixel type, masks in uint8.

    `radiomics.imageoperations.resampleImage` with [1, 1, 1] mm, sitkBSpline and padDistance 10 (more where the shell
    is thicker); masks but the tumour by ITK's nearest neighbour.

    Raises
    ------
    MissingPackageError: pyradiomics is not installed.
    RegionError: pyradiomics refuses the region.
    """
    try:
        from radiomics import imageoperations
    except ImportError as error:
        raise MissingPackageError(
            "pyradiomics is not installed", where="--preprocessing pyradiomics", mend="pip install pyradiomics-bhklab"
        ) from error
    mask = sitk.Cast(case.tumour != 0, sitk.sitkUInt32)
    pad = max(int(MARGIN_MM), math.ceil(shell_mm))
    try:
        image, tumour = imageoperations.resampleImage(
            case.ct, mask, resampledPixelSpacing=[1, 1, 1], interpolator="sitkBSpline", padDistance=pad, label=1
        )
    except ValueError as error:
        raise RegionError(f"pyradiomics cannot use the region: {error}", where=case.case_id) from error
    resampled = case.change_masks(
        lambda mask: sitk.Resample(mask, image, sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8)
    )
    return replace(resampled, ct=image, tumour=sitk.Cast(tumour, sitk.sitkUInt8))
