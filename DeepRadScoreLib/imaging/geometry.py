"""Axes, grids and nearest neighbours, independent of the order in which a file stores its axes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import SimpleITK as sitk

Axes = tuple[tuple[int, int, int], tuple[bool, bool, bool]]
SNAP = 6
"""Decimals to which an index is rounded, so that noise does not decide between voxels at equal distance."""


def direction_of(image: sitk.Image) -> np.ndarray:
    """(3, 3) direction matrix; its columns are the image axes in LPS."""
    return np.asarray(image.GetDirection(), dtype=float).reshape(3, 3)


def with_geometry(
    image: sitk.Image, spacing: Sequence[float], origin: Sequence[float], direction: np.ndarray
) -> sitk.Image:
    """Set the geometry of an image in place and return it; `direction` (3, 3) as by `direction_of`, mm in LPS."""
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction.ravel().tolist())
    return image


def image_like(values: np.ndarray, grid: sitk.Image) -> sitk.Image:
    """An array (z, y, x) as an image with the geometry of `grid`."""
    image = sitk.GetImageFromArray(values)
    image.CopyInformation(grid)
    return image


def half_up(values: np.ndarray | Sequence[float] | float, step: float, *, noise_decimals: int = 8) -> np.ndarray:
    """Round to multiples of `step`, halves up; to `noise_decimals` first, so that noise cannot decide a half."""
    per_unit = round(1.0 / step)
    return np.floor(np.round(np.asarray(values, dtype=float), noise_decimals) * per_unit + 0.5) / per_unit


def nearest_index(position: np.ndarray) -> np.ndarray:
    """Index of the voxel nearest to a continuous index, halves up."""
    return np.floor(np.round(position, SNAP) + 0.5).astype(np.int64)


def lps_axes(direction: np.ndarray) -> Axes:
    """Which stored axis runs nearest to L, P and S, and which of them must be reversed.

    The axis nearest to S is chosen first (so that slices are as axial as they can be), then the pair for L and P. At
    exactly equal angles the choice depends on the directions alone, not on the order in which the file holds them.
    """

    def merit(order: tuple[int, ...]) -> tuple[float, ...]:
        permuted = direction[:, order]
        ordered = np.round(permuted * np.where(np.diag(permuted) < 0, -1.0, 1.0), SNAP)
        return (ordered[2, 2], round(ordered[0, 0] + ordered[1, 1], SNAP), *ordered.ravel())

    order = max(permutations(range(3)), key=merit)
    flips = tuple(bool(direction[row, column] < 0) for row, column in enumerate(order))
    return order, flips  # type: ignore[return-value]


def to_lps(image: sitk.Image) -> sitk.Image:
    """The image with its axes in LPS order (nearest axes where it is oblique) and its geometry rounded.

    Spacing to 1e-5 mm, direction to 1e-6 and made orthonormal again, position to 1e-3 mm, halves up (method: canonical
    frame, 1): NIfTI stores geometry in float32. The position that is rounded is not the first voxel's, which cropping
    would change, but that of the voxel of the (endless) grid that lies nearest to the world's origin along each axis.
    """
    order, flips = lps_axes(direction_of(image))
    if order != (0, 1, 2):
        image = sitk.PermuteAxes(image, order)
    if any(flips):
        image = sitk.Flip(image, flips, False)
    spacing, direction, position = _rounded_geometry(image)
    return with_geometry(sitk.Image(image), spacing.tolist(), (direction @ position).tolist(), direction)


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
    """An image on the LPS grid of `stored`, returned to the axis order and geometry of `stored`: undoes `to_lps`."""
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
    """Whether two images have equal sizes and no corner farther apart than a tenth of the smallest spacing."""
    if first.GetSize() != second.GetSize():
        return False
    corners = np.array(list(np.ndindex(2, 2, 2))) * np.subtract(first.GetSize(), 1)
    gaps = [
        np.subtract(first.TransformIndexToPhysicalPoint(corner), second.TransformIndexToPhysicalPoint(corner))
        for corner in corners.tolist()
    ]
    return bool(np.linalg.norm(gaps, axis=1).max() < 0.1 * min(first.GetSpacing()))


def index_box(array: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """First and last (z, y, x) index of the non-zero elements of a 3-D array, or None where there are none."""
    filled = [np.flatnonzero(array.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    if filled[0].size == 0:
        return None
    return np.array([indices[0] for indices in filled]), np.array([indices[-1] for indices in filled])


def index_map(source: sitk.Image, target: sitk.Image) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (3, 3) and offset (3,) that map an x, y, z index of `source` to a continuous index of `target`."""
    to_target = np.diag(1 / np.array(target.GetSpacing())) @ direction_of(target).T
    matrix = to_target @ direction_of(source) @ np.diag(source.GetSpacing())
    return matrix, to_target @ np.subtract(source.GetOrigin(), target.GetOrigin())


def labels_on_grid(labels: sitk.Image, grid: sitk.Image) -> sitk.Image:
    """A scalar labelmap on the grid of another image by nearest neighbour; 0 outside of the labelmap.

    Both are compared in LPS order with rounded geometry, so that ties do not depend on how either is stored.
    """
    empty = sitk.Image(grid.GetSize(), sitk.sitkUInt8)
    empty.CopyInformation(grid)
    source, target = to_lps(labels), to_lps(empty)
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
    return from_lps(image_like(out, target), grid)


def _box_on_target(source: sitk.Image, target: sitk.Image) -> tuple[np.ndarray, np.ndarray] | None:
    """First and last x, y, z index of `target` that a non-zero voxel of `source` can reach, or None."""
    box = index_box(sitk.GetArrayViewFromImage(source))
    if box is None:
        return None
    matrix, offset = index_map(source, target)
    low, high = box[0][::-1] - 0.5, box[1][::-1] + 0.5
    corners = np.array([np.where(corner, high, low) for corner in np.ndindex(2, 2, 2)]) @ matrix.T + offset
    first = np.maximum(np.floor(corners.min(axis=0)), 0).astype(int)
    last = np.minimum(np.ceil(corners.max(axis=0)), np.array(target.GetSize()) - 1).astype(int)
    return None if (last < first).any() else (first, last)
