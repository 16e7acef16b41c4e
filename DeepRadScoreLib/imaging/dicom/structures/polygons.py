"""Planar contours to voxels: a voxel belongs to a region when its centre lies inside an odd number of the contours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from DeepRadScoreLib.imaging.grids.geometry import SNAP

MAX_OFF_PLANE = 0.1
"""Contours on one plane lie no farther from each other, in slices."""
MIN_FAR_DISTANCE = 1.5
"""Contours at this distance, in slices, are assumed to come from a coarser series."""


@dataclass(frozen=True)
class Assignment:
    """The contours of each slice.

    Attributes
    ----------
    of_slice: slice index -> indices in the list of contours.
    between: number of contour planes that lie on no slice.
    unused: number of contour planes inside the image that serve no slice (another one lies nearer).
    outside: number of contour planes above the first or below the last slice.
    distance: smallest distance between two contour planes, in slices (1 where there is one plane only).
    missing: number of slices between the first and the last one of the region that have no contour.
    """

    of_slice: dict[int, list[int]]
    between: int
    unused: int
    outside: int
    distance: float
    missing: int


def even_odd(polygon: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres lie inside a polygon by the even-odd rule, bool, (rows, columns).

    Scan lines through the centres (Foley et al., Computer Graphics, 1990, section 3.6). A centre on an edge belongs to
    the side towards larger columns, then larger rows, so that two polygons with a common edge never share or lose a
    pixel; coordinates are rounded to 1e-6 pixel first, so that noise decides no tie. A cut made twice, there and back
    (keyhole), leaves nothing.

    Parameters
    ----------
    polygon: (n, 2), column and row in pixels (0 is the first pixel's centre), closed by itself; may leave the image.
    """
    start = np.round(polygon, SNAP)
    following = np.roll(start, -1, axis=0)
    down = (start[:, 1] < following[:, 1])[:, None]
    top, bottom = np.where(down, start, following), np.where(down, following, start)
    low, high = (np.clip(np.ceil(end(start, axis=0)), 0, shape[::-1]).astype(np.int64) for end in (np.min, np.max))
    first = np.clip(np.ceil(top[:, 1]), low[1], high[1]).astype(np.int64)
    past = np.clip(np.ceil(bottom[:, 1]), low[1], high[1]).astype(np.int64)
    count = past - first
    edge = np.repeat(np.arange(len(count)), count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    slope = (bottom[edge, 0] - top[edge, 0]) / (bottom[edge, 1] - top[edge, 1])
    crossing = np.ceil(np.round(top[edge, 0] + (row - top[edge, 1]) * slope, SNAP))
    column = np.clip(crossing, low[0], high[0]).astype(np.int64)
    inner = np.zeros((high[1] - low[1], high[0] - low[0] + 1), dtype=np.uint16)
    np.add.at(inner, (row - low[1], column - low[0]), 1)
    filled = np.zeros(shape, dtype=bool)
    filled[low[1] : high[1], low[0] : high[0]] = np.cumsum(inner, axis=1, dtype=np.uint16)[:, :-1] & 1
    return filled


def exclusive_or(polygons: Sequence[np.ndarray], shape: tuple[int, int]) -> tuple[np.ndarray, bool]:
    """The XOR of polygons on one plane, (rows, columns), and whether two of them cross (neither apart nor nested)."""
    fills = [even_odd(polygon, shape) for polygon in polygons]
    crossing = False
    if len(fills) > 1 and np.sum(fills, axis=0, dtype=np.uint16).max() > 1:
        for one, other in combinations(fills, 2):
            common = np.count_nonzero(one & other)
            crossing |= bool(0 < common < min(np.count_nonzero(one), np.count_nonzero(other)))
    return np.logical_xor.reduce(fills), crossing


def without_doubles(polygons: Sequence[np.ndarray]) -> list[int]:
    """Indices of the polygons that are not copies of an earlier one (an XOR would cancel the two)."""
    seen: dict[bytes, int] = {}
    for position, polygon in enumerate(polygons):
        seen.setdefault(np.round(polygon, SNAP).tobytes(), position)
    return sorted(seen.values())


def assign_contours(levels: np.ndarray, slices: int) -> Assignment:
    """Assign to every slice the contours of the plane that lies nearest to it.

    A plane serves the slices from half a distance below it up to, but not with, half a distance above it; the distance
    is that between slices or, where the contours are farther apart than slices, that between contour planes.

    Parameters
    ----------
    levels: (n,) slice coordinate of each contour (0 is the first slice's plane).
    slices: number of slices.
    """
    planes, member = _planes(levels)
    on_slices = np.abs(planes - np.rint(planes)) <= MAX_OFF_PLANE
    if on_slices.all():
        planes = np.rint(planes)
    distance = float(np.diff(planes).min()) if len(planes) > 1 else 1.0
    reach = max(distance, 1.0) / 2
    of_slice: dict[int, list[int]] = {}
    used: set[int] = set()
    for index in range(slices):
        distances = np.round(np.abs(planes - index), SNAP)
        nearest = int(np.flatnonzero(distances == distances.min())[-1])
        if -reach <= round(float(index - planes[nearest]), SNAP) < reach:
            of_slice[index] = np.flatnonzero(member == nearest).tolist()
            used.add(nearest)
    outside = (planes < -0.5) | (planes > slices - 0.5)
    return Assignment(
        of_slice=of_slice,
        between=int((~on_slices).sum()),
        unused=len(set(np.flatnonzero(~outside).tolist()) - used),
        outside=int(outside.sum()),
        distance=distance,
        missing=max(of_slice) - min(of_slice) + 1 - len(of_slice) if of_slice else 0,
    )


def _planes(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct contour planes in rising order, and the plane of each contour."""
    order = np.argsort(levels, kind="stable")
    group = np.concatenate([[0], np.cumsum(np.diff(levels[order]) > MAX_OFF_PLANE)])
    member = np.empty(len(levels), dtype=np.int64)
    member[order] = group
    return np.bincount(member, weights=levels) / np.bincount(member), member
