"""The sections "Profile" and "Export": heat maps come and go; a full disk gets no half-written file."""

from __future__ import annotations

import numpy as np
import pytest

from support.panel_tools import files_on, fill_disk, layers, settle
from support.scene_tools import ball_case, count_nodes


@pytest.mark.parametrize("with_foreground", [False, True])
def test_heat_map_comes_and_goes(panel, ball, quick_analysis, with_foreground):
    import slicer

    from DeepRadScoreSlicer.scene import voxels

    volume = ball[0]
    other = voxels.image_to_volume(ball_case()[0], "other") if with_foreground else None
    slicer.util.setSliceViewerLayers(background=volume, foreground=other, foregroundOpacity=0.25)
    panel.ui.analyzeButton.click()
    settle(panel)
    before = layers()
    matrices = slice_matrices()
    button = panel.results.profile.findings["EGFR"].button
    button.click()
    heat_map = panel.review.stored.heat_map_ids["EGFR"]
    assert panel.results.overlay.heat_map_id == heat_map
    assert [layer[:2] for layer in layers()] == [(volume.GetID(), heat_map)] * len(before)
    assert {layer[2] for layer in layers()} == {panel.ui.opacitySlider.value}
    assert on_slice(slicer.mrmlScene.GetNodeByID(heat_map)) < 1e-6
    panel.ui.thresholdSlider.value = 0.5
    panel.ui.opacitySlider.value = 0.9
    display = slicer.mrmlScene.GetNodeByID(heat_map).GetDisplayNode()
    assert (display.GetLowerThreshold(), display.GetApplyThreshold()) == (0.5, 1)
    assert {layer[2] for layer in layers()} == {0.9}
    panel.results.profile.findings["LVI"].button.click()
    assert panel.results.overlay.heat_map_id == panel.review.stored.heat_map_ids["LVI"]
    panel.results.profile.findings["LVI"].button.click()
    assert panel.results.overlay.heat_map_id is None
    assert layers() == before
    turned = [
        name for name, matrix in slice_matrices().items() if not np.allclose(matrix[:3, :3], matrices[name][:3, :3])
    ]
    assert turned == []


def slice_matrices():
    import slicer

    nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    return {node.GetName(): slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()).copy() for node in nodes}


def on_slice(heat):
    """Distance in mm of the four corners of the map from the nearest of the slice planes."""
    import slicer
    import vtk

    matrix = vtk.vtkMatrix4x4()
    heat.GetIJKToRASMatrix(matrix)
    corners = np.array([matrix.MultiplyPoint((i, j, 0, 1))[:3] for i in (0, 159) for j in (0, 159)])
    planes = [
        slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS()) for node in slicer.util.getNodesByClass("vtkMRMLSliceNode")
    ]
    return min(np.abs((corners - plane[:3, 3]) @ plane[:3, 2]).max() for plane in planes)


def test_finding_without_a_heat_map_says_so(panel, ball, quick_analysis):
    panel.ui.analyzeButton.click()
    settle(panel)
    before = layers()
    panel.results.profile.findings["T4"].button.click()
    assert "no heat map" in panel.ui.messageLabel.text
    assert layers() == before


def test_export_to_a_full_disk(panel, ball, quick_analysis, disk):
    panel.ui.analyzeButton.click()
    settle(panel)
    panel.ui.exportPathEdit.currentPath = str(disk)
    filler, nodes = fill_disk(disk), count_nodes()
    before = files_on(disk)
    folder = disk / panel.review.case_id
    panel.ui.exportButton.click()
    assert panel.ui.messageLabel.text == (
        f"{folder}: the results cannot be written (No space left on device); choose a folder that you may write "
        "to, with space left."
    )
    assert (files_on(disk), count_nodes()) == (before, nodes)
    assert not panel.review.exported
    assert not folder.exists()
    filler.unlink()
    panel.ui.exportButton.click()
    names = ["features.csv", "features.notes.csv", "profile.json", "report.html"]
    assert sorted(path.name for path in folder.iterdir()) == names
