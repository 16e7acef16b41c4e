"""Other outlines of a tumour, against closed forms and ITK's distance maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.imaging import case_from_images
from DeepRadScoreLib.imaging.masks.mask_variants import jittered_mask, mask_variants
from support.imaging_phantoms import ball, image_of, lung_ct, tumour_case


def ball_case(radius: float = 10.0, spacing=(0.5, 0.5, 0.5)):
    size = [round((2 * radius + 12) / step) for step in spacing]
    return case_from_images(*tumour_case(size=size, spacing=spacing, radius=radius))


def voxels(case) -> np.ndarray:
    return sitk.GetArrayFromImage(case.tumour) != 0


def volume(case) -> float:
    return float(voxels(case).sum() * np.prod(case.tumour.GetSpacing()))


def distance_to_surface(case) -> np.ndarray:
    """Of each voxel's centre, mm, negative inside, from the centres of the mask's outermost voxels (ITK)."""
    return sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(case.tumour, False, False, True))


@pytest.fixture(scope="module")
def variants():
    case = ball_case()
    return case, list(mask_variants(case, 12, seed=3))


def test_grown_and_shrunk_balls_have_their_volumes():
    grown, shrunk = mask_variants(ball_case(10.0, (0.25, 0.25, 0.25)), 2)
    assert volume(grown) == pytest.approx(4 / 3 * np.pi * 11**3, rel=0.03)
    assert volume(shrunk) == pytest.approx(4 / 3 * np.pi * 9**3, rel=0.03)


def test_jittered_surfaces_move_both_ways_and_not_far(variants):
    case, (_, _, *jittered) = variants
    distance, mask = distance_to_surface(case), voxels(case)
    for each in jittered:
        added, removed = voxels(each) & ~mask, ~voxels(each) & mask
        assert added.any() and removed.any()
        assert distance[added].max() <= 1.5 + 0.5 and distance[removed].min() >= -1.5 - 0.5
    volumes = [volume(each) for each in jittered]
    assert np.mean(volumes) == pytest.approx(volume(case), rel=0.04)
    assert len(set(volumes)) == len(volumes)


def test_a_jittered_surface_is_smooth(variants):
    _, (_, _, *jittered) = variants
    for each in jittered:
        pieces = sitk.ConnectedComponent(each.tumour, True)
        assert sitk.GetArrayFromImage(pieces).max() == 1
        surface = sitk.LabelShapeStatisticsImageFilter()
        surface.Execute(each.tumour)
        assert surface.GetRoundness(1) > 0.93


def test_the_seed_decides(variants):
    case, made = variants
    again = list(mask_variants(case, 12, seed=3))
    other = list(mask_variants(case, 12, seed=4))
    assert all((voxels(a) == voxels(b)).all() for a, b in zip(made, again, strict=True))
    assert [(voxels(a) == voxels(b)).all() for a, b in zip(made, other, strict=True)] == [True] * 2 + [False] * 10
    assert (voxels(jittered_mask(case, 3)) == voxels(made[2])).all()


def test_the_ct_and_its_grid_stay(variants):
    case, made = variants
    for each in made:
        assert each.ct is case.ct
        assert each.tumour.GetSpacing() == case.tumour.GetSpacing()
        assert each.tumour.GetOrigin() == case.tumour.GetOrigin()


def test_thick_slices_are_not_added():
    case = ball_case(8.0, (0.5, 0.5, 5.0))
    for each in mask_variants(case, 4):
        filled = voxels(each).any(axis=(1, 2))
        assert not (filled & ~voxels(case).any(axis=(1, 2))).any()


def test_other_tumours_are_never_taken_in():
    spacing, size = (0.5, 0.5, 0.5), (60, 60, 60)
    tumour = ball(size, spacing, 6.0)
    other = ball(size, spacing, 9.0) - tumour
    ct = image_of(lung_ct(tumour), spacing)
    case = replace(case_from_images(ct, image_of(tumour, spacing)), other_tumours=image_of(other, spacing))
    for each in mask_variants(case, 4):
        assert not (voxels(each) & (other != 0)).any()


def test_a_tumour_at_the_edge_of_the_ct():
    mask = ball((30, 30, 30), (1.0, 1.0, 1.0), 8.0, centre=(0.0, 14.0, 14.0))
    case = case_from_images(image_of(lung_ct(mask)), image_of(mask))
    grown, shrunk = mask_variants(case, 2)
    assert voxels(grown).sum() > mask.sum() > voxels(shrunk).sum()
