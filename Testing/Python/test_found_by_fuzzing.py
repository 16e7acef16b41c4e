"""What fuzzing found in the parsers, each kind by its smallest example."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.cohort.feature_table import read_feature_table
from DeepRadScoreLib.cohort.table import read_cohort
from DeepRadScoreLib.errors import CohortError, InputError
from DeepRadScoreLib.imaging import case_from_images
from DeepRadScoreLib.imaging.dicom.datasets import read_header
from DeepRadScoreLib.imaging.dicom.structures.masks import damage_named
from DeepRadScoreLib.imaging.formats.files import read_image
from DeepRadScoreLib.report.log import LOG_NAME, append_to_log, changed_profiles, read_log
from DeepRadScoreLib.report.profile import from_profile_json
from DeepRadScoreSlicer.cases.review_file import ReviewFile
from support.dicom_mask_makers import ct_files

LONG = "x" * 300


@pytest.mark.parametrize(
    "document",
    ['{"schema": Infinity, "cases": {}}', "[" * 100_000, '{"schema": 1, "cases": []}', b"\xff".decode("latin-1")],
)
def test_damaged_notes_of_a_reader_are_set_aside(tmp_path, document):
    path = tmp_path / "review.json"
    path.write_text(document, encoding="latin-1")
    review = ReviewFile(path)
    assert "damaged" in review.message
    assert (tmp_path / "review.json.damaged-1").read_text(encoding="latin-1") == document


def test_half_a_character_in_the_notes_is_kept(tmp_path):
    path = tmp_path / "review.json"
    path.write_text(r'{"schema": 1, "cases": {"a": {"note": "\ud800"}}}')
    ReviewFile(path).put("b", note="seen \udfff")
    again = ReviewFile(path)
    assert (again.get("a", "note"), again.get("b", "note")) == ("\ud800", "seen \udfff")
    assert [entry.case_id for entry in read_log(tmp_path)] == ["b"]


def test_a_log_that_ends_within_a_line_loses_no_other_line(tmp_path):
    append_to_log(tmp_path, "changed", "a")
    log = tmp_path / LOG_NAME
    log.write_bytes(log.read_bytes().removesuffix(b"\n"))
    append_to_log(tmp_path, "changed", "b")
    assert [entry.case_id for entry in read_log(tmp_path)] == ["a", "b"]


def test_a_log_may_name_cases_that_no_folder_can(tmp_path):
    append_to_log(tmp_path, "analysed", LONG)
    assert changed_profiles(tmp_path, read_log(tmp_path)) == []
    (tmp_path / LOG_NAME).write_text("[" * 100_000)
    with pytest.raises(InputError, match="line 1 is damaged"):
        read_log(tmp_path)


@pytest.mark.parametrize("data", [b"\xff", b'{"\\u202e": 1}', b'{"a\\nb": 1}', json.dumps({LONG * 20: 1}).encode()])
def test_an_error_is_one_line_whatever_the_file_holds(data):
    with pytest.raises(InputError) as caught:
        from_profile_json(data, where=Path("a\nb/profile.json"))
    assert str(caught.value).isprintable() and len(str(caught.value)) < 2000


def test_spaces_of_all_scripts_in_a_path_are_shown_as_they_are():
    assert str(InputError("it is bad", where=Path("山\u3000田/a\u00a0b\x07"))) == "山\u3000田/a\u00a0b\\x07: it is bad."


def refused(path: Path, cohort: Path | None = None) -> str:
    with pytest.raises(CohortError) as caught:
        if cohort is None:
            read_cohort(path)
        else:
            read_feature_table(path, read_cohort(cohort))
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


def test_cells_that_are_no_text_and_no_path_are_refused(tmp_path):
    path = tmp_path / "cohort.csv"
    path.write_bytes(b"case_id,ct\na,b\0\n")
    assert "zero bytes" in refused(path)
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    path.write_text("case_id,ct\na,one/x\n")
    assert 'row 2, column "ct"' in refused(path)


@pytest.fixture
def cohort(tmp_path):
    path = tmp_path / "cohort.csv"
    path.write_text("case_id,EGFR\na,0\nb,1\n")
    return path


def test_tables_with_more_cells_than_the_memory_holds_are_refused_before_they_are_read(tmp_path, cohort):
    wide = tmp_path / "wide.csv"
    wide.write_text(",".join(["case_id", *map(str, range(10_000))]) + "\na,1" * 6000)
    assert "6000 rows and 10001 columns" in refused(wide, cohort)
    assert "6000 rows and 10001 columns" in refused(wide)
    far = tmp_path / "far.xlsx"
    book = openpyxl.Workbook()
    book.active["A1"], book.active["ZZ900000"] = "case_id", 1
    book.save(far)
    assert "900000 rows and 702 columns" in refused(far, cohort)
    assert "900000 rows and 702 columns" in refused(far)
    long = tmp_path / "long.parquet"
    pq.write_table(pa.table({f"tumour_{n}": pa.nulls(2**20, pa.int8()) for n in range(48)}), long)
    assert f"{2**20} rows and 48 columns" in refused(long, cohort)


def test_parquet_tables_of_others_are_refused_or_read(tmp_path, cohort):
    path = tmp_path / "features.parquet"
    table = pd.DataFrame({"case_id": ["a", None], "tumour_x": [1.0, 2.0]}, index=["r", "s"])
    table.to_parquet(path)
    assert 'row 3 has nothing in column "case_id"' in refused(path, cohort)
    table.assign(case_id=["a", "b"]).to_parquet(path)
    assert read_feature_table(path, read_cohort(cohort)).features["tumour_x"].tolist() == [1.0, 2.0]
    pq.write_table(pa.table({"case_id": ["a", "b"], "tumour_x": [1.0, 2.0], "tumour_x ": [3.0, 4.0]}), path)
    assert '"tumour_x" stands twice' in refused(path, cohort)
    path.write_bytes(path.read_bytes()[:-20] + bytes(20))
    assert "not a readable .parquet table" in refused(path, cohort)


@pytest.mark.parametrize("spacing", [0.0, float("nan"), float("inf")])
def test_an_image_without_a_voxel_size_is_refused(tmp_path, spacing):
    path = tmp_path / "mask.nii"
    labels = np.zeros((4, 5, 6), np.uint8)
    labels[1:3, 1:3, 1:3] = 1
    sitk.WriteImage(sitk.GetImageFromArray(labels), str(path))
    data = bytearray(path.read_bytes())
    data[80:84] = np.float32(spacing).tobytes()
    path.write_bytes(data)
    ct = sitk.GetImageFromArray(np.full((4, 5, 6), -800, np.int16))
    with pytest.raises(InputError):
        mask = read_image(path)
        case_from_images(ct, mask, mask_name=path)


def test_a_dicom_file_with_a_damaged_meta_header_is_refused(tmp_path):
    ct_files(tmp_path)
    path = tmp_path / "000.dcm"
    data = path.read_bytes()
    at = data.index(b"\x02\x00\x02\x00UI")
    path.write_bytes(data[: at + 4] + b"U\x1b" + data[at + 6 :])
    with pytest.raises(InputError, match="the DICOM header is damaged"):
        read_header(path)


def test_what_highdicoms_indices_refuse_is_a_damaged_object(tmp_path):
    """It keeps them in SQLite, which refuses an empty reference."""
    with pytest.raises(InputError, match="DICOM SEG is damaged"), damage_named(tmp_path / "seg.dcm", "DICOM SEG"):
        raise sqlite3.IntegrityError("NOT NULL constraint failed: FrameReferenceLUT.ReferencedSOPInstanceUID")
