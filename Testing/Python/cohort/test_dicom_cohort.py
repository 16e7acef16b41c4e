"""`deepradscore cohort dicom`: which CTs get a row, what stands in it, and what is said instead of guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from pydicom import dcmread
from pydicom.uid import generate_uid

from DeepRadScoreLib.cli.cohort_commands import dicom
from DeepRadScoreLib.cohort.table import read_cohort
from DeepRadScoreLib.errors import CohortError, DeepRadScoreError, InputError
from DeepRadScoreLib.imaging import anonymous_case_id, read_case
from support.dicom_mask_makers import SHAPE, box, contour, ct_files, rtstruct_file, seg_file

TUMOUR = np.zeros(SHAPE, np.uint8)
TUMOUR[2:6, 6:14, 8:16] = 1


def change(folder: Path, **values: object) -> list:
    """Set elements in all files of a folder; gives their datasets."""
    changed = []
    for path in sorted(folder.rglob("*.dcm")):
        ds = dcmread(path)
        for keyword, value in values.items():
            setattr(ds, keyword, value)
        ds.save_as(path)
        changed.append(ds)
    return changed


def ct(folder: Path, patient: str, **values: object) -> list:
    ct_files(folder, patient=patient)
    return change(folder, **{"PatientName": f"Apfelbaum{patient}^Nn", **values})


def with_seg(folder: Path, patient: str, **values: object) -> list:
    made = ct(folder / "ct", patient, **values)
    seg_file(folder / "seg.dcm", made, TUMOUR)
    return made


def squares(name: str) -> tuple[str, list]:
    return name, [contour(box((8, 15), (6, 13), z)) for z in (2, 3, 4)]


def made(root: Path, capsys: pytest.CaptureFixture, **options: object) -> tuple[pd.DataFrame, str, int]:
    """The table, what was said beside the progress, and the exit code."""
    code = 0
    try:
        dicom(root, out=root / "cohort.csv", **options)
    except typer.Exit as end:
        code = end.exit_code
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("searching")]
    return pd.read_csv(root / "cohort.csv", dtype=str, keep_default_na=False), "\n".join(lines), code


def by_ct(table: pd.DataFrame) -> pd.DataFrame:
    return table.set_index("ct")


def test_a_row_for_every_ct_with_a_mask(tmp_path, capsys):
    first = with_seg(tmp_path / "a" / "deep" / "er", "P7001", StudyDate="20200110")
    second = ct(tmp_path / "b", "P7001", StudyDate="20200301", StudyInstanceUID=generate_uid())
    rtstruct_file(tmp_path / "b" / "rt.dcm", second, [squares("heart"), squares("GTV-1")])
    ct(tmp_path / "no mask", "P7002", StudyDate="20200101")
    ct(tmp_path / "no mask either", "P7001", StudyDate="20200105")
    gone = with_seg(tmp_path / "c", "P7003")
    for ds in list((tmp_path / "c" / "ct").iterdir()):
        ds.unlink()
    table, said, code = made(tmp_path, capsys)
    assert list(table) == ["case_id", "patient_id", "ct", "mask", "series", "segment", "study_day"]
    rows = by_ct(table)
    assert set(rows.index) == {"a/deep/er/ct", "b"}
    assert rows.loc["b", ["mask", "segment", "study_day"]].tolist() == ["b/rt.dcm", "GTV-1", "56"]
    assert rows.loc["a/deep/er/ct", ["mask", "segment", "study_day"]].tolist() == ["a/deep/er/seg.dcm", "", "5"]
    assert rows["patient_id"].nunique() == 1 and rows["case_id"].nunique() == 2
    assert rows.loc["b", "case_id"] == anonymous_case_id(second[0].SeriesInstanceUID)
    assert "2 CT series have no mask." in said and "1 mask belongs to no CT" in said and code == 0
    text = (tmp_path / "cohort.csv").read_text()
    assert not any(str(ds.SeriesInstanceUID) in text for ds in (first[0], second[0], gone[0]))
    for row in read_cohort(tmp_path / "cohort.csv", needs=("case_id", "ct", "mask")).table.to_dict("records"):
        case = read_case(Path(row["ct"]), Path(row["mask"]), segment=row["segment"] or None)
        assert case.case_id == row["case_id"]


def test_series_stand_in_the_table_only_where_nothing_else_tells_them_apart(tmp_path, capsys):
    named = with_seg(tmp_path, "P7001")
    other = ct(tmp_path / "more", "P7001")
    table, said, _ = made(tmp_path, capsys)
    assert table["series"].tolist() == [""] and "SeriesInstanceUID" not in said
    for path in (tmp_path / "more").iterdir():
        path.rename(tmp_path / "ct" / f"b{path.name}")
    by_images = dcmread(tmp_path / "seg.dcm")
    assert by_images.FrameOfReferenceUID == named[0].FrameOfReferenceUID
    table, _, _ = made(tmp_path, capsys)
    assert table["series"].tolist() == [""]
    (row,) = read_cohort(tmp_path / "cohort.csv", needs=()).table.to_dict("records")
    assert read_case(Path(row["ct"]), Path(row["mask"])).case_id == row["case_id"]
    del by_images.ReferencedSeriesSequence
    for group in (*by_images.SharedFunctionalGroupsSequence, *by_images.PerFrameFunctionalGroupsSequence):
        group.pop("DerivationImageSequence", None)
    by_images.save_as(tmp_path / "seg.dcm")
    table, said, _ = made(tmp_path, capsys)
    assert table["series"].tolist() == [named[0].SeriesInstanceUID] != [other[0].SeriesInstanceUID]
    assert "1 case needs the SeriesInstanceUID" in said
    (row,) = read_cohort(tmp_path / "cohort.csv", needs=()).table.to_dict("records")
    assert read_case(Path(row["ct"]), Path(row["mask"]), series=row["series"]).case_id == row["case_id"]


def test_a_mask_of_another_patient_is_no_mask_of_the_ct(tmp_path, capsys):
    with_seg(tmp_path / "a", "P7001")
    with_seg(tmp_path / "b", "P7002")
    ds = dcmread(tmp_path / "b" / "seg.dcm")
    ds.PatientID = "P7001"
    ds.save_as(tmp_path / "b" / "seg.dcm")
    table, said, _ = made(tmp_path, capsys)
    assert table["ct"].tolist() == ["a/ct"]
    assert "1 CT series has no mask." in said and "1 mask belongs to no CT" in said


UIDS = ("SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


def anonymised(folder: Path, kind: str, number: int, *, mask: Path | None = None, shift: float = 0.0) -> None:
    """A CT of other values for each number and its mask, both without UIDs; the CT moved along its normal (mm)."""
    series = ct_files(folder / "ct")
    mask = mask or folder / "mask.dcm"
    if kind == "SEG":
        seg_file(mask, series, TUMOUR)
    else:
        rtstruct_file(mask, series, [squares("GTV")])
    for path in (mask, *(folder / "ct").iterdir()):
        ds = dcmread(path)
        for keyword in (*UIDS, "PatientID"):
            setattr(ds, keyword, "")
        if ds.Modality == "CT":
            ds.PixelData = (ds.pixel_array + number).astype(np.int16).tobytes()
            x, y, z = ds.ImagePositionPatient
            ds.ImagePositionPatient = [x, y, z + shift]
        ds.save_as(path, enforce_file_format=False)


@pytest.mark.parametrize("kind", ["SEG", "RTSTRUCT"])
def test_without_uids_masks_are_paired_by_folder_and_planes(tmp_path, capsys, kind):
    """Two patients in folders of their own; a third whose mask lies half a slice off."""
    for number in (0, 1):
        anonymised(tmp_path / str(number), kind, number)
    anonymised(tmp_path / "off", kind, 2, shift=0.6)
    table, said, code = made(tmp_path, capsys)
    assert by_ct(table)["mask"].to_dict() == {"0/ct": "0/mask.dcm", "1/ct": "1/mask.dcm"}
    assert "2 cases were paired by folder and geometry, as UIDs were removed from their CTs." in said
    assert "1 mask lies on the slices of none or of several of the CTs near it" in said and code == 1
    assert "belongs to no CT" not in said
    for row in read_cohort(tmp_path / "cohort.csv", needs=("case_id", "ct", "mask")).table.to_dict("records"):
        assert read_case(Path(row["ct"]), Path(row["mask"])).case_id == row["case_id"]


def test_without_uids_masks_in_one_folder_are_told_apart_by_their_planes_alone(tmp_path, capsys):
    masks = tmp_path / "masks"
    masks.mkdir()
    anonymised(tmp_path / "a", "SEG", 0, mask=masks / "1.dcm")
    anonymised(tmp_path / "b", "SEG", 1, mask=masks / "2.dcm", shift=0.6)
    ds = dcmread(masks / "2.dcm")
    for group in ds.PerFrameFunctionalGroupsSequence:
        position = group.PlanePositionSequence[0]
        x, y, z = position.ImagePositionPatient
        position.ImagePositionPatient = [x, y, z + 0.6]
    ds.save_as(masks / "2.dcm", enforce_file_format=False)
    table, _, _ = made(tmp_path, capsys)
    assert by_ct(table)["mask"].to_dict() == {"a/ct": "masks/1.dcm", "b/ct": "masks/2.dcm"}
    anonymised(tmp_path / "c", "SEG", 2, mask=tmp_path / "c" / "mask.dcm")
    table, said, _ = made(tmp_path, capsys)
    assert by_ct(table)["mask"].to_dict() == {"b/ct": "masks/2.dcm", "c/ct": "c/mask.dcm"}
    assert "1 mask lies on the slices of none or of several" in said


def test_of_several_masks_the_one_that_names_a_tumour(tmp_path, capsys):
    series = with_seg(tmp_path / "a", "P7001")
    rtstruct_file(tmp_path / "a" / "organs.dcm", series, [squares("heart")])
    table, _, code = made(tmp_path, capsys)
    assert table["mask"].tolist() == ["a/seg.dcm"] and code == 0
    with_seg(tmp_path / "b", "P7002")
    rtstruct_file(tmp_path / "a" / "second.dcm", series, [squares("GTV")])
    table, said, code = made(tmp_path, capsys)
    assert table["mask"].tolist() == ["b/seg.dcm"] and code == 1
    assert "1 CT has several masks and is left out" in said


def test_a_tumour_that_is_not_plain_is_left_to_the_user(tmp_path, capsys):
    series = ct(tmp_path / "a", "P7001")
    rtstruct_file(tmp_path / "rt.dcm", series, [squares("GTV-1"), squares("GTV-2")])
    table, said, code = made(tmp_path, capsys)
    assert table["segment"].tolist() == [""] and code == 1
    assert f"1 case ({table['case_id'][0]}) has a mask of several segments" in said


def test_a_segment_named_after_the_patient_gets_a_number(tmp_path, capsys):
    series = ct(tmp_path / "a", "P7001")
    rtstruct_file(tmp_path / "rt.dcm", series, [squares("GTV ApfelbaumP7001"), squares("lung")])
    ds = dcmread(tmp_path / "rt.dcm")
    ds.PatientName = series[0].PatientName
    ds.save_as(tmp_path / "rt.dcm")
    table, _, _ = made(tmp_path, capsys)
    assert table["segment"].tolist() == ["ROI 1"]
    (row,) = read_cohort(tmp_path / "cohort.csv", needs=()).table.to_dict("records")
    assert read_case(Path(row["ct"]), Path(row["mask"]), segment="ROI 1").other_tumours is None


def test_patients_by_id_and_issuer_else_by_study(tmp_path, capsys):
    for name, patient, issuer in (
        *(("a", "1", "north"), ("b", "1", "south"), ("c", "2", "north"), ("d", "2", "")),
        *(("e", "", ""), ("f", "", "")),
    ):
        with_seg(tmp_path / name, patient, IssuerOfPatientID=issuer)
    table, said, _ = made(tmp_path, capsys)
    found = by_ct(table)["patient_id"]
    assert found["c/ct"] == found["d/ct"] and found.nunique() == 5
    assert "2 studies have no PatientID" in said
    (tmp_path / "labels.csv").write_text("PatientID,EGFR\n1,0\n2,1\n")
    with pytest.raises(CohortError, match="row 2 stands for two patients of different issuers"):
        dicom(tmp_path, out=tmp_path / "cohort.csv", labels=tmp_path / "labels.csv")


@pytest.mark.parametrize("name", ["Apfelbaum", "p7001", "x-P7001-1", "2020-01-10", "20200110", "19311224", "ACC98765"])
def test_paths_that_name_the_patient_are_kept_back(tmp_path, capsys, name):
    with_seg(tmp_path / name, "P7001", StudyDate="20200110", PatientName="Apfelbaum^Nn")
    with pytest.raises(InputError, match=r"named by the patient's name, number or dates.*rename the folders"):
        dicom(tmp_path, out=tmp_path / "cohort.csv")
    assert not (tmp_path / "cohort.csv").exists()
    table, said, code = made(tmp_path, capsys, keep_paths=True)
    assert table["ct"].tolist() == [f"{name}/ct"] and code == 0 and "keep it with the images" in said
    with_seg(tmp_path / "other", "P7002", StudyDate="20200110")
    table, said, code = made(tmp_path, capsys)
    assert table["ct"].tolist() == ["other/ct"] and code == 1 and "1 case left out" in said
    assert name not in said and name.lower() not in (tmp_path / "cohort.csv").read_text().lower()


def test_labels_are_joined_without_the_id_and_dates_become_days(tmp_path, capsys):
    with_seg(tmp_path / "a", "0071", StudyDate="20200310")
    with_seg(tmp_path / "b", "P7002", StudyDate="")
    with_seg(tmp_path / "c", "P7003", StudyDate="20200101")
    (tmp_path / "labels.csv").write_text(
        "PatientID;EGFR;TPS;split;site;age;operated;seen;note\n"
        "0071;1;50;train;A;61;2020-02-29;31/12/2019;x\nP7002;0;;test;B;62;2020-01-01;01/02/2020;y\nP9;;;;;;;;\n"
    )
    table, said, code = made(tmp_path, capsys, labels=tmp_path / "labels.csv", columns="age, operated,seen")
    rows = by_ct(table)
    assert list(table)[7:] == ["EGFR", "TPS", "split", "site", "age", "operated_days", "seen_days"]
    assert rows.loc["a/ct"].tolist()[6:] == ["1", "50", "train", "A", "61", "-10", "-70"]
    assert rows.loc["b/ct"].tolist()[6:] == ["0", "", "test", "B", "62", "", ""]
    assert rows.loc["c/ct"].tolist()[6:] == [""] * 7
    assert "1 patient with images not in the labels" in said and "1 patient of the labels without" in said
    assert "1 case has no study date" in said and code == 0
    assert not any(word in (tmp_path / "cohort.csv").read_text() for word in ("0071", "P7002", "2020", "2019"))


@pytest.mark.parametrize(
    ("table", "columns", "words"),
    [
        ("ID,EGFR\nP7001,1\n", "", ["labels.csv", 'column "PatientID" is missing', "ID, EGFR"]),
        ("PatientID,EGFR\nP7001,1\nP7001,0\n", "", ["one PatientID stands in rows 2 and 3"]),
        ("PatientID,EGFR\nP7001,1\n,0\n", "", ["row 3 has no PatientID"]),
        ("PatientID,EGFR\nP7001,maybe\n", "", ['"maybe" is neither 0, 1 nor empty', 'row 2, column "EGFR"']),
        ("PatientID,age\nP7001,1\n", "agee", ["--columns", 'column "agee" is missing', "name some of age"]),
        ("PatientID,age\nP7001,1\n", "PatientID", ['"PatientID" cannot be taken']),
        ("PatientID,ct\nP7001,1\n", "ct", ['"ct" cannot be taken']),
        ("PatientID,seen\nP7001,2020-01-01\nP2,soon\n", "seen", ["row 2 holds a date", "YYYY-MM-DD"]),
        ("PatientID,seen\nP7001,01/02/2020\n", "seen", ["day and month", "YYYY-MM-DD"]),
        (
            "PatientID,who\nP7001,Apfelbaum senior\n",
            "who",
            ['row 2, column "who"', "repeats what the DICOM header says"],
        ),
        ("PatientID,site\nP7001,Marked Hospital\n", "", ['row 2, column "site"', "write a code"]),
        ("PatientID,born\nP7001,born 24.12.1931\n", "born", ['row 2, column "born"', "or a date"]),
    ],
)
def test_bad_labels_get_one_sentence_and_leave_nothing(tmp_path, table, columns, words):
    with_seg(tmp_path / "a", "P7001", PatientName="Apfelbaum^Nn")
    (tmp_path / "labels.csv").write_text(table)
    with pytest.raises(DeepRadScoreError) as caught:
        dicom(tmp_path, out=tmp_path / "cohort.csv", labels=tmp_path / "labels.csv", columns=columns)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert not any(word in str(caught.value) for word in ("P7001", "Apfelbaum", "1931", "Marked"))
    assert not (tmp_path / "cohort.csv").exists()


def test_folders_without_cases_and_other_wrong_calls(tmp_path):
    out = tmp_path / "cohort.csv"
    with pytest.raises(InputError, match="does not exist"):
        dicom(tmp_path / "none", out=out)
    (tmp_path / "x").mkdir()
    with pytest.raises(InputError, match="there is no DICOM CT in it"):
        dicom(tmp_path / "x", out=out)
    series = ct(tmp_path / "a", "P7001")
    with pytest.raises(
        InputError, match=r"no CT has one SEG or RTSTRUCT that belongs to it \(1 CT series has no mask\)"
    ):
        dicom(tmp_path, out=out)
    seg_file(tmp_path / "seg.dcm", series, TUMOUR)
    with pytest.raises(InputError, match="add --labels"):
        dicom(tmp_path, out=out, columns="age")
    (tmp_path / "l.csv").write_text("PatientID,EGFR\nP7001,1\n")
    with pytest.raises(InputError, match="this is the table of labels"):
        dicom(tmp_path, out=tmp_path / "l.csv", labels=tmp_path / "l.csv")
    assert not out.exists()
