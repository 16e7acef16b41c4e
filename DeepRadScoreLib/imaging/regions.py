"""The regions of interest beside the tumour: peritumoral shell and deep patch."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import distance_transform_edt

from DeepRadScoreLib.errors import RegionError
from DeepRadScoreLib.imaging.carriers import PATCH_PIXELS, Case, DeepPatch
from DeepRadScoreLib.imaging.geometry import direction_of, image_like, index_box, nearest_index, with_geometry

OUTSIDE_HU = -1000.0
DISTANCE_NOISE_MM = 1e-9


def peritumoral_shell(
    tumour: sitk.Image, shell_mm: float, *, exclude: sitk.Image | None = None, lung: sitk.Image | None = None
) -> sitk.Image:
    """The peritumoral shell: voxels with 0 < d <= `shell_mm`.

    d is the exact Euclidean distance in mm from the nearest tumour voxel's centre (method: regions of interest).
    All images share one grid.

    Parameters
    ----------
    exclude: other tumours, which do not belong to the shell.
    lung: mask to which the shell is confined.

    Returns
    -------
    uint8 image of 0 and 1 on the grid of `tumour`.
    """
    inside = sitk.GetArrayViewFromImage(tumour) != 0
    shell = np.zeros(inside.shape, dtype=np.uint8)
    box = index_box(inside)
    if box is not None:
        sampling = np.array(tumour.GetSpacing())[::-1]
        reach = np.ceil(shell_mm / sampling).astype(int)
        nearby = tuple(slice(max(low - r, 0), high + r + 1) for low, high, r in zip(*box, reach, strict=True))
        distance = distance_transform_edt(~inside[nearby], sampling=sampling)
        shell[nearby] = (distance > 0) & (distance <= shell_mm + DISTANCE_NOISE_MM)
    if exclude is not None:
        shell[sitk.GetArrayViewFromImage(exclude) != 0] = 0
    if lung is not None:
        shell[sitk.GetArrayViewFromImage(lung) == 0] = 0
    return image_like(shell, tumour)


def deep_patch(case: Case) -> DeepPatch:
    """The 160 x 160 native pixels around the tumour in the slice with its largest area (method: regions of interest).

    Parameters
    ----------
    case: in LPS order (`in_lps_order`), so that its slices are the planes nearest to axial. The first slice wins a tie;
        the centroid of the mask in that slice, rounded half up to a pixel, becomes pixel 80 of 0..159; -1000 HU where
        the patch leaves the CT.

    Raises
    ------
    RegionError: the mask is empty.
    """
    mask = sitk.GetArrayViewFromImage(case.tumour) != 0
    counts = np.count_nonzero(mask, axis=(1, 2))
    if not counts.any():
        raise RegionError("the tumour mask is empty", where=case.case_id, mend="outline the tumour")
    k = int(counts.argmax())
    rows, columns = np.nonzero(mask[k])
    j, i = (int(nearest_index(np.array(axis.mean()))) for axis in (rows, columns))
    corner = (j - PATCH_PIXELS // 2, i - PATCH_PIXELS // 2)
    hu = _window(sitk.GetArrayViewFromImage(case.ct)[k].astype(np.float32), corner, OUTSIDE_HU)
    tumour = _window(mask[k], corner, False)
    spacing = case.ct.GetSpacing()
    origin = case.ct.TransformContinuousIndexToPhysicalPoint((float(corner[1]), float(corner[0]), float(k)))
    return DeepPatch(
        image=with_geometry(sitk.GetImageFromArray(hu[None]), spacing, origin, direction_of(case.ct)),
        tumour=tumour,
        centre_ijk=(i, j, k),
        area_mm2=float(counts[k] * (spacing[0] * spacing[1])),
        cut_off_share=float(1 - tumour.sum() / counts[k]),
    )


def _window(plane: np.ndarray, corner: tuple[int, int], fill: float) -> np.ndarray:
    """The 160 x 160 pixels of a plane (y, x) whose first one is `corner` (y, x); `fill` outside of the plane."""
    padded = np.pad(plane, PATCH_PIXELS, constant_values=fill)
    return padded[tuple(slice(start + PATCH_PIXELS, start + 2 * PATCH_PIXELS) for start in corner)].copy()
