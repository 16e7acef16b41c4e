"""Several lesions of a patient: one under review, each with a profile, a colour and a folder of its own."""

from __future__ import annotations

import json

import numpy as np
import pytest

from support.panel_tools import draw, ours, settle


def place(volume, segmentation, segment_id, low, high):
    import slicer

    mask = np.zeros((24, 50, 60), np.uint8)
    mask[tuple(slice(*ends) for ends in zip(low, high, strict=True))] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, segment_id, volume)


@pytest.fixture
def two(panel, ball, quick_analysis):
    """The ball and a second lesion beside it, both analysed, the second under review; their segment IDs."""
    volume, segmentation, first = ball
    panel.ui.anotherLesionButton.click()
    second = panel.review.chosen.segment_id
    place(volume, segmentation, second, (4, 4, 4), (8, 10, 12))
    settle(panel)
    for segment_id in (first, second):
        panel.choice.node.segmentId = segment_id
        settle(panel)
        panel.ui.analyzeButton.click()
        settle(panel)
    return first, second


def volume_ml(panel):
    return panel.review.stored.document["regions"]["tumour"]["volume_ml"]


def test_each_lesion_has_its_own_profile(panel, ball, two, tmp_path):
    segmentation = ball[1]
    first, _second = two
    small = volume_ml(panel)
    assert len(ours("profile_text")) == 2
    assert panel.ui.lesionsLabel.text == "2 lesions: tumour, tumour 2. With a profile: tumour, tumour 2."
    colours = [segmentation.GetSegmentation().GetSegment(one).GetColor() for one in two]
    assert colours[0] != colours[1]
    panel.choice.node.segmentId = first
    settle(panel)
    assert not panel.review.stored.stale
    assert volume_ml(panel) > 2 * small
    panel.ui.analyzeButton.click()  # anew: the other lesion's stays
    settle(panel)
    assert len(ours("profile_text")) == 2
    panel.ui.exportPathEdit.currentPath = str(tmp_path)
    for segment_id in two:
        assert not panel.review.all_exported
        panel.choice.node.segmentId = segment_id
        panel.ui.exportButton.click()
    assert panel.review.all_exported
    folders = [path.parent for path in sorted(tmp_path.rglob("profile.json"))]
    assert [folder.parent.name for folder in folders] == [panel.review.case_id] * 2
    written = {folder.name: json.loads((folder / "profile.json").read_text()) for folder in folders}
    volumes = {name.partition("-")[0]: one["regions"]["tumour"]["volume_ml"] for name, one in written.items()}
    assert volumes == {"tumour": volumes["tumour"], "tumour_2": small} and volumes["tumour"] > 2 * small
    panel.ui.shellSpinBox.value = 5
    settle(panel)
    panel.choice.node.segmentId = first
    settle(panel)
    assert panel.review.stored.stale, "the shell was changed while this lesion was not under review"


def test_an_edit_of_one_makes_the_other_stale_only_where_a_shell_can_reach(panel, ball, two, monkeypatch):
    from DeepRadScoreSlicer.scene import from_nodes

    first, second = two
    for reach_mm, stale in ((0.5, False), (35.0, True)):
        monkeypatch.setattr(from_nodes, "REACH_MM", reach_mm)
        panel.choice.node.segmentId = first
        settle(panel)
        panel.ui.analyzeButton.click()
        settle(panel)
        panel.choice.node.segmentId = second
        settle(panel)
        draw(*ball[:2], second)
        settle(panel)
        panel.choice.node.segmentId = first
        settle(panel)
        assert panel.review.stored.stale is stale
