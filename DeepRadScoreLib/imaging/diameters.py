"""Long and short axis of a region, as readers measure a tumour in one slice.

Eisenhauer et al. (2009), Eur J Cancer 45, 228-247 (RECIST 1.1): the longest diameter in the plane of the images, and
the longest one perpendicular to it in the same slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform

EDGES = np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, -0.5], [0.0, 0.5]])
"""From a pixel's centre to the middles of its edges, pixels."""


@dataclass(frozen=True)
class Axis:
    """A diameter: its two ends as (x, y) in pixels, pixel centres at whole numbers, and its length in mm."""

    ends: tuple[tuple[float, float], tuple[float, float]]
    length_mm: float


@dataclass(frozen=True)
class Diameters:
    """Long and short axis in the slice `slice` (from 0)."""

    slice: int
    long: Axis
    short: Axis


def diameters(mask: np.ndarray, spacing: Sequence[float]) -> Diameters:
    """The longest diameter of a region over its slices and the longest one perpendicular to it in that slice.

    Ends lie on the middles of pixel edges, so that a single pixel is one pixel wide; concave parts are spanned.

    Parameters
    ----------
    mask: (slices, rows, columns), not empty.
    spacing: mm between columns (x) and between rows (y).
    """
    step = np.asarray(spacing[:2], dtype=float)
    hulls = {k: _hull(mask[k] != 0, step) for k in np.flatnonzero(mask.any(axis=(1, 2))).tolist()}
    k = max(hulls, key=lambda k: pdist(hulls[k]).max())
    hull = hulls[k]
    first, last = np.unravel_index(np.argmax(squareform(pdist(hull))), (len(hull), len(hull)))
    return Diameters(k, _axis(hull[first], hull[last], step), _axis(*_widest(hull, hull[last] - hull[first]), step))


def _hull(mask: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The corners of the convex hull of a slice's pixels, (n, 2), mm, in order around it."""
    rows, columns = np.nonzero(mask)
    points = (np.stack([columns, rows], axis=1)[:, None] + EDGES).reshape(-1, 2) * step
    return points[ConvexHull(points).vertices]


def _widest(hull: np.ndarray, along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the longest chord of a convex polygon at right angles to a direction, mm.

    The length of such a chord is concave and piecewise linear along the direction: it is largest at a corner.
    """
    along = along / np.linalg.norm(along)
    across = np.array([-along[1], along[0]])
    around = np.vstack([hull, hull[:1]])
    t, u = around @ along, around @ across
    best = (-1.0, 0.0, 0.0, 0.0)
    low, high = np.minimum(t[:-1], t[1:]), np.maximum(t[:-1], t[1:])
    span = np.where(high > low, t[1:] - t[:-1], 1.0)
    for at in np.unique(t):
        crossed = (low <= at) & (at <= high)
        share = np.where(high > low, (at - t[:-1]) / span, 0.0)
        reached = (u[:-1] + share * (u[1:] - u[:-1]))[crossed]
        width = float(reached.max() - reached.min())
        if width > best[0] + 1e-9:
            best = (width, float(at), float(reached.min()), float(reached.max()))
    _, at, low_end, high_end = best
    return at * along + low_end * across, at * along + high_end * across


def _axis(first: np.ndarray, last: np.ndarray, step: np.ndarray) -> Axis:
    (x0, y0), (x1, y1) = (first / step).tolist(), (last / step).tolist()
    return Axis(((x0, y0), (x1, y1)), float(np.linalg.norm(last - first)))
