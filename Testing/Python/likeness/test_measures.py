"""Measures of images of which they are known: ramps, noise of a known spectrum, regions of known values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter, gaussian_filter1d

from DeepRadScoreLib.imaging import PreparedCase, case_from_images, prepare
from DeepRadScoreLib.likeness.measures import MEASURES, case_measures, patch_noise
from support.imaging_phantoms import image_of, tumour_case


def noise(seed: int = 0, blur: float = 0.0, n: int = 160) -> np.ndarray:
    """White noise of unit standard deviation, blurred by a Gaussian (in pixels) and scaled to unit again."""
    field = np.random.default_rng(seed).normal(size=(n, n))
    field = gaussian_filter(field, blur, mode="wrap") if blur else field
    return field / field.std()


@pytest.fixture(scope="module")
def prepared() -> PreparedCase:
    ct, mask = tumour_case(spacing=(0.8, 0.8, 2.0), radius=8.0)
    return prepare(case_from_images(ct, mask))


def with_patch(prepared: PreparedCase, hu: np.ndarray) -> PreparedCase:
    image = sitk.GetImageFromArray(hu[None].astype(np.float32))
    image.SetSpacing((0.8, 0.8, 2.0))
    return replace(prepared, patch=replace(prepared.patch, image=image))


def test_spacing_volume_pieces_and_statistics(prepared: PreparedCase) -> None:
    found = case_measures(prepared)
    assert tuple(found) == MEASURES and all(np.isfinite(list(found.values())))
    tumour = sitk.GetArrayFromImage(prepared.image)[sitk.GetArrayFromImage(prepared.tumour) != 0]
    assert found["spacing_in_plane_mm"] == pytest.approx(0.8)
    assert found["spacing_between_slices_mm"] == pytest.approx(2.0)
    assert found["tumour_volume_ml"] == len(tumour) / 1000
    assert found["tumour_pieces"] == 1
    assert found["tumour_hu_mean"] == pytest.approx(np.mean(tumour))
    assert found["tumour_hu_p95"] == np.percentile(tumour, 95)
    assert found["tumour_share_soft"] == np.mean((tumour > -150) & (tumour < 200))
    assert found["peritumoral_share_soft"] < 0.1


@pytest.mark.parametrize(("start", "pieces"), [(20, 1), (22, 2)])
def test_pieces_touch_at_corners(start: int, pieces: int) -> None:
    mask = np.zeros((30, 40, 40), np.uint8)
    mask[10:14, 14:20, 14:20] = mask[14:18, start : start + 6, start : start + 6] = 1
    ct = np.where(mask, 40, -800).astype(np.int16)
    ct[0, 0, 0] = 100
    found = case_measures(prepare(case_from_images(image_of(ct), image_of(mask))))
    assert found["tumour_pieces"] == pieces


def test_the_edge_of_a_ramp_is_its_slope(prepared: PreparedCase) -> None:
    ramp = np.add.outer(np.zeros(160), 0.8 * 30.0 * np.arange(160)) - 900
    assert case_measures(with_patch(prepared, ramp))["edge_hu_per_mm"] == pytest.approx(30.0, rel=1e-5)


def test_noise_grows_with_the_noise_and_not_with_the_ground() -> None:
    plane = np.add.outer(2.0 * np.arange(160), -1.0 * np.arange(160))
    once, twice = (patch_noise(plane - 800 + 20 * times * noise()) for times in (1, 2))
    assert once["noise_hu"] == pytest.approx(18, rel=0.2)
    assert once["noise_total_hu"] == pytest.approx(18, rel=0.2)
    assert twice["noise_hu"] == pytest.approx(2 * once["noise_hu"])
    assert twice["noise_lag1"] == pytest.approx(once["noise_lag1"])


@pytest.mark.parametrize("sigma", [0.5, 0.7, 0.9])
def test_correlation_of_blurred_noise_is_that_of_its_kernel(sigma: float) -> None:
    """White noise after a kernel k has the correlation sum(k[i] k[i + 1]) / sum(k^2); a plane per block takes a bit."""
    kernel = gaussian_filter1d(np.eye(41)[20], sigma)
    expected = (kernel[1:] * kernel[:-1]).sum() / (kernel**2).sum()
    found = patch_noise(30 * noise(blur=sigma))["noise_lag1"]
    assert expected - 0.13 < found < expected


def test_lung_and_muscle_are_read_whatever_their_shares(prepared: PreparedCase) -> None:
    for share in (20, 80, 140):
        patch = np.full((160, 160), -850.0)
        patch[share:] = 52.0
        found = case_measures(with_patch(prepared, patch + 15 * noise()))
        assert found["patch_lung_hu"] == pytest.approx(-850, abs=2)
        assert found["patch_soft_hu"] == pytest.approx(52, abs=2)
        assert found["patch_muscle_hu"] == pytest.approx(52, abs=2)


def test_padding_is_no_quiet_part() -> None:
    hu = -800 + 20 * noise()
    padded = hu.copy()
    padded[:, :80] = -1000
    assert patch_noise(padded)["noise_hu"] == pytest.approx(patch_noise(hu)["noise_hu"], rel=0.1)
    assert set(patch_noise(np.full((160, 160), -1000.0)).values()) == {0.0}


def test_slices_that_repeat_are_smooth_along_z(prepared: PreparedCase) -> None:
    image = sitk.GetArrayFromImage(prepared.image)
    repeated = sitk.GetImageFromArray(np.repeat(image[:1], len(image), axis=0))
    repeated.CopyInformation(prepared.image)
    found = case_measures(replace(prepared, image=repeated))
    assert found["roughness_along_z"] == 0 and found["roughness_hu"] > 10
