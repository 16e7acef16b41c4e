"""A case as arrays, for changes of its voxels, its mask or its field."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from DeepRadScoreLib.imaging import Case, case_from_images
from DeepRadScoreLib.imaging.grids.geometry import index_box, with_geometry
from DeepRadScoreLib.imaging.grids.lps import LpsCase

SCANNER_HU = (-1024, 3071)


class NotApplicableError(Exception):
    """The case does not hold what the shift needs (no table in its field, no room beside the tumour)."""


@dataclass(frozen=True)
class Volume:
    """CT and tumour in LPS order.

    Attributes
    ----------
    hu: int16 or, where the values are no whole numbers, float32 (z, y, x).
    mask: bool (z, y, x).
    step, origin: mm along z, y, x; world position of the first voxel (x, y, z).
    metadata: that of the CT's file, which says that a case is synthetic.
    """

    hu: np.ndarray
    mask: np.ndarray
    step: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: np.ndarray
    metadata: dict[str, str]

    @classmethod
    def of(cls, case: Case) -> Volume:
        """The volume of a case."""
        lps = LpsCase.of(case)
        x, y, z = lps.ct.spacing
        return cls(
            lps.ct.voxels.copy(),
            lps.tumour.voxels != 0,
            (z, y, x),
            lps.ct.origin,
            lps.ct.direction,
            {key: case.ct.GetMetaData(key) for key in case.ct.GetMetaDataKeys()},
        )

    def case(self, case_id: str) -> Case:
        """The case that reading such files would give. Raises InputError as `read_case`."""
        ct, mask = (self._image(array) for array in (self.hu, self.mask.astype(np.uint8)))
        for key, value in self.metadata.items():
            ct.SetMetaData(key, value)
        return case_from_images(ct, mask, case_id=case_id)

    def _image(self, array: np.ndarray) -> sitk.Image:
        return with_geometry(sitk.GetImageFromArray(array), self.step[::-1], self.origin, self.direction)

    def with_values(self, hu: np.ndarray) -> Volume:
        """Other voxel values, rounded to int16."""
        limits = np.iinfo(np.int16)
        return replace(self, hu=np.clip(np.rint(hu), limits.min, limits.max).astype(np.int16))

    def scanned(self, hu: np.ndarray) -> Volume:
        """Other voxel values as a scanner stores them: whole HU from -1024 to 3071."""
        return self.with_values(np.clip(hu, *SCANNER_HU))

    def with_mask(self, mask: np.ndarray) -> Volume:
        """Another tumour mask. Raises NotApplicableError if it is empty."""
        if not mask.any():
            raise NotApplicableError
        return replace(self, mask=mask)

    def cut(self, low: np.ndarray, high: np.ndarray) -> Volume:
        """The voxels from index `low` to below `high` (z, y, x); beyond the field they repeat its last voxel.

        The mask is empty there.
        """
        shape = np.array(self.hu.shape)
        before, after = np.maximum(-low, 0), np.maximum(high - shape, 0)
        inside = tuple(slice(max(a, 0), b) for a, b in zip(low, high, strict=True))
        widths = list(zip(before, after, strict=True))
        first = np.array(self.step)[::-1] * low[::-1]
        return replace(
            self,
            hu=np.pad(self.hu[inside], widths, mode="edge"),
            mask=np.pad(self.mask[inside], widths),
            origin=tuple((np.array(self.origin) + self.direction @ first).tolist()),
        )

    def padded(self, widths: tuple[int, int, int]) -> Volume:
        """More voxels at both ends of each axis (z, y, x), see `cut`."""
        return self.cut(-np.array(widths), np.array(self.hu.shape) + widths)

    @property
    def box(self) -> tuple[np.ndarray, np.ndarray]:
        """First and last index (z, y, x) of the tumour."""
        found = index_box(self.mask)
        if found is None:
            raise NotApplicableError
        return found

    @property
    def centre(self) -> np.ndarray:
        """Index (z, y, x) of the mask's centroid."""
        return np.argwhere(self.mask).mean(axis=0)

    @property
    def diameter_mm(self) -> float:
        """The longer side of the tumour's box in the axial plane."""
        low, high = self.box
        return float(((high - low + 1) * self.step)[1:].max())

    def voxels(self, mm: float) -> list[float]:
        """A length in voxels along z, y, x."""
        return [mm / step for step in self.step]

    def smooth(self, mm: float, *, in_plane: bool = False) -> np.ndarray:
        """The values after a Gaussian of standard deviation `mm`, float32."""
        sigma = self.voxels(mm)
        return gaussian_filter(self.hu.astype(np.float32), [0 if in_plane else sigma[0], *sigma[1:]], truncate=3)

    def distance_mm(self, region: np.ndarray) -> np.ndarray:
        """Distance in mm of each voxel from a region (z, y, x)."""
        return distance_transform_edt(~region, sampling=self.step)

    def moved_mask(self, offset: np.ndarray) -> np.ndarray:
        """The mask moved by whole voxels (z, y, x). Raises NotApplicableError if a part would leave the field."""
        low, high = (corner + offset for corner in self.box)
        if (low < 0).any() or (high >= self.mask.shape).any():
            raise NotApplicableError
        moved = np.zeros_like(self.mask)
        moved[tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))] = self.mask[
            tuple(slice(a, b + 1) for a, b in zip(*self.box, strict=True))
        ]
        return moved

    def mask_at(self, centre: np.ndarray) -> np.ndarray:
        """The mask with its centroid at an index, as near to it as the field allows."""
        offset = np.rint(centre - self.centre).astype(int)
        low, high = self.box
        return self.moved_mask(np.clip(offset, -low, np.array(self.mask.shape) - 1 - high))

    def scaled_mask(self, factor: float) -> np.ndarray:
        """The mask, larger or smaller about its centroid."""
        around = [np.arange(size, dtype=float) for size in self.mask.shape]
        z, y, x = ((axis - c) / factor + c for axis, c in zip(around, self.centre, strict=True))
        grid = np.meshgrid(z, y, x, indexing="ij")
        return map_coordinates(self.mask.astype(np.float32), grid, order=1) >= 0.5
