"""The panel as a whole: empty at first, tidy when it is left, without an observer when it is closed."""

from __future__ import annotations

from support.panel_tools import draw
from support.scene_tools import count_nodes


def test_made_with_nothing_chosen(panel):
    assert not panel.ui.analyzeButton.enabled
    assert "Choose a CT" in panel.ui.qualityLabel.text
    assert panel.ui.analyzeButton.toolTip == panel.ui.analysisHintLabel.text
    assert count_nodes() > 0


def test_exit_and_enter_leave_the_editor_tidy(loaded, panel, ball):
    import slicer_harness as harness

    editor = panel.editor._widget
    assert harness.editor_state(editor)["shortcuts"]
    editor.setActiveEffectByName("Paint")
    loaded.exit()
    assert harness.editor_state(editor) == {"shortcuts": False, "views": False, "effect": ""}
    loaded.enter()
    assert harness.editor_state(editor)["shortcuts"]


def test_no_observer_is_left(loaded, panel, ball):
    """After closing, neither an edit nor a change of the voxels reaches us."""
    import slicer

    volume, segmentation, segment_id = ball
    content = segmentation.GetSegmentation()
    assert content.HasObserver(slicer.vtkSegmentation.SourceRepresentationModified)
    panel.review.stop()
    panel.cleanup()
    calls = []
    panel.review._changed = calls.append
    draw(volume, segmentation, segment_id)
    slicer.util.arrayFromVolumeModified(volume)
    assert calls == []
