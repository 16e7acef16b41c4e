"""Where the views look, the window of the CT, and the reading layout."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from DeepRadScoreSlicer.scene.display import viewing
from DeepRadScoreSlicer.scene.voxels import index_to_ras


def place_of(nodes):
    return viewing.tumour_place(nodes[1], nodes[2])


def is_tumour(nodes, point):
    volume, segmentation, segment_id = nodes
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    i, j, k, _ = np.rint(np.linalg.inv(index_to_ras(volume)) @ (*point, 1.0)).astype(int)
    return mask[k, j, i] == 1


def test_the_place_of_a_ball_is_its_middle(nodes):
    place = place_of(nodes)
    middle = nodes[1].GetSegmentCenterRAS(nodes[2])  # Slicer's own: the middle of the box
    assert np.linalg.norm(np.subtract(place.point, middle)) <= 1.5
    assert is_tumour(nodes, place.point)
    assert 18.0 <= place.extent_mm <= 18.0 + 2.5
    assert place.voxels * 0.9 * 1.1 * 2.5 == pytest.approx(4 / 3 * np.pi * 9**3, rel=0.02)


def test_the_place_of_a_hollow_tumour_is_in_it(nodes):
    """The middle of the box of a ring holds no tumour."""
    volume, segmentation, segment_id = nodes
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    mask[9:15, 20:30, 25:36] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, segment_id, volume)
    assert is_tumour(nodes, place_of(nodes).point)


def test_nothing_drawn_is_nowhere(nodes):
    volume, segmentation, segment_id = nodes
    slicer.util.updateSegmentBinaryLabelmapFromArray(np.zeros((24, 50, 60), np.uint8), segmentation, segment_id, volume)
    assert place_of(nodes) is None
    assert viewing.tumour_place(segmentation, "none") is None
    assert viewing.tumour_place(None, segment_id) is None


@pytest.mark.parametrize("size", [(400, 400), (900, 300), (200, 700)])
def test_all_views_look_at_the_tumour(nodes, size):
    views = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    for view in views:
        view.SetDimensions(*size, 1)
    (camera,) = slicer.util.getNodesByClass("vtkMRMLCameraNode")
    before = np.subtract(camera.GetPosition(), camera.GetFocalPoint())
    place = place_of(nodes)
    viewing.look_at(place)
    for view in views:
        np.testing.assert_allclose(slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())[:3, 3], place.point, atol=1e-6)
        field, dimensions = view.GetFieldOfView(), view.GetDimensions()
        assert field[0] / field[1] == pytest.approx(dimensions[0] / dimensions[1])  # square pixels
        assert min(field[:2]) == pytest.approx(100.0)  # at least; 4 x 18 mm is less
    after = np.subtract(camera.GetPosition(), camera.GetFocalPoint())
    np.testing.assert_allclose(camera.GetFocalPoint(), place.point)
    assert np.cross(before, after) == pytest.approx(0)
    half_angle = np.arcsin(0.8 * place.extent_mm / np.linalg.norm(after))
    assert np.degrees(2 * half_angle) == pytest.approx(camera.GetViewAngle())


def test_a_window_replaces_the_automatic_one(nodes):
    viewing.set_window(nodes[0], viewing.MEDIASTINUM)
    display = nodes[0].GetDisplayNode()
    assert (display.GetAutoWindowLevel(), display.GetWindow(), display.GetLevel()) == (0, 400, 40)
    assert viewing.window_of(nodes[0]) == viewing.MEDIASTINUM
    assert viewing.window_of(None) is None


def test_the_reading_layout_comes_and_goes(scene):
    manager = slicer.app.layoutManager()
    manager.setLayout(3)
    before = viewing.show_reading_layout()
    assert (before, manager.layout, viewing.show_reading_layout()) == (3, viewing.LAYOUT, None)
    views = manager.layoutLogic().GetViewNodes()
    names = [views.GetItemAsObject(index).GetLayoutName() for index in range(views.GetNumberOfItems())]
    assert names == ["Red", "Green", "Yellow", "1"]
    viewing.restore_layout(before)
    assert manager.layout == 3
    viewing.show_reading_layout()
    manager.setLayout(4)  # the user's own choice stays
    viewing.restore_layout(before)
    assert manager.layout == 4
