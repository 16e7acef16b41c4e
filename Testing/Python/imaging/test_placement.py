"""A mask outside the body or on bone is refused, one in plain tissue remarked on, and a tumour never."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.errors import RegionError
from DeepRadScoreLib.imaging import case_from_images, prepare, read_case
from DeepRadScoreLib.imaging.checks.body import find_body
from DeepRadScoreLib.imaging.checks.quality_codes import ABSTAIN_CODES, QUALITY_CODES
from DeepRadScoreLib.imaging.grids.lps import LpsImage
from support.thorax import AIR, FAT, PLAIN_LUNG, RIB, TABLE, ball, chest, chest_case


def failures(case) -> set[str]:
    """The codes of a prepared case with which no probability may be given."""
    notes = [note for note in prepare(case).quality if note.code in ABSTAIN_CODES]
    assert {note.severity for note in notes} <= {"warning"}
    return {note.code for note in notes}


def test_the_codes_that_abstain_are_quality_codes():
    assert set(ABSTAIN_CODES) < set(QUALITY_CODES)


def test_the_body_is_found_without_the_table():
    body = find_body(LpsImage.of(chest_case(chest(), ball()).ct))
    assert body is not None
    voxel_ml = np.prod(np.array(body.steps) * (5, 2, 2)) / 1000
    volume_ml = np.pi * 155 * 105 * body.inside.shape[0] * body.steps[0] * 5 / 1000
    assert body.inside.sum() * voxel_ml == pytest.approx(volume_ml, rel=0.05)
    assert not body.upside_down


def test_the_tumour_itself_passes_as_do_lesions_that_look_otherwise():
    metal = chest()
    metal[10, 70:80, 55:58] = 3071
    for hu in (
        chest(),
        chest(lesion_hu=110.0, heart_hu=350.0),
        chest(lesion_hu=-300.0),
        metal,
    ):
        assert failures(chest_case(hu, ball())) == set()


def test_a_tumour_at_the_pleura_with_ribs_in_its_shell_passes():
    at_the_pleura = ball((-108.0, 8.0, 50.0), 14.0) & (chest(lesion_hu=-850.0) < -400)
    hu = chest()
    hu[at_the_pleura] = 40
    assert failures(chest_case(hu, at_the_pleura)) == set()


def test_a_tumour_in_a_collapsed_lung_is_not_refused():
    assert failures(chest_case(chest(right_lung_hu=30.0), ball())) <= {"no_lung_near"}


def test_ground_glass_is_abstained_from_and_never_refused():
    assert failures(chest_case(chest(lesion_hu=-650.0), ball())) == {"mask_on_lung"}


@pytest.mark.parametrize(
    ("place", "sentence"), [(AIR, "outside the body"), (TABLE, "outside the body"), ((0.0, 127.0, 50.0), "body")]
)
def test_outside_the_body_is_refused(place, sentence):
    with pytest.raises(RegionError, match=f"chest: the tumour mask lies .*{sentence}.*; give the mask"):
        prepare(chest_case(chest(), ball(place, 9.0)))


def test_air_is_refused_where_no_body_is_seen():
    hu = chest()[:, 100:, :60]
    mask = np.zeros(hu.shape, dtype=bool)
    mask[8:12, 38:44, 4:10] = True
    with pytest.raises(RegionError, match="the tumour mask lies"):
        prepare(chest_case(hu, mask))


def test_bone_alone_is_refused_and_bone_in_the_mask_abstained_from():
    hu = chest()
    with pytest.raises(RegionError, match="the tumour mask lies on bone"):
        prepare(chest_case(hu, ball((0.0, 62.0, 50.0), 18.0) & (hu > 150)))
    assert "mask_on_bone" in failures(chest_case(hu, ball(RIB, 16.0)))


def test_other_tissue_is_abstained_from():
    assert failures(chest_case(chest(), ball(PLAIN_LUNG))) == {"mask_on_lung", "mask_mirrored"}
    assert failures(chest_case(chest(lesion_hu=-850.0), ball())) == {"mask_on_lung"}
    fat = ball(FAT, 40.0) & (np.abs(chest() + 100) < 45) & ball((0.0, 98.0, 50.0), 40.0)
    assert "mask_on_fat" in failures(chest_case(chest(), fat))
    abdomen = chest()
    abdomen[(abdomen < -500) & ball((0.0, 0.0, 50.0), 130.0)] = 50
    assert "no_lung_near" in failures(chest_case(abdomen, ball((0.0, -20.0, 47.5), 7.0)))


def test_a_mask_over_the_border_of_the_lung_is_abstained_from():
    """Also where it holds too little bone to be told by that."""
    over = ball((-121.0, 8.0, 50.0), 14.0)
    hu = np.minimum(chest(lesion_hu=-850.0), 60)
    assert failures(chest_case(hu, over)) == {"mask_on_border"}
    tumour = over & (hu < -400)
    hu[tumour] = 40
    assert "mask_on_border" not in failures(chest_case(hu, tumour))


def test_a_ct_or_a_mask_turned_over_is_found():
    hu, mask = chest(), ball()
    assert "upside_down" in failures(chest_case(hu[:, ::-1], mask))
    assert failures(chest_case(hu[:, ::-1], mask[:, ::-1])) == {"upside_down"}
    lower = ball((-70.0, 40.0, 50.0), 10.0)
    hu = chest(lesion_hu=-850.0)
    hu[lower] = 40
    assert failures(chest_case(hu, lower)) == set()
    for axes in ((1,), (2,), (1, 2)):
        assert "mask_mirrored" in failures(chest_case(hu, np.flip(lower, axes)))


def test_a_prone_patient_is_not_upside_down():
    """The table lies at the front then, the spine still at the back."""
    hu = chest()
    table = np.s_[:, 126:]
    hu[:, :24], hu[table] = hu[table][:, ::-1].copy(), -1000
    assert failures(chest_case(hu, ball())) == set()


def test_both_ways_of_preparing_have_the_gate():
    case = chest_case(chest(), ball(AIR))
    for preprocessing in ("canonical", "pyradiomics"):
        with pytest.raises(RegionError, match="outside the body"):
            prepare(case, preprocessing=preprocessing)


def crop(case, mm: float):
    mask = sitk.GetArrayViewFromImage(case.tumour)
    index = np.argwhere(mask)[:, ::-1]
    reach = np.ceil(mm / np.array(case.ct.GetSpacing())).astype(int)
    low, high = np.maximum(index.min(axis=0) - reach, 0), np.minimum(index.max(axis=0) + reach, case.ct.GetSize())
    part = tuple(slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))
    return replace(case, ct=case.ct[part], tumour=case.tumour[part])


REAL = (
    "pyradiomics/lung1_image.nrrd pyradiomics/lung1_label.nrrd",
    "pyradiomics/lung2_image.nrrd pyradiomics/lung2_label.nrrd",
)


@pytest.mark.parametrize("files", REAL)
def test_cts_of_patients(shared, files):
    case = read_case(*(shared / "data" / name for name in files.split()))
    assert failures(case) == failures(crop(case, 40.0)) == set()
    turned = sitk.GetArrayFromImage(case.ct)[:, ::-1]
    ct = sitk.GetImageFromArray(turned)
    ct.CopyInformation(case.ct)
    body = find_body(LpsImage.of(ct))
    assert body is not None and body.upside_down


def test_a_wide_rim_of_padding_around_a_narrow_field_is_no_air_outside_the_body():
    hu = np.full((36, 100, 100), -850.0)
    hu[:, :, 22:] = 40
    tumour = np.zeros(hu.shape, bool)
    z, y, x = np.ogrid[:36, :100, :100]
    tumour[((z - 18) * 2.5) ** 2 + (y - 50) ** 2 + (x - 11) ** 2 < 49] = True
    hu[tumour] = 30
    hu += np.random.default_rng(0).normal(0, 15, hu.shape)
    wide = ((0, 0), (20, 20), (20, 20))
    images = [np.pad(hu, wide, constant_values=-2000).astype(np.int16), np.pad(tumour, wide).astype(np.uint8)]
    ct, mask = (sitk.GetImageFromArray(each) for each in images)
    for image in (ct, mask):
        image.SetSpacing((1.0, 1.0, 2.5))
    assert find_body(LpsImage.of(ct)) is None
    assert failures(case_from_images(ct, mask, case_id="rim")) == set()
