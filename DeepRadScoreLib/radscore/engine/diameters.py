"""Largest distances between the vertices of a region's mesh, from the vertices of convex hulls only.

Positions are integers in half voxels, so that it is decided exactly which points are on a hull, whatever the spacing.
Lengths enter with the distances alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from DeepRadScoreLib.imaging.grids.hulls import lower_chain

DIRECTIONS = 8
"""Directions in which a plane's points are measured; the greatest width is at least cos(`STEP` / 2) of the diameter."""
STEP = np.pi / DIRECTIONS
ROUNDING = 1e-9
"""Relative margin by which a length must fall short to be left out: far above the rounding of a distance."""
ROWS_AT_ONCE = 256


@dataclass(frozen=True)
class Diameters:
    """Largest distances in mm: between any two vertices, and between two with the same z (slice), y and x."""

    overall: float
    in_slice: float
    in_column: float
    in_row: float


def mesh_diameters(vertices: tuple[np.ndarray, np.ndarray, np.ndarray], step: np.ndarray) -> Diameters:
    """Diameters of a mesh.

    A vertex that is no corner of its plane's convex hull, for the planes across each axis, is the end of no diameter.

    Parameters
    ----------
    vertices: those on edges along x, y and z, three arrays (n, 3), z y x, in half voxels, each in raster order.
    step: size of a voxel in mm, (3,), z y x.
    """
    points = np.concatenate(vertices)
    half = np.asarray(step, float) / 2
    along_x = _ends_of_lines(points, 0, 1)
    along_y = _ends_of_lines(points, 0, 2)
    corners = (
        _corners(points, along_x, row=1, value=2),
        _corners(points, tuple(ends.T for ends in along_x), row=0, value=2),
        _corners(points, tuple(ends.T for ends in along_y), row=0, value=1),
    )
    planar = [_planar_diameter(of_axis, axis, half) for axis, of_axis in enumerate(corners)]
    return Diameters(_diameter(corners, half), *planar)


def _ends_of_lines(points: np.ndarray, axis: int, other: int) -> tuple[np.ndarray, np.ndarray]:
    """Which points are the first and the last on each line of equal coordinates `axis` and `other`; -1: none is on it.

    On such a line all points come from edges along one axis, hence in raster order.
    """
    shape = points[:, axis].max() + 1, points[:, other].max() + 1
    lines = points[:, axis] * shape[1] + points[:, other]
    first, last = np.full((2, shape[0] * shape[1]), -1)
    numbers = np.arange(len(points))
    last[lines] = numbers
    first[lines[::-1]] = numbers[::-1]
    return first.reshape(shape), last.reshape(shape)


def _corners(points: np.ndarray, ends: tuple[np.ndarray, ...], *, row: int, value: int) -> np.ndarray:
    """The corners of the convex hulls in all planes, (m, 3), plane by plane; a point of one row alone may occur twice.

    Parameters
    ----------
    points: (n, 3), z y x, in half voxels.
    ends: the points with the least and the greatest coordinate `value` in each plane's rows, (planes, rows) each.
    """
    first, last = (points[which[which >= 0]] for which in ends)
    planes = np.nonzero(ends[0] >= 0)[0]
    count = planes[-1] + 1
    both = np.concatenate([first, last])
    chains = np.concatenate([planes, planes + count])
    values = np.concatenate([first[:, value], -last[:, value]])
    kept = lower_chain(chains, both[:, row], values)
    return both[kept[np.argsort(chains[kept] % count, kind="stable")]]


def _planar_diameter(corners: np.ndarray, axis: int, half: np.ndarray) -> float:
    """The largest distance in mm between two of the corners (m, 3) of one plane across `axis`."""
    starts = np.flatnonzero(np.diff(corners[:, axis], prepend=-1))
    points = np.delete(corners * half, axis, axis=1)
    angles = STEP * np.arange(DIRECTIONS)
    along = points @ np.stack([np.cos(angles), np.sin(angles)])
    widths = (np.maximum.reduceat(along, starts) - np.minimum.reduceat(along, starts)).max(axis=1)
    least = widths.max() * np.cos(STEP / 2) * (1 - ROUNDING)
    ends = np.append(starts[1:], len(points))
    return max(_largest_distance(points[starts[plane] : ends[plane]]) for plane in np.flatnonzero(widths >= least))


def _diameter(corners: tuple[np.ndarray, ...], half: np.ndarray) -> float:
    """The largest distance in mm between two points that are corners of their planes across all three axes."""
    end = _farthest(corners[0] * half, corners[0].mean(axis=0) * half)
    other = _farthest(corners[0] * half, end)
    middle, length = (end + other) / 2, np.linalg.norm(end - other)
    radii = [_distances(of_axis * half, middle) for of_axis in corners]
    least = (length - radii[0].max()) * (1 - ROUNDING)
    shape = np.max([of_axis.max(axis=0) for of_axis in corners], axis=0) + 1
    far = (of_axis[radius >= least] for of_axis, radius in zip(corners, radii, strict=True))
    codes = reduce(np.intersect1d, (np.ravel_multi_index(tuple(of_axis.T), shape) for of_axis in far))
    return _largest_distance(np.stack(np.unravel_index(codes, shape), axis=1) * half)


def _distances(points: np.ndarray, point: np.ndarray) -> np.ndarray:
    return np.sqrt(np.square(points - point).sum(axis=1))


def _farthest(points: np.ndarray, point: np.ndarray) -> np.ndarray:
    return points[_distances(points, point).argmax()]


def _largest_distance(points: np.ndarray) -> float:
    """The largest distance between two of the points (n, d); 0 for one point."""
    columns = points.T.copy()
    largest = 0.0
    for first in range(0, len(points), ROWS_AT_ONCE):
        squares = sum(np.square(column[first : first + ROWS_AT_ONCE, None] - column[first:]) for column in columns)
        largest = max(largest, float(squares.max()))
    return float(np.sqrt(largest))
