"""Cases put into the scene: from DICOM as Slicer loads it, from masks with several labels, and what cannot be."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
import vtk

from DeepRadScoreLib.errors import MissingPackageError
from support import dicom_phantoms as made
from support.dicom_mask_makers import changed, contour, rtstruct_file, seg_file
from support.panel_tools import settle
from support.scene_tools import ball_case, count_items, count_nodes

ROOT = Path(__file__).parents[3]

TAGS = {
    "PatientSex": "F",
    "StudyTime": "120000",
    "StudyID": "1",
    "Manufacturer": "Maker",
    "PositionReferenceIndicator": "",
}


@pytest.fixture
def study(tmp_path):
    """The folder of a CT in DICOM, and its datasets."""
    series = made.ct_series(made.chest(), **TAGS)
    made.save(series, tmp_path / "study" / "ct", seed=2)
    return tmp_path / "study", series


def tumour(shape):
    mask = np.zeros(shape, np.uint8)
    mask[4:8, 16:24, 20:28] = 1
    return mask


def opened(ct, mask=None, **more):
    from DeepRadScoreSlicer.cases.worklist import ListedCase
    from DeepRadScoreSlicer.scene.opening import open_case

    return open_case(ListedCase("p", ct, mask, **more), mask)


# --- DICOM as Slicer's own module has it ------------------------------------------------------------------------------


@pytest.fixture
def panel(slicer_app, monkeypatch, tmp_path):
    """The module, loaded and entered; what it keeps beside Slicer's settings is kept in `settings`."""
    import slicer_harness as harness
    from DeepRadScoreSlicer.panel import watching
    from DeepRadScoreSlicer.scene import dicom_database

    monkeypatch.setattr(watching, "PAUSE_MS", 30)
    monkeypatch.setattr(dicom_database, "review_folder", lambda: tmp_path / "settings")
    module = harness.load_module()
    module.enter()
    yield module.widget
    module.close()


class VisualBrowser:
    """The browser with pictures, which Slicer 5.12 asks by `patientView`, and 5.10 by its widgets."""

    def __init__(self, uids, newer):
        self._uids = uids
        if newer:
            self.patientView = lambda: SimpleNamespace(selectedSeriesInstanceUIDs=lambda: self._uids)
        else:
            self.patientsTabWidget = lambda: SimpleNamespace(currentWidget=lambda: self)

    def isHidden(self):
        return False

    def studyItemWidgetsList(self):
        items = [SimpleNamespace(row=lambda: 0, column=lambda n=n: n) for n in range(len(self._uids))]
        table = SimpleNamespace(
            selectedItems=lambda: items,
            cellWidget=lambda _row, column: SimpleNamespace(seriesInstanceUID=self._uids[column]),
        )
        return [SimpleNamespace(seriesListTableWidget=lambda: table)]


@pytest.fixture
def select(panel, monkeypatch):
    """Selects series in the window of Slicer's DICOM module and presses the panel's button."""
    import slicer

    browser = SimpleNamespace(fileLists=[], dicomVisualBrowser=SimpleNamespace(isHidden=lambda: True))
    monkeypatch.setattr(slicer.modules, "DICOMInstance", SimpleNamespace(browserWidget=browser), raising=False)

    def press(*series, pictures=None):
        if pictures is None:
            browser.fileLists = [slicer.dicomDatabase.filesForSeries(uid) for uid in series]
        else:
            browser.dicomVisualBrowser = VisualBrowser(series, pictures == "5.12")
        panel.ui.dicomButton.click()

    return press


@pytest.fixture
def database(slicer_app, tmp_path):
    """Two CT series and a SEG of the first in Slicer's DICOM database; their SeriesInstanceUIDs."""
    import slicer_harness as harness

    folder = tmp_path / "database"
    hu = made.chest()
    first, second = made.ct_series(hu, **TAGS), made.ct_series(np.roll(hu, 2, axis=2), **TAGS)
    made.save(first, folder / "a", seed=2)
    made.save(second, folder / "b", seed=3)
    seg_file(folder / "seg.dcm", first, tumour(hu.shape))
    harness.register_dicom(folder)
    seg = pydicom.dcmread(folder / "seg.dcm")
    return folder, first[0].SeriesInstanceUID, second[0].SeriesInstanceUID, seg.SeriesInstanceUID


def marked_in(texts):
    return [value for value in made.MARKED.values() for text in texts if value in text]


def scene_texts():
    """All names, attributes and items of the scene, as they would be saved."""
    import slicer

    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    items = vtk.vtkIdList()
    tree.GetItemChildren(tree.GetSceneItemID(), items, True)
    nodes = [str(node) for node in slicer.util.getNodesByClass("vtkMRMLNode")]
    return [*nodes, *(tree.GetItemName(items.GetId(n)) for n in range(items.GetNumberOfIds()))]


def test_selected_series_are_reviewed_one_after_the_other(panel, select, database, tmp_path):
    """Each with the SEG of its study where it has one; whose they are is shown in a label and kept nowhere."""
    import slicer

    from DeepRadScoreLib.imaging import anonymous_case_id, read_case
    from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

    folder, first, second, seg = database
    before = count_nodes(), count_items()
    select(second, seg, first, second)
    names = [anonymous_case_id(uid) for uid in (second, first)]
    assert [case.case_id for case in panel.cases.list.cases] == names
    assert panel.cases.list.remarks == ("1 of the selected series are no CT and are left out.",)
    file = read_case(folder / "a", folder / "seg.dcm")
    for name in names:
        panel.cases.view.next()
        settle(panel)
        assert panel.review.case_id == name
        volume, segmentation, segment_id = (
            panel.review.volume,
            panel.review.segmentation,
            panel.review.chosen.segment_id,
        )
        if name == names[0]:
            assert "is empty" in panel.ui.qualityLabel.text
            drawn = tumour((12, 40, 48))
            slicer.util.updateSegmentBinaryLabelmapFromArray(drawn, segmentation, segment_id, volume)
            settle(panel)
        assert " mL · " in panel.ui.qualityLabel.text
        assert "same grid as the CT" in panel.ui.qualityLabel.text
        assert panel.ui.patientLabel.text == "MARKEDNAME Marked · MARKEDID · 1902-03-04"
        assert marked_in(scene_texts()) == []
    case = case_from_nodes(volume, segmentation, segment_id, name)
    for ours, theirs in ((case.ct, file.ct), (case.tumour, file.tumour)):
        np.testing.assert_array_equal(sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(theirs))
        assert ours.GetSpacing() == pytest.approx(theirs.GetSpacing())
        assert ours.GetOrigin() == pytest.approx(theirs.GetOrigin())
    panel.ui.patientCheckBox.click()
    assert panel.ui.patientLabel.text == ""
    panel.ui.closeCaseButton.click()
    settle(panel)
    assert not panel.ui.patientCheckBox.visible
    drawing = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeDisplayNode")
    assert drawing == 1, "Slicer's own function that draws leaves one each time"
    assert (count_nodes() - drawing, count_items()) == before
    kept = [path for path in (tmp_path / "settings").rglob("*") if path.is_file()]
    assert {path.name for path in kept} == {"deepradscore.log.jsonl", "dicom.review.json", f"{names[0]}.seg.nrrd"}
    settings = Path(slicer.app.slicerUserSettingsFilePath)
    for path in (*kept, settings):
        assert marked_in([str(path), path.read_text(errors="replace")]) == []
    panel.ui.patientCheckBox.click()
    select(second)
    panel.cases.view.next()
    settle(panel)
    assert " mL · " in panel.ui.qualityLabel.text, "the corrected mask is there again"


@pytest.mark.parametrize("version", ["5.10", "5.12"])
def test_the_browser_with_pictures_selects_too(panel, select, database, version):
    select(database[2], database[1], pictures=version)
    assert [case.series for case in panel.cases.list.cases] == [database[2], database[1]]


def boxes(x, kind="CLOSED_PLANAR"):
    """Contours of a rectangle from column x on five slices of the phantom."""
    corners = np.array([(x, 16), (x + 6, 16), (x + 6, 22), (x, 22)], float)
    return [
        contour(np.array([(*corner, z) for corner in corners]) * made.SPACING + made.ORIGIN, kind) for z in range(3, 8)
    ]


def test_one_of_several_masks_of_a_study_is_asked_for(panel, select, database):
    """A SEG and an RTSTRUCT; of the contours those of tumours become segments, and which one is reviewed is chosen."""
    import slicer_harness as harness
    from DeepRadScoreLib.imaging import read_case
    from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

    folder, first, _second, _seg = database
    sources = [pydicom.dcmread(path) for path in sorted((folder / "a").iterdir())]
    rois = [("GTV-1", boxes(20)), ("GTV-2", boxes(30)), ("Heart", boxes(8))]
    rtstruct_file(folder / "rt.dcm", sources, rois)
    harness.register_dicom(folder)
    select(first)
    with harness.answering("Mask of the study: Several masks", "2. RTSTRUCT: GTV-1, GTV-2, Heart"):
        panel.cases.view.next()
        settle(panel)
    assert panel.review.chosen.segment_id == ""
    assert "choose it below" in panel.ui.messageLabel.text
    content = panel.review.segmentation.GetSegmentation()
    assert [content.GetSegment(one).GetName() for one in content.GetSegmentIDs()] == ["GTV-1", "GTV-2"]
    panel.choice.node.segmentId = content.GetNthSegmentID(1)
    settle(panel)
    here = case_from_nodes(panel.review.volume, panel.review.segmentation, content.GetNthSegmentID(1), "p")
    file = read_case(folder / "a", folder / "rt.dcm", segment="GTV-2")
    for one, other in ((here.tumour, file.tumour), (here.other_tumours, file.other_tumours)):
        np.testing.assert_array_equal(sitk.GetArrayFromImage(one), sitk.GetArrayFromImage(other))
    panel.ui.closeCaseButton.click()
    with harness.answering("Several masks", "None of them: draw a new one"):
        panel.cases.view.next()
        settle(panel)
    assert "is empty" in panel.ui.qualityLabel.text


@pytest.fixture
def loaded_ct(panel, database):
    """The first CT as the reader loads it in Slicer's DICOM module, chosen in the panel."""
    import slicer
    from DICOMLib import DICOMUtils

    (node_id,) = DICOMUtils.loadSeriesByUID([database[1]])
    panel.choice.choose(slicer.mrmlScene.GetNodeByID(node_id), None, "")
    return panel.review.volume


def test_a_ct_that_was_loaded_gets_the_mask_of_its_study(panel, database, loaded_ct):
    from DeepRadScoreLib.imaging import read_case
    from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

    assert "MARKEDNAME" in panel.ui.patientLabel.text
    panel.ui.studyMaskButton.click()
    settle(panel)
    assert "same grid as the CT" in panel.ui.qualityLabel.text
    assert marked_in([panel.review.segmentation.GetName(), panel.review.case_id]) == []
    here = case_from_nodes(loaded_ct, panel.review.segmentation, panel.review.chosen.segment_id, "p")
    file = read_case(database[0] / "a", database[0] / "seg.dcm")
    np.testing.assert_array_equal(sitk.GetArrayFromImage(here.tumour), sitk.GetArrayFromImage(file.tumour))


@pytest.mark.parametrize("what", ["no mask", "of another series", "closed"])
def test_a_mask_that_cannot_be_had_is_one_sentence(panel, database, loaded_ct, what, tmp_path):
    """The scene stays as it was."""
    import slicer

    import slicer_harness as harness

    known = harness.unwrap(slicer.dicomDatabase)
    if what != "closed":
        known._series.pop(database[3])
    if what == "of another series":
        sources = [pydicom.dcmread(path) for path in sorted((database[0] / "b").iterdir())]
        (tmp_path / "other").mkdir()
        other = seg_file(tmp_path / "other" / "seg.dcm", sources, tumour((12, 40, 48)))
        study = pydicom.dcmread(known.filesForSeries(database[1])[0]).StudyInstanceUID
        changed(other, lambda ds: setattr(ds, "StudyInstanceUID", study))
        harness.register_dicom(tmp_path / "other")
    if what == "closed":
        known._open = False
    before = count_nodes(), count_items()
    try:
        panel.ui.studyMaskButton.click()
    finally:
        known._open = True
    assert panel.ui.messageLabel.text == (
        "Slicer's DICOM database is not open; open the module DICOM once, then try again."
        if what == "closed"
        else "No SEG or RTSTRUCT that was drawn on this CT was found or chosen."
    )
    assert (count_nodes(), count_items()) == before


@pytest.mark.parametrize("defect", ["missing", "tilted"])
def test_a_ct_with_missing_slices_is_explained_as_such(panel, select, defect, tmp_path):
    """Loaded by Slicer, which puts it under a transform, and opened from the list."""
    import slicer
    from DICOMLib import DICOMUtils

    import slicer_harness as harness

    series = made.ct_series(made.chest(), shear=(0.0, 0.5 if defect == "tilted" else 0.0), **TAGS)
    made.save([one for n, one in enumerate(series) if defect == "tilted" or n != 5], tmp_path / "ct")
    harness.register_dicom(tmp_path / "ct")
    uid = series[0].SeriesInstanceUID
    (node_id,) = DICOMUtils.loadSeriesByUID([uid])
    panel.choice.choose(slicer.mrmlScene.GetNodeByID(node_id), None, "")
    panel.ui.drawTumourButton.click()
    missing = "1 slice is missing from the stack of 2.5 mm spacing: between -90.00 and -85.00 mm (instances 5 and 7)"
    said = {
        "missing": f"the CT: {missing}; export the whole series again",
        "tilted": "the gantry of the CT was tilted or its slices are not quite evenly spaced, so that it",
    }[defect]
    assert panel.ui.messageLabel.text.startswith(said)
    select(uid)
    panel.cases.view.next()
    settle(panel)
    if defect == "missing":
        assert missing in panel.ui.messageLabel.text
        assert panel.review.opened is None
    else:
        assert panel.review.opened is not None and "is empty" in panel.ui.qualityLabel.text


def test_nothing_selected_and_nothing_but_masks(panel, select, database):
    select()
    assert panel.ui.messageLabel.text.startswith("Select the CT series in the DICOM module first, then come back here.")
    select(database[3])
    assert panel.ui.messageLabel.text == (
        "DICOM database: no case was found; 1 of the selected series are no CT and are left out."
    )
    assert panel.cases.list is None


@pytest.mark.parametrize(
    ("lost", "sentence"),
    [
        ("series", "the series is not in Slicer's DICOM database any more; import it again."),
        ("database", "Slicer's DICOM database is not open; open the module DICOM once, then try again."),
    ],
)
def test_a_series_that_cannot_be_loaded_is_one_sentence(panel, select, database, lost, sentence):
    import slicer

    import slicer_harness as harness

    select(database[1])
    known = harness.unwrap(slicer.dicomDatabase)
    if lost == "series":
        known._series.clear()
    else:
        known._open = False
    before = count_nodes(), count_items()
    try:
        panel.cases.view.next()
        settle(panel)
    finally:
        known._open = True
    assert panel.ui.messageLabel.text == sentence
    assert (count_nodes(), count_items()) == before


@pytest.fixture
def one_by_one(monkeypatch):
    """Each file and slice takes a turn of the event loop."""
    from DeepRadScoreSlicer.panel.sections import cases

    monkeypatch.setattr(cases, "STEP_S", 0.0)


def reading(panel, percent):
    """Wait until so much of a case has been read."""
    import slicer_harness as harness

    harness.wait_for(lambda: panel.ui.readingBar.value >= 10 * percent, 20)
    assert not panel.ui.readingBar.isHidden() and panel.ui.cancelReadingButton.enabled


@pytest.mark.parametrize("percent", [5, 50, 85, 95])
def test_opening_that_is_cancelled_leaves_the_open_case(panel, select, database, one_by_one, percent):
    import slicer

    select(database[2], database[1])
    panel.cases.view.next()
    settle(panel)
    first, nodes, items = panel.review.opened, count_nodes(), count_items()
    panel.cases.view.next()
    reading(panel, percent)
    assert panel.ui.readingLabel.text and not panel.cases.view.previous_button.enabled
    panel.cases.view.next()  # a second press does not begin anew
    panel.ui.cancelReadingButton.click()
    settle(panel)
    assert panel.ui.messageLabel.text == "Cancelled; nothing was changed."
    assert panel.ui.readingBar.isHidden()
    assert (count_nodes(), count_items()) == (nodes, items)
    assert panel.review.opened == first and panel.review.volume.GetID() == first.volume_id
    assert panel.cases.view.current.case_id == panel.review.case_id
    assert panel.cases.view.next_button.enabled
    panel.cases.view.next()
    settle(panel)
    assert panel.review.opened != first
    assert slicer.mrmlScene.GetNodeByID(first.volume_id) is not panel.review.volume
    assert " mL · " in panel.ui.qualityLabel.text


@pytest.mark.parametrize("end", ["scene closed", "case closed", "module reloaded"])
def test_opening_ends_with_what_it_is_opened_for(panel, select, database, one_by_one, end):
    import slicer

    before = count_nodes()
    select(database[1])
    panel.cases.view.next()
    reading(panel, 50)
    if end == "scene closed":
        slicer.mrmlScene.Clear(0)
    elif end == "case closed":
        panel.ui.listPathEdit.currentPath = str(database[0])
        select(database[2])
    else:
        panel.cleanup()
    settle(panel)
    assert panel.review.opened is None and panel.cases.view.current is None
    assert count_nodes() <= before
    assert panel.ui.readingBar.isHidden()


def test_a_database_that_is_closed_while_a_case_is_read_is_not_needed_any_more(panel, select, database, one_by_one):
    """Its files are known by then; only whose they are is not shown."""
    import slicer

    import slicer_harness as harness

    select(database[1])
    panel.cases.view.next()
    reading(panel, 30)
    known = harness.unwrap(slicer.dicomDatabase)
    known._open = False
    try:
        settle(panel)
        assert " mL · " in panel.ui.qualityLabel.text
        assert panel.ui.patientLabel.text == "" and panel.ui.messageLabel.text == ""
    finally:
        known._open = True


def test_dicom_is_read_in_a_step_for_each_file_and_slice(scene, database):
    """Those of a folder, and the frames of its SEG: none of them all at once."""
    from collections import Counter

    from DeepRadScoreSlicer.cases.worklist import ListedCase
    from DeepRadScoreSlicer.scene.opening import close_case, open_steps

    folder = database[0]
    steps, words = open_steps(ListedCase("p", folder / "a", folder / "seg.dcm"), folder / "seg.dcm"), Counter()
    fractions = []
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            close_case(end.value)
            break
        words[step.detail] += 1
        fractions.append(step.fraction)
    assert fractions == sorted(fractions)
    slices, frames = 12, 4
    assert words["reading the headers of the CT"] == slices
    assert words["reading the CT"] >= 2 * slices
    assert words["reading the mask"] >= 3 + frames


def test_back_to_original_of_a_mask_from_dicom_is_the_original(panel, select, database):
    """Also after the correction was saved and the case opened again, from which the SEG is not asked for."""
    import slicer

    select(database[1])
    panel.cases.view.next()
    settle(panel)
    volume, segmentation, segment_id = panel.review.volume, panel.review.segmentation, panel.review.chosen.segment_id
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        np.roll(tumour((12, 40, 48)), 5, 1), segmentation, segment_id, volume
    )
    panel.ui.closeCaseButton.click()
    panel.cases.view.next()
    settle(panel)
    volume, segmentation, segment_id = panel.review.volume, panel.review.segmentation, panel.review.chosen.segment_id
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    np.testing.assert_array_equal(mask, np.roll(tumour((12, 40, 48)), 5, 1))
    assert panel.ui.restoreMaskButton.enabled
    panel.choice.restore_original()
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    np.testing.assert_array_equal(mask, tumour((12, 40, 48)))


def test_a_correction_whose_original_is_not_known_is_not_taken_for_it(panel, select, database):
    """Of a mask that was drawn anew there is none."""
    import slicer

    select(database[2])
    panel.cases.view.next()
    settle(panel)
    chosen = panel.review.segmentation, panel.review.chosen.segment_id, panel.review.volume
    slicer.util.updateSegmentBinaryLabelmapFromArray(tumour((12, 40, 48)), *chosen)
    panel.ui.closeCaseButton.click()
    panel.cases.view.next()
    settle(panel)
    assert " mL · " in panel.ui.qualityLabel.text
    assert not panel.ui.restoreMaskButton.enabled


def test_whose_a_case_of_a_dicom_folder_is(panel, database):
    """In the label only, without a database that knows the files; nothing of it in the scene."""
    import slicer

    import slicer_harness as harness

    harness.unwrap(slicer.dicomDatabase)._series.clear()
    panel.ui.listPathEdit.currentPath = str(database[0])
    panel.ui.openListButton.click()
    panel.cases.view.next()
    settle(panel)
    assert panel.ui.patientLabel.text == "MARKEDNAME Marked · MARKEDID · 1902-03-04"
    assert marked_in(scene_texts()) == []
    panel.ui.patientCheckBox.click()
    assert panel.ui.patientLabel.text == ""
    panel.ui.patientCheckBox.click()
    assert "MARKEDID" in panel.ui.patientLabel.text
    panel.ui.closeCaseButton.click()
    assert not panel.ui.patientLabel.visible


@pytest.mark.parametrize("inside", [True, False])
def test_a_folder_is_read_without_a_database(scene, study, tmp_path, inside):
    """CT and SEG by the library: the user's own database is neither closed nor filled."""
    import slicer

    from DeepRadScoreLib.imaging import read_case
    from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

    folder, series = study
    mask = (folder if inside else tmp_path) / "seg.dcm"
    seg_file(mask, series, tumour((12, 40, 48)))
    case = opened(folder, None if inside else mask)
    assert slicer.dicomDatabase.filesForSeries(series[0].SeriesInstanceUID) in ([], ())
    volume, segmentation = (scene.GetNodeByID(node) for node in (case.volume_id, case.segmentation_id))
    here = case_from_nodes(volume, segmentation, case.segment_id, "p")
    file = read_case(folder, None if inside else mask, case_id="p")
    for ours, theirs in ((here.ct, file.ct), (here.tumour, file.tumour)):
        np.testing.assert_array_equal(sitk.GetArrayFromImage(ours), sitk.GetArrayFromImage(theirs))
        assert ours.GetOrigin() == pytest.approx(theirs.GetOrigin(), abs=1e-6)
        assert ours.GetSpacing() == pytest.approx(theirs.GetSpacing(), abs=1e-6)
        assert ours.GetDirection() == pytest.approx(theirs.GetDirection(), abs=1e-6)


def test_other_tumours_of_a_dicom_mask_are_segments_too(scene, study, tmp_path):
    from DeepRadScoreLib.imaging import read_case
    from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

    folder, series = study
    first = tumour((12, 40, 48))
    both = np.stack([first, np.roll(first, 9, 2)], -1)
    mask = seg_file(tmp_path / "seg.dcm", series, both, labels=("GTV-1", "GTV-2"))
    case = opened(folder, mask, segment="GTV-2")
    volume, segmentation = (scene.GetNodeByID(node) for node in (case.volume_id, case.segmentation_id))
    here, file = case_from_nodes(volume, segmentation, case.segment_id, "p"), read_case(folder, mask, segment="GTV-2")
    for one, other in ((here.tumour, file.tumour), (here.other_tumours, file.other_tumours)):
        np.testing.assert_array_equal(sitk.GetArrayFromImage(one), sitk.GetArrayFromImage(other))


def test_segments_of_labels_have_the_names_beside_the_file(scene, tmp_path):
    """As from the file: `lung_nodules` is found, the lung stays in the shell, the label without a name is a tumour."""
    from DeepRadScoreLib.imaging import read_case
    from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

    ct, mask = ball_case()
    values = 5 * sitk.GetArrayFromImage(mask)
    for value, shift in ((1, 14), (6, -14)):
        values[(np.roll(values, shift, 2) == 5) & (values == 0)] = value
    labels = sitk.GetImageFromArray(values)
    labels.CopyInformation(mask)
    sitk.WriteImage(ct, str(tmp_path / "ct.nrrd"))
    sitk.WriteImage(labels, str(tmp_path / "mask.nrrd"))
    (tmp_path / "mask.ctbl").write_text("1 heart 1 2 3 255\n5 lung_nodules 1 2 3 255\n")
    case = opened(tmp_path / "ct.nrrd", tmp_path / "mask.nrrd", segment="lung nodules")
    volume, segmentation = (scene.GetNodeByID(node) for node in (case.volume_id, case.segmentation_id))
    here = case_from_nodes(volume, segmentation, case.segment_id, "p")
    file = read_case(tmp_path / "ct.nrrd", tmp_path / "mask.nrrd", segment="lung nodules")
    assert here.notes == file.notes
    for one, other in ((here.tumour, file.tumour), (here.other_tumours, file.other_tumours)):
        np.testing.assert_array_equal(sitk.GetArrayFromImage(one), sitk.GetArrayFromImage(other))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(file.other_tumours), values == 6)


# --- DICOM where pydicom is too old ----------------------------------------------------------------------------------


@pytest.fixture
def old_pydicom(monkeypatch):
    """As in Slicer 5.10: pydicom 2.4."""
    monkeypatch.setattr(pydicom, "__version__", "2.4.4")
    for name in [name for name in sys.modules if name.startswith("DeepRadScoreLib.imaging.dicom")]:
        monkeypatch.delitem(sys.modules, name)


def test_with_an_old_pydicom_a_series_is_opened_by_slicer_and_its_mask_refused(panel, select, database, old_pydicom):
    """By a sentence; a folder, which Slicer could read only with another database, is refused too."""
    select(database[1])
    panel.cases.view.next()
    settle(panel)
    refused = (
        "pydicom: pydicom 2.4.4 is too old for CT and masks in DICOM, 3.0 or newer is needed; in 3D Slicer use "
        "Slicer 5.12 or newer, or load CT and mask with Slicer's DICOM module and choose their nodes; elsewhere "
        "install pydicom 3.0 or newer."
    )
    assert panel.ui.messageLabel.text == refused
    assert panel.review.volume.GetName() == f"{panel.review.case_id} CT"
    assert "is empty" in panel.ui.qualityLabel.text
    panel.ui.closeCaseButton.click()
    nodes, items = count_nodes(), count_items()
    with pytest.raises(MissingPackageError) as error:
        opened(database[0] / "a")
    assert str(error.value) == refused
    assert (count_nodes(), count_items()) == (nodes, items)
