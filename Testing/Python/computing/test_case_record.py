"""A record of a case comes back from its file as it was, and a record of an older program does not."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.computing.case_record import CaseRecord, CaseTask, Wants, load_record, store_record
from DeepRadScoreLib.computing.one_case import compute_case
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import QualityNote, prepare, read_case, read_image
from DeepRadScoreLib.imaging.acquisition import Acquisition
from DeepRadScoreLib.imaging.masks.mask_variants import jittered_mask
from DeepRadScoreLib.likeness.measures import MEASURES
from DeepRadScoreLib.models import Engine
from DeepRadScoreLib.radscore.extraction import extract_features
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from support.imaging_phantoms import tumour_case

NOTES = (
    QualityNote.warning("thick_slices", "The CT has slices of 5.00 mm: what lies between them is interpolated."),
    QualityNote.info("patch_padded", "Größe, µ, and a “quoted” word."),
)


def test_the_notes_of_a_case_are_kept_whole(tmp_path):
    for notes in (NOTES, ()):
        record = CaseRecord("a", np.arange(4.0), np.ones((2, 2)), quality=notes, synthetic=True)
        store_record(tmp_path / "a.npz", record)
        found = load_record(tmp_path / "a.npz", "a")
        assert found is not None
        assert (found.quality, found.synthetic, found.repeat) == (notes, True, None)
        np.testing.assert_array_equal(found.features, record.features)


def test_a_record_with_codes_alone_is_none(tmp_path):
    empty = np.empty(0)
    np.savez(tmp_path / "a.npz", features=empty, patch=empty, repeat=empty, quality=["thick_slices"], synthetic=True)
    assert load_record(tmp_path / "a.npz", "a") is None


def test_measures_and_acquisition_come_back(tmp_path):
    measures, scan = np.linspace(0, 1, len(MEASURES)), Acquisition("B30f", 120.0, 1.5, contrast=False)
    store_record(tmp_path / "a.npz", CaseRecord("a", measures=measures, acquisition=scan))
    found = load_record(tmp_path / "a.npz", "a")
    assert found is not None and found.acquisition == scan
    np.testing.assert_array_equal(found.measures, measures)


def test_a_record_with_other_measures_is_none(tmp_path):
    store_record(tmp_path / "a.npz", CaseRecord("a", measures=np.zeros(len(MEASURES) + 1)))
    assert load_record(tmp_path / "a.npz", "a") is None


def test_a_jittered_mask_stands_for_a_second_one_where_it_is_missing(tmp_path):
    ct, mask = tumour_case(size=(26, 26, 22), radius=5.0)
    for name, image in (("ct", ct), ("mask", mask)):
        sitk.WriteImage(image, str(tmp_path / f"{name}.nrrd"))
    task = CaseTask("a", str(tmp_path / "ct.nrrd"), str(tmp_path / "mask.nrrd"), jitter=True, seed=5)
    record = compute_case(task, tmp_path / "cache")
    jittered = jittered_mask(read_case(task.ct, task.mask, case_id="a"), 5)
    expected = extract_features(prepare(jittered))
    np.testing.assert_array_equal(record.repeat, [expected[column] for column in FEATURE_COLUMNS])
    assert (record.repeat != record.features).any()
    second = replace(task, repeat_mask=task.mask)
    np.testing.assert_array_equal(compute_case(second, tmp_path / "cache").repeat, record.features)
    others = (task, replace(task, seed=6), replace(task, jitter=False))
    paths = {each.record_path(each.digests(), tmp_path) for each in others}
    assert len(paths) == 3


def test_another_voxel_in_a_detached_data_file_is_another_case(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((2, 3, 4), np.int16))
    sitk.WriteImage(image, str(tmp_path / "ct.nhdr"))
    header = tmp_path / "ct.nrrd"
    (tmp_path / "ct.nhdr").rename(header)
    (data,) = (path for path in tmp_path.iterdir() if path != header)
    task = CaseTask("A", str(header), str(header))
    before = task.record_path(task.digests(), tmp_path)
    assert read_image(header).GetSize() == (4, 3, 2)
    data.write_bytes(data.read_bytes()[:-1] + b"\1")
    assert task.record_path(task.digests(), tmp_path) != before


@pytest.mark.parametrize("named", ["../{}", "LIST\n{}", "%03d.raw 1 2 1", "missing.raw", "{0}/{0}"])
def test_a_header_that_names_data_elsewhere_is_refused(named, tmp_path):
    folder = tmp_path / "inner"
    folder.mkdir()
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 3, 4), np.int16)), str(folder / "ct.nhdr"))
    (data,) = (path.name for path in folder.iterdir() if path.suffix != ".nhdr")
    header = (folder / "ct.nhdr").read_text(encoding="latin-1")
    path = folder / "ct.nrrd"
    path.write_text(header.replace(data, named.format(data)), encoding="latin-1")
    (tmp_path / data).write_bytes((folder / data).read_bytes())
    with pytest.raises(InputError, match="no single file beside it; save the image as one file"):
        read_image(path)


def test_the_engine_is_in_the_key_of_features_and_not_of_patches(tmp_path):
    tasks = [CaseTask("a", "ct", "mask", wants=wants, engine=engine) for wants in get_args(Wants) for engine in Engine]
    paths = {(task.wants, task.engine): task.record_path(task.digests(), tmp_path) for task in tasks}
    for wants in get_args(Wants):
        assert len({paths[wants, engine] for engine in Engine}) == (1 if wants == "patches" else 2)


def test_a_case_is_measured_by_the_engine_of_its_task(tmp_path):
    pytest.importorskip("radiomics")
    ct, mask = tumour_case(size=(26, 26, 22), radius=5.0)
    for name, image in (("ct", ct), ("mask", mask)):
        sitk.WriteImage(image, str(tmp_path / f"{name}.nrrd"))
    prepared = prepare(read_case(tmp_path / "ct.nrrd", tmp_path / "mask.nrrd", case_id="a"))
    for engine in Engine:
        task = CaseTask("a", str(tmp_path / "ct.nrrd"), str(tmp_path / "mask.nrrd"), engine=engine)
        expected = extract_features(prepared, engine)
        found = compute_case(task, tmp_path / "cache").features
        np.testing.assert_array_equal(found, [expected[column] for column in FEATURE_COLUMNS])
