"""The outline from one point, against tumours of closed form in lung: balls, an ellipsoid, and what touches them."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.outlining import checked_point, outline_at
from support.imaging_phantoms import image_of, rotation

SIZE, STEP = 72, (1.0, 1.0, 1.0)
LUNG, SOLID, GLASS = -860.0, 30.0, -600.0
MIDDLE = (0.0, 0.0, 0.0)


def axes(spacing=STEP):
    """Coordinates z, y, x (mm) of the voxels, 0 in the middle."""
    counts = [round(SIZE / step) for step in spacing[::-1]]
    lines = [(np.arange(n) - n // 2) * step for n, step in zip(counts, spacing[::-1], strict=True)]
    return np.meshgrid(*lines, indexing="ij")


def distance(centre=MIDDLE, stretch=(1.0, 1.0, 1.0), spacing=STEP):
    """Of each voxel from a point x, y, z."""
    z, y, x = axes(spacing)
    return np.sqrt(sum(((a - c) / s) ** 2 for a, c, s in zip((x, y, z), centre, stretch, strict=True)))


def ct_of(*things, spacing=STEP, direction=None):
    """Lung with things (mask, HU), the later ones over the earlier, blurred and with noise; its middle lies at 0."""
    hu = np.full(axes(spacing)[0].shape, LUNG)
    for mask, density in things:
        hu[mask] = density
    hu = gaussian_filter(hu, 0.6 / np.array(spacing[::-1])) + np.random.default_rng(0).normal(0, 20, hu.shape)
    turn = np.eye(3) if direction is None else direction
    first = -turn @ np.array([n // 2 * s for n, s in zip(hu.shape[::-1], spacing, strict=True)])
    return image_of(hu.astype(np.int16), spacing, first, direction)


def inside(outline):
    return sitk.GetArrayFromImage(outline.mask) != 0


def dice(found, true):
    return 2 * (found & true).sum() / (found.sum() + true.sum())


def volume(radius):
    return 4 / 3 * np.pi * radius**3 / 1000


@pytest.mark.parametrize("radius", [3.0, 5.0, 10.0, 20.0])
@pytest.mark.parametrize("spacing", [(0.7, 0.7, 1.0), (0.8, 0.8, 2.5)])
def test_a_ball_has_the_volume_of_its_radius(radius, spacing):
    made = outline_at(ct_of((distance(spacing=spacing) <= radius, SOLID), spacing=spacing), MIDDLE)
    assert made.volume_ml == pytest.approx(volume(radius), rel=0.3 if radius < 4 else 0.1)
    assert not made.cut


def test_the_outline_lies_where_the_ball_is_in_a_turned_ct_with_a_flipped_axis():
    turn = rotation(20, 10) @ np.diag([1, -1, -1])
    made = outline_at(ct_of((distance((6, -4, 3)) <= 9, SOLID), direction=turn), tuple(turn @ (9, -2, 5)))
    assert dice(inside(made), distance((6, -4, 3)) <= 9) > 0.95


@pytest.mark.parametrize("click", [(0, 0, 0), (8, 0, 0), (-5, 5, 5), (0, -3, -7)])
def test_it_does_not_depend_on_where_in_the_tumour_the_point_is(click):
    made = outline_at(ct_of((distance() <= 10, SOLID)), click)
    assert dice(inside(made), distance() <= 10) > 0.95


def test_a_vessel_that_runs_through_it_is_left_out():
    z, y, x = axes()
    vessel = np.hypot(y, z) <= 2
    made = outline_at(ct_of((vessel, 40), (distance() <= 10, SOLID)), (0, 3, 0), 30)
    assert made.cut and dice(inside(made), distance() <= 10) > 0.92
    assert np.abs(x[inside(made)]).max() < 16


@pytest.mark.parametrize("depth", [0.0, 4.0])
def test_the_pleura_that_it_lies_against_is_left_out(depth):
    """A ball of 10 mm whose surface touches the chest wall, or lies this deep in it."""
    y = axes()[1]
    wall, ball = y > 10 - depth, distance() <= 10
    made = outline_at(ct_of((wall, SOLID + 20), (ball, SOLID)), (0, -2, 0))
    assert dice(inside(made), ball & ~wall) > 0.85


def test_the_density_at_the_point_says_what_is_taken_in_of_a_part_solid_tumour():
    glass, solid = distance() <= 12, distance((5, 0, 0)) <= 5
    ct = ct_of((glass, GLASS), (solid, SOLID))
    assert dice(inside(outline_at(ct, (-6, 0, 0))), glass) > 0.93
    assert dice(inside(outline_at(ct, (5, 0, 0))), solid) > 0.85


def test_a_cavity_belongs_to_it():
    made = outline_at(ct_of((distance() <= 12, SOLID), (distance() <= 6, -950)), (9, 0, 0))
    assert dice(inside(made), distance() <= 12) > 0.95


def test_it_does_not_reach_beyond_the_radius():
    ct = ct_of((distance(stretch=(2.5, 1, 1)) <= 10, SOLID))
    reached = [distance()[inside(outline_at(ct, MIDDLE, radius))].max() for radius in (14.0, 20.0, 30.0)]
    assert reached[0] < 16 and 18 < reached[1] < 22 and reached[2] > 23


REFUSED = {
    "outside the CT": ([], (0, 0, 400), None, "the point lies outside the CT; give a point in the tumour."),
    "lung": ([(distance() <= 8, SOLID)], (20, 0, 0), None, "the point lies on air or lung"),
    "vessel": ([(np.hypot(*axes()[:2]) <= 2.5, 40)], MIDDLE, None, "the point lies in a vessel"),
    "chest wall": ([(axes()[1] > 8, 50)], (0, 20, 0), None, "the point lies outside the lung"),
    "no lung at all": ([(axes()[1] > -99, 50)], MIDDLE, None, "the point lies outside the lung"),
    "bone": ([(distance() <= 8, 700)], MIDDLE, None, "the point lies on bone, contrast medium or metal"),
    "radius": ([], MIDDLE, 200, "radius: 200 mm cannot be used; give 5 to 80 mm, or leave it out."),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_tumour_in_a_lung_is_refused_in_one_sentence(name):
    things, click, radius, sentence = REFUSED[name]
    with pytest.raises(InputError) as refused:
        outline_at(ct_of(*things), click, radius)
    assert str(refused.value).startswith(sentence)


def test_points_of_slicer_and_of_dicom():
    assert checked_point([1, 2.5, 3], "ras") == (-1, -2.5, 3) and checked_point(np.ones(3), "lps") == (1, 1, 1)
    for bad in ([1, 2], "abc", [1, 2, np.nan], None):
        with pytest.raises(InputError, match="is no point; give three numbers in mm"):
            checked_point(bad, "ras")
