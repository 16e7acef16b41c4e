"""The two regions of a case as an engine takes them, and the refusals that all engines share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import RegionError
from DeepRadScoreLib.imaging.carriers import PreparedCase
from DeepRadScoreLib.imaging.grids.geometry import index_box
from DeepRadScoreLib.radscore.names import REGIONS, Region

MEND: dict[Region, str] = {
    "tumour": "segment a tumour that is at least a few voxels wide in two directions on the 1 mm lattice",
    "peritumoral": "make the shell thicker, or leave out the lung mask or the neighbours that take it away",
}


@dataclass(frozen=True)
class CheckedRegion:
    """A region of which features can be computed.

    Attributes
    ----------
    mask: uint8 image of 0 and 1 on the grid of the case's image.
    first, last: (3,) z, y, x index of the corners of its bounding box, both inside.
    """

    name: Region
    case_id: str
    mask: sitk.Image = field(repr=False)
    first: np.ndarray
    last: np.ndarray

    @property
    def where(self) -> str:
        """Case and region, as an error names them."""
        return _where(self.case_id, self.name)


def checked_regions(prepared: PreparedCase) -> tuple[CheckedRegion, ...]:
    """The regions of a case in the order of `REGIONS`.

    Raises
    ------
    RegionError: a region that pyradiomics would refuse: it is empty, has voxels in fewer than two directions, or does
        not lie on the grid of the image.
    """
    return tuple(_checked_region(prepared, name) for name in REGIONS)


def _checked_region(prepared: PreparedCase, name: Region) -> CheckedRegion:
    mask: sitk.Image = getattr(prepared, name)
    where = _where(prepared.case_id, name)
    array = sitk.GetArrayViewFromImage(mask)
    box = index_box(array)
    if box is None:
        raise RegionError("the region has no voxel", where=where, mend=MEND[name])
    first, last = box
    if int((last > first).sum()) < 2:
        what = f"the region is a point or a line, too small for texture features (voxels: {np.count_nonzero(array)})"
        raise RegionError(what, where=where, mend=MEND[name])
    if not prepared.image.IsSameImageGeometryAs(mask):
        what = "the region does not lie on the grid of the image"
        raise RegionError(what, where=where, mend="resample its mask to the image")
    return CheckedRegion(name, prepared.case_id, mask, first, last)


def finite_columns(found: Mapping[str, float], region: CheckedRegion) -> dict[str, float]:
    """The features of a region (named as in `FEATURE_NAMES`) as columns of a feature table.

    Raises
    ------
    RegionError: one has no finite value. It is refused, not replaced: a score cannot be read from it.
    """
    for feature, value in found.items():
        if not math.isfinite(value):
            what = f"the feature {feature} has no finite value, the region is too small or too even"
            raise RegionError(what, where=region.where, mend=MEND[region.name])
    return {f"{region.name}_{feature}": float(value) for feature, value in found.items()}


def _where(case_id: str, name: Region) -> str:
    return f"{case_id}, {name} region"
