"""Labelmaps on the grid of another image, by nearest neighbour."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.imaging.grids.geometry import image_like, index_box, index_map, nearest_index
from DeepRadScoreLib.imaging.grids.lps import LpsImage


def labels_on_grid(labels: sitk.Image, grid: sitk.Image) -> sitk.Image:
    """A scalar labelmap on the grid of another image by nearest neighbour; 0 outside of the labelmap.

    Both are compared in LPS order with rounded geometry, so that ties do not depend on how either is stored.
    """
    source = LpsImage.of(labels)
    out = np.zeros(grid.GetSize()[::-1], dtype=source.voxels.dtype)
    target = LpsImage.of(grid, voxels=out)
    box = _box_on_target(source, target)
    if box is not None:
        low, high = box
        matrix, offset = index_map(target.grid, source.grid)
        x, y = np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1)[:, None]
        limits = np.array(source.size)
        for z in range(low[2], high[2] + 1):
            hit = [nearest_index(matrix[a, 0] * x + matrix[a, 1] * y + matrix[a, 2] * z + offset[a]) for a in range(3)]
            inside = np.logical_and.reduce([(h >= 0) & (h < limit) for h, limit in zip(hit, limits, strict=True)])
            plane = target.voxels[z, low[1] : high[1] + 1, low[0] : high[0] + 1]
            plane[inside] = source.voxels[hit[2][inside], hit[1][inside], hit[0][inside]]
    return image_like(out, grid)


def _box_on_target(source: LpsImage, target: LpsImage) -> tuple[np.ndarray, np.ndarray] | None:
    """First and last x, y, z index of `target` that a non-zero voxel of `source` can reach, or None."""
    box = index_box(source.voxels)
    if box is None:
        return None
    matrix, offset = index_map(source.grid, target.grid)
    low, high = box[0][::-1] - 0.5, box[1][::-1] + 0.5
    corners = np.array([np.where(corner, high, low) for corner in np.ndindex(2, 2, 2)]) @ matrix.T + offset
    first = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    last = np.minimum(np.ceil(corners.max(axis=0)), np.array(target.size) - 1).astype(int)
    return None if (last < first).any() else (first, last)
