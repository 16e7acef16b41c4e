"""The case list: tables, folders and DICOM series; status and note kept between sessions; its panel."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.cohort.table import read_cohort
from DeepRadScoreLib.cohort.text_table import SEPARATORS, separator_of
from DeepRadScoreLib.errors import CohortError, InputError, OutputError
from DeepRadScoreLib.imaging import anonymous_case_id, read_case
from DeepRadScoreSlicer.cases.worklist import DicomSeries, ListedCase, Status, Worklist
from support import dicom_phantoms as made
from support.dicom_mask_makers import seg_file

ROOT = Path(__file__).parents[3]

STUDY = {
    "PatientSex": "F",
    "StudyTime": "120000",
    "StudyID": "1",
    "Manufacturer": "Maker",
    "PositionReferenceIndicator": "",
}
not_as_root = pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"NRRD0004\n")


def table(folder, text, name="cases.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def dicom_series(folder, suffix=".dcm"):
    series = made.ct_series(made.chest(), **STUDY, PatientName="Doe^Jane")
    made.save(series, folder, suffix=suffix)
    return series, series[0].SeriesInstanceUID


# --- cohort tables ---------------------------------------------------------------------------------------------------

GOOD_TABLES = {
    "commas": "case_id,ct,mask\na,ct/a.nrrd,m/a.nrrd\nb,../b.nrrd,\n",
    "semicolons, BOM, blanks": "\ufeffcase_id; patient_id; ct; mask; segment\n a ;p; a.nrrd ; m.nrrd; GTV, left\n",
    "quotes after blanks": 'case_id, ct, mask\na, "b.nrrd", "m.nrrd"\n',
    "tabs": "case_id\tct\tmask\tEGFR\na\ta b.nrrd\tm.nrrd\t1\n",
    "quoted": 'case_id,ct,mask,comment\n"a,1","x,y.nrrd",m.nrrd,"two\nlines"\n',
    "empty lines, short rows": "case_id,ct,mask\n\na,a.nrrd\n\nb,b.nrrd,m.nrrd\n",
    "leading zeros, NA": "case_id,ct,mask\n007,a.nrrd,m.nrrd\nNA,NaN,null\n",
    "windows ends": "case_id,ct,mask,lung_mask,series\r\na,a.nrrd,m.nrrd,l.nrrd,1.2.3\r\n",
    "absolute": "case_id,ct,mask\na,/data/a.nrrd,/data/m.nrrd\n",
}


@pytest.mark.parametrize("name", GOOD_TABLES)
def test_a_table_reads_as_the_library_reads_it(tmp_path, name):
    path = table(tmp_path, GOOD_TABLES[name])
    theirs = read_cohort(path, needs=("case_id", "ct")).table
    ours = Worklist.from_cohort(path).cases
    assert [case.case_id for case in ours] == list(theirs["case_id"])
    for row, case in zip(theirs.to_dict("records"), ours, strict=True):
        for column in ("ct", "mask", "lung_mask"):
            assert str(getattr(case, column) or "") == row.get(column, "")
        assert (case.segment or "", case.series or "") == (row.get("segment", ""), row.get("series", ""))


BAD_TABLES = {
    "no column": "case,ct\na,b\n",
    "no ct": "case_id,mask\na,b\n",
    "empty cell": "case_id,ct\na,b\nc,\n",
    "twice": "case_id,ct\na,b\nc,d\na,e\n",
    "a name": "case_id,ct\na,b\nDoe^Jane,d\n",
    "a patient's name": "case_id,patient_id,ct\na,Doe^Jane,b\n",
    "wide row": "case_id,ct\na,b,c\n",
    "wide row by a blank": 'case_id,ct\na, "b,c"\n',
    "column twice": "case_id,ct,ct\na,b,c\n",
    "no rows": "case_id,ct\n",
    "only separators": "case_id,ct\n,\n",
    "latin-1": "case_id,ct\nä,b\n".encode("latin-1"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_bad_table_is_refused_as_the_library_refuses_it(tmp_path, name):
    path = table(tmp_path, BAD_TABLES[name])
    with pytest.raises(CohortError) as theirs:
        read_cohort(path, needs=("case_id", "ct"))
    with pytest.raises(CohortError) as ours:
        Worklist.from_cohort(path)
    assert str(ours.value).partition(" (")[0] == str(theirs.value).partition(" (")[0]
    assert ours.value.mend == theirs.value.mend


def test_missing_tables_are_refused_as_the_library_refuses_them(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(CohortError) as theirs:
            read_cohort(path, needs=("case_id",))
        with pytest.raises(CohortError) as ours:
            Worklist.from_cohort(path)
        assert str(ours.value) == str(theirs.value)


def test_an_empty_table_is_refused(tmp_path):
    with pytest.raises(CohortError, match=r"no rows|not a readable"):
        Worklist.from_cohort(table(tmp_path, b""))


def test_separators_are_the_librarys():
    for header in ("a,b", "a;b", "a\tb", "a;b;c,d", "a"):
        assert separator_of(header) == max(SEPARATORS, key=header.count)


def test_a_ct_that_is_not_there_is_said(tmp_path):
    touch(tmp_path, "a.nrrd")
    cases = Worklist.from_cohort(table(tmp_path, "case_id,ct\na,a.nrrd\nb,b.nrrd\n"))
    assert cases.remarks == ("1 of 2 cases name a CT that is not there, the first is b.",)


def test_a_list_opens_without_third_party_packages(tmp_path):
    """As in a Slicer in which nothing was installed."""
    touch(tmp_path, "b.nrrd", "b_mask.nrrd")
    table(tmp_path, "case_id,ct,mask\na,b.nrrd,b_mask.nrrd\n")
    program = """
        import sys, pathlib
        class Block:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in ("pandas", "torch", "sklearn", "pydantic", "radiomics", "jinja2"):
                    raise ModuleNotFoundError(name)
        sys.meta_path.insert(0, Block())
        sys.path += sys.argv[2:]
        from DeepRadScoreSlicer.cases.worklist import Worklist, Status
        folder = pathlib.Path(sys.argv[1])
        for cases in (Worklist.from_cohort(folder / "cases.csv"), Worklist.from_folder(folder)):
            case = cases.cases[0]
            cases.set_status(case.case_id, Status.REVIEWED)
            print(case.case_id, case.mask.name, cases.status(case.case_id).value)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), tmp_path, ROOT / "DeepRadScore", ROOT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout.splitlines() == ["a b_mask.nrrd reviewed", "b b_mask.nrrd reviewed"], run.stderr


# --- folders ---------------------------------------------------------------------------------------------------------


def listed(folder):
    cases = Worklist.from_folder(folder)

    def name(path):
        return None if path is None else path.relative_to(folder).as_posix()

    return {case.case_id: (name(case.ct), name(case.mask), name(case.lung_mask)) for case in cases.cases}, cases.remarks


def test_files_side_by_side(tmp_path):
    touch(
        tmp_path,
        *("p1.nrrd", "p1_mask.nrrd", "p2_CT.nii.gz", "p2-label.nii.gz", "p3.nrrd", "p3.seg.nrrd", "p10.nrrd"),
        *("p1_lung.nrrd", "readme.txt", ".hidden.nrrd", "p4_scan.nrrd", "p4 Segmentation.nrrd"),
    )
    cases, remarks = listed(tmp_path)
    assert cases == {
        "p1": ("p1.nrrd", "p1_mask.nrrd", "p1_lung.nrrd"),
        "p10": ("p10.nrrd", None, None),
        "p2": ("p2_CT.nii.gz", "p2-label.nii.gz", None),
        "p3": ("p3.nrrd", "p3.seg.nrrd", None),
        "p4": ("p4_scan.nrrd", "p4 Segmentation.nrrd", None),
    }
    assert remarks == ()


def test_data_sets_of_others_are_lists_too(tmp_path):
    """By the function that `deepradscore cohort folder` uses, whose test has each layout."""
    touch(tmp_path, "imagesTr/c_1_0000.nii.gz", "labelsTr/c_1.nii.gz", "imagesTs/c_2_0000.nii.gz")
    cases, remarks = listed(tmp_path)
    assert cases == {
        "c_1": ("imagesTr/c_1_0000.nii.gz", "labelsTr/c_1.nii.gz", None),
        "c_2": ("imagesTs/c_2_0000.nii.gz", None, None),
    }
    assert remarks == ()


def test_a_name_that_only_ends_like_a_mask_is_no_mask(tmp_path):
    touch(tmp_path, "unlabel.nrrd", "masked.nrrd", "clung.nrrd")
    assert set(listed(tmp_path)[0]) == {"unlabel", "masked", "clung"}


def test_one_sub_folder_for_each_case(tmp_path):
    touch(
        tmp_path, "a/ct.nrrd", "a/tumour.nrrd", "b/x.nii", "b/y.seg.nrrd", "b/lung_mask.nrrd", "c/image.nrrd", "d/n.txt"
    )
    cases, remarks = listed(tmp_path)
    assert cases == {
        "a": ("a/ct.nrrd", "a/tumour.nrrd", None),
        "b": ("b/x.nii", "b/y.seg.nrrd", "b/lung_mask.nrrd"),
        "c": ("c/image.nrrd", None, None),
    }
    assert remarks == ("d: no CT found; the folder is left out.",)


def test_what_is_ambiguous_is_said_and_not_guessed(tmp_path):
    touch(
        tmp_path, "p.nrrd", "p_mask.nrrd", "p.seg.nrrd", "lost_mask.nrrd", "q/one.nrrd", "q/two.nrrd", "q/two_mask.nrrd"
    )
    cases, remarks = listed(tmp_path)
    assert cases == {
        "p": ("p.nrrd", None, None),
        "q-one": ("q/one.nrrd", None, None),
        "q-two": ("q/two.nrrd", "q/two_mask.nrrd", None),
    }
    assert sorted(remarks) == [
        "p: 2 files could be the mask (p.seg.nrrd, p_mask.nrrd); none is taken: remove all but one, or list the case "
        "in a cohort table.",
        "q: 2 CTs in one folder; each is listed as a case of its own.",
        f"{tmp_path.name}/lost_mask.nrrd: no CT belongs to this mask by its name; it is left out.",
    ]


def test_two_cases_of_one_name_are_refused(tmp_path):
    touch(tmp_path, "p.nrrd", "p/ct.nrrd")
    with pytest.raises(InputError, match=r'the case "p" stands twice in the list; give every case a name of its own\.'):
        Worklist.from_folder(tmp_path)


def test_a_folder_without_cases_is_refused_with_what_was_found(tmp_path):
    touch(tmp_path, "x_mask.nrrd")
    with pytest.raises(InputError, match=r"no case was found; .*x_mask\.nrrd: no CT belongs to this mask"):
        Worklist.from_folder(tmp_path)
    with pytest.raises(InputError, match="not a folder"):
        Worklist.from_folder(tmp_path / "none")


def test_dicom_sub_folders_are_named_by_series_not_by_patient(tmp_path):
    _, first = dicom_series(tmp_path / "Doe Jane" / "series")
    _, second = dicom_series(tmp_path / "Roe Richard" / "series", suffix="")
    touch(tmp_path, "Roe Richard/tumour.nrrd")
    cases, remarks = listed(tmp_path)
    assert cases == {
        anonymous_case_id(first): ("Doe Jane", None, None),
        anonymous_case_id(second): ("Roe Richard", "Roe Richard/tumour.nrrd", None),
    }
    assert remarks == ()


def test_a_dicom_case_has_the_librarys_name_also_where_its_mask_sorts_first(tmp_path):
    series, uid = dicom_series(tmp_path / "patient" / "ct")
    (tmp_path / "patient" / "a").mkdir()
    tumour = np.zeros(made.chest().shape, np.uint8)
    tumour[4:8, 16:24, 20:28] = 1
    seg_file(tmp_path / "patient" / "a" / "seg.dcm", series, tumour)
    (case,) = Worklist.from_folder(tmp_path).cases
    assert case.case_id == anonymous_case_id(uid) == read_case(case.ct, case.mask).case_id


def test_a_folder_that_is_one_dicom_case(tmp_path):
    _, uid = dicom_series(tmp_path)
    touch(tmp_path, "tumour.nrrd")
    assert listed(tmp_path)[0] == {anonymous_case_id(uid): (".", "tumour.nrrd", None)}


def test_a_dicom_folder_without_a_ct_is_said(tmp_path):
    touch(tmp_path, "p.nrrd")
    series = made.ct_series(made.chest(), **STUDY)
    for data in series:
        data.Modality = "MR"
    made.save(series, tmp_path / "mr")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "x.dcm").write_bytes(b"no DICOM")
    cases, remarks = listed(tmp_path)
    assert set(cases) == {"p"}
    assert remarks == (
        "broken: no CT among its DICOM files; the folder is left out.",
        "mr: no CT among its DICOM files; the folder is left out.",
    )


def test_a_pair_that_was_found_is_a_case_for_the_library(tmp_path):
    voxels = np.full((12, 20, 20), -800, dtype=np.int16)
    voxels[4:8, 6:14, 6:14] = 40
    ct = sitk.GetImageFromArray(voxels)
    sitk.WriteImage(ct, str(tmp_path / "p1.nrrd"))
    sitk.WriteImage(sitk.Cast(ct > 0, sitk.sitkUInt8), str(tmp_path / "p1_mask.nrrd"))
    (case,) = Worklist.from_folder(tmp_path).cases
    assert read_case(case.ct, case.mask).case_id == case.case_id


# --- DICOM database --------------------------------------------------------------------------------------------------


def test_selected_series_become_a_list(tmp_path):
    series = [DicomSeries("1.2", "CT"), DicomSeries("1.4", "SEG"), DicomSeries("1.3", "CT")]
    cases = Worklist.from_dicom(series, tmp_path)
    assert cases.cases == (
        ListedCase(anonymous_case_id("1.2"), None, series="1.2"),
        ListedCase(anonymous_case_id("1.3"), None, series="1.3"),
    )
    assert cases.remarks == ("1 of the selected series are no CT and are left out.",)
    cases.set_note(anonymous_case_id("1.2"), "small")
    assert (tmp_path / "dicom.review.json").is_file()
    assert Worklist.from_dicom(series[:1], tmp_path).note(anonymous_case_id("1.2")) == "small"
    assert cases.corrected_mask(anonymous_case_id("1.2")).parent == tmp_path / "dicom.corrected"


def test_a_series_selected_twice_is_refused(tmp_path):
    with pytest.raises(InputError, match="stands twice"):
        Worklist.from_dicom([DicomSeries("1.2", "CT")] * 2, tmp_path)
    with pytest.raises(InputError, match="no case was found"):
        Worklist.from_dicom([], tmp_path)


# --- status and note -------------------------------------------------------------------------------------------------


@pytest.fixture
def cases(tmp_path):
    touch(tmp_path, "a.nrrd", "a_mask.nrrd", "b.nrrd", "c.nrrd")
    return Worklist.from_cohort(table(tmp_path, "case_id,ct,mask\na,a.nrrd,a_mask.nrrd\nb,b.nrrd,\nc,c.nrrd,\n"))


def again(tmp_path):
    return Worklist.from_cohort(tmp_path / "cases.csv")


def test_status_and_note_live_on(cases, tmp_path):
    assert cases.status("a") is Status.NOT_STARTED
    assert cases.note("a") == ""
    assert not (tmp_path / "cases.review.json").exists()
    cases.set_status("a", Status.FLAGGED)
    cases.set_note("a", "spiculated, 2 cm\nask again – «µ»")
    later = again(tmp_path)
    assert later.status("a") is Status.FLAGGED
    assert later.note("a") == "spiculated, 2 cm\nask again – «µ»"
    assert later.status("b") is Status.NOT_STARTED
    with pytest.raises(KeyError):
        cases.set_note("z", "?")


def test_two_sessions_on_one_list_keep_what_the_other_wrote(cases, tmp_path):
    other = again(tmp_path)
    cases.set_note("a", "mine")
    other.set_note("b", "theirs")
    cases.set_status("c", Status.REVIEWED)
    later = again(tmp_path)
    assert (later.note("a"), later.note("b"), later.status("c")) == ("mine", "theirs", Status.REVIEWED)


def test_what_this_version_does_not_know_stays_in_the_file(cases, tmp_path):
    cases.set_note("a", "x")
    file = tmp_path / "cases.review.json"
    document = json.loads(file.read_text())
    document["cases"]["a"]["reader"] = "second"
    document["cases"]["gone"] = {"note": "no longer in the table"}
    document["cases"]["b"] = {"status": "postponed"}
    file.write_text(json.dumps(document))
    later = again(tmp_path)
    assert later.status("b") is Status.FLAGGED
    later.set_note("a", "y")
    kept = json.loads(file.read_text())["cases"]
    assert kept["a"] == {"note": "y", "reader": "second"}
    assert kept["gone"] == {"note": "no longer in the table"}


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"schema": 1, "cases": []}', '{"schema": 1, "cases": {"a": 3}}', "\x00"]
)
def test_a_damaged_file_is_set_aside(cases, tmp_path, damage):
    file = tmp_path / "cases.review.json"
    for number in (1, 2):
        file.write_text(damage)
        later = again(tmp_path)
        kept = tmp_path / f"cases.review.json.damaged-{number}"
        assert kept.read_text() == damage
        assert later.remarks == (
            f"{file}: the reader's notes were damaged; they are kept as {kept.name}, and a new file begins.",
        )
        later.set_note("a", "new")
        assert again(tmp_path).note("a") == "new"


def test_a_file_damaged_while_the_list_is_open_is_set_aside(cases, tmp_path):
    cases.set_note("a", "first")
    (tmp_path / "cases.review.json").write_text("{")
    cases.set_note("b", "second")
    assert (tmp_path / "cases.review.json.damaged-1").read_text() == "{"


def test_a_file_of_a_newer_version_is_left_alone(cases, tmp_path):
    file = tmp_path / "cases.review.json"
    file.write_text('{"schema": 2, "cases": {}}')
    with pytest.raises(InputError, match="written by a newer version of DeepRadScore; update"):
        again(tmp_path)
    assert file.read_text() == '{"schema": 2, "cases": {}}'


def test_a_full_disk_loses_nothing(cases, tmp_path, monkeypatch):
    cases.set_note("a", "kept")
    before = (tmp_path / "cases.review.json").read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"cannot be saved \(No space left on device\); choose a list in a folder"):
        cases.set_note("a", "lost")
    assert (tmp_path / "cases.review.json").read_bytes() == before
    assert cases.note("a") == "kept"
    assert not list(tmp_path.glob(".*.part*"))


def test_a_place_that_may_not_be_taken_loses_nothing(cases, tmp_path, monkeypatch):
    cases.set_note("a", "kept")
    before = (tmp_path / "cases.review.json").read_bytes()

    def refused(path, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(
        OutputError, match=r"cases\.review\.json: the reader's notes cannot be saved \(Permission denied\)"
    ):
        cases.set_status("a", Status.REVIEWED)
    assert (tmp_path / "cases.review.json").read_bytes() == before
    assert cases.status("a") is Status.NOT_STARTED
    assert not list(tmp_path.glob(".*.part*"))


@not_as_root
def test_a_read_only_folder_is_one_sentence(cases, tmp_path):
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(OutputError, match=r"cases\.review\.json: the reader's notes cannot be saved \(Permission"):
            again(tmp_path).set_status("a", Status.REVIEWED)
    finally:
        tmp_path.chmod(0o755)


def test_corrections_never_lie_over_the_original(cases, tmp_path):
    assert cases.mask("a") == tmp_path / "a_mask.nrrd"
    assert cases.mask("b") is None
    corrected = cases.corrected_mask("a")
    assert corrected == tmp_path / "cases.corrected" / "a.seg.nrrd"
    assert not corrected.parent.exists()
    touch(tmp_path, "cases.corrected/a.seg.nrrd")
    assert cases.mask("a") == corrected
    folder = Worklist.from_folder(tmp_path)
    assert [case.case_id for case in folder.cases] == ["a", "b", "c"]
    assert folder.corrected_mask("a") == tmp_path / "deepradscore.corrected" / "a.seg.nrrd"


def test_odd_names_become_files_in_the_same_folder(tmp_path):
    names = ["../up", "a/b", "a_b", "..", "ä", "x" * 300, "CON."]
    rows = "".join(f"{name},ct.nrrd\n" for name in names)
    cases = Worklist.from_cohort(table(tmp_path, f"case_id,ct\n{rows}"))
    files = [cases.corrected_mask(name) for name in names]
    assert {file.parent for file in files} == {tmp_path / "cases.corrected"}
    assert len({file.name for file in files}) == len(names)
    assert all(len(file.name) < 120 for file in files)
