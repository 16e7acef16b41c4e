"""The panel: what follows from choosing, editing, analysing, cancelling and closing; what is saved, what is left."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from support.scene_tools import PATIENT, ball_case, count_items, count_nodes, made_up_profile, segment_ids

FAST_PAUSE_MS = 30


@pytest.fixture
def loaded(slicer_app, monkeypatch):
    """The module, loaded and entered."""
    import slicer_harness as harness
    from DeepRadScoreSlicer.panel import watching

    monkeypatch.setattr(watching, "PAUSE_MS", FAST_PAUSE_MS)
    module = harness.load_module()
    module.enter()
    yield module
    module.close()


@pytest.fixture
def panel(loaded):
    return loaded.widget


@pytest.fixture
def ball(panel):
    """The ball case under review: volume, segmentation, segment; quality and shell are there."""
    from DeepRadScoreSlicer.scene import voxels

    ct, tumour = ball_case()
    volume = voxels.image_to_volume(ct, PATIENT)
    segmentation = voxels.image_to_segmentation(tumour, PATIENT, "tumour", (1, 0, 0))
    segment_id = segment_ids(segmentation)[0]
    panel.choice.choose(volume, segmentation, segment_id)
    settle(panel)
    return volume, segmentation, segment_id


@pytest.fixture
def quick_analysis(panel, monkeypatch):
    """An analysis of three steps that gives a made-up profile."""
    from DeepRadScoreLib.progress import Progress, Stage, in_stage
    from DeepRadScoreSlicer.scene import results
    from DeepRadScoreSlicer.scene.from_nodes import images_of

    def steps(chosen, case_id, bundle=None, lung_mask=None):
        yield Progress(Stage.ANALYSING, "first")
        images = images_of(chosen.volume, chosen.segmentation, chosen.segment_id)
        fingerprint = images.fingerprint()
        yield Progress(Stage.ANALYSING, "second", 50, 100)
        profile = made_up_profile(images.case(case_id))
        return (yield from in_stage(results.store_steps(profile, chosen, fingerprint), Stage.ANALYSING, 90, 90))

    monkeypatch.setattr(panel.logic, "analysis_steps", steps)


def settle(panel, seconds: float = 20.0) -> None:
    """Until no pause is waited for and nothing runs."""
    import slicer_harness as harness

    harness.process_events(5)
    harness.wait_for(lambda: not panel.review._watch.waiting and not panel.work.running, seconds)
    harness.process_events(5)


def ours(role):

    from DeepRadScoreSlicer.scene import ownership

    return ownership.ours(role)


def draw(volume, segmentation, segment_id, keep=0.5):
    """Cut the tumour: only the first `keep` of its slices stay."""
    import slicer

    mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    slices = np.nonzero(mask.any(axis=(1, 2)))[0]
    mask[slices[int(len(slices) * keep)] :] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask.astype(np.uint8), segmentation, segment_id, volume)


def layers():
    import slicer

    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    return [(c.GetBackgroundVolumeID(), c.GetForegroundVolumeID(), c.GetForegroundOpacity()) for c in composites]


def test_made_with_nothing_chosen(panel):
    assert not panel.ui.analyzeButton.enabled
    assert "Choose a CT" in panel.ui.qualityLabel.text
    assert panel.ui.analyzeButton.toolTip == panel.ui.analysisHintLabel.text
    assert count_nodes() > 0


def test_missing_packages_are_named_with_a_button(slicer_app, monkeypatch):
    import slicer_harness as harness
    from DeepRadScoreSlicer import requirements

    monkeypatch.setattr(
        requirements, "missing", lambda: [requirements.Missing("torch", "deep features", "PyTorch extension")]
    )
    module = harness.load_module()
    ui = module.widget.ui
    assert "torch" in ui.packagesLabel.text
    assert not ui.packagesSection.collapsed
    assert not ui.installButton.isHidden()
    assert not ui.analyzeButton.enabled
    assert "Packages" in ui.analyzeButton.toolTip
    module.close()


def test_an_old_pydicom_is_said_and_hinders_nothing_else(slicer_app, monkeypatch):
    import slicer_harness as harness
    from DeepRadScoreSlicer import requirements

    true = requirements.installed_version
    monkeypatch.setattr(requirements, "installed_version", lambda name: "2.4.4" if name == "pydicom" else true(name))
    module = harness.load_module()
    ui = module.widget.ui
    assert ui.packagesLabel.text.startswith("pydicom 2.4.4 is too old for DICOM segmentations; 3.0 or newer is needed")
    assert ui.packagesSection.collapsed
    assert ui.installButton.isHidden()
    assert "Packages" not in ui.analyzeButton.toolTip
    assert ui.sampleButton.enabled
    module.close()


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
    assert "Out of date" in panel.results.profile._head.text
    assert not panel.ui.exportButton.enabled
    settle(panel)


def test_analysis_without_a_model_and_export(panel, ball, tmp_path):
    panel.ui.exportPathEdit.currentPath = str(tmp_path)
    panel.ui.analyzeButton.click()
    assert panel.ui.analyzeButton.text == "Cancel"
    assert not panel.ui.progressBar.isHidden()
    settle(panel, 120)
    assert panel.ui.analyzeButton.text == "Analyze"
    assert panel.ui.messageLabel.text == ""
    assert "regions, features and quality only" in panel.results.profile._head.text
    panel.ui.exportButton.click()
    folder = tmp_path / panel.review.case_id
    assert sorted(path.name for path in folder.iterdir()) == ["features.csv", "profile.json", "report.html"]
    assert json.loads((folder / "profile.json").read_text())["case_id"] == panel.review.case_id
    assert not any(PATIENT.encode() in path.read_bytes() for path in folder.iterdir())
    assert str(folder) in panel.ui.messageLabel.text


def test_cancelled_analysis_leaves_the_scene_as_it_was(panel, ball):
    import slicer_harness as harness

    before = count_nodes(), count_items()
    panel.ui.analyzeButton.click()
    harness.wait_for(lambda: "CT and mask" in panel.ui.stepLabel.text)
    panel.ui.analyzeButton.click()
    settle(panel)
    assert (count_nodes(), count_items()) == before
    assert panel.review.stored is None
    assert "Cancelled" in panel.ui.stepLabel.text
    assert panel.ui.analyzeButton.text == "Analyze" and panel.ui.analyzeButton.enabled


def test_scene_closed_during_analysis(panel, ball):
    import slicer

    import slicer_harness as harness

    panel.ui.analyzeButton.click()
    harness.wait_for(lambda: "CT and mask" in panel.ui.stepLabel.text)
    slicer.mrmlScene.Clear(0)
    harness.process_events(50)
    assert not panel.work.running
    assert ours(None) == []
    assert panel.review.chosen.volume_id == ""
    assert panel.ui.analyzeButton.text == "Analyze"


def test_volume_removed_during_analysis(panel, ball, quick_analysis):
    import slicer

    import slicer_harness as harness

    panel.ui.analyzeButton.click()
    harness.wait_for(lambda: panel.ui.stepLabel.text == "Second")
    slicer.mrmlScene.RemoveNode(ball[0])
    settle(panel)
    assert panel.ui.messageLabel.text.endswith(".")
    assert ours("profile_text") == []


def test_edit_during_analysis_makes_the_result_stale(panel, ball, quick_analysis):
    import slicer_harness as harness

    panel.ui.analyzeButton.click()
    harness.wait_for(lambda: panel.ui.stepLabel.text == "Second")
    draw(*ball)
    settle(panel)
    assert panel.review.stored.stale


def test_another_shell_chosen_during_analysis_makes_the_result_stale(panel, ball, quick_analysis):
    import slicer_harness as harness

    panel.ui.analyzeButton.click()
    harness.wait_for(lambda: panel.ui.stepLabel.text == "Second")
    panel.ui.shellSpinBox.value = 5
    settle(panel)
    assert panel.review.stored.stale


def test_dropped_work_ends_at_once_and_is_never_used(panel):
    import slicer_harness as harness
    from DeepRadScoreLib.progress import Progress, Stage

    seen = []

    def steps():
        try:
            for number in range(5):
                seen.append(number)
                yield Progress(Stage.ANALYSING, "step", number, 5)
        finally:
            seen.append("closed")

    panel.work.start(steps(), seen.append)
    harness.wait_for(lambda: 1 in seen)
    panel.work.drop()
    assert seen[-1] == "closed"
    done = len(seen)
    harness.process_events(30)
    assert len(seen) == done
    assert not panel.work.running


def test_damaged_model_is_one_sentence(panel, ball, tmp_path):
    path = tmp_path / "model.zip"
    path.write_bytes(b"no zip")
    panel.ui.bundlePathEdit.currentPath = str(path)
    assert "not a model" in panel.ui.modelLabel.text
    panel.ui.analyzeButton.click()
    settle(panel, 60)
    assert "not a whole bundle" in panel.ui.messageLabel.text
    assert ours("profile_text") == []


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
    button = panel.results.profile._findings["EGFR"].button
    button.click()
    heat_map = panel.review.stored.heat_map_ids["EGFR"]
    assert panel.results.overlay.shown == heat_map
    assert [layer[:2] for layer in layers()] == [(volume.GetID(), heat_map)] * len(before)
    assert {layer[2] for layer in layers()} == {panel.ui.opacitySlider.value}
    assert on_slice(slicer.mrmlScene.GetNodeByID(heat_map)) < 1e-6
    panel.ui.thresholdSlider.value = 0.5
    panel.ui.opacitySlider.value = 0.9
    display = slicer.mrmlScene.GetNodeByID(heat_map).GetDisplayNode()
    assert (display.GetLowerThreshold(), display.GetApplyThreshold()) == (0.5, 1)
    assert {layer[2] for layer in layers()} == {0.9}
    panel.results.profile._findings["LVI"].button.click()
    assert panel.results.overlay.shown == panel.review.stored.heat_map_ids["LVI"]
    panel.results.profile._findings["LVI"].button.click()
    assert panel.results.overlay.shown is None
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
    panel.results.profile._findings["T4"].button.click()
    assert "no heat map" in panel.ui.messageLabel.text
    assert layers() == before


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


def test_exit_and_enter_leave_the_editor_tidy(loaded, panel, ball):
    import slicer_harness as harness

    editor = panel.editor._widget
    assert harness.editor_state(editor)["shortcuts"]
    editor.setActiveEffectByName("Paint")
    loaded.exit()
    assert harness.editor_state(editor) == {"shortcuts": False, "views": False, "effect": ""}
    loaded.enter()
    assert harness.editor_state(editor)["shortcuts"]


@pytest.fixture
def cohort(tmp_path):
    """Three cases on disk with a table."""
    return write_cohort(tmp_path)


def write_cohort(folder: Path) -> Path:
    ct, tumour = ball_case()
    rows = ["case_id,ct,mask"]
    for name in "abc":
        sitk.WriteImage(ct, str(folder / f"{name}_ct.nrrd"), True)
        sitk.WriteImage(tumour, str(folder / f"{name}_mask.nrrd"), True)
        rows.append(f"{name},{name}_ct.nrrd,{name}_mask.nrrd")
    table = folder / "cases.csv"
    table.write_text("\n".join(rows) + "\n")
    return table


def open_list(panel, table: Path) -> None:
    panel.ui.listPathEdit.currentPath = str(table)
    panel.ui.openListButton.click()


def reviewed(panel):
    return panel.review.volume, panel.review.segmentation, panel.review.chosen.segment_id


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
    panel.ui.restoreMaskButton.click()
    back = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
    np.testing.assert_array_equal(back, sitk.GetArrayFromImage(ball_case()[1]))


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


class TestFullDisk:
    """A disk that is really full; nothing half-written, nothing lost, and one sentence."""

    @pytest.fixture
    def disk(self, tmp_path):
        place = tmp_path / "disk"
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
        yield place
        subprocess.run(["umount", place], check=True)

    def fill(self, disk: Path, leave: int = 0) -> Path:
        """Fill it but for `leave` kB."""
        filler = disk / "filler"
        with pytest.raises(OSError, match="No space left"), filler.open("wb", buffering=0) as stream:
            while True:
                stream.write(b"0" * 1024)
        os.truncate(filler, filler.stat().st_size - 1024 * leave)
        return filler

    def listing(self, disk: Path) -> dict[str, bytes]:
        return {path.relative_to(disk).as_posix(): path.read_bytes() for path in disk.rglob("*") if path.is_file()}

    def test_export(self, panel, ball, quick_analysis, disk):
        panel.ui.analyzeButton.click()
        settle(panel)
        panel.ui.exportPathEdit.currentPath = str(disk)
        filler, nodes = self.fill(disk), count_nodes()
        before = self.listing(disk)
        folder = disk / panel.review.case_id
        panel.ui.exportButton.click()
        assert panel.ui.messageLabel.text == (
            f"{folder}: the results cannot be written (No space left on device); choose a folder that you may write "
            "to, with space left."
        )
        assert (self.listing(disk), count_nodes()) == (before, nodes)
        assert not panel.review.exported
        assert not folder.exists()
        filler.unlink()
        panel.ui.exportButton.click()
        assert sorted(path.name for path in folder.iterdir()) == ["features.csv", "profile.json", "report.html"]

    @pytest.mark.parametrize(("kind", "leave"), [("simple", 0), ("random", 0), ("random", 4)])
    def test_corrected_mask(self, panel, disk, tmp_path, kind, leave):
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
        filler, nodes = self.fill(disk, leave), count_nodes()
        before, line = self.listing(disk), panel.ui.qualityLabel.text
        panel.ui.saveMaskButton.click()
        assert panel.ui.messageLabel.text == (
            f"{disk}/cases.corrected/a.seg.nrrd: the corrected mask cannot be written; leave space in a folder that "
            "you may write to and save again; nothing is lost yet."
        )
        assert self.listing(disk) == before
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
        assert panel.cases.open_case(case)
        assert panel.ui.messageLabel.text.endswith(".")
        assert case.case_id in panel.ui.messageLabel.text
        assert count_nodes() == empty
        assert panel.review.opened is None
    settle(panel)


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
