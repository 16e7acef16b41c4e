"""The section "Review": quality, shell and original follow what is chosen and drawn; a change makes results stale."""

from __future__ import annotations

import numpy as np
import pytest

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
    panel.ui.restoreMaskButton.click()
    settle(panel)
    after = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    np.testing.assert_array_equal(before, after)
    assert panel.ui.qualityLabel.text == line
    assert panel.review.chosen.segment_id == segment_id


def test_colour_and_visibility_are_no_change(panel, ball, quick_analysis):
    _, segmentation, segment_id = ball
    panel.ui.analyzeButton.click()
    settle(panel)
    segmentation.GetSegmentation().GetSegment(segment_id).SetColor(0.2, 0.3, 0.4)
    segmentation.GetDisplayNode().SetVisibility(False)
    assert not panel.review.stored.stale


@pytest.mark.parametrize("what", ["mask", "voxels", "place", "segment", "shell", "transform"])
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
    elif what == "segment":
        other = segmentation.GetSegmentation().AddEmptySegment("other", "other")
        panel.choice.node.segmentId = other
    elif what == "shell":
        panel.ui.shellSpinBox.value = 4
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
