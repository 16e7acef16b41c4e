"""The section "Cases": opened, corrected, saved and closed; nothing is left of a case, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from support.panel_tools import draw, files_on, fill_disk, open_list, ours, reviewed, settle, write_cohort
from support.scene_tools import ball_case, count_items, count_nodes, segment_ids


def test_going_through_a_list_leaves_nothing_behind(panel, cohort):
    import slicer

    before = count_nodes(), count_items(), slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLColorNode")
    open_list(panel, cohort)
    for name in "abc":
        panel.cases.view.next()
        settle(panel)
        assert panel.review.case_id == name
        assert len(ours("shell")) == 1
    panel.ui.closeCaseButton.click()
    settle(panel)
    after = count_nodes(), count_items(), slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLColorNode")
    assert after == before
    assert panel.cases.view.current is None


def test_a_correction_is_saved_when_the_next_case_opens(panel, cohort):
    import slicer

    original = (cohort.parent / "a_mask.nrrd").read_bytes()
    open_list(panel, cohort)
    panel.cases.view.next()
    settle(panel)
    draw(*reviewed(panel))
    assert panel.review.unsaved
    volume, segmentation, segment_id = reviewed(panel)
    corrected = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume).copy()
    panel.cases.view.next()
    settle(panel)
    path = panel.cases.list.corrected_mask("a")
    assert path.is_file()
    assert (cohort.parent / "a_mask.nrrd").read_bytes() == original
    assert not panel.review.unsaved
    panel.cases.view.previous()
    settle(panel)
    volume, segmentation, segment_id = reviewed(panel)
    np.testing.assert_array_equal(
        slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume), corrected
    )
    panel.choice.restore_original()
    back = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    np.testing.assert_array_equal(back, sitk.GetArrayFromImage(ball_case()[1]))


def test_corrections_survive_a_crash(panel, cohort, monkeypatch):
    """They are written soon after a change, go when they are saved, and come back where a session ended before that."""
    import slicer

    import slicer_harness as harness
    from DeepRadScoreSlicer.panel import autosave

    monkeypatch.setattr(autosave, "AUTOSAVE_MS", 20)
    open_list(panel, cohort)
    panel.cases.view.next()
    settle(panel)
    path = panel.cases.list.autosaved_mask("a")
    storage = panel.review.segmentation.GetStorageNode()
    stored_in = None if storage is None else storage.GetFileName()
    draw(*reviewed(panel))
    harness.wait_for(path.is_file, 10)
    storage = panel.review.segmentation.GetStorageNode()
    assert stored_in == (None if storage is None else storage.GetFileName())
    volume, segmentation, segment_id = reviewed(panel)
    corrected = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume).copy()
    left_behind = path.read_bytes()
    panel.ui.closeCaseButton.click()
    assert not path.exists()
    assert panel.cases.list.corrected_mask("a").is_file()
    panel.cases.list.corrected_mask("a").unlink()
    path.write_bytes(left_behind)  # as the session that crashed left it
    panel.cases.view.next()
    settle(panel)
    volume, segmentation, segment_id = reviewed(panel)
    after = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    np.testing.assert_array_equal(after, corrected)
    assert panel.review.unsaved
    assert "are back" in panel.ui.messageLabel.text
    assert "same grid as the CT" in panel.ui.qualityLabel.text
    panel.ui.saveMaskButton.click()
    assert panel.cases.list.corrected_mask("a").is_file() and not path.exists()


def test_a_correction_that_cannot_be_saved_keeps_the_case_open(panel, cohort):
    open_list(panel, cohort)
    panel.cases.view.next()
    settle(panel)
    panel.cases.list.corrected_mask("a").parent.write_text("a file in the place of the folder")
    draw(*reviewed(panel))
    panel.cases.view.next()
    assert panel.review.case_id == "a"
    assert panel.review.unsaved
    assert "cannot be written" in panel.ui.messageLabel.text
    assert panel.cases.view.current.case_id == "a"
    panel.cases.list.corrected_mask("a").parent.unlink()
    panel.ui.saveMaskButton.click()
    assert not panel.review.unsaved
    settle(panel)


@pytest.mark.parametrize(("kind", "leave"), [("simple", 0), ("random", 0), ("random", 4)])
def test_a_correction_for_a_full_disk(panel, disk, tmp_path, kind, leave):
    """No room at all, and room for its beginning only. Slicer's own writer notices it in a large file; of a small
    one, which waits in memory until the file is closed, it says that all went well."""
    import slicer

    write_cohort(tmp_path)
    table = disk / "cases.csv"
    table.write_text(f"case_id,ct,mask\na,{tmp_path}/a_ct.nrrd,{tmp_path}/a_mask.nrrd\n")
    open_list(panel, table)
    panel.cases.view.next()
    settle(panel)
    volume, segmentation, segment_id = reviewed(panel)
    drawn = np.random.default_rng(0).integers(0, 2, (24, 50, 60)).astype(np.uint8)
    if kind == "simple":
        drawn[:] = np.repeat(drawn[:, :1, :1], 50, axis=1)
    slicer.util.updateSegmentBinaryLabelmapFromArray(drawn, segmentation, segment_id, volume)
    settle(panel)
    filler, nodes = fill_disk(disk, leave), count_nodes()
    before, line = files_on(disk), panel.ui.qualityLabel.text
    panel.ui.saveMaskButton.click()
    assert panel.ui.messageLabel.text == (
        f"{disk}/cases.corrected/a.seg.nrrd: the corrected mask cannot be written; leave space in a folder that "
        "you may write to and save again; nothing is lost yet."
    )
    assert files_on(disk) == before
    assert panel.review.unsaved
    assert (panel.ui.qualityLabel.text, count_nodes()) == (line, nodes)
    panel.ui.closeCaseButton.click()
    assert panel.review.opened is not None, "an unsaved correction is not closed"
    filler.unlink()
    panel.ui.saveMaskButton.click()
    assert not panel.review.unsaved
    saved = sitk.GetArrayFromImage(sitk.ReadImage(str(disk / "cases.corrected" / "a.seg.nrrd")))
    np.testing.assert_array_equal(saved, drawn)


def test_a_correction_is_saved_when_the_scene_is_closed(panel, cohort):
    import slicer

    open_list(panel, cohort)
    panel.cases.view.next()
    settle(panel)
    draw(*reviewed(panel))
    slicer.mrmlScene.Clear(0)
    assert panel.cases.list.corrected_mask("a").is_file()
    assert panel.cases.view.current is None


def test_unexported_results_are_asked_about(panel, cohort, quick_analysis):
    import slicer_harness as harness

    open_list(panel, cohort)
    panel.cases.view.next()
    settle(panel)
    panel.ui.analyzeButton.click()
    settle(panel)
    with harness.answering("not been exported", False):
        panel.cases.view.next()
    assert panel.review.case_id == "a"
    with harness.answering("not been exported", True):
        panel.cases.view.next()
    settle(panel)
    assert panel.review.case_id == "b"
    assert ours("profile_text") == []


def test_a_case_that_cannot_be_read_is_one_sentence(panel, cohort):
    (cohort.parent / "b_ct.nrrd").write_text("no image")
    (cohort.parent / "c_mask.nrrd").unlink()
    open_list(panel, cohort)
    panel.cases.view.next()
    settle(panel)
    panel.ui.closeCaseButton.click()
    empty = count_nodes()
    for case in panel.cases.list.cases[1:]:
        panel.cases.open_case(case)
        settle(panel)
        assert panel.ui.messageLabel.text.endswith(".")
        assert case.case_id in panel.ui.messageLabel.text
        assert count_nodes() == empty
        assert panel.review.opened is None
    settle(panel)


@pytest.mark.parametrize("at", ["Reading the CT", "Reading the mask", "Reading the original mask"])
def test_opening_image_files_that_is_cancelled_leaves_the_open_case(panel, cohort, monkeypatch, at):
    """From a case that was corrected before, whose original mask is read too."""
    import slicer_harness as harness
    from DeepRadScoreSlicer.panel.sections import cases

    monkeypatch.setattr(cases, "STEP_S", 0.0)
    open_list(panel, cohort)
    for _ in "ab":
        panel.cases.view.next()
        settle(panel)
        draw(*reviewed(panel))
    panel.ui.saveMaskButton.click()
    settle(panel)
    before = count_nodes(), count_items(), panel.review.opened
    panel.cases.view.previous()
    harness.wait_for(lambda: panel.ui.readingLabel.text == at, 20)
    panel.ui.cancelReadingButton.click()
    settle(panel)
    assert panel.ui.messageLabel.text == "Cancelled; nothing was changed."
    assert (count_nodes(), count_items(), panel.review.opened) == before
    assert panel.cases.view.current.case_id == panel.review.case_id == "b"


def test_lung_mask_of_the_list_confines_the_shell(panel, cohort):
    from DeepRadScoreLib.imaging import prepare, read_case
    from DeepRadScoreSlicer.scene import from_nodes

    tumour = ball_case()[1]
    lung = sitk.BinaryDilate(tumour, (2, 2, 1))
    sitk.WriteImage(lung, str(cohort.parent / "lung.nrrd"))
    cohort.write_text("case_id,ct,mask,lung_mask\na,a_ct.nrrd,a_mask.nrrd,lung.nrrd\n")
    open_list(panel, cohort)
    panel.cases.view.next()
    settle(panel)
    (shell,) = ours("shell")
    shown = from_nodes.segment_image(shell, segment_ids(shell)[0])
    folder = cohort.parent
    case = read_case(folder / "a_ct.nrrd", folder / "a_mask.nrrd", lung_mask=folder / "lung.nrrd")
    expected = prepare(case).peritumoral
    np.testing.assert_array_equal(sitk.GetArrayFromImage(shown), sitk.GetArrayFromImage(expected))
    unconfined = prepare(replace(case, lung=None)).peritumoral
    assert sitk.GetArrayViewFromImage(unconfined).sum() > sitk.GetArrayViewFromImage(expected).sum()


def test_the_panel_says_where_a_mask_of_lost_geometry_lies(panel, cohort):
    """Refused at first; then put onto the CT; a cell of the table comes before the panel's choice."""
    import slicer

    tumour = ball_case()[1]
    tumour.SetOrigin((0, 0, 0))
    for name in "ab":
        sitk.WriteImage(tumour, str(cohort.parent / f"{name}_mask.nrrd"), True)
    cohort.write_text("case_id,ct,mask,mask_grid\na,a_ct.nrrd,a_mask.nrrd,\nb,b_ct.nrrd,b_mask.nrrd,as-stored\n")
    open_list(panel, cohort)
    panel.cases.view.next()
    settle(panel)
    assert "has the CT's size" in panel.ui.messageLabel.text
    assert panel.review.opened is None
    panel.ui.maskGridBox.currentIndex = 1
    panel.cases.open_case(panel.cases.list["a"])
    settle(panel)
    volume, segmentation, segment_id = reviewed(panel)
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    np.testing.assert_array_equal(mask > 0, sitk.GetArrayFromImage(tumour) > 0)
    panel.cases.open_case(panel.cases.list["b"])
    settle(panel)
    assert "outside the CT" in panel.ui.qualityLabel.text
