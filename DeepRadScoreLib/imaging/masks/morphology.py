"""Distances, pieces, holes and opening of masks, by whole numbers and without the start-up time of SciPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def squared_distances(inside: np.ndarray, reach: float) -> np.ndarray:
    """Squared distances, in voxels, of the centres of a mask's grid (z, y, x) from the nearest voxel of the mask.

    They are whole numbers, found along one axis after the other; those over `reach` are the next whole number after its
    square.
    """
    far = int(reach**2) + 1
    squared = np.where(inside, 0, far).astype(np.min_scalar_type(2 * far))
    for axis in range(squared.ndim):
        along = np.moveaxis(squared, axis, 0)
        before = along.copy()
        for step in range(1, min(int(reach), len(along) - 1) + 1):
            for to, of in ((along[step:], before[:-step]), (along[:-step], before[step:])):
                np.minimum(to, of + squared.dtype.type(step * step), out=to)
    return squared


def pieces(mask: np.ndarray, *, by_corners: bool = False) -> np.ndarray:
    """The pieces of a mask (z, y, x), numbered from 1 on in raster order, 0 outside; `by_corners`: voxels that share
    a corner alone are of one piece, too."""
    found = np.zeros(mask.shape, np.int32)
    runs = _Runs.of(mask)
    if len(runs.row):
        root = _joined(len(runs.row), *runs.neighbours(by_corners))
        numbers = np.cumsum(root == np.arange(len(root)), dtype=np.int32)[root]
        found[mask] = np.repeat(numbers, runs.end - runs.start)
    return found


@dataclass(frozen=True)
class _Runs:
    """Runs of a mask's voxels along x, in raster order: the row (of all planes), the first column and the one after
    the last, (n,) each; `shape` of the mask."""

    row: np.ndarray
    start: np.ndarray
    end: np.ndarray
    shape: tuple[int, ...]

    @classmethod
    def of(cls, mask: np.ndarray) -> _Runs:
        width = mask.shape[2] + 1
        beside = np.zeros((mask.shape[0] * mask.shape[1], width + 1), np.int8)
        beside[:, 1:-1] = mask.reshape(-1, mask.shape[2])
        changes = np.flatnonzero(np.diff(beside, axis=1))
        row, start = np.divmod(changes[::2], width)
        return cls(row, start, changes[1::2] % width, mask.shape)

    def neighbours(self, by_corners: bool) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of runs that touch, each from an earlier and a later row: their positions, (m,) each."""
        _, rows, columns = self.shape
        width, more = columns + 2, int(by_corners)
        starts, ends = self.row * width + self.start, self.row * width + self.end
        earlier, later = [], []
        for plane, beside in ((0, 1), (1, 0), (1, -1), (1, 1)) if by_corners else ((0, 1), (1, 0)):
            y = self.row % rows + beside
            here = np.flatnonzero((y >= 0) & (y < rows))
            there = (self.row[here] + plane * rows + beside) * width
            low = np.searchsorted(ends, there + self.start[here] - more, side="right")
            high = np.searchsorted(starts, there + self.end[here] + more, side="left")
            count = np.maximum(high - low, 0)
            first = np.cumsum(count) - count
            earlier.append(np.repeat(here, count))
            later.append(np.repeat(low - first, count) + np.arange(count.sum()))
        return np.concatenate(earlier), np.concatenate(later)


def _joined(count: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of each of `count` members the first member of its group, (count,), where the pairs `one`, `other` are joined."""
    root = np.arange(count)
    while True:
        low, high = np.minimum(root[one], root[other]), np.maximum(root[one], root[other])
        apart = low != high
        if not apart.any():
            return root
        np.minimum.at(root, high[apart], low[apart])
        while not np.array_equal(root, further := root[root]):
            root = further


def filled(planes: np.ndarray) -> np.ndarray:
    """Masks (n, y, x) with the holes in each plane filled, which no side of a pixel leads out of."""
    count, rows, columns = planes.shape
    background = np.zeros((2 * count, rows + 2, columns + 2), dtype=bool)
    background[::2] = True
    background[::2, 1:-1, 1:-1] = ~planes
    outside = pieces(background)[::2]
    return outside[:, 1:-1, 1:-1] != outside[:, :1, :1]


def opened(planes: np.ndarray, spacing: np.ndarray, radius_mm: float) -> np.ndarray:
    """Masks (n, y, x) without what no disc of a radius in the plane fits into; they are thought to go on beyond the
    image as at its sides. `spacing`: y, x."""
    margin = int(np.ceil(radius_mm / spacing.min())) + 1
    padded = np.pad(planes, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    disc = _half_widths(spacing, radius_mm)
    kept = ~_eroded(~_eroded(padded, disc), disc) & padded
    return kept[:, margin:-margin, margin:-margin]


def _half_widths(spacing: np.ndarray, radius_mm: float) -> list[int]:
    """Half the width of a disc's rows, in pixels beside the middle one, from its middle row on."""
    y, x = (np.arange(int(radius_mm / step) + 1) * step for step in spacing)
    within = np.sqrt(np.square(y)[:, None] + np.square(x)) <= radius_mm
    return (within.sum(axis=1) - 1).tolist()


def _eroded(planes: np.ndarray, disc: list[int]) -> np.ndarray:
    """Masks (n, y, x) where the disc lies in them; beyond the image all is in them."""
    made, narrow = np.ones_like(planes), planes.copy()
    reach = 0
    for row in range(len(disc) - 1, -1, -1):
        while reach < disc[row]:
            reach += 1
            narrow[:, :, reach:] &= planes[:, :, :-reach]
            narrow[:, :, :-reach] &= planes[:, :, reach:]
        if row:
            made[:, row:] &= narrow[:, :-row]
            made[:, :-row] &= narrow[:, row:]
        else:
            made &= narrow
    return made
