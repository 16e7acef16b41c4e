"""Axes, grids and nearest neighbours: the same patient gives the same numbers however the file orders its axes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import SimpleITK as sitk

Axes = tuple[tuple[int, int, int], tuple[bool, bool, bool]]
SNAP = 6
"""Decimals of an index that count: floating-point noise must not decide between two voxels at equal distance."""


def direction_of(image: sitk.Image) -> np.ndarray:
    """(3, 3) direction matrix; its columns are the image axes in LPS."""
    return np.asarray(image.GetDirection(), dtype=float).reshape(3, 3)


def half_up(values: np.ndarray | Sequence[float] | float, step: float, *, noise_decimals: int = 8) -> np.ndarray:
    """Round to multiples of `step`, halves up; to `noise_decimals` first, so that noise cannot decide a half."""
    per_unit = round(1.0 / step)
    return np.floor(np.round(np.asarray(values, dtype=float), noise_decimals) * per_unit + 0.5) / per_unit


def nearest_index(position: np.ndarray) -> np.ndarray:
    """The voxel nearest to a continuous index, halves up."""
    return np.floor(np.round(position, SNAP) + 0.5).astype(np.int64)


def lps_axes(direction: np.ndarray) -> Axes:
    """Which stored axis runs nearest to L, P and S, and which of them must be reversed.

    The axis nearest to S is chosen first (so that slices are as axial as they can be), then the pair for L and P. At
    exactly equal angles the choice depends on the directions alone, not on the order in which the file holds them.
    """

    def merit(order: tuple[int, ...]) -> tuple[float, ...]:
        ordered = np.round(_positive(direction[:, order]), SNAP)
        return (ordered[2, 2], round(ordered[0, 0] + ordered[1, 1], SNAP), *ordered.ravel())

    order = max(permutations(range(3)), key=merit)
    flips = tuple(bool(direction[row, column] < 0) for row, column in enumerate(order))
    return order, flips  # type: ignore[return-value]


def _positive(direction: np.ndarray) -> np.ndarray:
    return direction * np.where(np.diag(direction) < 0, -1.0, 1.0)


def to_lps(image: sitk.Image) -> sitk.Image:
    """The image with its axes in LPS order (nearest axes where it is oblique) and its geometry rounded.

    Spacing to 1e-5 mm, direction to 1e-6 and made orthonormal again, position to 1e-3 mm, halves up (method: canonical
    frame, 1): NIfTI keeps geometry in float32. The position that is rounded is not the first voxel's, which cropping
    would change, but that of the voxel of the (endless) grid that lies nearest to the world's origin along each axis.
    """
    order, flips = lps_axes(direction_of(image))
    if order != (0, 1, 2):
        image = sitk.PermuteAxes(image, order)
    if any(flips):
        image = sitk.Flip(image, flips, False)
    ordered = sitk.Image(image)
    spacing, direction, position = _rounded_geometry(image)
    ordered.SetSpacing(spacing.tolist())
    ordered.SetOrigin((direction @ position).tolist())
    ordered.SetDirection(direction.ravel().tolist())
    return ordered


def _rounded_geometry(image: sitk.Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Spacing, direction and the first voxel's position along the image axes, rounded."""
    exact = np.array(image.GetSpacing())
    spacing = half_up(exact, 1e-5)
    direction = _orthonormal(half_up(direction_of(image), 1e-6))
    first = direction_of(image).T @ np.array(image.GetOrigin())
    anchor = half_up(-first / exact, 1.0, noise_decimals=3)
    position = half_up(first + anchor * exact, 1e-3, noise_decimals=4) - anchor * spacing
    return spacing, direction, position


def from_lps(image: sitk.Image, stored: sitk.Image) -> sitk.Image:
    """Undo `to_lps`: an image on the LPS grid of `stored`, in the axis order and geometry of `stored`."""
    order, flips = lps_axes(direction_of(stored))
    if any(flips):
        image = sitk.Flip(image, flips, False)
    if order != (0, 1, 2):
        image = sitk.PermuteAxes(image, np.argsort(order).tolist())
    restored = sitk.Image(image)
    restored.CopyInformation(stored)
    return restored


def _orthonormal(direction: np.ndarray) -> np.ndarray:
    """The nearest orthonormal matrix (polar decomposition)."""
    if np.allclose(direction.T @ direction, np.eye(3), rtol=0, atol=1e-15):
        return direction
    left, _, right = np.linalg.svd(direction)
    return left @ right


def same_grid(first: sitk.Image, second: sitk.Image) -> bool:
    """Whether two images have equal sizes and no corner further apart than a tenth of the smallest spacing."""
    if first.GetSize() != second.GetSize():
        return False
    corners = [
        [n * (size - 1) for n, size in zip(corner, first.GetSize(), strict=True)] for corner in np.ndindex(2, 2, 2)
    ]
    gaps = [
        np.subtract(first.TransformIndexToPhysicalPoint(corner), second.TransformIndexToPhysicalPoint(corner))
        for corner in corners
    ]
    return bool(np.linalg.norm(gaps, axis=1).max() < 0.1 * min(first.GetSpacing()))


def index_box(array: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """First and last (z, y, x) index of the non-zero part of a 3-D array, or None where it is empty."""
    ends = []
    for axis in range(3):
        filled = np.flatnonzero(array.any(axis=tuple(a for a in range(3) if a != axis)))
        if filled.size == 0:
            return None
        ends.append((filled[0], filled[-1]))
    return np.array([e[0] for e in ends]), np.array([e[1] for e in ends])


def index_map(source: sitk.Image, target: sitk.Image) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (3, 3) and offset (3,) that take an x, y, z index of `source` to the continuous index of `target`."""
    to_target = np.diag(1 / np.array(target.GetSpacing())) @ direction_of(target).T
    matrix = to_target @ direction_of(source) @ np.diag(source.GetSpacing())
    return matrix, to_target @ np.subtract(source.GetOrigin(), target.GetOrigin())


def labels_on_grid(labels: sitk.Image, grid: sitk.Image) -> sitk.Image:
    """A scalar labelmap on the grid of another image by nearest neighbour; 0 where it does not reach.

    Both are taken in LPS order with rounded geometry, so that the storage of neither decides a tie.
    """
    source, target = to_lps(labels), to_lps(_empty_like(grid))
    values = sitk.GetArrayViewFromImage(source)
    out = np.zeros(sitk.GetArrayViewFromImage(target).shape, dtype=values.dtype)
    box = _box_on_target(source, target)
    if box is not None:
        low, high = box
        matrix, offset = index_map(target, source)
        x, y = np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1)[:, None]
        limits = np.array(source.GetSize())
        for z in range(low[2], high[2] + 1):
            hit = [nearest_index(matrix[a, 0] * x + matrix[a, 1] * y + matrix[a, 2] * z + offset[a]) for a in range(3)]
            inside = np.logical_and.reduce([(h >= 0) & (h < limit) for h, limit in zip(hit, limits, strict=True)])
            plane = out[z, low[1] : high[1] + 1, low[0] : high[0] + 1]
            plane[inside] = values[hit[2][inside], hit[1][inside], hit[0][inside]]
    result = sitk.GetImageFromArray(out)
    result.CopyInformation(target)
    return from_lps(result, grid)


def _box_on_target(source: sitk.Image, target: sitk.Image) -> tuple[np.ndarray, np.ndarray] | None:
    """First and last x, y, z index of `target` that the non-zero part of `source` can reach, or None."""
    box = index_box(sitk.GetArrayViewFromImage(source))
    if box is None:
        return None
    matrix, offset = index_map(source, target)
    low, high = box[0][::-1] - 0.5, box[1][::-1] + 0.5
    corners = np.array([np.where(corner, high, low) for corner in np.ndindex(2, 2, 2)]) @ matrix.T + offset
    first = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    last = np.minimum(np.ceil(corners.max(axis=0)), np.array(target.GetSize()) - 1).astype(int)
    return None if (last < first).any() else (first, last)


def _empty_like(image: sitk.Image) -> sitk.Image:
    empty = sitk.Image(image.GetSize(), sitk.sitkUInt8)
    empty.CopyInformation(image)
    return empty
