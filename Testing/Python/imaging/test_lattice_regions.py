"""The regions without the CT, and a case from segments in memory: the same as by the usual ways."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError, RegionError
from DeepRadScoreLib.imaging import (
    Case,
    MaskContent,
    Segment,
    anonymous_case_id,
    case_from_segments,
    lattice_regions,
    masks_from_segments,
    prepare,
    read_case,
)

DIRECTION = sitk.VersorTransform((0.1, 0.9, 0.3), 0.25).GetMatrix()


def image(array: np.ndarray) -> sitk.Image:
    made = sitk.GetImageFromArray(array)
    made.SetSpacing((0.8, 0.9, 3.0))
    made.SetDirection((np.array(DIRECTION).reshape(3, 3) @ np.diag([1.0, -1.0, -1.0])).ravel().tolist())
    made.SetOrigin((33.3, -12.1, 7.7))
    return made


def ball(centre: tuple[int, int, int], radius: float) -> np.ndarray:
    z, y, x = np.indices((22, 60, 64))
    squared = ((z - centre[0]) * 3.0) ** 2 + ((y - centre[1]) * 0.9) ** 2 + ((x - centre[2]) * 0.8) ** 2
    return (squared <= radius**2).astype(np.uint8)


@pytest.fixture
def ct() -> sitk.Image:
    return image(np.random.default_rng(5).normal(-600, 250, (22, 60, 64)).astype(np.int16))


TUMOUR, OTHER = ball((11, 30, 30), 8.0), ball((11, 30, 51), 7.0)
LUNG = np.broadcast_to((np.arange(60) < 33).astype(np.uint8)[:, None], (22, 60, 64)).copy()


def same(first: sitk.Image, second: sitk.Image) -> None:
    assert first.GetSize() == second.GetSize()
    np.testing.assert_array_equal(sitk.GetArrayViewFromImage(first), sitk.GetArrayViewFromImage(second))
    for getter in ("GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(first, getter)(), getattr(second, getter)(), rtol=0, atol=1e-9)


@pytest.mark.parametrize("shell_mm", [3.0, 12.0])
@pytest.mark.parametrize("lung", [None, LUNG])
@pytest.mark.parametrize("other", [None, OTHER])
def test_lattice_regions_are_those_of_prepare(ct, other, lung, shell_mm):
    masks = [None if mask is None else image(mask) for mask in (other, lung)]
    case = Case("one", ct, image(TUMOUR), *masks)
    prepared = prepare(case, shell_mm=shell_mm)
    tumour, shell = lattice_regions(case, shell_mm)
    same(tumour, prepared.tumour)
    same(shell, prepared.peritumoral)


def test_lattice_regions_refuse_what_prepare_refuses(ct):
    with pytest.raises(InputError, match="a shell of 25 mm cannot be made"):
        lattice_regions(Case("one", ct, image(TUMOUR)), 25.0)
    with pytest.raises(RegionError, match="the tumour mask is empty"):
        lattice_regions(Case("one", ct, image(0 * TUMOUR)), 3.0)
    with pytest.raises(RegionError, match="nothing is left of the peritumoral shell"):
        lattice_regions(Case("one", ct, image(TUMOUR), lung=image(TUMOUR)), 3.0)


@pytest.fixture
def content() -> MaskContent:
    """Tumour and lung share a layer, the second nodule overlaps both in another."""
    first = np.where(TUMOUR != 0, 1, np.where(LUNG != 0, 2, 0)).astype(np.uint8)
    segments = (
        Segment("main tumour", "S1", 0, 1),
        Segment("lung", "S2", 0, 2),
        Segment("second Nodule", "S3", 1, 1),
    )
    return MaskContent((image(first), image(np.roll(TUMOUR, 6, axis=2))), segments, (), "the segmentation")


@pytest.mark.parametrize("segment", ["S1", "main tumour", "S3"])
def test_case_from_segments_is_that_of_the_file(ct, content, tmp_path, segment):
    mask = sitk.Compose(*content.layers)
    for number, one in enumerate(content.segments):
        for key, value in (("ID", one.identity), ("Name", one.name), ("Layer", one.layer), ("LabelValue", one.value)):
            mask.SetMetaData(f"Segment{number}_{key}", str(value))
    sitk.WriteImage(mask, str(tmp_path / "mask.seg.nrrd"))
    sitk.WriteImage(ct, str(tmp_path / "ct.nrrd"))
    read = read_case(tmp_path / "ct.nrrd", tmp_path / "mask.seg.nrrd", segment=segment, case_id="one")
    case = case_from_segments(ct, content, case_id="one", segment=segment)
    for name in ("ct", "tumour", "other_tumours"):
        same(getattr(case, name), getattr(read, name))
    assert (case.case_id, case.notes, case.lung) == (read.case_id, read.notes, None)
    assert [note.code for note in case.notes] == ["other_labels"]


def test_masks_need_the_cts_grid_alone_and_only_the_part_around_the_tumour(ct, content):
    whole = case_from_segments(ct, content, case_id="one", segment="S1")
    grid = sitk.Image(ct.GetSize(), sitk.sitkUInt8)
    grid.CopyInformation(ct)
    tumours = replace(content, segments=tuple(one for one in content.segments if one.counts_as_tumour))
    for extent in (grid, grid[2:, 3:60, 1:]):
        masks = masks_from_segments(extent, tumours, case_id="one", segment="S1")
        for one, other in zip(lattice_regions(masks, 3.0), lattice_regions(whole, 3.0), strict=True):
            same(one, other)


def test_case_from_segments_checks_the_ct(ct, content):
    with pytest.raises(InputError, match="not in HU"):
        case_from_segments(ct + 2000, content, case_id="one", segment="S1")
    with pytest.raises(RegionError, match='"S9" is not in the mask'):
        case_from_segments(ct, content, case_id="one", segment="S9")


def test_anonymous_case_id_is_a_keyed_hash(tmp_path, monkeypatch):
    """HMAC-SHA-256 of "case", a zero byte and "1.2.3" under 32 times "k", by openssl: 6e8a0ba07448…"""
    key = tmp_path / "key"
    monkeypatch.setenv("DEEPRADSCORE_KEY", str(key))
    key.write_bytes(b"k" * 32)
    assert anonymous_case_id("1.2.3") == "case-6e8a0ba07448"
    key.write_bytes(b"j" * 32)
    assert anonymous_case_id("1.2.3") != "case-6e8a0ba07448"
