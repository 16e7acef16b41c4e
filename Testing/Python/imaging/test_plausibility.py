"""Values that are no HU are refused with their cause; padding, metal and small parts of a chest are not."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.checks.plausibility import check_values
from support.thorax import SPACING, ball, chest, image

RNG = np.random.default_rng(0)


def check(ct: sitk.Image, *, where: str) -> None:
    check_values(sitk.GetArrayViewFromImage(ct), ct.GetSpacing(), where=where)


def window(hu: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.round((np.clip(hu, low, high) - low) / (high - low) * 255)


def mr(hu: np.ndarray) -> np.ndarray:
    """Fat bright, muscle grey, air and bone dark, all over 0."""
    known = [-1024, -950, -850, -500, -200, -100, -40, 40, 120, 300, 700, 3000]
    return np.abs(
        np.interp(hu, known, [0, 10, 60, 200, 600, 900, 700, 350, 380, 250, 80, 20]) + RNG.normal(0, 12, hu.shape)
    )


WRONG = {
    "intercept not applied": (lambda hu: hu + 1024, "the rescale intercept is not applied"),
    "applied twice": (lambda hu: hu - 1024, "the rescale intercept is applied twice"),
    "half a slope": (lambda hu: hu / 2, "the rescale slope is half"),
    "half a slope, then the intercept": (lambda hu: (hu + 1024) / 2 - 1024, "the rescale slope is half"),
    "slope twice": (lambda hu: hu * 2, "the rescale slope is twice"),
    "inverted": (lambda hu: -hu, "the values are inverted"),
    "inverted as stored": (lambda hu: hu.max() + hu.min() - hu, ""),
    "8 bits, lung window": (lambda hu: window(hu, -1000, 400), "8 bits"),
    "8 bits, soft tissue": (lambda hu: window(hu, -160, 240), "8 bits"),
    "8 bits, then the intercept": (lambda hu: window(hu, -1000, 400) - 1024, ""),
    "8 bits, stretched": (lambda hu: np.round(window(hu, -1000, 400) * 4095 / 255) - 1024, "8 bits"),
    "8 bits, soft tissue, stretched": (lambda hu: np.round(window(hu, -160, 240) * 2000 / 255) - 1000, "8 bits"),
    "0 to 1": (lambda hu: window(hu, -1000, 400) / 255, ""),
    "standardised": (lambda hu: (hu - hu.mean()) / hu.std(), ""),
    "MR": (mr, ""),
}
PARTS = {"whole": np.s_[:], "crop": np.s_[:, 35:120, 25:95]}


def padded(values: np.ndarray, padding: float) -> np.ndarray:
    """With a rim, as outside of the field of view, and some single voxels of padding."""
    values = values.copy()
    values[:, :4], values[:, :, -4:] = padding, padding
    values[::3, ::10, ::10] = padding
    return values


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", WRONG)
def test_wrong_values_are_refused_with_their_cause_with_or_without_padding(name, part):
    change, cause = WRONG[name]
    wrong = change(chest()[PARTS[part]])
    with pytest.raises(InputError, match=f"^a.nrrd: the CT is not in HU: .*{cause}.*; export it with"):
        check(image(wrong), where="a.nrrd")
    for padding in (-2000.0, -3024.0, 3071.0):
        with pytest.raises(InputError, match="not in HU"):
            check(image(padded(wrong, padding)), where="a.nrrd")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("padding", [-2000.0, -3024.0, -1024.0, 0.0, 3071.0])
def test_padding_does_not_matter_to_a_ct(part, padding):
    check(image(padded(chest()[PARTS[part]], padding)), where="a.nrrd")


def test_chests_that_look_otherwise_pass():
    metal = chest()
    metal[5:15, 60:66, 40:60] = 3071
    noisy = chest() + RNG.normal(0, 110, metal.shape)
    for hu in (
        metal,
        noisy,
        np.clip(noisy, -1024, 3071),
        chest(heart_hu=350.0),
        chest(right_lung_hu=-450.0),
        chest(right_lung_hu=30.0),
        chest(lesion_hu=-650.0),
    ):
        check(image(hu), where="a.nrrd")


def test_a_patch_within_a_mass_or_within_lung_says_nothing():
    """Without air, or without tissue, a small volume may still be of a CT; one of values over 0 alone is not."""
    patch = np.array([25, 25, 10])[::-1]
    assert np.prod(patch * SPACING[::-1]) / 1000 < 200
    for mean in (40.0, -850.0):
        check(image(np.full(patch, mean) + RNG.normal(0, 20, patch)), where="a.nrrd")
    fat = np.full(patch, 40.0) + RNG.normal(0, 20, patch)
    fat[:, :5] -= 140
    check(image(fat), where="a.nrrd")
    with pytest.raises(InputError):
        check(image(np.abs(fat) + 150), where="a.nrrd")


def test_a_solid_ball_in_empty_lung_passes():
    check(image(np.where(ball(), 40.0, -800.0)), where="a.nrrd")
