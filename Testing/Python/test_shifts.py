"""Shifted cases: that each change is what its name says, and what the program says of them."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from DeepRadScoreLib.abstention import ABSTAIN_CODES
from DeepRadScoreLib.analyses.findings import Finding
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import Case, case_from_images, prepare
from DeepRadScoreLib.synthetic.causes import LATENTS
from DeepRadScoreLib.synthetic.phantom import make_case
from support.imaging_phantoms import ball, image_of
from support.shifts import SHIFTS, Volume, acquisition
from support.shifts.judging import Outcome, Row

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def phantom() -> Case:
    return case_from_images(*make_case(dict.fromkeys(LATENTS, 0.0), "B", 5), case_id="phantom")


@pytest.fixture(scope="module")
def volume(phantom: Case) -> Volume:
    return Volume.of(phantom)


def shifted(volume: Volume, name: str) -> Volume:
    return Volume.of(SHIFTS[name].apply(volume, "phantom"))


def ball_volume(radius: float = 10.0) -> Volume:
    mask = ball((64, 64, 50), (1, 1, 1), radius)
    hu = np.where(mask > 0, 40, -850).astype(np.int16)
    return Volume.of(case_from_images(image_of(hu), image_of(mask), case_id="ball"))


def test_there_are_at_least_forty_shifts_and_each_is_the_same_each_time(volume):
    assert len(SHIFTS) >= 40
    first, second = (shifted(volume, "noise x4").hu for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, volume.hu)


@pytest.mark.parametrize("name", ["padding rim", "padding voxels", "wider field"])
def test_the_controls_change_no_voxel_of_lattice_regions_or_patch(phantom, volume, name):
    before, after = prepare(phantom), prepare(SHIFTS[name].apply(volume, "phantom"))
    for one, other in zip(
        (before.image, before.tumour, before.peritumoral, before.patch.image),
        (after.image, after.tumour, after.peritumoral, after.patch.image),
        strict=True,
    ):
        assert np.array_equal(sitk.GetArrayViewFromImage(one), sitk.GetArrayViewFromImage(other))


def test_noise_is_multiplied_in_water():
    water = np.rint(RNG.normal(0, 20, (20, 80, 80)))
    water[0] = -1000
    mask = ball((80, 80, 20), (1, 1, 1), 5)
    volume = Volume.of(case_from_images(image_of(water.astype(np.int16)), image_of(mask), case_id="water"))
    noisy = acquisition.more_noise(volume, RNG, 4)
    assert acquisition.noise_hu(volume) == pytest.approx(20, rel=0.05)
    assert noisy.hu[2:-2].std() == pytest.approx(80, rel=0.05)


@pytest.mark.parametrize(("name", "radius"), [("eroded 4 mm", 6.25), ("dilated 2 mm", 12), ("half the diameter", 5)])
def test_the_ball_of_another_outline_has_the_volume_of_its_radius(name, radius):
    # erosion counts from the first voxel centre outside, about a quarter of a voxel beyond the ball
    mask = shifted(ball_volume(), name).mask
    assert mask.sum() == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.08)


def test_thick_slices_are_means_at_their_true_place():
    volume = ball_volume()
    thick = shifted(volume, "slices of 5 mm")
    assert thick.step == (5.0, 1.0, 1.0)
    assert thick.origin[2] == volume.origin[2] + 2
    assert thick.hu == pytest.approx(volume.hu.reshape(10, 5, 64, 64).mean(axis=1), abs=0.5)
    assert thick.mask.sum() * 5 == pytest.approx(volume.mask.sum(), rel=0.1)


def test_a_blur_is_that_of_scipy():
    volume = ball_volume()
    expected = gaussian_filter(volume.hu.astype(float), 2.0)
    assert shifted(volume, "blur of 2 mm").hu == pytest.approx(expected, abs=3)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("on the air", -1010, -980),
        ("a rib outlined", 250, 800),
        ("on the spine", 180, 280),
        ("beside the tumour", -1000, -600),
        ("tumour painted out", -1000, -600),
        ("on liver", 90, 130),
        ("on fat", -130, -80),
    ],
)
def test_the_mask_lies_on_what_the_shift_names(volume, name, low, high):
    moved = shifted(volume, name)
    assert low < moved.hu[moved.mask].mean() < high


@pytest.mark.parametrize("name", [name for name, shift in SHIFTS.items() if shift.kind in ("place", "values")])
def test_no_finding_is_given_of_a_wrong_place_or_wrong_values(volume, name):
    try:
        quality = prepare(SHIFTS[name].apply(volume, "phantom")).quality
    except InputError:
        return
    assert {note.code for note in quality} & set(ABSTAIN_CODES)


def outcome(refused: str = "", warnings: tuple[str, ...] = (), flags: tuple[str, ...] = (), **given) -> Outcome:
    findings = {key: Finding(key, probability=value, flags=flags) for key, value in given.items()}
    return Outcome(refused, frozenset(warnings), findings)


def test_a_row_counts_what_is_said_and_what_changes_in_silence():
    before = outcome(warnings=("small_tumour",), EGFR=0.2, ALK=0.4)
    after = [
        outcome(refused="the mask lies on air."),
        outcome(EGFR=None, ALK=None, flags=("unlike_training",)),
        outcome(warnings=("small_tumour", "thick_slices"), EGFR=0.9, ALK=0.4),
        outcome(warnings=("small_tumour",), EGFR=0.5, ALK=0.4, flags=("outside_spread",)),
        outcome(EGFR=0.3, ALK=0.3),
    ]
    row = Row.of(SHIFTS["noise x2"], [(before, each) for each in after])
    assert row.shares == pytest.approx({"refused": 0.2, "abstained": 0.2, "warned": 0.2, "silent": 0.4})
    assert row.largest == pytest.approx(0.3)
    assert row.large_and_silent == pytest.approx(0.2)


def metal_notes(case: Case) -> list[str]:
    return [note.message for note in prepare(case).quality if note.code == "metal_in_slices"]


def test_metal_beside_the_tumour_is_noted_in_its_slices_alone(phantom, volume):
    assert metal_notes(phantom) == []
    assert len(metal_notes(SHIFTS["metal streaks"].apply(volume, "phantom"))) == 1
    hu = sitk.GetArrayFromImage(phantom.ct)
    tumour = sitk.GetArrayViewFromImage(phantom.tumour).any(axis=(1, 2)).nonzero()[0]
    voxels = int(np.ceil(20 / np.prod(phantom.ct.GetSpacing()))) + 1
    for plane, noted in ((tumour[0] - 4, False), (tumour[0], True)):
        hu_with_metal = hu.copy()
        hu_with_metal[plane].flat[:voxels] = 3071
        ct = sitk.GetImageFromArray(hu_with_metal)
        ct.CopyInformation(phantom.ct)
        assert bool(metal_notes(case_from_images(ct, phantom.tumour, case_id="metal"))) == noted


@pytest.mark.parametrize(("top", "noted"), [(150, True), (400, True), (3071, False)])
def test_a_window_that_cuts_off_what_is_denser_is_noted(volume, top, noted):
    case = volume.with_values(np.minimum(volume.hu, top)).case("windowed")
    messages = [note.message for note in prepare(case).quality if note.code == "values_cut_off"]
    assert [f"voxels have {top} HU" in message for message in messages] == [True] * noted
