"""Axes, grids and nearest neighbours, independent of the order in which a file stores its axes."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from itertools import permutations

import numpy as np
import SimpleITK as sitk

Axes = tuple[tuple[int, int, int], tuple[bool, bool, bool]]
SPACING_MM = (0.05, 20.0)
"""Least and largest spacing that a CT or its mask can have."""
SLICES_AT_ONCE = 16
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


def affine_of(image: sitk.Image) -> np.ndarray:
    """(4, 4) matrix from an index x, y, z to mm in LPS."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = direction_of(image) * image.GetSpacing(), image.GetOrigin()
    return matrix


def with_affine(image: sitk.Image, matrix: np.ndarray) -> sitk.Image:
    """Set the geometry of an image in place and return it; `matrix` as by `affine_of`."""
    spacing = np.linalg.norm(matrix[:3, :3], axis=0)
    return with_geometry(image, spacing.tolist(), matrix[:3, 3].tolist(), matrix[:3, :3] / spacing)


def image_like(values: np.ndarray, grid: sitk.Image) -> sitk.Image:
    """An array (z, y, x) as an image with the geometry of `grid`."""
    image = sitk.GetImageFromArray(values)
    image.CopyInformation(grid)
    return image


def image_steps(values: np.ndarray) -> Generator[int, None, sitk.Image]:
    """An array (z, y, x) as an image of spacing 1, copied in steps: how many slices are done."""
    image = sitk.Image(values.shape[::-1], sitk.GetImageFromArray(values[:1]).GetPixelID())
    for begin in range(0, len(values), SLICES_AT_ONCE):
        part = values[begin : begin + SLICES_AT_ONCE]
        image[:, :, begin : begin + len(part)] = sitk.GetImageFromArray(part)
        yield begin + len(part)
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


def in_lps_axes(array: np.ndarray, axes: Axes) -> np.ndarray:
    """View (z, y, x) in LPS order of an array (z, y, x) in stored order; `axes` as by `lps_axes`."""
    order, flips = axes
    ordered = array.transpose([2 - axis for axis in order[::-1]])
    return ordered[tuple(slice(None, None, -1 if flip else 1) for flip in flips[::-1])]


def geometry_in_lps(
    image: sitk.Image, axes: Axes
) -> tuple[tuple[float, float, float], tuple[float, float, float], np.ndarray]:
    """Rounded spacing (x, y, z), origin and direction (3, 3) of an image in LPS order, see `lps.LpsImage.of`."""
    order, flips = np.array(axes[0]), np.array(axes[1])
    exact = np.array(image.GetSpacing())[order]
    stored = direction_of(image)[:, order]
    last = np.where(flips, np.array(image.GetSize())[order] - 1, 0)
    origin = np.array(image.GetOrigin()) + stored @ (last * exact)
    stored = stored * np.where(flips, -1.0, 1.0)
    spacing = half_up(exact, 1e-5)
    direction = orthonormal(half_up(stored, 1e-6))
    first = stored.T @ origin
    anchor = half_up(-first / exact, 1.0, noise_decimals=3)
    position = half_up(first + anchor * exact, 1e-3, noise_decimals=4) - anchor * spacing
    return tuple(spacing.tolist()), tuple((direction @ position).tolist()), direction


def orthonormal(direction: np.ndarray) -> np.ndarray:
    """The nearest orthonormal matrix (polar decomposition)."""
    if np.allclose(direction.T @ direction, np.eye(3), rtol=0, atol=1e-15):
        return direction
    left, _, right = np.linalg.svd(direction)
    return left @ right


def corner_indices(size: Sequence[int]) -> np.ndarray:
    """(8, 3) indices x, y, z of the outermost voxels of a volume."""
    return np.array(list(np.ndindex(2, 2, 2))) * np.subtract(size, 1)


def spacing_text(spacing: Sequence[float] | np.ndarray) -> str:
    """A spacing in words, "0.7 x 0.7 x 3"."""
    return " x ".join(f"{value:.5g}" for value in spacing)


def same_grid(first: sitk.Image, second: sitk.Image) -> bool:
    """Whether two images have equal sizes and no corner farther apart than a tenth of the smallest spacing."""
    if first.GetSize() != second.GetSize():
        return False
    gaps = [
        np.subtract(first.TransformIndexToPhysicalPoint(corner), second.TransformIndexToPhysicalPoint(corner))
        for corner in corner_indices(first.GetSize()).tolist()
    ]
    return bool(np.linalg.norm(gaps, axis=1).max() < 0.1 * min(first.GetSpacing()))


def index_box(array: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """First and last (z, y, x) index of the non-zero elements of a 3-D array, or None where there are none."""
    planes = np.flatnonzero(array.any(axis=(1, 2)))
    if planes.size == 0:
        return None
    part = array[planes[0] : planes[-1] + 1]
    filled = [planes, *(np.flatnonzero(part.any(axis=others)) for others in ((0, 2), (0, 1)))]
    return np.array([indices[0] for indices in filled]), np.array([indices[-1] for indices in filled])


def index_map(source: sitk.Image, target: sitk.Image) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (3, 3) and offset (3,) that map an x, y, z index of `source` to a continuous index of `target`."""
    to_target = np.diag(1 / np.array(target.GetSpacing())) @ direction_of(target).T
    matrix = to_target @ direction_of(source) @ np.diag(source.GetSpacing())
    return matrix, to_target @ np.subtract(source.GetOrigin(), target.GetOrigin())
