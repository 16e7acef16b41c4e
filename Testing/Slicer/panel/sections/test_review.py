"""The section "Review": quality, shell and original follow what is chosen and drawn; a change makes results stale."""

from __future__ import annotations

import numpy as np
import pytest

import slicer_harness as harness
from support.panel_tools import draw, ours, settle
from support.scene_tools import PATIENT, ball_case, count_nodes


def test_choosing_shows_quality_and_shell_and_keeps_the_original(panel, ball):
    assert " mL · " in panel.ui.qualityLabel.text
    assert panel.ui.analyzeButton.enabled
    (shell,) = ours("shell")
    (original,) = ours("original_mask")
    assert not original.GetDisplayNode().GetVisibility()
    assert shell.GetDisplayNode().GetVisibility()
    assert PATIENT not in shell.GetName() + original.GetName()
    panel.ui.shellVisibleCheckBox.click()
    assert not shell.GetDisplayNode().GetVisibility()


def test_an_edit_moves_the_shell_and_can_be_taken_back(panel, ball):
    import slicer

    volume, segmentation, segment_id = ball
    before = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume).copy()
    line = panel.ui.qualityLabel.text
    (shell,) = ours("shell")
    time = shell.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap").GetMTime()
    draw(volume, segmentation, segment_id)
    settle(panel)
    assert panel.ui.qualityLabel.text != line
    assert shell.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap").GetMTime() > time
    with harness.answering("Replace the corrected mask", False):
        panel.ui.restoreMaskButton.click()
    assert panel.ui.qualityLabel.text != line
    with harness.answering("Replace the corrected mask", True):
        panel.ui.restoreMaskButton.click()
    settle(panel)
    after = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    np.testing.assert_array_equal(before, after)
    assert panel.ui.qualityLabel.text == line
    assert panel.review.chosen.segment_id == segment_id


def test_undo_brings_back_what_the_original_replaced(panel, ball, quick_analysis):
    """By the editor's own history; the undo is a change like any other, and results go stale with it."""
    import slicer

    volume, segmentation, segment_id = ball
    draw(volume, segmentation, segment_id)
    corrected = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume).copy()
    panel.choice.restore_original()
    panel.ui.analyzeButton.click()
    settle(panel)
    assert not panel.review.stored.stale
    line = panel.ui.qualityLabel.text
    panel.editor.undo()
    settle(panel)
    after = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    np.testing.assert_array_equal(after, corrected)
    assert panel.review.stored.stale
    assert panel.ui.qualityLabel.text != line


def test_colour_and_visibility_are_no_change(panel, ball, quick_analysis):
    _, segmentation, segment_id = ball
    panel.ui.analyzeButton.click()
    settle(panel)
    segmentation.GetSegmentation().GetSegment(segment_id).SetColor(0.2, 0.3, 0.4)
    segmentation.GetDisplayNode().SetVisibility(False)
    assert not panel.review.stored.stale


@pytest.mark.parametrize("what", ["mask", "voxels", "place", "shell", "other labels", "transform"])
def test_results_go_stale(panel, ball, quick_analysis, what):
    import slicer

    volume, segmentation, segment_id = ball
    panel.ui.analyzeButton.click()
    settle(panel)
    assert panel.review.stored is not None and not panel.review.stored.stale
    assert panel.ui.exportButton.enabled
    if what == "mask":
        draw(volume, segmentation, segment_id)
    elif what == "voxels":
        slicer.util.arrayFromVolume(volume)[3] += 1
        slicer.util.arrayFromVolumeModified(volume)
    elif what == "place":
        volume.SetOrigin(1, 2, 3)
    elif what == "shell":
        panel.ui.shellSpinBox.value = 4
    elif what == "other labels":
        assert panel.review.chosen.other_labels == "auto"
        panel.ui.otherLabelsComboBox.currentIndex = 2
        assert panel.review.chosen.other_labels == panel.choice.node.otherLabels == "ignore"
    else:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        volume.SetAndObserveTransformNodeID(node.GetID())
    assert panel.review.stored.stale
    assert "Out of date" in panel.results.profile.head.text
    assert not panel.ui.exportButton.enabled
    settle(panel)


def unusable(kind):
    """A volume in place of the ball's CT: the one that a 4-D sequence is played in, its frames as components, the CT
    under a transform, or none at all."""
    import slicer
    import vtk

    from DeepRadScoreSlicer.scene import voxels

    scene = slicer.mrmlScene
    if kind == "frames as components":
        volume = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", PATIENT)
        data = vtk.vtkImageData()
        data.SetDimensions(20, 20, 10)
        data.AllocateScalars(vtk.VTK_SHORT, 4)
        volume.SetAndObserveImageData(data)
        return volume
    if kind == "no voxels":
        return scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", PATIENT)
    if kind == "under a transform":
        volume = voxels.image_to_volume(ball_case()[0], PATIENT)
        transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
        matrix = vtk.vtkMatrix4x4()
        matrix.SetElement(0, 3, 5.0)
        transform.SetMatrixTransformToParent(matrix)
        volume.SetAndObserveTransformNodeID(transform.GetID())
        return volume
    for node in (slicer.vtkMRMLSequenceNode, slicer.vtkMRMLSequenceBrowserNode):
        scene.RegisterNodeClass(node())
    volume = voxels.image_to_volume(ball_case()[0], PATIENT)
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "4-D")
    for time in "01":
        sequence.SetDataNodeAtValue(volume, time)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    return browser.AddProxyNode(volume, sequence, False)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("sequence", "the CT is a 4-D sequence; choose one 3-D volume: export one of its frames."),
        (
            "frames as components",
            "the CT is a vector volume of 4 components (a colour image?); choose the CT itself, in HU.",
        ),
        ("no voxels", "the CT has no voxels; load it again from its files."),
        (
            "under a transform",
            "the CT is under a transform; harden the transform (Transforms module) or take it off, then try again.",
        ),
    ],
)
def test_an_unusable_volume_is_one_sentence(panel, ball, kind, sentence):
    """Chosen in place of a CT; and the CT can be chosen again."""
    volume = ball[0]
    panel.choice.node.inputVolume = unusable(kind)
    settle(panel)
    assert panel.ui.qualityLabel.text == sentence
    assert panel.review.has_original == (kind == "under a transform"), "that one can still become a case"
    nodes = count_nodes()
    panel.ui.analyzeButton.click()
    settle(panel)
    assert panel.ui.messageLabel.text == sentence
    assert panel.ui.analyzeButton.text == "Analyze"
    assert count_nodes() == nodes
    panel.choice.node.inputVolume = volume
    settle(panel)
    assert " mL · " in panel.ui.qualityLabel.text
    (shell,) = ours("shell")
    assert shell.GetNodeReferenceID("DeepRadScore.Volume") == volume.GetID()


def test_our_own_nodes_are_not_taken_for_tumour_or_ct(panel, ball):
    (shell,) = ours("shell")
    panel.ui.segmentSelector.setCurrentNode(shell)
    assert panel.choice.node.segmentation is ball[1]
    assert panel.ui.segmentSelector.currentNode() is ball[1]
    assert "shell" in panel.ui.messageLabel.text


def test_a_tumour_is_begun_with_one_press(panel, scene):
    """On a CT without a segmentation: named without the patient, coloured, on the CT's grid, the brush active."""
    from DeepRadScoreSlicer.scene import opening, voxels

    assert not panel.ui.drawTumourButton.enabled
    volume = voxels.image_to_volume(ball_case()[0], PATIENT)
    panel.choice.choose(volume, None, "")
    settle(panel)
    panel.ui.drawTumourButton.click()
    settle(panel)
    segmentation, segment_id = panel.review.segmentation, panel.review.chosen.segment_id
    assert segmentation.GetName() == f"{panel.review.case_id} tumour"
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    assert segment.GetColor() == pytest.approx(opening.TUMOUR_COLOUR)
    assert "is empty" in panel.ui.qualityLabel.text
    assert harness.editor_state(panel.editor._widget)["effect"] == "Paint"
    mask = np.zeros((24, 50, 60), np.uint8)
    mask[10:14, 20:30, 25:35] = 1
    draw_mask(segmentation, segment_id, volume, mask)
    settle(panel)
    assert "same grid as the CT" in panel.ui.qualityLabel.text
    panel.editor.exit()
    panel.editor.enter()
    nodes = count_nodes()
    panel.ui.drawTumourButton.click()  # in the segmentation that is there
    assert count_nodes() == nodes
    assert harness.editor_state(panel.editor._widget)["effect"] == "Paint"


def draw_mask(segmentation, segment_id, volume, mask):
    import slicer

    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, segment_id, volume)


def test_a_tumour_is_not_begun_on_a_ct_under_a_transform(panel, scene):
    import slicer

    from DeepRadScoreSlicer.scene import voxels

    volume = voxels.image_to_volume(ball_case()[0], PATIENT)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(np.diag([1.0, 1.0, 2.0, 1.0])))
    volume.SetAndObserveTransformNodeID(node.GetID())
    panel.choice.choose(volume, None, "")
    panel.ui.drawTumourButton.click()
    assert "under a transform" in panel.ui.messageLabel.text
    assert panel.review.segmentation is None
