"""Cubic B-spline interpolation at the points of a grid parallel to the image's axes, one axis after the other."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence

import numpy as np

from DeepRadScoreLib.progress import run_to_end

POLE = math.sqrt(3.0) - 2.0
TOLERANCE = 1e-10
"""ITK's: terms of the first coefficient's sum that weigh less are left out."""


def interpolate(voxels: np.ndarray, points: Sequence[np.ndarray]) -> np.ndarray:
    """All steps of `interpolate_steps`."""
    return run_to_end(interpolate_steps(voxels, points))


def interpolate_steps(voxels: np.ndarray, points: Sequence[np.ndarray]) -> Generator[str, None, np.ndarray]:
    """Values of the cubic B-spline through the voxels, as `itk::BSplineInterpolateImageFunction` gives them to 1e-9.

    Yields the name of the axis that comes next.
    The spline of a box of voxels is a product along its axes; the voxels are mirrored at the ends, the last one not
    doubled. It is computed by elementwise operations in one thread: the same bits on any number of cores.

    Parameters
    ----------
    voxels: array (z, y, x) of numbers.
    points: positions along z, y, x as continuous indices of `voxels`, in it.

    Returns
    -------
    float64 array (len(z), len(y), len(x)).
    """
    values = voxels
    for axis, of_axis in zip("xyz", points[::-1], strict=True):
        yield axis
        values = _interpolate_first(_last_axis_first(values), of_axis)
    return values


def _last_axis_first(values: np.ndarray) -> np.ndarray:
    """A float64 copy (c, a, b) of an array (a, b, c)."""
    moved = np.empty((values.shape[2], *values.shape[:2]))
    for n, plane in enumerate(values):
        moved[:, n] = plane.T
    return moved


def _interpolate_first(lines: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Values (len(points), ...) at points of the first axis of `lines`, which is overwritten."""
    count = len(lines)
    _to_coefficients(lines)
    first = np.floor(points).astype(int) - 1
    w = points - first - 1
    last = w**3 / 6
    outer = 1 / 6 + w * (w - 1) / 2 - last
    right = w + outer - 2 * last
    weights = np.stack([outer, 1 - outer - right - last, right, last], axis=1)
    index = np.abs(first[:, None] + np.arange(4))
    index = np.where(index >= count, 2 * (count - 1) - index, index) if count > 1 else np.zeros_like(index)
    out = np.empty((len(points), *lines.shape[1:]))
    term = np.empty(lines.shape[1:])
    for value, of_point, weight in zip(out, index.tolist(), weights.tolist(), strict=True):
        np.multiply(lines[of_point[0]], weight[0], out=value)
        for n in (1, 2, 3):
            np.add(value, np.multiply(lines[of_point[n]], weight[n], out=term), out=value)
    return out


def _to_coefficients(c: np.ndarray) -> None:
    """Turn the voxels along the first axis into the coefficients of their spline, in place.

    Recursive filter of Unser (IEEE Signal Processing Magazine 16:22, 1999), begun and ended as in
    `itk::BSplineDecompositionImageFilter`.
    """
    count = len(c)
    if count == 1:
        return
    c *= (1 - POLE) * (1 - 1 / POLE)
    horizon = math.ceil(math.log(TOLERANCE) / math.log(-POLE))
    if horizon < count:
        for n in range(1, horizon):
            c[0] += POLE**n * c[n]
    else:
        c[0] += POLE ** (count - 1) * c[-1]
        for n in range(1, count - 1):
            c[0] += (POLE**n + POLE ** (2 * count - 2 - n)) * c[n]
        c[0] /= 1 - POLE ** (2 * count - 2)
    term = np.empty(c.shape[1:])
    for n in range(1, count):
        c[n] += np.multiply(c[n - 1], POLE, out=term)
    c[-1] = POLE / (POLE * POLE - 1) * (POLE * c[-2] + c[-1])
    for n in range(count - 2, -1, -1):
        np.subtract(c[n + 1], c[n], out=c[n])
        c[n] *= POLE
