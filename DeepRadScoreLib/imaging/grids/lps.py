"""Images and cases in LPS order with rounded geometry (method: canonical frame, 1), their voxels not copied."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import RegionError
from DeepRadScoreLib.imaging.carriers import Case
from DeepRadScoreLib.imaging.grids.geometry import (
    direction_of,
    geometry_in_lps,
    in_lps_axes,
    index_box,
    lps_axes,
    with_geometry,
)


@dataclass(frozen=True)
class LpsImage:
    """A stored image seen with its axes in LPS order (nearest axes where it is oblique).

    Attributes
    ----------
    voxels: array (z, y, x), a view of the voxels of `stored`, which it does not keep alive by itself.
    spacing, origin: mm along x, y, z; position of the first voxel, LPS.
    direction: (3, 3), its columns are the axes x, y, z.
    """

    voxels: np.ndarray = field(repr=False)
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: np.ndarray
    stored: sitk.Image = field(repr=False)

    @classmethod
    def of(cls, image: sitk.Image, voxels: np.ndarray | None = None) -> LpsImage:
        """An image in LPS order; `voxels`: array (z, y, x) in its stored order that takes the place of its voxels.

        Spacing is rounded to 1e-5 mm, direction to 1e-6 and made orthonormal again, position to 1e-3 mm, halves up:
        NIfTI stores geometry in float32. The position that is rounded is not the first voxel's, which cropping would
        change, but that of the voxel of the (endless) grid that lies nearest to the world's origin along each axis.
        """
        axes = lps_axes(direction_of(image))
        spacing, origin, direction = geometry_in_lps(image, axes)
        stored = sitk.GetArrayViewFromImage(image) if voxels is None else voxels
        return cls(in_lps_axes(stored, axes), spacing, origin, direction, image)

    @property
    def size(self) -> tuple[int, int, int]:
        """Number of voxels along x, y, z."""
        z, y, x = self.voxels.shape
        return x, y, z

    @cached_property
    def box(self) -> tuple[np.ndarray, np.ndarray] | None:
        """First and last (z, y, x) index of the voxels that are not 0, or None where there are none."""
        return index_box(self.voxels)

    @property
    def volume_ml(self) -> float:
        """Volume of the voxels that are not 0, in mL."""
        voxels = 0 if self.box is None else int(np.count_nonzero(self.voxels[box_slices(*self.box)]))
        return float(voxels * np.prod(self.spacing) / 1000)

    @property
    def centres(self) -> list[np.ndarray]:
        """Positions of the voxel centres along each of the axes x, y, z, in mm from the world's origin."""
        start = self.direction.T @ np.array(self.origin)
        return [start[a] + self.spacing[a] * np.arange(self.size[a]) for a in range(3)]

    @property
    def grid(self) -> sitk.Image:
        """An image with this geometry and a single voxel, the first one."""
        return with_geometry(sitk.Image([1, 1, 1], sitk.sitkUInt8), self.spacing, self.origin, self.direction)

    def wrap(self, array: np.ndarray, first: tuple[int, int, int] = (0, 0, 0)) -> sitk.Image:
        """An array (z, y, x) as an image on this grid; `first`: where its first voxel lies, x, y, z, within or not."""
        position = self.grid.TransformContinuousIndexToPhysicalPoint([float(index) for index in first])
        return with_geometry(sitk.GetImageFromArray(array), self.spacing, position, self.direction)


@dataclass(frozen=True)
class LpsCase:
    """CT and tumour mask of a case in LPS order, on one grid."""

    case_id: str
    ct: LpsImage
    tumour: LpsImage

    @classmethod
    def of(cls, case: Case) -> LpsCase:
        """A case in LPS order."""
        return cls(case.case_id, LpsImage.of(case.ct), LpsImage.of(case.tumour))

    @property
    def tumour_box(self) -> tuple[np.ndarray, np.ndarray]:
        """First and last (z, y, x) index of the tumour's voxels.

        Raises
        ------
        RegionError: the tumour has no voxel.
        """
        if self.tumour.box is None:
            raise RegionError("the tumour mask is empty", where=self.case_id, mend="outline the tumour")
        return self.tumour.box

    @cached_property
    def inside(self) -> np.ndarray:
        """Bool array (z, y, x): the tumour within its box."""
        return self.tumour.voxels[box_slices(*self.tumour_box)] != 0


def box_slices(low: np.ndarray, high: np.ndarray) -> tuple[slice, ...]:
    """The slices from one index to another, both included."""
    return tuple(slice(int(first), int(last) + 1) for first, last in zip(low, high, strict=True))
