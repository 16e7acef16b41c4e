"""The regions of interest beside the tumour: peritumoral shell and deep patch."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.imaging.carriers import PATCH_PIXELS, Case, DeepPatch
from DeepRadScoreLib.imaging.grids.geometry import image_like, index_box, nearest_index
from DeepRadScoreLib.imaging.grids.lps import LpsCase
from DeepRadScoreLib.imaging.masks.morphology import squared_distances

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
    inside = sitk.GetArrayViewFromImage(tumour)
    shell = np.zeros(inside.shape, dtype=np.uint8)
    box = index_box(inside)
    if box is not None:
        sampling = np.array(tumour.GetSpacing())[::-1]
        reach = np.ceil(shell_mm / sampling).astype(int)
        nearby = tuple(slice(max(low - r, 0), high + r + 1) for low, high, r in zip(*box, reach, strict=True))
        shell[nearby] = _near(inside[nearby] != 0, shell_mm + DISTANCE_NOISE_MM, sampling)
    if exclude is not None:
        shell[sitk.GetArrayViewFromImage(exclude) != 0] = 0
    if lung is not None:
        shell[sitk.GetArrayViewFromImage(lung) == 0] = 0
    return image_like(shell, tumour)


def _near(inside: np.ndarray, limit_mm: float, sampling: np.ndarray) -> np.ndarray:
    """The voxels outside a mask (z, y, x) whose centres lie within `limit_mm` of a voxel's centre in it, as bool."""
    if (sampling != 1.0).any():
        from scipy.ndimage import distance_transform_edt

        distance = distance_transform_edt(~inside, sampling=sampling)
        return (distance > 0) & (distance <= limit_mm)
    squared = squared_distances(inside, limit_mm)
    return (squared > 0) & (squared <= limit_mm**2)


def deep_patch(case: Case) -> DeepPatch:
    """The 160 x 160 native pixels around the tumour in the slice with its largest area (method: regions of interest).

    Raises
    ------
    RegionError: the mask is empty.
    """
    return lps_patch(LpsCase.of(case))


def lps_patch(case: LpsCase) -> DeepPatch:
    """See `deep_patch`."""
    low = case.tumour_box[0]
    counts = np.count_nonzero(case.inside, axis=(1, 2))
    layer = int(counts.argmax())
    rows, columns = np.nonzero(case.inside[layer])
    j, i = (int(nearest_index(np.array(axis.mean()))) for axis in (rows + low[1], columns + low[2]))
    k, area = int(low[0]) + layer, int(counts[layer])
    corner = (j - PATCH_PIXELS // 2, i - PATCH_PIXELS // 2)
    hu = _window(case.ct.voxels[k], corner, OUTSIDE_HU)
    tumour = _window(case.tumour.voxels[k], corner, 0) != 0
    spacing = case.ct.spacing
    return DeepPatch(
        image=case.ct.wrap(hu[None], (corner[1], corner[0], k)),
        tumour=tumour,
        centre_ijk=(i, j, k),
        area_mm2=float(area * (spacing[0] * spacing[1])),
        cut_off_share=float(1 - tumour.sum() / area),
    )


def _window(plane: np.ndarray, corner: tuple[int, int], fill: float) -> np.ndarray:
    """The 160 x 160 pixels of a plane (y, x) whose first one is `corner` (y, x); `fill` outside of the plane."""
    window = np.full((PATCH_PIXELS, PATCH_PIXELS), fill, dtype=np.float32)
    first = [max(-start, 0) for start in corner]
    seen = plane[tuple(slice(max(start, 0), start + PATCH_PIXELS) for start in corner)]
    window[first[0] : first[0] + seen.shape[0], first[1] : first[1] + seen.shape[1]] = seen
    return window
