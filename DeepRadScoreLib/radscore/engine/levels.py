"""Grey levels of 25 HU inside a region, and the region as the texture kernels read it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from DeepRadScoreLib.imaging.grids.geometry import index_box
from DeepRadScoreLib.imaging.grids.lps import box_slices
from DeepRadScoreLib.radscore.engine.kernels import digitize

Corner = tuple[int, int, int]
BIN_WIDTH = 25
MAX_LEVELS = 65_500
"""Grey levels over which a region may extend: pyradiomics would need 450 GB of memory for so many."""


def bin_edges(low: Any, high: Any) -> np.ndarray:
    """Edges of the bins for the smallest and largest value of a region, `pyradiomics.imageoperations.getBinEdges`.

    For float images in their own type, as there: the edges may miss multiples of 25 by a rounding error. For integers
    never in 16 bits: there pyradiomics fails for a value or a span over 32,717.

    Raises
    ------
    ValueError: an end is not finite, or there would be more than 65,500 levels.
    """
    if isinstance(low, np.integer):
        low, high = int(low), int(high)
    levels = (float(high) - float(low)) / BIN_WIDTH
    if not math.isfinite(levels):
        raise ValueError("a voxel of the region has no finite value")
    if levels > MAX_LEVELS:
        raise ValueError(f"the region spans {levels:.0f} grey levels of {BIN_WIDTH} HU, the most are {MAX_LEVELS}")
    edges = np.arange(low - (low % BIN_WIDTH), high + 2 * BIN_WIDTH, BIN_WIDTH)
    return np.array([edges[0] - 0.5, edges[0] + 0.5]) if len(edges) == 1 else edges.astype(np.float64)


@dataclass(frozen=True)
class Levels:
    """Grey levels of a region's voxels.

    Attributes
    ----------
    index: (n,) uint16, position of each voxel's level in `grey`, from 1 on.
    grey: (k + 1,) int64, the levels that occur, ascending, after a 0 for what is outside.
    counts: (k,) voxels of each level.
    """

    index: np.ndarray
    grey: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Levels:
        """The levels of the values (n,) of a region, `pyradiomics.imageoperations.binImage`.

        Raises
        ------
        ValueError: as `bin_edges`.
        """
        edges = bin_edges(values.min(), values.max())
        levels = np.empty(len(values), np.int64)
        digitize(values.astype(np.float64, copy=False), edges, levels)
        of_level = np.bincount(levels)
        present = np.flatnonzero(of_level)
        places = np.zeros(len(of_level), np.uint16)
        places[present] = np.arange(1, len(present) + 1)
        return cls(places[levels], np.concatenate([[0], present]), of_level[present])


@dataclass(frozen=True)
class RegionVoxels:
    """The voxels of a region in its bounding box with one voxel of margin, in raster order.

    Attributes
    ----------
    voxels: z, y, x indices (n,) in the image.
    first, last: corners (z, y, x) of the region, without the margin.
    positions: (n,) int64, in the flat box.
    offsets: (13,) int64, steps in the flat box to the later neighbour of each direction; z comes first.
    """

    voxels: tuple[np.ndarray, np.ndarray, np.ndarray]
    first: Corner
    last: Corner
    positions: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, mask: np.ndarray) -> RegionVoxels:
        """Of a mask (z, y, x) with at least one voxel."""
        box = index_box(mask)
        assert box is not None
        inside = mask[box_slices(*box)] != 0
        depth, rows, columns = inside.shape
        z = np.repeat(np.arange(depth), np.count_nonzero(inside, axis=(1, 2)))
        y = np.repeat(np.tile(np.arange(rows), depth), np.count_nonzero(inside, axis=2).ravel())
        x = np.broadcast_to(np.arange(columns), inside.shape)[inside]
        first, last = (_corner(corner) for corner in box)
        strides = ((rows + 2) * (columns + 2), columns + 2, 1)
        places = z * strides[0]
        places += y * strides[1] + x + sum(strides)
        voxels = (z + first[0], y + first[1], x + first[2])
        return cls(voxels, first, last, places, np.array(DIRECTIONS) @ np.array(strides))

    @property
    def box_shape(self) -> Corner:
        """Of the box with its margin (z, y, x)."""
        return _box_shape(self.first, self.last)

    def box(self, levels: Levels) -> np.ndarray:
        """The flat box of level indices, uint16, 0 outside the region."""
        box = np.zeros(int(np.prod(self.box_shape)), np.uint16)
        box[self.positions] = levels.index
        return box


def _corner(index: np.ndarray) -> Corner:
    z, y, x = index.tolist()
    return z, y, x


def _box_shape(first: Corner, last: Corner) -> Corner:
    z, y, x = (high - low + 3 for low, high in zip(first, last, strict=True))
    return z, y, x


DIRECTIONS = (
    (1, 0, 0),
    (0, 1, 0),
    (0, 0, 1),
    (0, 1, 1),
    (0, 1, -1),
    (1, 0, 1),
    (1, 0, -1),
    (1, 1, 0),
    (1, -1, 0),
    (1, 1, 1),
    (1, 1, -1),
    (1, -1, 1),
    (1, -1, -1),
)
"""Steps (z, y, x) to the 13 later neighbours of a voxel."""
