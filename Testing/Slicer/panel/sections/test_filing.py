"""Filing: DICOM objects in a folder and in the database, the report in a browser and as PDF, plain text."""

from __future__ import annotations

from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from support.panel_tools import settle
from support.scene_tools import count_nodes

MADE = {"tumour.dcm", "regions.dcm", "profile.dcm", "gradcam_EGFR.dcm", "gradcam_LVI.dcm"}


@pytest.fixture
def study(tmp_path):
    """The folder of a CT and a SEG in DICOM."""
    from support import dicom_results

    return dicom_results.study(tmp_path / "study")


@pytest.fixture
def analysed(panel, study, quick_analysis):
    """A case of the DICOM database, analysed; the folder for the results is chosen."""
    import slicer_harness as harness

    harness.register_dicom(study / "ct")
    open_from(panel, study, series=str(dcmread(next((study / "ct").iterdir())).SeriesInstanceUID))
    panel.ui.exportPathEdit.currentPath = str(study.parent / "out")
    panel.ui.analyzeButton.click()
    settle(panel)
    assert panel.review.stored is not None, panel.ui.messageLabel.text
    return panel


def open_from(panel, study, series=None):
    import slicer

    from DeepRadScoreSlicer.cases.worklist import ListedCase
    from DeepRadScoreSlicer.scene.opening import open_case

    case = ListedCase("one", None if series else study / "ct", study / "seg.dcm", series=series)
    panel.review.opened = opened = open_case(case, case.mask)
    nodes = [slicer.mrmlScene.GetNodeByID(node_id) for node_id in (opened.volume_id, opened.segmentation_id)]
    panel.choice.choose(*nodes, opened.segment_id)
    settle(panel)


def press(panel, button):
    assert button.enabled
    button.click()
    settle(panel)
    return panel.ui.messageLabel.text


def out_of(panel):
    return Path(panel.ui.exportPathEdit.currentPath, "one")


def test_objects_in_a_folder_are_those_of_the_command(analysed, study):
    from DeepRadScoreLib.imaging import read_case
    from DeepRadScoreLib.report.dicom.writing import to_dicom

    profile = analysed.review.profile
    assert "gradcam_EGFR.dcm" in press(analysed, analysed.ui.dicomFolderButton)
    written = {path.name: dcmread(path) for path in (out_of(analysed) / "dicom").iterdir()}
    command = to_dicom(profile, read_case(study / "ct", study / "seg.dcm"))
    assert set(written) == set(command) == MADE
    for name, data in command.items():
        expected = dcmread(BytesIO(data))
        for keyword in ("PatientID", "StudyInstanceUID", "SeriesDescription", "SOPClassUID"):
            assert written[name].get(keyword) == expected.get(keyword)
        if "NumberOfFrames" in expected:
            np.testing.assert_array_equal(written[name].pixel_array, expected.pixel_array)
            np.testing.assert_allclose(places(written[name]), places(expected), atol=1e-6)
    known = {str(dcmread(path).SOPInstanceUID) for path in (study / "ct").iterdir()}
    known |= {str(one.SOPInstanceUID) for one in written.values()}
    for one in written.values():
        assert {str(e.value) for e in one.iterall() if e.keyword == "ReferencedSOPInstanceUID"} <= known


def places(ds):
    return [one.PlanePositionSequence[0].ImagePositionPatient for one in ds.PerFrameFunctionalGroupsSequence]


def test_the_database_gets_copies_in_the_study_of_the_ct(analysed, study):
    import slicer

    ct = dcmread(next((study / "ct").iterdir()))
    said = press(analysed, analysed.ui.dicomDatabaseButton)
    assert said.startswith("Added to the DICOM database: ")
    series = slicer.dicomDatabase.seriesForStudy(str(ct.StudyInstanceUID))
    files = [slicer.dicomDatabase.filesForSeries(uid) for uid in series if uid != ct.SeriesInstanceUID]
    assert sorted(dcmread(one[0]).Modality for one in files) == ["OT", "OT", "SEG", "SEG", "SR"]
    assert not out_of(analysed).exists()


def test_a_case_of_a_folder_takes_the_files_from_there(panel, study, quick_analysis):
    open_from(panel, study)
    panel.ui.exportPathEdit.currentPath = str(study / "ct")
    panel.ui.analyzeButton.click()
    settle(panel)
    assert "among the files that they are made from" in press(panel, panel.ui.dicomFolderButton)
    panel.ui.exportPathEdit.currentPath = str(study.parent / "out")
    press(panel, panel.ui.dicomFolderButton)
    assert {path.name for path in (out_of(panel) / "dicom").iterdir()} == MADE
    for path in (study / "ct").iterdir():
        path.unlink()
    assert "are not there any more" in press(panel, panel.ui.dicomFolderButton)


@contextmanager
def closed_database():
    import slicer

    from slicer_harness import unwrap

    database = unwrap(slicer.dicomDatabase)
    database._open = False
    try:
        yield
    finally:
        database._open = True


def test_what_hinders_filing_is_one_sentence_and_leaves_nothing(analysed):
    before, folder = count_nodes(), out_of(analysed)
    with closed_database():
        assert "database is not open" in press(analysed, analysed.ui.dicomDatabaseButton)
        assert "database is not open" in press(analysed, analysed.ui.dicomFolderButton)
    analysed.review.volume.SetAttribute("DICOM.instanceUIDs", None)
    for button in (analysed.ui.dicomDatabaseButton, analysed.ui.dicomFolderButton):
        assert "was not loaded from DICOM" in press(analysed, button)
    analysed.ui.exportPathEdit.currentPath = ""
    for button in (analysed.ui.pdfButton, analysed.ui.dicomFolderButton):
        assert press(analysed, button).startswith("no folder is chosen")
    assert count_nodes() == before
    assert not folder.exists()


def test_a_ct_that_was_moved_before_its_analysis_gets_no_objects(analysed):
    analysed.review.volume.SetOrigin([value + 3 for value in analysed.review.volume.GetOrigin()])
    settle(analysed)
    assert not analysed.ui.dicomFolderButton.enabled
    analysed.ui.analyzeButton.click()
    settle(analysed)
    assert "not on the slices of its DICOM files" in press(analysed, analysed.ui.dicomFolderButton)
    assert not out_of(analysed).exists()


def test_filing_shows_where_it_is_and_can_be_cancelled(analysed, monkeypatch):
    from DeepRadScoreLib.report.dicom import writing

    seen = []

    def cancelled(profile, case):
        try:
            yield "first object"
            seen.append((analysed.ui.filingLabel.text, analysed.ui.cancelFilingButton.isHidden()))
            analysed.ui.cancelFilingButton.click()
            yield "second object"
            seen.append("not cancelled")
        finally:
            seen.append("closed")
        return {}

    monkeypatch.setattr(writing, "dicom_steps", cancelled)
    assert press(analysed, analysed.ui.dicomFolderButton).startswith("Cancelled")
    assert seen == [("First object", False), "closed"]
    assert analysed.ui.cancelFilingButton.isHidden() and analysed.ui.dicomFolderButton.enabled
    assert not out_of(analysed).exists()


def test_text_report_and_pdf(analysed, monkeypatch):
    import slicer

    from DeepRadScoreLib.report.plain_text import to_plain_text
    from DeepRadScoreLib.report.profile import to_document
    from slicer_harness import pythonqt

    profile = analysed.review.profile
    press(analysed, analysed.ui.copyTextButton)
    assert slicer.app.clipboard().text() == to_plain_text(to_document(profile))
    opened = []
    monkeypatch.setitem(pythonqt.overrides, ("QDesktopServices", "openUrl"), lambda url: opened.append(url) or True)
    press(analysed, analysed.ui.openReportButton)
    path = Path(pythonqt.unwrap(opened[0]).toLocalFile())
    assert path.read_text("utf-8").startswith("<!DOCTYPE html>") and path.parent.name == "one"
    monkeypatch.setitem(pythonqt.overrides, ("QDesktopServices", "openUrl"), lambda url: False)
    assert "no program opens the report" in press(analysed, analysed.ui.openReportButton)
    press(analysed, analysed.ui.pdfButton)
    assert (out_of(analysed) / "report.pdf").read_bytes().startswith(b"%PDF")


def test_results_of_a_loaded_scene_say_that_they_must_be_analysed_again(analysed):
    analysed.review._profiles.clear()
    assert "once more" in press(analysed, analysed.ui.dicomFolderButton)
    assert "clipboard" in press(analysed, analysed.ui.copyTextButton)
