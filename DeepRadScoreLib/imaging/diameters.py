"""Long and short axis of a region, as readers measure a tumour in one slice.

Eisenhauer et al. (2009), Eur J Cancer 45, 228-247 (RECIST 1.1): the longest diameter in the plane of the images, and
the longest one perpendicular to it in the same slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from DeepRadScoreLib.imaging.grids.geometry import index_box
from DeepRadScoreLib.imaging.grids.hulls import lower_chain
from DeepRadScoreLib.imaging.grids.lps import box_slices


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
    box = index_box(mask)
    assert box is not None
    low, high = box
    step = np.asarray(spacing[:2], dtype=float)
    first_pixel = low[:0:-1]
    hulls = {k: (hull + first_pixel) * step for k, hull in _hulls(mask[box_slices(low, high)] != 0).items()}
    lengths = {k: _distances(hull) for k, hull in hulls.items()}
    k = max(lengths, key=lambda k: lengths[k].max())
    hull = hulls[k]
    first, last = np.unravel_index(lengths[k].argmax(), lengths[k].shape)
    short = _widest(hull, hull[last] - hull[first])
    return Diameters(int(low[0]) + k, _axis(hull[first], hull[last], step), _axis(*short, step))


def _hulls(inside: np.ndarray) -> dict[int, np.ndarray]:
    """The slices of a mask (slices, rows, columns) that are not empty: number -> corners of the convex hull of the
    middles of its pixels' edges, (n, 2), x y in pixels, in order around it.

    The middles lie in rows of half a pixel's distance; in each of these the first and the last one can be corners.
    """
    slices, rows, columns = inside.shape
    filled = np.any(inside, axis=2)
    left = np.where(filled, 2 * inside.argmax(axis=2), 2 * columns)
    right = np.where(filled, 2 * (columns - 1 - inside[:, :, ::-1].argmax(axis=2)), -2)
    low, high = np.full((slices, 2 * rows + 1), 2 * columns), np.full((slices, 2 * rows + 1), -2)
    low[:, 1::2], high[:, 1::2] = np.where(filled, left - 1, left), np.where(filled, right + 1, right)
    for beside in (slice(0, -1, 2), slice(2, None, 2)):
        np.minimum(low[:, beside], left, out=low[:, beside])
        np.maximum(high[:, beside], right, out=high[:, beside])
    planes, row = np.nonzero(high >= low)
    first, last = low[planes, row], high[planes, row]
    of_first, of_last = lower_chain(planes, row, first), lower_chain(planes, row, -last)[::-1]
    numbers = np.concatenate([planes[of_first], planes[of_last]])
    x, y = np.concatenate([first[of_first], last[of_last]]), np.concatenate([row[of_first], row[of_last]])
    corners = np.stack([x, y - 1], axis=1) / 2
    return {k: corners[numbers == k] for k in np.unique(planes).tolist()}


def _distances(points: np.ndarray) -> np.ndarray:
    """Distances between points (n, 2) in mm, (n, n)."""
    return np.sqrt(np.square(points[:, None] - points).sum(axis=2))


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
