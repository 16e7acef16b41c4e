"""A case opens centred on its tumour, in the window and the layout that the reader chose."""

from __future__ import annotations

import numpy as np
import pytest

from support.panel_tools import open_list, settle


@pytest.fixture
def opened(panel, cohort):
    open_list(panel, cohort)
    panel.cases.view.next()
    settle(panel)
    return panel


def centres():
    import slicer

    views = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    return [slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())[:3, 3] for view in views]


def test_opens_on_the_tumour_in_the_lung_window_and_the_reading_layout(opened):
    import slicer

    from DeepRadScoreSlicer.scene.display import viewing

    chosen = opened.review.chosen
    place = viewing.tumour_place(chosen.segmentation, chosen.segment_id)
    np.testing.assert_allclose(centres(), [place.point] * 3, atol=1e-6)
    assert viewing.window_of(chosen.volume) == viewing.LUNG
    assert slicer.app.layoutManager().layout == viewing.LAYOUT


def test_both_surfaces_are_in_the_3d_view(opened):
    from support.panel_tools import ours

    for node in (opened.review.segmentation, *ours("shell")):
        assert node.GetSegmentation().ContainsRepresentation("Closed surface")


def test_go_to_tumour(opened):
    import slicer

    expected = centres()
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        view.JumpSliceByCentering(500, 500, 500)
    opened.ui.goToTumourButton.click()
    np.testing.assert_allclose(centres(), expected, atol=1e-6)


def test_an_empty_segment_is_said(opened):
    import slicer

    volume, segmentation, segment_id = opened.review.volume, opened.review.segmentation, opened.review.chosen.segment_id
    empty = np.zeros((24, 50, 60), np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(empty, segmentation, segment_id, volume)
    opened.ui.goToTumourButton.click()
    assert "no tumour to go to" in opened.ui.messageLabel.text


def choose_window(panel, index):
    import slicer_harness as harness

    panel.ui.windowBox.setCurrentIndex(index)
    harness.emit(panel.ui.windowBox, "activated(int)", index)


def test_a_window_is_kept_over_cases_and_sessions(opened, loaded):
    import slicer_harness as harness
    from DeepRadScoreSlicer.scene.display import viewing

    choose_window(opened, 2)
    opened.cases.view.next()
    assert viewing.window_of(opened.review.volume) == viewing.BONE
    loaded.reload()
    harness.process_events()
    assert loaded.widget.ui.windowBox.currentIndex == 2


def test_the_readers_own_window(opened):
    from DeepRadScoreSlicer.scene.display import viewing

    choose_window(opened, 3)
    assert "no window of your own yet" in opened.ui.messageLabel.text
    assert viewing.window_of(opened.review.volume) == viewing.LUNG
    opened.review.volume.GetDisplayNode().SetWindowLevelMinMax(-1000.0, 250.0)
    opened.ui.keepWindowButton.click()
    opened.cases.view.next()
    assert viewing.window_of(opened.review.volume) == viewing.Window(-1000.0, 250.0)


def test_the_reading_layout_can_be_switched_off(opened):
    import slicer

    from DeepRadScoreSlicer.scene.display import viewing

    manager = slicer.app.layoutManager()
    opened.ui.readingLayoutCheckBox.click()
    assert manager.layout != viewing.LAYOUT
    opened.cases.view.next()
    assert manager.layout != viewing.LAYOUT
    opened.ui.readingLayoutCheckBox.click()
    assert manager.layout == viewing.LAYOUT


def test_nothing_to_show(panel):
    assert not panel.ui.goToTumourButton.enabled
    assert not panel.ui.keepWindowButton.enabled
