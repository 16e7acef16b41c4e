"""Cases put into the scene: from DICOM as Slicer loads it, from masks with several labels, and what cannot be."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.errors import MissingPackageError
from support import dicom_phantoms as made
from support.dicom_mask_makers import seg_file
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


@pytest.fixture
def select(panel, monkeypatch):
    """Selects series in the window of Slicer's DICOM module and presses the panel's button."""
    import slicer

    browser = SimpleNamespace(fileLists=[])
    monkeypatch.setattr(slicer.modules, "DICOMInstance", SimpleNamespace(browserWidget=browser), raising=False)

    def press(*series):
        browser.fileLists = [slicer.dicomDatabase.filesForSeries(uid) for uid in series]
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


def test_selected_series_are_reviewed_one_after_the_other(panel, select, database, tmp_path):
    import slicer

    from DeepRadScoreLib.imaging import anonymous_case_id, read_case
    from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

    folder, first, second, seg = database
    before = count_nodes(), count_items()
    select(second, seg, first, second)
    names = [anonymous_case_id(uid) for uid in (second, first)]
    assert [case.case_id for case in panel.cases.list.cases] == names
    assert panel.cases.list.remarks == ("1 of the selected series are no CT and are left out.",)
    drawn = tumour((12, 40, 48))
    for name, place in zip(names, ("b", "a"), strict=True):
        panel.cases.view.next()
        settle(panel)
        assert panel.review.case_id == name
        volume, segmentation = panel.review.volume, panel.review.segmentation
        file = read_case(folder / place, folder / "seg.dcm") if place == "a" else None
        if file is not None:
            np.testing.assert_array_equal(slicer.util.arrayFromVolume(volume), sitk.GetArrayFromImage(file.ct))
        assert panel.review.chosen.segment_id == "tumour"
        assert "is empty" in panel.ui.qualityLabel.text
        slicer.util.updateSegmentBinaryLabelmapFromArray(drawn, segmentation, "tumour", volume)
        settle(panel)
        assert " mL · " in panel.ui.qualityLabel.text
        case = case_from_nodes(volume, segmentation, "tumour", name)
        if file is not None:
            np.testing.assert_array_equal(sitk.GetArrayFromImage(case.tumour), sitk.GetArrayFromImage(file.tumour))
            assert case.ct.GetSpacing() == pytest.approx(file.ct.GetSpacing())
            assert case.ct.GetOrigin() == pytest.approx(file.ct.GetOrigin())
        tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        shell = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[-1]
        study = tree.GetItemParent(tree.GetItemByDataNode(volume))
        assert tree.GetItemLevel(study) == "Study"
        assert tree.GetItemParent(tree.GetItemByDataNode(shell)) == study
    panel.ui.closeCaseButton.click()
    settle(panel)
    drawing = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeDisplayNode")
    assert drawing == 2, "Slicer's own function that draws leaves one each time"
    assert (count_nodes() - drawing, count_items()) == before
    kept = [path for path in (tmp_path / "settings").rglob("*") if path.is_file()]
    assert {path.name for path in kept} == {
        "deepradscore.log.jsonl",
        "dicom.review.json",
        *(f"{name}.seg.nrrd" for name in names),
    }
    for value in made.MARKED.values():
        assert not any(value.encode() in path.read_bytes() or value in str(path) for path in kept)
    select(first)
    panel.cases.view.next()
    settle(panel)
    assert " mL · " in panel.ui.qualityLabel.text, "the corrected mask is there again"


def test_nothing_selected_and_nothing_but_masks(panel, select, database):
    select()
    assert panel.ui.messageLabel.text == "Select the CT series in the DICOM module first, then come back here."
    select(database[3])
    assert panel.ui.messageLabel.text == (
        "DICOM database: no case was found; 1 of the selected series are no CT and are left out."
    )
    assert panel.cases.list is None


@pytest.mark.parametrize(
    ("lost", "sentence"),
    [
        ("series", "this is not one 3-D CT volume; choose one CT series."),
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
    finally:
        known._open = True
    settle(panel)
    assert panel.ui.messageLabel.text == f"{panel.cases.list.cases[0].case_id}: {sentence}"
    assert (count_nodes(), count_items()) == before


@pytest.mark.parametrize("inside", [True, False])
def test_a_folder_is_read_by_a_database_of_its_own(scene, study, tmp_path, inside):
    """The CT by Slicer's DICOM module, its SEG by the library; the user's own database is untouched."""
    import slicer

    from DeepRadScoreLib.imaging import read_case
    from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

    folder, series = study
    mask = (folder if inside else tmp_path) / "seg.dcm"
    seg_file(mask, series, tumour((12, 40, 48)))
    own = slicer.dicomDatabase
    case = opened(folder, None if inside else mask)
    assert slicer.dicomDatabase is own
    assert own.filesForSeries(series[0].SeriesInstanceUID) in ([], ())
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


def test_with_an_old_pydicom_a_dicom_ct_is_opened_and_its_dicom_mask_refused(scene, study, old_pydicom, tmp_path):
    folder, series = study
    nodes, items = count_nodes(), count_items()
    case = opened(folder)
    assert scene.GetNodeByID(case.volume_id).GetImageData().GetDimensions() == (48, 40, 12)
    assert case.segment_id == "tumour"
    from DeepRadScoreSlicer.scene.opening import close_case

    close_case(case)
    seg_file(tmp_path / "seg.dcm", series, tumour((12, 40, 48)))
    seg_file(folder / "seg.dcm", series, tumour((12, 40, 48)))
    for mask in (tmp_path / "seg.dcm", None):
        with pytest.raises(MissingPackageError) as error:
            opened(folder, mask)
        assert str(error.value) == (
            "pydicom: pydicom 2.4.4 is too old for CT and masks in DICOM, 3.0 or newer is needed; in 3D Slicer use "
            "Slicer 5.12 or newer, or load CT and mask with Slicer's DICOM module and choose their nodes; elsewhere "
            "install pydicom 3.0 or newer."
        )
        assert (count_nodes(), count_items()) == (nodes, items)
