"""Distances, pieces, holes and opening of random masks, against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_fill_holes, distance_transform_edt, gaussian_filter, label

from DeepRadScoreLib.imaging.masks.morphology import filled, opened, pieces, squared_distances


@pytest.fixture(scope="module", params=range(40))
def mask(request) -> np.ndarray:
    """Blobs, noise and thin slices of all sizes."""
    rng = np.random.default_rng(request.param)
    noise = rng.normal(size=rng.integers(1, 25, 3))
    return gaussian_filter(noise, rng.uniform(0, 2)) > rng.normal(0, 0.1)


@pytest.mark.parametrize("by_corners", [False, True])
def test_pieces_and_their_order(mask, by_corners):
    expected, _ = label(mask, np.ones((3, 3, 3)) if by_corners else None)
    np.testing.assert_array_equal(pieces(mask, by_corners=by_corners), expected)


def test_a_long_way_round_is_one_piece():
    snake = np.zeros((1, 60, 60), bool)
    snake[0, ::2] = True
    snake[0, 1::4, -1] = snake[0, 3::4, 0] = True
    assert pieces(snake).max() == label(snake)[1] == 1


def test_holes(mask):
    np.testing.assert_array_equal(filled(mask), [binary_fill_holes(plane) for plane in mask])


@pytest.mark.parametrize("reach", [9.0, 4.5, 3.0, 1.2])
def test_distances(mask, reach):
    if mask.any():
        expected = np.rint(distance_transform_edt(~mask) ** 2)
        far = int(reach**2) + 1
        np.testing.assert_array_equal(squared_distances(mask, reach), np.minimum(expected, far))


@pytest.mark.parametrize("spacing", [(5.0, 5.0), (6.1, 5.859375), (12.5, 2.5)])
def test_opening(mask, spacing):
    radius = 12.5

    def expected(plane: np.ndarray) -> np.ndarray:
        margin = int(np.ceil(radius / min(spacing))) + 1
        padded = np.pad(plane, margin, mode="edge")
        if padded.all():
            return plane
        core = distance_transform_edt(padded, sampling=spacing) > radius
        if not core.any():
            return np.zeros_like(plane)
        kept = (distance_transform_edt(~core, sampling=spacing) <= radius) & padded
        return kept[margin:-margin, margin:-margin]

    np.testing.assert_array_equal(opened(mask, np.array(spacing), radius), [expected(plane) for plane in mask])
