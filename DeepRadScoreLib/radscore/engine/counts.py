"""The texture matrices of a region: integer counts from one pass over its voxels, and its zones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from DeepRadScoreLib.radscore.engine.kernels import ANGLES, count_neighbours, count_runs, find_zones
from DeepRadScoreLib.radscore.engine.levels import DIRECTIONS, Levels, RegionVoxels

NEIGHBOURS = 27
"""Columns of a matrix by the number of neighbours, 0 to 26."""


@dataclass(frozen=True)
class TextureCounts:
    """Counts from one pass over a region's voxels; rows and columns of levels follow `grey`.

    Attributes
    ----------
    grey: (k,) grey levels that occur.
    voxels: (k,) voxels of each level.
    pairs: (13, k, k) neighbours by the level of the earlier and of the later voxel (GLCM).
    runs: (13, k, longest) runs by length - 1 (GLRLM), directions without any line of two voxels left at zero.
    dependence: (k, 27) voxels by the number of neighbours of their level (GLDM).
    neighbours, differences: (k, 27) by the number m of neighbours: voxels, and sum of |m grey - sum of theirs| (NGTDM).
    zones: (level's position, size) of each zone, two arrays (GLSZM).
    """

    grey: np.ndarray
    voxels: np.ndarray
    pairs: np.ndarray
    runs: np.ndarray
    dependence: np.ndarray
    neighbours: np.ndarray
    differences: np.ndarray
    zones: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, region: RegionVoxels, levels: Levels) -> TextureCounts:
        """Count a region; `levels` are those of its voxels in raster order."""
        k = len(levels.grey)
        box = region.box(levels)
        pairs = np.zeros((ANGLES, k, k), np.int32)
        dependence = np.zeros((k, NEIGHBOURS), np.int32)
        neighbours, differences = np.zeros((2, k, NEIGHBOURS), np.int64)
        equal, starts = np.empty(len(box), np.uint16), np.empty(len(region.positions), np.uint16)
        matrices = pairs, dependence, neighbours, differences
        count_neighbours(box, region.positions, region.offsets, levels.grey, *matrices, equal, starts)
        pairs = np.ascontiguousarray(pairs[:, 1:, 1:])
        return cls(
            levels.grey[1:],
            levels.counts,
            pairs,
            _runs(box, equal, starts, region, levels.counts, pairs),
            dependence[1:],
            neighbours[1:],
            differences[1:],
            _zones(box, region),
        )


def _zones(box: np.ndarray, region: RegionVoxels) -> tuple[np.ndarray, np.ndarray]:
    scratch = np.empty((2, len(box)), np.int32)
    level, size = np.empty((2, len(region.positions)), np.int64)
    found = find_zones(box, region.positions, region.offsets, scratch[0], scratch[1], level, size)
    return level[:found] - 1, size[:found]


def _runs(
    box: np.ndarray,
    equal: np.ndarray,
    starts: np.ndarray,
    region: RegionVoxels,
    voxels: np.ndarray,
    pairs: np.ndarray,
) -> np.ndarray:
    """Runs of one voxel are the voxels that no longer run holds."""
    runs = np.zeros((ANGLES, len(voxels) + 1, max(2, *region.box_shape)), np.int32)
    last = np.empty(len(region.positions), np.int32)
    count_runs(box, region.positions, region.offsets, equal, starts, last, runs)
    runs[:, 1:, 0] = voxels - runs[:, 1:] @ np.arange(1, runs.shape[2] + 1, dtype=np.int32)
    for angle in np.flatnonzero(pairs.sum((1, 2)) == 0):
        if not _some_line_holds_two(region, DIRECTIONS[angle]):
            runs[angle] = 0
    return np.ascontiguousarray(runs[:, 1:])


def _some_line_holds_two(region: RegionVoxels, direction: tuple[int, int, int]) -> bool:
    """Whether two voxels of a region lie on one line along a direction, next to each other or not."""
    moving = next(axis for axis in range(3) if direction[axis])
    along = region.voxels[moving] * direction[moving]
    line = np.stack(
        [
            index - along * step
            for axis, (index, step) in enumerate(zip(region.voxels, direction, strict=True))
            if axis != moving
        ]
    )
    return len(np.unique(line, axis=1).T) < len(along)
