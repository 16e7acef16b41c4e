"""The module's self-test: run by Slicer's "Reload and Test", by ctest, and by whoever wants to know if it works here.

What needs the analysis' packages is skipped, and says so, where they are missing; the rest always runs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer

from DeepRadScoreSlicer.panel_testing import RADIUS_MM, SIZE, PanelTest, ball


class DeepRadScoreTest(PanelTest):
    """The module as a user meets it, through its own panel."""

    def test_loads(self) -> None:
        """Constructed with or without a main window, and says what it can do here."""
        self.assertTrue(self.panel.ui.packagesLabel.text)
        self.assertFalse(self.panel.ui.analyzeButton.enabled)
        self.assertEqual(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"), [])

    def test_shell_appears_and_follows(self) -> None:
        """The shell of a ball is that of the library and near the closed form; it follows an edit."""
        from DeepRadScoreLib.imaging import prepare
        from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

        volume, segmentation, segment_id = self.open_ball()
        self.wait_for_shell()
        shell = self.shell_image()
        case = case_from_nodes(volume, segmentation, segment_id, "ball")
        expected = prepare(case, shell_mm=3.0).peritumoral
        self.assertEqual(shell.GetSize(), expected.GetSize())
        np.testing.assert_allclose(shell.GetOrigin(), expected.GetOrigin(), atol=1e-9)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(shell), sitk.GetArrayFromImage(expected))
        closed_form = 4 / 3 * np.pi * ((RADIUS_MM + 3) ** 3 - RADIUS_MM**3)
        self.assertLess(abs(sitk.GetArrayFromImage(shell).sum() / closed_form - 1), 0.1)
        self.draw(volume, segmentation, segment_id, ball(RADIUS_MM - 3))
        self.wait(lambda: sitk.GetArrayFromImage(self.shell_image()).sum() < 0.8 * closed_form)

    def test_opens_on_its_tumour(self) -> None:
        """Slice views and 3-D camera look at a voxel of the tumour; the window is the one that was kept."""
        from DeepRadScoreSlicer.scene.display import viewing

        self.open_sample()
        chosen = self.panel.review.chosen
        place = viewing.tumour_place(chosen.segmentation, chosen.segment_id)
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            middle = slicer.util.arrayFromVTKMatrix(view.GetSliceToRAS())[:3, 3]
            np.testing.assert_allclose(middle, place.point, atol=0.01)
        for camera in slicer.util.getNodesByClass("vtkMRMLCameraNode"):
            np.testing.assert_allclose(camera.GetFocalPoint(), place.point, atol=0.01)
        if self.panel.ui.windowBox.currentIndex == 0:
            self.assertEqual(viewing.window_of(chosen.volume), viewing.LUNG)

    def test_original_can_be_restored(self) -> None:
        """The mask from before an edit can be restored, and the editor's Undo brings the edit back."""
        volume, segmentation, segment_id = self.open_ball()
        before = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume).copy()
        self.draw(volume, segmentation, segment_id, ball(RADIUS_MM - 3))
        corrected = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume).copy()
        self.panel.choice.restore_original()
        after = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
        np.testing.assert_array_equal(before, after)
        self.panel.editor.undo()
        after = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
        np.testing.assert_array_equal(corrected, after)

    def test_a_tumour_is_begun_with_one_press(self) -> None:
        """A CT alone gets its segmentation by one button, and what is drawn in it its shell."""
        volume, segmentation, _segment_id = self.open_ball()
        self.panel.choice.choose(None, None, "")
        slicer.mrmlScene.RemoveNode(segmentation)
        self.panel.choice.choose(volume, None, "")
        self.panel.ui.drawTumourButton.click()
        chosen = self.panel.review.chosen
        self.draw(volume, chosen.segmentation, chosen.segment_id, ball(RADIUS_MM))
        self.wait_for_shell()
        self.panel.editor.exit()

    def test_another_lesion(self) -> None:
        """A second lesion is a segment of its own, with its own shell; the first is as it was."""
        volume, segmentation, first = self.open_ball()
        self.wait_for_shell()
        before = sitk.GetArrayFromImage(self.shell_image())
        drawn = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, first, volume).copy()
        self.panel.ui.anotherLesionButton.click()
        second = self.panel.review.chosen.segment_id
        self.assertNotEqual(second, first)
        self.draw(volume, segmentation, second, np.roll(ball(RADIUS_MM - 6), 20, axis=2))
        self.wait(lambda: bool(self.ours("shell")) and sitk.GetArrayFromImage(self.shell_image()).sum() < before.sum())
        np.testing.assert_array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, first, volume), drawn)
        self.panel.editor.exit()

    def test_says_what_to_do(self) -> None:
        """An empty segment is one sentence, and no shell."""
        from DeepRadScoreSlicer.scene.display.quality_line import quality_line

        volume, segmentation, segment_id = self.open_ball()
        self.wait_for_shell()
        self.draw(volume, segmentation, segment_id, np.zeros(SIZE[::-1], dtype=np.uint8))
        self.wait(lambda: not self.ours("shell"))
        self.assertEqual(self.panel.ui.qualityLabel.text, quality_line(volume, segmentation, segment_id))

    def test_analysis(self) -> None:
        """Sample, analysis, every finding, a heat map over the CT and away again, all said to be synthetic."""
        from DeepRadScoreLib.endpoints import KEYS

        self.open_sample()
        nodes = self.layers()
        self.analyze()
        stored = self.stored()
        self.assertEqual(list(stored.document["endpoints"]), list(KEYS))
        self.assertEqual(stored.document["label"], "synthetic: not for patients")
        self.assertIsNotNone(stored.document["endpoints"]["LVI"]["probability"])
        self.assertFalse(stored.stale)
        key = next(iter(stored.heat_map_ids))
        button = slicer.util.findChild(self.panel.ui.profileFrame, f"finding{key}")
        button.click()
        self.assertEqual(self.layers(), [(nodes[0][0], stored.heat_map_ids[key])] * len(nodes))
        button.click()
        self.assertEqual(self.layers(), nodes)
        self.file_results()

    def file_results(self) -> None:
        """Text and PDF are labelled synthetic; the sample has no DICOM study, which is said in a sentence."""
        ui = self.panel.ui
        ui.copyTextButton.click()
        self.assertTrue(slicer.app.clipboard().text().startswith("synthetic: not for patients"))
        with tempfile.TemporaryDirectory() as folder:
            ui.exportPathEdit.currentPath = folder
            ui.pdfButton.click()
            self.wait(self.idle)
            self.assertEqual([path.name for path in Path(folder).rglob("*.pdf")], ["report.pdf"])
            ui.dicomFolderButton.click()
            self.wait(self.idle)
            self.assertTrue(ui.messageLabel.text)
            self.assertEqual(list(Path(folder).rglob("*.dcm")), [])

    def test_results_go_stale(self) -> None:
        """After an edit results are marked, and are not exported."""
        self.open_sample()
        self.analyze()
        chosen = self.panel.review.chosen
        segmentation = slicer.mrmlScene.GetNodeByID(chosen.segmentation_id)
        volume = slicer.mrmlScene.GetNodeByID(chosen.volume_id)
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, chosen.segment_id, volume)
        mask[:, : mask.shape[1] // 2] = 0
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, chosen.segment_id, volume)
        self.assertTrue(self.stored().stale)
        self.assertFalse(self.panel.ui.exportButton.enabled)
        with tempfile.TemporaryDirectory() as folder:
            self.panel.ui.exportPathEdit.currentPath = folder
            self.panel.results.export()
            self.assertEqual(list(Path(folder).iterdir()), [])
        self.assertTrue(self.panel.ui.messageLabel.text)

    def test_cancel(self) -> None:
        """A cancelled analysis leaves the scene as it was."""
        self.open_sample()
        self.wait_for_shell()
        before = self.node_ids()
        self.panel.ui.analyzeButton.click()
        self.wait(lambda: self.panel.ui.progressBar.value > 50)
        self.panel.ui.analyzeButton.click()
        self.wait(self.idle)
        self.assertEqual(self.node_ids(), before)
        self.assertIsNone(self.stored())

    def test_scene_closed_during_analysis(self) -> None:
        """Closing the scene ends the analysis; the module can be used again."""
        self.open_sample()
        self.panel.ui.analyzeButton.click()
        self.wait(lambda: self.panel.ui.progressBar.value > 50)
        slicer.mrmlScene.Clear()
        self.wait(self.idle)
        slicer.app.processEvents()
        self.assertEqual(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"), [])
        self.open_ball()
        self.wait_for_shell()

    def test_saved_and_restored(self) -> None:
        """Results come back with the scene, and are exported to the byte as before."""
        self.open_sample()
        self.analyze()
        document = self.stored().document
        with tempfile.TemporaryDirectory() as folder:
            exported = self.export(Path(folder) / "before")
            scene = str(Path(folder) / "scene.mrb")
            self.assertTrue(slicer.util.saveScene(scene))
            slicer.mrmlScene.Clear()
            slicer.app.processEvents()
            slicer.util.loadScene(scene)
            slicer.app.processEvents()
            self.assertEqual(self.stored().document, document)
            self.assertFalse(self.stored().stale)
            self.assertEqual(self.export(Path(folder) / "after"), exported)

    def test_reload(self) -> None:
        """Reloaded, the module works on."""
        self.open_ball()
        self.wait_for_shell()
        self.panel.onReload()
        slicer.app.processEvents()
        slicer.mrmlScene.Clear()
        self.open_ball()
        self.wait_for_shell()

    def test_batch(self) -> None:
        """The batch writes what the library writes, records what fails and goes on, and says so by its exit code."""
        self.needs_packages()
        from DeepRadScoreLib.analyses.analysis import steps
        from DeepRadScoreLib.bundles.bundle import read_bundle
        from DeepRadScoreLib.imaging import read_case
        from DeepRadScoreLib.progress import run_to_end
        from DeepRadScoreLib.report.writing import write_profile
        from DeepRadScoreSlicer import batch

        sample = self.sample()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            table = folder / "cases.csv"
            table.write_text(
                f"case_id,ct,mask\ngood,{sample.ct},{sample.mask}\nbad,{sample.ct},{folder / 'none.nrrd'}\n"
            )
            arguments = ["--cohort", str(table), "--model", str(sample.bundle), "--out", str(folder / "out")]
            self.assertEqual(batch.main(arguments), 1)
            case = read_case(sample.ct, sample.mask, case_id="good")
            profile = run_to_end(steps(case, read_bundle(sample.bundle)))
            write_profile(profile, folder / "library")
            for path in (folder / "library").iterdir():
                self.assertEqual(path.read_bytes(), (folder / "out" / "good" / path.name).read_bytes(), path.name)
            self.assertEqual(batch.main(["--cohort", str(folder / "no.csv"), "--out", str(folder / "out")]), 2)
