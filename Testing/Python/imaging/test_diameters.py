"""Long and short axis: against closed forms, and against distances of all pairs of surface points."""

from __future__ import annotations

import numpy as np
import pytest

from DeepRadScoreLib.imaging.diameters import Diameters, diameters

EDGES = np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, -0.5], [0.0, 0.5]])
"""From a pixel's centre to the middles of its edges, pixels."""


def ends(found: Diameters) -> np.ndarray:
    return np.array([found.long.ends, found.short.ends])


@pytest.mark.parametrize("degrees", [0, 30, 77, 135])
@pytest.mark.parametrize("spacing", [(0.5, 0.5), (0.7, 0.9)])
def test_an_ellipse(degrees, spacing):
    """Half axes of 40 and 22 mm, whatever the pixels; both axes end on the surface and stand at right angles."""
    mask = np.zeros((3, 260, 300), np.uint8)
    y, x = np.mgrid[:260, :300]
    turn = np.deg2rad(degrees)
    dx, dy = (x - 150) * spacing[0], (y - 130) * spacing[1]
    along, across = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    mask[1] = (along / 40) ** 2 + (across / 22) ** 2 <= 1
    mask[2] = (along / 30) ** 2 + (across / 29) ** 2 <= 1
    found = diameters(mask, spacing)
    assert found.slice == 1
    assert found.long.length_mm == pytest.approx(80, abs=1)
    assert found.short.length_mm == pytest.approx(44, abs=1)
    (long, short) = np.diff(ends(found), axis=1)[:, 0] * spacing
    assert abs(long @ short) < 1e-6 * np.linalg.norm(long) * np.linalg.norm(short)
    np.testing.assert_allclose(
        [np.linalg.norm(long), np.linalg.norm(short)], [found.long.length_mm, found.short.length_mm]
    )


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 7), (4, 9), (6, 6)])
def test_a_rectangle(rows, columns):
    """The farthest middles of pixel edges are those of opposite corners."""
    mask = np.zeros((1, 20, 20), np.uint8)
    mask[0, 5 : 5 + rows, 5 : 5 + columns] = 1
    expected = max(np.hypot(columns, rows - 1), np.hypot(columns - 1, rows))
    assert diameters(mask, (1.0, 1.0)).long.length_mm == pytest.approx(expected)


def test_any_shape_against_all_pairs_of_points():
    rng = np.random.default_rng(3)
    for _ in range(20):
        mask = (rng.random((1, 12, 14)) < 0.3).astype(np.uint8)
        points = (np.argwhere(mask[0])[:, None, ::-1] + EDGES).reshape(-1, 2) * (0.7, 0.9)
        gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
        found = diameters(mask, (0.7, 0.9))
        assert found.long.length_mm == pytest.approx(gaps.max())
        assert found.short.length_mm <= found.long.length_mm + 1e-9
