"""Convex hulls of points with whole-number coordinates, in many planes at a time."""

from __future__ import annotations

import numpy as np


def lower_chain(planes: np.ndarray, rows: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Indices of the corners below, in each plane's convex hull, of points with one value in each row; all (n,).

    A point on or above the segment between two others is no corner below; so all such are left out together, until
    none is.
    """
    kept = np.arange(len(planes))
    while True:
        plane, row, value = planes[kept], rows[kept], values[kept]
        rise = (value[1:-1] - value[:-2]) * (row[2:] - row[:-2])
        inside = (plane[:-2] == plane[2:]) & (rise >= (value[2:] - value[:-2]) * (row[1:-1] - row[:-2]))
        if not inside.any():
            return kept
        corner = np.ones(len(kept), bool)
        corner[1:-1] = ~inside
        kept = kept[corner]
