"""The CT handed to another extension: its result taken as lesions, and one sentence where there is none."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import slicer_harness as harness
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
        assert "found 2 nodules; nodule 1 is under review" in panel.ui.messageLabel.text
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
        harness.wait_for((tmp_path / "pids").exists, 30)
        pid = int((tmp_path / "pids").read_text())
        if end == "cancel":
            panel.ui.analyzeButton.click()
        else:
            slicer.mrmlScene.Clear(0)
        harness.wait_for(lambda: not panel.work.running, 30)
    stop = time.monotonic() + 5
    while running(pid) and time.monotonic() < stop:
        time.sleep(0.05)
    assert not running(pid)
    if end == "cancel":
        assert panel.ui.stepLabel.text == "Cancelled; nothing was changed."
        assert (count_nodes(), count_items()) == before


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
