"""An even, cubic grid around a point of a CT, and the way back to the voxels of the CT."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import distance_transform_edt, gaussian_filter

from DeepRadScoreLib.imaging.grids.geometry import direction_of, image_like

OUTSIDE_HU, LOWEST_HU = -2000.0, -1100.0
"""Value of what lies outside the CT; values under the second (padding) are raised to it."""
HALF_WIDTH = 32
"""Voxels from the point to each side of the box, where the CT is as fine as that."""
SMOOTH_MM = 0.5


@dataclass(frozen=True, eq=False)
class ClickBox:
    """The CT around a point, resampled to cubic voxels; its middle voxel is the point.

    Attributes
    ----------
    hu: float32 (z, y, x), axes as in the CT.
    inside: bool, same shape: what lies in the CT.
    distance_mm: float32, same shape: distance from the point.
    step_mm: side of a voxel.
    native: the part of the CT that the box covers; first: index x, y, z of its first voxel in the CT.
    """

    hu: np.ndarray = field(repr=False)
    inside: np.ndarray = field(repr=False)
    distance_mm: np.ndarray = field(repr=False)
    step_mm: float
    native: sitk.Image = field(repr=False)
    first: tuple[int, ...]
    _grid: sitk.Image = field(repr=False)

    @classmethod
    def around(cls, ct: sitk.Image, at: tuple[float, float, float], radius_mm: float) -> ClickBox:
        """The box of a point (LPS mm) within the CT that reaches a little beyond `radius_mm`."""
        spacing = np.array(ct.GetSpacing())
        step = max(radius_mm / HALF_WIDTH, float(spacing.min()))
        half = int(np.ceil(radius_mm / step)) + 3
        middle, reach = np.array(ct.TransformPhysicalPointToContinuousIndex(at)), half * step / spacing
        low = np.maximum(np.floor(middle - reach).astype(int) - 1, 0)
        high = np.minimum(np.ceil(middle + reach).astype(int) + 2, ct.GetSize())
        x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        native = ct[x, y, z]
        grid = sitk.Image([2 * half + 1] * 3, sitk.sitkFloat32)
        grid.SetSpacing([step] * 3)
        grid.SetDirection(ct.GetDirection())
        grid.SetOrigin((np.array(at) - direction_of(ct) @ np.full(3, half * step)).tolist())
        hu = sitk.GetArrayFromImage(
            sitk.Resample(_smoothed(native, step), grid, sitk.Transform(), sitk.sitkLinear, OUTSIDE_HU)
        )
        line = (np.arange(2 * half + 1, dtype=np.float32) - half) * step
        distance = np.sqrt(line[:, None, None] ** 2 + line[:, None] ** 2 + line**2)
        return cls(hu, hu > OUTSIDE_HU, distance, step, native, tuple(low.tolist()), grid)

    @property
    def middle(self) -> tuple[int, int, int]:
        """Index (z, y, x) of the point."""
        z, y, x = (size // 2 for size in self.hu.shape)
        return z, y, x

    def depth_on_native(self, region: np.ndarray) -> np.ndarray:
        """Depth (mm) within a region (z, y, x) of the box, negative outside, as float32 on the voxels of `native`."""
        depth = self.distances(region) - self.distances(~region)
        image = image_like(depth.astype(np.float32), self._grid)
        return sitk.GetArrayFromImage(sitk.Resample(image, self.native, sitk.Transform(), sitk.sitkLinear, -1e3))

    def distances(self, region: np.ndarray) -> np.ndarray:
        """Distance in mm of each voxel of a region (z, y, x) from the nearest voxel centre that is not of it."""
        return distance_transform_edt(region, sampling=self.step_mm)


def _smoothed(native: sitk.Image, step_mm: float) -> sitk.Image:
    """The CT as float32, averaged over whole voxels where the box is coarser, else over `SMOOTH_MM`."""
    factors = [max(1, int(step_mm / spacing)) for spacing in native.GetSpacing()]
    image = sitk.Cast(sitk.Clamp(native, sitk.sitkFloat32, LOWEST_HU), sitk.sitkFloat32)
    if max(factors) > 1:
        return sitk.BinShrink(image, factors)
    sigma = SMOOTH_MM / np.array(image.GetSpacing()[::-1])
    return image_like(gaussian_filter(sitk.GetArrayViewFromImage(image), sigma, truncate=3), image)
