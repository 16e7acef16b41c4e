"""What the notes on a case say is true: volumes, shares, counts and the list beside a number."""

from __future__ import annotations

import re
from copy import deepcopy

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from DeepRadScoreLib.errors import InputError, RegionError
from DeepRadScoreLib.imaging import case_from_images, prepare
from DeepRadScoreLib.imaging.dicom.ct import read_ct
from DeepRadScoreLib.imaging.masks.mask_variants import jittered_mask
from DeepRadScoreLib.likeness.measures import case_measures
from DeepRadScoreLib.numerals import counted, share_text
from support import dicom_phantoms as made
from support.imaging_phantoms import image_of, lung_ct

CT_SIZE = (20, 80, 80)


def brick(size, spacing, low, high) -> np.ndarray:
    """uint8 (z, y, x): voxels whose centre lies between two points in mm, x, y, z."""
    centres = np.meshgrid(*(np.arange(n) * s for n, s in zip(size, spacing[::-1], strict=True)), indexing="ij")
    inside = [(c >= a) & (c <= b) for c, a, b in zip(centres, low[::-1], high[::-1], strict=True)]
    return np.logical_and.reduce(inside).astype(np.uint8)


def prepared_brick(spacing, low, high, mask_spacing=None):
    ct = image_of(lung_ct(brick(CT_SIZE, spacing, low, high)), spacing)
    mask_spacing = mask_spacing or spacing
    size = [round(n * s / m) for n, s, m in zip(CT_SIZE, spacing[::-1], mask_spacing[::-1], strict=True)]
    return prepare(case_from_images(ct, image_of(brick(size, mask_spacing, low, high), mask_spacing)))


VOLUMES = {
    "whole millimetres": ((1, 1, 5), (20, 20, 20), (39, 39, 34), None, 20 * 20 * 15, 20 * 20 * 15, None),
    "half of two slices at the end": (
        *((1, 1, 5), (20, 20, 90), (39, 39, 95), None, 20 * 20 * 10, 20 * 20 * 8),
        r"warning: .* 4\.00 mL, .* 3\.20 mL \(-20%\): it ends at the centres of the CT's outermost voxels",
    ),
    "small voxels": (
        *((0.9, 0.9, 0.9), (8.9, 8.9, 8.9), (12.7, 12.7, 12.7), None, 4.5**3, 5**3),
        r"warning: .* 0\.09 mL, .* 0\.1[23] mL \(\+37%\): it has points at whole millimetres alone, .* 0\.90 x 0\.90",
    ),
    "a little": (
        *((0.9, 1, 1), (8.9, 20, 5), (14.5, 39, 15), None, 6.3 * 20 * 11, 6 * 20 * 11),
        r"info: .* 1\.39 mL, .* 1\.32 mL \(-5%\): it has points at whole millimetres",
    ),
    "a finer mask": (
        *((1, 1, 5), (20, 20, 36), (39, 39, 42), (1, 1, 1), 20 * 20 * 7, 20 * 20 * 5),
        r"warning: .* 2\.80 mL, .* 2\.00 mL \(-29%\): the mask was drawn on another grid, and the CT's is too coarse",
    ),
}


@pytest.mark.parametrize(
    ("spacing", "low", "high", "mask_spacing", "mask_mm3", "lattice_mm3", "note"), VOLUMES.values()
)
def test_the_volume_is_that_of_the_mask_and_another_on_the_lattice_is_explained(
    spacing, low, high, mask_spacing, mask_mm3, lattice_mm3, note
):
    found = prepared_brick(spacing, low, high, mask_spacing)
    assert found.mask_ml == pytest.approx(mask_mm3 / 1000, rel=1e-9)
    assert found.volume_ml("tumour") == lattice_mm3 / 1000
    said = [f"{note.severity}: {note.message}" for note in found.quality if note.code == "volume_differs"]
    assert [bool(re.match(note, text)) for text in said] == [True] if note else said == []
    assert case_measures(found)["tumour_volume_ml"] == lattice_mm3 / 1000, "as in the bundle's training data"


def test_a_changed_mask_has_its_own_volume():
    ct = image_of(lung_ct(brick(CT_SIZE, (1, 1, 5), (20, 20, 20), (39, 39, 40))), (1, 1, 5))
    fine = brick((100, 80, 80), (1, 1, 1), (20, 20, 20), (39, 39, 40))
    case = case_from_images(ct, image_of(fine))
    jittered = jittered_mask(case, 0)
    voxels = int(sitk.GetArrayViewFromImage(jittered.tumour).sum())
    assert prepare(jittered).mask_ml == pytest.approx(voxels * 5 / 1000)
    assert prepare(case).mask_ml == pytest.approx(fine.sum() / 1000)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0%"), (1e-4, "under 1%"), (0.0051, "1%"), (0.42, "42%"), (0.9949, "99%"), (0.9999, "over 99%"), (1, "100%")],
)
def test_a_share_is_called_none_or_all_only_if_it_is(share, text):
    assert share_text(share) == text


def test_a_count_of_one_is_singular():
    assert (counted(0, "case"), counted(1, "case"), counted(2, "case")) == ("0 cases", "1 case", "2 cases")


def test_the_largest_of_two_pieces_is_not_all_of_them():
    mask = brick((60, 60, 60), (1, 1, 1), (15, 15, 15), (44, 44, 44))
    mask[5, 5, 5] = 1
    notes = prepare(case_from_images(image_of(lung_ct(mask)), image_of(mask))).quality
    (said,) = (note.message for note in notes if note.code == "several_pieces")
    assert said == "The tumour mask has 2 separate pieces; the largest has over 99%."


def test_a_share_outside_the_ct_is_not_none():
    mask = brick((60, 40, 40), (1, 1, 1), (10, 10, 30), (29, 29, 49))
    mask[0, 0, 0] = 0
    wide = np.zeros((64, 40, 40), np.uint8)
    wide[:60] = mask
    wide[62, 10:15, 10:14] = 1
    notes = case_from_images(image_of(lung_ct(mask)), image_of(wide)).notes
    (said,) = (note.message for note in notes if note.code == "mask_outside_ct")
    assert said == "Under 1% of the tumour mask lies outside the CT."


def test_too_small_a_region_is_counted_in_words():
    mask = brick((60, 60, 60), (1, 1, 1), (30, 30, 30), (30, 30, 30))
    with pytest.raises(RegionError, match="the tumour has 1 voxel of 1 mm along 0 axes"):
        prepare(case_from_images(image_of(lung_ct(mask)), image_of(mask)))


def _series(slices: int, seed: int) -> list[Dataset]:
    return made.ct_series(np.random.default_rng(seed).normal(-700, 50, (slices, 24, 32)).astype(np.int16))


def test_the_list_beside_a_number_of_series_is_as_long(tmp_path):
    for seed, slices in enumerate((6, 5, 1, 1)):
        made.save(_series(slices, seed), tmp_path / str(seed), seed=seed)
    with pytest.raises(InputError, match="there are 2 CT series and none was chosen") as refused:
        read_ct(tmp_path)
    assert re.findall(r"\((\d+ slices?)[ )]", str(refused.value)) == ["6 slices", "5 slices"]
    with pytest.raises(InputError, match=r"there is no series 1\.2") as refused:
        read_ct(tmp_path, series="1.2")
    assert re.findall(r"\((\d+ slices?)[ )]", str(refused.value)) == ["6 slices", "5 slices", "1 slice", "1 slice"]


def test_one_position_holds_several_slices(tmp_path):
    series = _series(4, 0)
    extra = replace_slice(series[1])
    made.save([*series, extra], tmp_path)
    with pytest.raises(InputError, match="1 position holds several slices with different pixels"):
        read_ct(tmp_path)


def replace_slice(dataset: Dataset) -> Dataset:
    """The slice at its position with other pixels, as an instance of its own."""
    other = deepcopy(dataset)
    other.SOPInstanceUID = generate_uid()
    other.PixelData = bytes(reversed(dataset.PixelData))
    return other
