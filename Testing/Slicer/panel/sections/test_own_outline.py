"""The module's own outline at the crosshair: one undo step, a radius that can be changed, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from slicer_harness.nn_interactive import nn_interactive
from support.panel_tools import settle
from support.scene_tools import PATIENT, ball_case, count_items, count_nodes

MIDDLE = (30, 25, 12)


@pytest.fixture
def ct(panel):
    """The ball's CT, under review without a segmentation."""
    from DeepRadScoreSlicer.scene import voxels

    volume = voxels.image_to_volume(ball_case()[0], PATIENT)
    panel.choice.choose(volume, None, "")
    settle(panel)
    panel.handover.update()
    return volume


def outline(panel, volume, index):
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    node = slicer.util.getNodesByClass("vtkMRMLCrosshairNode")
    node = node[0] if node else slicer.mrmlScene.AddNewNodeByClass("vtkMRMLCrosshairNode")
    node.SetCrosshairRAS(matrix.MultiplyPoint((*index, 1))[:3] if index else (0, 0, 0))
    panel.ui.outlineAtCrosshairButton.click()
    settle(panel)


def drawn(panel, volume):
    import slicer

    review = panel.review
    return slicer.util.arrayFromSegmentBinaryLabelmap(review.segmentation, review.chosen.segment_id, volume) != 0


def slide(panel, radius):
    panel.ui.outlineRadiusSlider.value = radius
    settle(panel)


def test_the_ball_is_proposed_and_undo_takes_it_back_in_one_step_whatever_the_slider_did(panel, ct):
    ball = sitk.GetArrayFromImage(ball_case()[1]) != 0
    assert panel.ui.outlineAtCrosshairButton.text == "Outline at crosshair"
    assert panel.ui.outlineRadiusSlider.isHidden()
    outline(panel, ct, MIDDLE)
    found = drawn(panel, ct)
    assert 2 * (found & ball).sum() / (found.sum() + ball.sum()) > 0.95
    assert PATIENT not in panel.review.segmentation.GetName()
    assert panel.ui.messageLabel.text.startswith("A proposal from one point: check it.")
    slider = panel.ui.outlineRadiusSlider
    assert not slider.isHidden() and 30 < slider.value < 45
    slide(panel, 6)
    assert 0 < drawn(panel, ct).sum() < 0.6 * found.sum()
    slide(panel, 40)
    np.testing.assert_array_equal(drawn(panel, ct), found)
    content = panel.review.segmentation.GetSegmentation()
    assert content.GetNumberOfSegments() == 1
    panel.editor.undo()
    assert content.GetNumberOfSegments() == 0
    panel.handover.update()
    assert slider.isHidden()


def test_what_was_drawn_is_left_alone(panel, ct):
    """An edited proposal is not made again; the next one goes into a segment of its own, or into an empty one."""
    import slicer

    outline(panel, ct, MIDDLE)
    content, first = panel.review.segmentation.GetSegmentation(), panel.review.chosen.segment_id
    edited = drawn(panel, ct)
    edited[:, :5] = True
    mask = edited.astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, panel.review.segmentation, first, ct)
    slide(panel, 7)
    np.testing.assert_array_equal(drawn(panel, ct), edited)
    outline(panel, ct, MIDDLE)
    assert content.GetNumberOfSegments() == 2 and panel.review.chosen.segment_id != first
    panel.ui.anotherLesionButton.click()
    empty = panel.review.chosen.segment_id
    name = content.GetSegment(empty).GetName()
    outline(panel, ct, MIDDLE)
    assert panel.review.chosen.segment_id == empty and content.GetSegment(empty).GetName() == name
    assert drawn(panel, ct).any() and content.GetNumberOfSegments() == 3


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        (None, "the crosshair is not set; hold Shift and move the mouse over the tumour"),
        ((30, 25, 400), "the point lies outside the CT; give a point in the tumour."),
        ((4, 4, 12), "the point lies on air or lung; give a point in the tumour."),
    ],
)
def test_a_refusal_is_one_sentence_and_the_scene_as_it_was(panel, ct, index, sentence):
    outline(panel, ct, None)  # so that there is a crosshair node
    before = count_nodes(), count_items()
    outline(panel, ct, index)
    assert panel.ui.messageLabel.text.startswith(sentence)
    assert (count_nodes(), count_items()) == before and panel.review.segmentation is None


def test_where_nn_interactive_is_installed_it_outlines(panel, ct):
    with nn_interactive("empty"):
        panel.handover.update()
        assert panel.ui.outlineAtCrosshairButton.text == "Outline at crosshair (nnInteractive)"
        outline(panel, ct, MIDDLE)
        assert "nnInteractive found nothing" in panel.ui.messageLabel.text
    panel.handover.update()
    assert panel.ui.outlineAtCrosshairButton.text == "Outline at crosshair"
