"""Cohort tables of folders of image files in the layouts that others use."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
import typer

from DeepRadScoreLib.cli.cohort_commands import folder as command
from DeepRadScoreLib.cohort.folder_cohort import cohort_of_folder
from DeepRadScoreLib.cohort.table import read_cohort
from DeepRadScoreLib.errors import InputError


class Layout(NamedTuple):
    """Files of a folder; expected rows case_id -> ct, mask, lung_mask; words of the sentences on what is left out."""

    files: str
    rows: dict[str, tuple[str, str, str]]
    said: tuple[str, ...] = ()


def inside(folder: str, files: str) -> str:
    return " ".join(f"{folder}/{one}" for one in files.split())


TOTAL = "heart.nii.gz aorta.nii.gz liver_lesions.nii.gz"
LAYOUTS = {
    "side by side": Layout(
        "p1.nrrd p1_mask.nrrd p2_ct.nii.gz p2_lung_nodules.nii.gz p3.mha p3-lesion.mha p4.nii p5.nii p5_tumour_seg.nii",
        {
            "p1": ("p1.nrrd", "p1_mask.nrrd", ""),
            "p2": ("p2_ct.nii.gz", "p2_lung_nodules.nii.gz", ""),
            "p3": ("p3.mha", "p3-lesion.mha", ""),
            "p5": ("p5.nii", "p5_tumour_seg.nii", ""),
        },
        ("1 CT has no mask",),
    ),
    "CTs of one name but for the word": Layout(
        "p1_CT.nrrd p1_tumour.nrrd p2.nrrd p2_mask.nrrd p2_scan.nrrd p3_volume.nrrd p3_volume_mask.nrrd",
        {
            "p1": ("p1_CT.nrrd", "p1_tumour.nrrd", ""),
            "p2": ("p2.nrrd", "p2_mask.nrrd", ""),
            "p2_scan": ("p2_scan.nrrd", "p2_mask.nrrd", ""),
            "p3": ("p3_volume.nrrd", "p3_volume_mask.nrrd", ""),
        },
    ),
    "a folder for each case": Layout(
        "a/ct.nii.gz a/nodule.nii.gz a/lung.nii.gz b/image.nrrd b/lesions.nrrd",
        {"a": ("a/ct.nii.gz", "a/nodule.nii.gz", "a/lung.nii.gz"), "b": ("b/image.nrrd", "b/lesions.nrrd", "")},
    ),
    "nnU-Net": Layout(
        "dataset.json imagesTr/c_001_0000.nii.gz imagesTr/c_001_0001.nii.gz imagesTr/c_002_0000.nii.gz "
        "labelsTr/c_001.nii.gz labelsTr/c_002.nii.gz labelsTr/c_009.nii.gz imagesTs/c_003_0000.nii.gz",
        {
            "c_001": ("imagesTr/c_001_0000.nii.gz", "labelsTr/c_001.nii.gz", ""),
            "c_002": ("imagesTr/c_002_0000.nii.gz", "labelsTr/c_002.nii.gz", ""),
        },
        (
            "imagesTr/c_001_0001.nii.gz: it is the channel 0001",
            "labelsTr/c_009.nii.gz: no image of imagesTr has its name",
            "1 CT has no mask",
        ),
    ),
    "nnU-Net's input and output in one folder": Layout(
        "c_1_0000.nii.gz c_1.nii.gz", {"c_1": ("c_1_0000.nii.gz", "c_1.nii.gz", "")}
    ),
    "a folder of data sets of the Decathlon": Layout(
        "Task06_Lung/dataset.json Task06_Lung/imagesTr/lung_001.nii.gz Task06_Lung/imagesTr/._lung_001.nii.gz "
        "Task06_Lung/labelsTr/lung_001.nii.gz Task06_Lung/labelsTr/._lung_001.nii.gz "
        "Task06_Lung/imagesTs/lung_002.nii.gz",
        {"lung_001": ("Task06_Lung/imagesTr/lung_001.nii.gz", "Task06_Lung/labelsTr/lung_001.nii.gz", "")},
        ("1 CT has no mask",),
    ),
    "BIDS": Layout(
        "dataset_description.json sub-01/ct/sub-01_ct.nii.gz sub-01/ct/sub-01_dseg.nii.gz "
        "sub-02/ses-1/ct/sub-02_ses-1_ct.nii.gz sub-02/ses-2/ct/sub-02_ses-2_ct.nii.gz "
        "derivatives/manual/sub-02/ses-1/ct/sub-02_ses-1_desc-nodule_dseg.nii.gz "
        "derivatives/manual/sub-02/ses-1/ct/sub-02_ses-1_desc-organs_dseg.nii.gz "
        "derivatives/manual/sub-02/ses-1/ct/sub-02_ses-1_desc-lung_mask.nii.gz "
        "derivatives/manual/sub-02/ses-2/ct/sub-02_ses-2_desc-tumour_mask.nii.gz "
        "sub-02/anat/sub-02_T1w.nii.gz sub-03/ct/sub-03_dseg.nii.gz sub-02/ct/sub-02_dseg.nii.gz",
        {
            "sub-01": ("sub-01/ct/sub-01_ct.nii.gz", "sub-01/ct/sub-01_dseg.nii.gz", ""),
            "sub-02_ses-1": (
                "sub-02/ses-1/ct/sub-02_ses-1_ct.nii.gz",
                "derivatives/manual/sub-02/ses-1/ct/sub-02_ses-1_desc-nodule_dseg.nii.gz",
                "derivatives/manual/sub-02/ses-1/ct/sub-02_ses-1_desc-lung_mask.nii.gz",
            ),
            "sub-02_ses-2": (
                "sub-02/ses-2/ct/sub-02_ses-2_ct.nii.gz",
                "derivatives/manual/sub-02/ses-2/ct/sub-02_ses-2_desc-tumour_mask.nii.gz",
                "",
            ),
        },
        (
            "sub-02_T1w.nii.gz: it is neither a CT (_ct) nor a mask",
            "desc-organs_dseg.nii.gz: another mask of this CT is called a tumour",
            "sub-03_dseg.nii.gz: no CT, or several, belong",
            "sub-02_dseg.nii.gz: no CT, or several, belong",
        ),
    ),
    "TotalSegmentator": Layout(
        f"s1/ct.nii.gz {inside('s1/segmentations', f'{TOTAL} lung_nodules.nii.gz lung.nii.gz')} "
        f"s2/ct.nii.gz {inside('s2/segmentations', TOTAL)} "
        f"s3/ct.nii.gz s3/tumour.nrrd {inside('s3/segmentations', TOTAL)}",
        {
            "s1": (
                "s1/ct.nii.gz",
                "s1/segmentations/lung_nodules.nii.gz",
                "s1/segmentations/lung.nii.gz",
            ),
            "s3": ("s3/ct.nii.gz", "s3/tumour.nrrd", ""),
        },
        (
            "s1/segmentations: 3 files are no lung tumour by name",
            "s2/segmentations: 3 files",
            "s3/segmentations: 3 files",
            "1 CT has no mask",
        ),
    ),
}


def touch(folder: Path, files: str) -> Path:
    for name in files.split():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(layout: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = touch(tmp_path / "data", layout.files), tmp_path / "tables" / "cohort.csv"
    out.parent.mkdir()
    command(data, out)
    cohort = read_cohort(out, needs=("case_id", "patient_id", "ct", "mask"))
    lungs = cohort.column("lung_mask")
    found = {case: (row["ct"], row["mask"], lungs[case]) for case, row in cohort.table.iterrows()}
    expected = {
        case: tuple(str((data / name).resolve()) if name else "" for name in row) for case, row in layout.rows.items()
    }
    assert found == expected
    said = capsys.readouterr().err.splitlines()
    assert len(said) == len(layout.said)
    for words in layout.said:
        assert sum(words in line for line in said) == 1


def test_what_is_ambiguous_is_left_out_and_ends_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    touch(tmp_path, "a.nrrd a_mask.nrrd b.nrrd b_mask.nrrd b_tumour.nrrd")
    with pytest.raises(typer.Exit) as ended:
        command(tmp_path, tmp_path / "cohort.csv")
    assert ended.value.exit_code == 1
    assert list(read_cohort(tmp_path / "cohort.csv").table.index) == ["a"]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("b: 2 files could be the mask")


def test_sessions_of_a_bids_subject_are_one_patient(tmp_path: Path) -> None:
    layout = LAYOUTS["BIDS"]
    table = cohort_of_folder(touch(tmp_path, layout.files), tmp_path / "cohort.csv").table
    assert table["patient_id"].tolist() == ["sub-01", "sub-02", "sub-02"]


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ("", "no CT with a mask was found"),
        ("a.nrrd", "no CT with a mask was found; 1 CT has no mask"),
        ("p.nrrd p_mask.nrrd p/ct.nrrd p/mask.nrrd", 'two cases are called "p"'),
    ],
)
def test_folders_without_cases_are_refused(files: str, match: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=match):
        command(touch(tmp_path, files), tmp_path / "cohort.csv")
    assert not (tmp_path / "cohort.csv").exists()
    with pytest.raises(InputError, match="not a folder"):
        command(tmp_path / "none", tmp_path / "cohort.csv")
