"""The CT handed to another extension: its result taken as lesions, and one sentence where there is none."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import slicer_harness as harness
from slicer_harness.monai_label import monai_label
from slicer_harness.nn_interactive import nn_interactive
from slicer_harness.total_segmentator import total_segmentator
from support.panel_tools import settle
from support.scene_tools import PATIENT, ball_case, count_items, count_nodes


@pytest.fixture
def ct(panel):
    """The ball's CT with a second, smaller ball, under review without a segmentation."""
    from DeepRadScoreSlicer.scene import voxels

    image = ball_case()[0]
    values = sitk.GetArrayFromImage(image)
    values[3:6, 5:10, 5:10] = 30
    mixed = sitk.GetImageFromArray(values)
    mixed.CopyInformation(image)
    volume = voxels.image_to_volume(mixed, PATIENT)
    panel.choice.choose(volume, None, "")
    settle(panel)
    return volume


def find(panel):
    panel.handover.update()
    panel.ui.findNodulesButton.click()
    settle(panel)


def set_crosshair(volume, index):
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    node = slicer.util.getNodesByClass("vtkMRMLCrosshairNode")
    node = node[0] if node else slicer.mrmlScene.AddNewNodeByClass("vtkMRMLCrosshairNode")
    node.SetCrosshairRAS(matrix.MultiplyPoint((*index, 1))[:3])


def test_without_the_extension_nothing_is_offered(panel, ct):
    panel.handover.update()
    assert not panel.ui.findNodulesButton.visible
    assert not panel.ui.monaiLabelButton.visible


def test_nodules_become_lesions_and_the_nearest_is_reviewed(panel, ct, tmp_path):
    import slicer

    values = slicer.util.arrayFromVolume(ct)
    with total_segmentator(tmp_path):
        find(panel)
        content = panel.review.segmentation.GetSegmentation()
        assert [content.GetSegment(one).GetName() for one in content.GetSegmentIDs()] == ["nodule 1", "nodule 2"]
        assert panel.review.chosen.segment_id == "nodule 1", "no crosshair yet: the largest"
        assert PATIENT not in panel.review.segmentation.GetName()
        assert "same grid as the CT" in panel.ui.qualityLabel.text
        assert "found 2 lesions; nodule 1 is under review" in panel.ui.messageLabel.text
        masks = [
            slicer.util.arrayFromSegmentBinaryLabelmap(panel.review.segmentation, one, ct)
            for one in content.GetSegmentIDs()
        ]
        np.testing.assert_array_equal(masks[0] | masks[1], values > -200)
        assert masks[1][3:6, 5:10, 5:10].all() and masks[1].sum() == 75
        set_crosshair(ct, (7, 7, 4))
        find(panel)  # once more, into the segmentation that is there
        assert content.GetNumberOfSegments() == 4
        assert content.GetSegment(panel.review.chosen.segment_id).GetName().startswith("nodule 2")
    panel.editor.undo()
    assert content.GetNumberOfSegments() == 2


@pytest.mark.parametrize("chosen", [None, "weights of the site"])
def test_it_reports_no_use_and_takes_the_weights_that_are_there(panel, ct, tmp_path, monkeypatch, chosen):
    monkeypatch.setenv("TOTALSEG_HOME_DIR", str(tmp_path / "home"))
    if chosen is not None:
        monkeypatch.setenv("TOTALSEG_WEIGHTS_PATH", chosen)
    with total_segmentator(tmp_path):
        find(panel)
    weights = chosen or str(tmp_path / "home" / "nnunet" / "results")
    assert json.loads((tmp_path / "used").read_text()) == [False, weights]
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("fails", "TotalSegmentator failed: RuntimeError: out of memory; see whether it works in its own module"),
        ("empty", "TotalSegmentator found no lung nodule in this CT; draw the tumour."),
        ("no packages", "the Python packages of TotalSegmentator are not installed; press Apply once in the module"),
    ],
)
def test_no_result_is_one_sentence_and_the_scene_as_it_was(panel, ct, tmp_path, how, sentence):
    before = count_nodes(), count_items()
    with total_segmentator(tmp_path, how):
        find(panel)
    assert panel.ui.messageLabel.text.startswith(sentence)
    assert (count_nodes(), count_items()) == before
    assert panel.review.segmentation is None


@pytest.mark.parametrize("end", ["cancel", "scene closed"])
def test_cancelled_or_with_the_scene_closed_all_its_processes_end(panel, ct, tmp_path, end):
    import slicer

    before = count_nodes(), count_items()
    with total_segmentator(tmp_path, "hangs"):
        panel.handover.update()
        panel.ui.findNodulesButton.click()
        pid = hanging(tmp_path)
        if end == "cancel":
            panel.ui.analyzeButton.click()
        else:
            slicer.mrmlScene.Clear(0)
        harness.wait_for(lambda: not panel.work.running, 30)
    assert ends(pid)
    if end == "cancel":
        assert panel.ui.stepLabel.text == "Cancelled; nothing was changed."
        assert (count_nodes(), count_items()) == before


def hanging(folder: Path) -> int:
    """The process ID of the child of the program that hangs, once it has one."""
    path = folder / "pids"
    harness.wait_for(lambda: path.exists() and path.read_text(), 30)
    return int(path.read_text())


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def ends(pid: int) -> bool:
    """Whether a process ends within five seconds."""
    stop = time.monotonic() + 5
    while running(pid) and time.monotonic() < stop:
        time.sleep(0.05)
    return not running(pid)


def outline(panel):
    panel.handover.update()
    assert panel.ui.outlineAtCrosshairButton.enabled
    panel.ui.outlineAtCrosshairButton.click()
    settle(panel)


def test_a_point_becomes_a_lesion_in_an_empty_segment(panel, ct):
    """In a segmentation of its own, then in the empty segment under review, then in one more."""
    import slicer

    with nn_interactive():
        set_crosshair(ct, (7, 7, 4))
        outline(panel)
        content = panel.review.segmentation.GetSegmentation()
        first = panel.review.chosen.segment_id
        drawn = slicer.util.arrayFromSegmentBinaryLabelmap(panel.review.segmentation, first, ct)
        assert drawn.sum() == 75 and drawn[3:6, 5:10, 5:10].all()
        assert "same grid as the CT" in panel.ui.qualityLabel.text
        assert "it is a proposal" in panel.ui.messageLabel.text
        panel.ui.anotherLesionButton.click()
        empty = panel.review.chosen.segment_id
        set_crosshair(ct, (30, 25, 12))
        outline(panel)
        assert panel.review.chosen.segment_id == empty and content.GetNumberOfSegments() == 2
        outline(panel)
        assert content.GetNumberOfSegments() == 3 and panel.review.chosen.segment_id not in (first, empty)


def test_a_ct_is_sent_to_a_server_only_after_asking(panel, ct):
    set_crosshair(ct, (7, 7, 4))
    with nn_interactive("on a server"):
        with harness.answering("will be sent to https://segment.example", False):
            outline(panel)
        assert panel.review.segmentation is None
        with harness.answering("will be sent to https://segment.example", True):
            outline(panel)
        assert panel.review.segmentation is not None


@pytest.mark.parametrize(
    ("how", "index", "sentence"),
    [
        ("not initialized", (7, 7, 4), "nnInteractive is not initialized; open the module nnInteractive"),
        ("fails", (7, 7, 4), "nnInteractive failed: CUDA out of memory; try it in its own module, or draw the tumour."),
        ("empty", (7, 7, 4), "nnInteractive found nothing at the crosshair; put it into the tumour."),
        ("finds", None, "the crosshair is not set; hold Shift and move the mouse over the tumour"),
        ("finds", (7, 7, 400), "the crosshair lies outside the CT; put it into the tumour."),
        ("scene closed", (7, 7, 4), "the scene was closed while nnInteractive worked; open the case again."),
    ],
)
def test_no_outline_is_one_sentence_and_the_scene_as_it_was(panel, ct, how, index, sentence):
    import slicer

    if index is not None:
        set_crosshair(ct, index)
    before = count_nodes(), count_items()
    drawing = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeDisplayNode")
    with nn_interactive(how) as widget:
        outline(panel)
        assert widget.ui.editor_widget.segmentationNode() is None or how in ("empty", "scene closed")
    assert panel.ui.messageLabel.text.startswith(sentence)
    if how == "scene closed":
        assert panel.review.volume is None
    else:
        left = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLLabelMapVolumeDisplayNode") - drawing
        assert (count_nodes() - left, count_items()) == before, "Slicer's own function that draws leaves one each time"
        assert panel.review.segmentation is None


def ask_monai(panel):
    panel.handover.update()
    assert panel.ui.monaiLabelButton.enabled
    panel.ui.monaiLabelButton.click()
    settle(panel)


@pytest.mark.parametrize("server", [None, ""])
def test_monai_label_is_offered_where_it_is_set_to_a_server(panel, ct, tmp_path, server):
    panel.handover.update()
    assert panel.ui.monaiLabelButton.isHidden()
    if server is not None:
        with monai_label(tmp_path, server=server):
            panel.handover.update()
            assert panel.ui.monaiLabelButton.isHidden()
    with monai_label(tmp_path):
        panel.handover.update()
        assert not panel.ui.monaiLabelButton.isHidden()


def test_a_monai_model_of_several_is_chosen_and_its_tumours_become_lesions(panel, ct, tmp_path):
    """One undo takes them away again; the server is told nothing of the patient, and keeps no image."""
    import slicer

    values = slicer.util.arrayFromVolume(ct)
    with monai_label(tmp_path, server="127.0.0.1:8000/"):
        with harness.answering("Several models of the server", "lesions: lung_tumor"):
            ask_monai(panel)
        content = panel.review.segmentation.GetSegmentation()
        names = [content.GetSegment(one).GetName() for one in content.GetSegmentIDs()]
        assert names == ["tumour 1", "tumour 2"] and panel.review.chosen.segment_id == "tumour 1"
        masks = [
            slicer.util.arrayFromSegmentBinaryLabelmap(panel.review.segmentation, one, ct)
            for one in content.GetSegmentIDs()
        ]
        np.testing.assert_array_equal(masks[0] | masks[1], values > -200)
        assert "MONAI Label found 2 lesions; tumour 1 is under review" in panel.ui.messageLabel.text
        sent = json.loads((tmp_path / "used").read_text())
        assert sent[:3] == ["http://127.0.0.1:8000", "DeepRadScore", "lesions"]
        assert PATIENT not in (tmp_path / "used").read_text()
        with harness.answering("Several models", "lesions: lung_tumor"):
            ask_monai(panel)
        assert content.GetNumberOfSegments() == 4
    panel.editor.undo()
    assert content.GetNumberOfSegments() == 2


@pytest.mark.parametrize("how", ["point", "editor"])
def test_an_interactive_monai_model_outlines_at_the_crosshair(panel, ct, tmp_path, how):
    import slicer

    set_crosshair(ct, (7, 7, 4))
    with monai_label(tmp_path, how):
        ask_monai(panel)
    assert "found one lesion" in panel.ui.messageLabel.text
    drawn = slicer.util.arrayFromSegmentBinaryLabelmap(panel.review.segmentation, panel.review.chosen.segment_id, ct)
    assert drawn.sum() == 75 and drawn[3:6, 5:10, 5:10].all()


@pytest.mark.parametrize("address", ["https://segment.example", "http://192.168.1.7:8000"])
def test_a_ct_goes_to_a_monai_server_elsewhere_only_after_asking(panel, ct, tmp_path, address):
    with monai_label(tmp_path, "segments", server=address):
        with harness.answering(
            f"MONAI Label is set to a server: the voxels of the CT will be sent to {address}", False
        ):
            ask_monai(panel)
        assert panel.review.segmentation is None and not (tmp_path / "used").exists()
        with harness.answering("will be sent to", True):
            ask_monai(panel)
        assert panel.review.segmentation is not None


@pytest.mark.parametrize("address", ["localhost:8000", "http://127.0.0.5", "http://[::1]:8000", "http://0.0.0.0:8000"])
def test_this_computer_by_its_names(slicer_app, tmp_path, address):
    from DeepRadScoreSlicer.scene.outlining import monai_label as ours

    with monai_label(tmp_path, server=address):
        assert not ours.is_elsewhere(ours.server())


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("no server", "MONAI Label failed: the server does not answer ([Errno 111] Connection refused); see whether"),
        ("login", "MONAI Label failed: the server asks for a login; see whether it works in its own module"),
        ("fails", "MONAI Label failed: Status: 500; Response: CUDA out of memory; see whether"),
        ("useless", "the MONAI Label server has no model that outlines tumours (its models: spleen, slice, scribbles)"),
        ("no file", "MONAI Label wrote no result; see whether it works in its own module, or draw the tumour."),
        ("empty", "MONAI Label found no tumour in this CT; draw the tumour."),
        ("another grid", "the result of MONAI Label is not on the CT's grid; draw the tumour."),
        ("point", "the crosshair is not set; hold Shift and move the mouse over the tumour"),
    ],
)
def test_no_tumour_of_monai_label_is_one_sentence(panel, ct, tmp_path, how, sentence):
    """The scene is as it was."""
    before = count_nodes(), count_items()
    with monai_label(tmp_path, how):
        if how in ("no server", "login", "useless", "point"):
            ask_monai(panel)
        else:
            with harness.answering("Several models", "lesions: lung_tumor"):
                ask_monai(panel)
    assert panel.ui.messageLabel.text.startswith(sentence)
    assert (count_nodes(), count_items()) == before
    assert panel.review.segmentation is None


@pytest.mark.parametrize("end", ["cancel", "scene closed"])
def test_monai_label_is_cancelled_at_once(panel, ct, tmp_path, end):
    import slicer

    before = count_nodes(), count_items()
    with monai_label(tmp_path, "hangs"), harness.answering("Several models", "lesions: lung_tumor"):
        panel.ui.monaiLabelButton.click()
        pid = hanging(tmp_path)
        assert "waiting for the server" in panel.ui.readingLabel.text
        if end == "cancel":
            panel.ui.cancelReadingButton.click()
        else:
            slicer.mrmlScene.Clear(0)
        harness.wait_for(lambda: not panel.work.running, 30)
    assert ends(pid)
    if end == "cancel":
        assert panel.ui.messageLabel.text == "Cancelled; nothing was changed."
        assert (count_nodes(), count_items()) == before
