"""The report's pages as DICOM, and CTs to which no object can refer."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import Dataset, dcmread

from DeepRadScoreLib.cli import case_commands
from DeepRadScoreLib.endpoints import BY_KEY
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import read_case
from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL
from DeepRadScoreLib.pseudonyms import Pseudonyms
from DeepRadScoreLib.report.dicom import PageForm
from DeepRadScoreLib.report.dicom.writing import to_dicom_pages, write_dicom
from DeepRadScoreLib.report.number_text import percent
from DeepRadScoreLib.report.sheet import report_pages, to_pixels
from support.dicom_results import complaints, opened, profile_of, study

CASE = "the case"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def case(root):
    return read_case(root)


@pytest.fixture(scope="module")
def profile(case):
    return replace(profile_of(case, synthetic=True), case_id=CASE)


def words(profile, **options: bool) -> list[list[str]]:
    """The texts of each page."""
    return [[text.get_text() for text in page.texts] for page in report_pages(profile, **options)]


def test_what_stands_on_the_page(profile):
    (page,) = words(profile)
    for key, finding in profile.findings.items():
        assert BY_KEY[key].name in page
        if finding.probability is not None:
            assert percent(finding.probability) in page and finding.decision in page
    assert SYNTHETIC_LABEL in page and any(CASE in text for text in page)
    assert not any(CASE in text for text in words(profile, named=False)[0])


def test_a_long_page_goes_on_to_the_next_with_label_and_foot(profile):
    note = profile.quality[0] if profile.quality else None
    assert note is not None
    pages = words(replace(profile, prepared=replace(profile.prepared, quality=(note,) * 90), quality=(note,) * 90))
    assert len(pages) == 3
    assert all(SYNTHETIC_LABEL in page and any("no medical device" in text for text in page) for page in pages)


@pytest.mark.parametrize("pseudonyms", [None, Pseudonyms(b"k" * 32)], ids=["named", "anonymous"])
@pytest.mark.parametrize("form", PageForm)
def test_pages_file_with_the_study(profile, case, form, pseudonyms, tmp_path):
    files = to_dicom_pages(profile, case, form, pseudonyms=pseudonyms)
    assert to_dicom_pages(profile, case, form, pseudonyms=pseudonyms) == files
    ((name, ds),) = opened(files).items()
    assert ds.BurnedInAnnotation == ("YES" if pseudonyms is None else "NO")
    assert ds.SeriesDescription.startswith(SYNTHETIC_LABEL)
    if pseudonyms is None:
        assert (ds.StudyInstanceUID, ds.PatientID) == (case.source.first.StudyInstanceUID, case.source.first.PatientID)
    if form is PageForm.SC:
        (pixels,) = to_pixels(report_pages(profile, named=pseudonyms is None))
        np.testing.assert_array_equal(ds.pixel_array, pixels)
    else:
        assert ds.EncapsulatedDocument.startswith(b"%PDF-") and ds.MIMETypeOfEncapsulatedDocument == "application/pdf"
        assert b"%%EOF" in ds.EncapsulatedDocument[: ds.EncapsulatedDocumentLength][-8:]
    (path,) = write_dicom(files, tmp_path)
    if shutil.which("dciodvfy"):
        known = complaints(Path(shutil.copy(case.source.files[0], tmp_path / "ct.dcm")))
        assert complaints(path) - known == set(), name


def test_pages_of_an_older_result_go(tmp_path):
    write_dicom({"page_1.dcm": b"1", "page_2.dcm": b"2"}, tmp_path)
    (tmp_path / "page_of_mine.dcm").write_text("")
    write_dicom({"page.dcm": b"3"}, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"page.dcm", "page_of_mine.dcm"}


def without(keyword: str) -> Callable[[int, Dataset], None]:
    return lambda n, ds: delattr(ds, keyword)


def the_same(keyword: str) -> Callable[[int, Dataset], None]:
    return lambda n, ds: setattr(ds, keyword, "1.2.3")


def two_studies(n: int, ds: Dataset) -> None:
    ds.StudyInstanceUID += ".1" if n > 5 else ".2"


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (
            without("SOPInstanceUID"),
            r"\.dcm: .*cannot refer to an image without \(0008,0018\) SOPInstanceUID; give",
        ),
        (without("StudyInstanceUID"), r"cannot refer to an image without \(0020,000D\) StudyInstanceUID"),
        (the_same("SOPInstanceUID"), r"its images share their \(0008,0018\) SOPInstanceUID"),
        (two_studies, r"its images differ in \(0020,000D\) StudyInstanceUID"),
    ],
    ids=["no instance", "no study", "one instance", "two studies"],
)
@pytest.mark.filterwarnings("ignore")
def test_no_object_refers_to_an_image_that_nobody_has(root, tmp_path, damage, sentence):
    copy = shutil.copytree(root, tmp_path / "study")
    for n, path in enumerate(sorted((copy / "ct").iterdir())):
        ds = dcmread(path)
        damage(n, ds)
        ds.save_as(path)
    mask = tmp_path / "mask.nrrd"
    sitk.WriteImage(read_case(root).tumour, str(mask))
    with pytest.raises(InputError, match=sentence):
        case_commands.analyze(ct=copy / "ct", mask=mask, out=tmp_path / "out", dicom_out=True)
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())
