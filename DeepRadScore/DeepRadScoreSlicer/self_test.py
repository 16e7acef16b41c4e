"""The module's self-test: run by Slicer's "Reload and Test", by ctest, and by whoever wants to know if it works here.

What needs the analysis' packages is skipped, and says so, where they are missing; the rest always runs.
"""

from __future__ import annotations

import json
import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

MODULE = "DeepRadScore"
RADIUS_MM, SPACING, SIZE = 10.0, (0.8, 0.8, 2.0), (64, 64, 30)
LONGEST_WAIT_S = 300.0


class DeepRadScoreTest(ScriptedLoadableModuleTest):
    """Each test begins with an empty scene, the module chosen and no model."""

    def setUp(self) -> None:
        slicer.util.selectModule(MODULE)
        slicer.mrmlScene.Clear()
        self.panel.ui.bundlePathEdit.currentPath = ""
        slicer.app.processEvents()

    def tearDown(self) -> None:
        slicer.mrmlScene.Clear()
        slicer.app.processEvents()

    def runTest(self) -> None:
        """Run all tests by unittest itself, which counts those that are skipped and tells why."""
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(type(self))
        outcome = unittest.TextTestRunner(verbosity=2).run(suite)
        if not outcome.wasSuccessful():
            raise AssertionError(f"{len(outcome.failures) + len(outcome.errors)} of {outcome.testsRun} tests failed")

    def test_loads(self) -> None:
        """Constructed with or without a main window, and says what it can do here."""
        self.assertTrue(self.panel.ui.packagesLabel.text)
        self.assertFalse(self.panel.ui.analyzeButton.enabled)
        self.assertEqual(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"), [])

    def test_shell_appears_and_follows(self) -> None:
        """The shell of a ball is that of the library and near the closed form; it follows an edit."""
        from DeepRadScoreLib.imaging import prepare
        from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

        volume, segmentation, segment_id = self._open_ball()
        self._wait_for_shell()
        shell = self._shell_image()
        case = case_from_nodes(volume, segmentation, segment_id, "ball")
        expected = prepare(case, shell_mm=3.0).peritumoral
        self.assertEqual(shell.GetSize(), expected.GetSize())
        np.testing.assert_allclose(shell.GetOrigin(), expected.GetOrigin(), atol=1e-9)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(shell), sitk.GetArrayFromImage(expected))
        closed_form = 4 / 3 * np.pi * ((RADIUS_MM + 3) ** 3 - RADIUS_MM**3)
        self.assertLess(abs(sitk.GetArrayFromImage(shell).sum() / closed_form - 1), 0.1)
        self._draw(volume, segmentation, segment_id, _ball(RADIUS_MM - 3))
        self._wait(lambda: sitk.GetArrayFromImage(self._shell_image()).sum() < 0.8 * closed_form)

    def test_original_is_kept(self) -> None:
        """After an edit the mask as it was can be put back."""
        volume, segmentation, segment_id = self._open_ball()
        before = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume).copy()
        self._draw(volume, segmentation, segment_id, _ball(RADIUS_MM - 3))
        self.panel.ui.restoreMaskButton.click()
        after = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)
        np.testing.assert_array_equal(before, after)

    def test_says_what_to_do(self) -> None:
        """An empty segment is one sentence, and no shell."""
        volume, segmentation, segment_id = self._open_ball()
        self._wait_for_shell()
        self._draw(volume, segmentation, segment_id, np.zeros(SIZE[::-1], dtype=np.uint8))
        self._wait(lambda: "empty" in self.panel.ui.qualityLabel.text)
        self.assertEqual(self._ours("shell"), [])

    def test_analysis(self) -> None:
        """Sample, analysis, ten findings, a heat map over the CT and away again, all said to be synthetic."""
        self._open_sample()
        nodes = self._layers()
        self._analyze()
        stored = self._stored()
        self.assertEqual(len(stored.document["endpoints"]), 10)
        self.assertEqual(stored.document["label"], "synthetic: not for patients")
        self.assertFalse(stored.stale)
        key = next(iter(stored.heat_map_ids))
        button = slicer.util.findChild(self.panel.ui.profileFrame, f"finding{key}")
        button.click()
        self.assertEqual(self._layers(), [(nodes[0][0], stored.heat_map_ids[key])] * len(nodes))
        button.click()
        self.assertEqual(self._layers(), nodes)

    def test_results_go_stale(self) -> None:
        """After an edit results are marked, and are not exported."""
        self._open_sample()
        self._analyze()
        chosen = self.panel.review.chosen
        segmentation = slicer.mrmlScene.GetNodeByID(chosen.segmentation_id)
        volume = slicer.mrmlScene.GetNodeByID(chosen.volume_id)
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, chosen.segment_id, volume)
        mask[:, : mask.shape[1] // 2] = 0
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, chosen.segment_id, volume)
        self.assertTrue(self._stored().stale)
        self.assertFalse(self.panel.ui.exportButton.enabled)
        with tempfile.TemporaryDirectory() as folder:
            self.panel.ui.exportPathEdit.currentPath = folder
            self.panel.results.export()
            self.assertEqual(list(Path(folder).iterdir()), [])
        self.assertTrue(self.panel.ui.messageLabel.text)

    def test_cancel(self) -> None:
        """A cancelled analysis leaves the scene as it was."""
        self._open_sample()
        self._wait_for_shell()
        before = self._node_ids()
        self.panel.ui.analyzeButton.click()
        self._wait(lambda: self.panel.ui.progressBar.value > 50)
        self.panel.ui.analyzeButton.click()
        self._wait(self._idle)
        self.assertEqual(self._node_ids(), before)
        self.assertIsNone(self._stored())

    def test_scene_closed_during_analysis(self) -> None:
        """Closing the scene ends the analysis; the module can be used again."""
        self._open_sample()
        self.panel.ui.analyzeButton.click()
        self._wait(lambda: self.panel.ui.progressBar.value > 50)
        slicer.mrmlScene.Clear()
        self._wait(self._idle)
        slicer.app.processEvents()
        self.assertEqual(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"), [])
        self._open_ball()
        self._wait_for_shell()

    def test_saved_and_restored(self) -> None:
        """Results come back with the scene, and are exported to the byte as before."""
        self._open_sample()
        self._analyze()
        document = self._stored().document
        with tempfile.TemporaryDirectory() as folder:
            exported = self._export(Path(folder) / "before")
            scene = str(Path(folder) / "scene.mrb")
            self.assertTrue(slicer.util.saveScene(scene))
            slicer.mrmlScene.Clear()
            slicer.app.processEvents()
            slicer.util.loadScene(scene)
            slicer.app.processEvents()
            self.assertEqual(self._stored().document, document)
            self.assertFalse(self._stored().stale)
            self.assertEqual(self._export(Path(folder) / "after"), exported)

    def test_reload(self) -> None:
        """Reloaded, the module works on."""
        self._open_ball()
        self._wait_for_shell()
        self.panel.onReload()
        slicer.app.processEvents()
        slicer.mrmlScene.Clear()
        self._open_ball()
        self._wait_for_shell()

    def test_batch(self) -> None:
        """The batch writes what the library writes, records what fails and goes on, and says so by its exit code."""
        self._needs_packages()
        from DeepRadScoreLib.analysis import analyze
        from DeepRadScoreLib.bundle import read_bundle
        from DeepRadScoreLib.imaging import read_case
        from DeepRadScoreLib.report.writing import write_profile
        from DeepRadScoreSlicer import batch

        sample = self._sample()
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            table = folder / "cases.csv"
            table.write_text(
                f"case_id,ct,mask\ngood,{sample.ct},{sample.mask}\nbad,{sample.ct},{folder / 'none.nrrd'}\n"
            )
            arguments = ["--cohort", str(table), "--model", str(sample.bundle), "--out", str(folder / "out")]
            self.assertEqual(batch.main(arguments), 1)
            case = read_case(sample.ct, sample.mask, case_id="good")
            write_profile(analyze(case, read_bundle(sample.bundle)), folder / "library")
            for path in (folder / "library").iterdir():
                self.assertEqual(path.read_bytes(), (folder / "out" / "good" / path.name).read_bytes(), path.name)
            self.assertEqual(batch.main(["--cohort", str(folder / "no.csv"), "--out", str(folder / "out")]), 2)

    @property
    def panel(self) -> Any:
        """The module's widget as it is now: a reload makes another one."""
        return getattr(slicer.modules, f"{MODULE}Widget")

    def _needs_packages(self) -> None:
        from DeepRadScoreSlicer import requirements

        if not requirements.analysis_possible():
            missing = ", ".join(each.name for each in requirements.hindering())
            self.skipTest(f"skipped: the analysis needs packages that are not installed here: {missing}")

    def _sample(self) -> Any:
        self._needs_packages()
        from DeepRadScoreSlicer import sample_data

        return sample_data.make_sample()

    def _open_sample(self) -> None:
        """By the panel's own button."""
        self._sample()
        self.panel.onSample()
        self._wait(lambda: self._idle() and self.panel.review.chosen.complete)

    def _open_ball(self) -> tuple[Any, Any, str]:
        """A CT-like volume with a ball of tissue in air, and its mask, chosen in the panel."""
        from DeepRadScoreSlicer.scene.to_nodes import image_to_segmentation, image_to_volume

        mask = _ball(RADIUS_MM)
        air = np.random.default_rng(0).normal(-850, 20, mask.shape)
        hu = np.where(mask == 1, air + 880, air).astype(np.int16)
        volume = image_to_volume(_image(hu), "ball CT")
        segmentation = image_to_segmentation(_image(mask), "ball", "tumour", (0.1, 0.8, 1.0))
        segment_id = segmentation.GetSegmentation().GetNthSegmentID(0)
        node = self.panel.logic.getParameterNode()
        node.inputVolume, node.segmentation, node.segmentId = volume, segmentation, segment_id
        slicer.app.processEvents()
        self.assertTrue(self.panel.review.chosen.complete)
        return volume, segmentation, segment_id

    def _draw(self, volume: Any, segmentation: Any, segment_id: str, mask: np.ndarray) -> None:
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, segment_id, volume)

    def _analyze(self) -> None:
        self.panel.ui.analyzeButton.click()
        self._wait(self._idle)
        self.assertIsNotNone(self._stored(), self.panel.ui.messageLabel.text)

    def _export(self, folder: Path) -> dict[str, bytes]:
        self.panel.ui.exportPathEdit.currentPath = str(folder)
        self.panel.results.export()
        files = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        self.assertEqual(json.loads(files["profile.json"]), self._stored().document)
        return files

    def _stored(self) -> Any:
        from DeepRadScoreSlicer.scene import results

        return results.find(slicer.mrmlScene.GetNodeByID(self.panel.review.chosen.volume_id))

    def _ours(self, role: str) -> list[Any]:
        from DeepRadScoreSlicer.scene import ownership

        return ownership.ours(slicer.mrmlScene, role)

    def _shell_image(self) -> sitk.Image:
        from DeepRadScoreSlicer.scene.from_nodes import segment_image

        node = self._ours("shell")[0]
        return segment_image(node, node.GetSegmentation().GetNthSegmentID(0))

    def _wait_for_shell(self) -> None:
        self._wait(lambda: bool(self._ours("shell")))

    def _idle(self) -> bool:
        return self.panel.ui.analyzeButton.text != "Cancel"

    def _layers(self) -> list[tuple[str | None, str | None]]:
        nodes = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        return [(node.GetBackgroundVolumeID(), node.GetForegroundVolumeID()) for node in nodes]

    def _node_ids(self) -> list[str]:
        nodes = slicer.mrmlScene.GetNodes()
        return sorted(nodes.GetItemAsObject(index).GetID() for index in range(nodes.GetNumberOfItems()))

    def _wait(self, until: Callable[[], bool]) -> None:
        """Let the application work until something is so."""
        end = time.monotonic() + LONGEST_WAIT_S
        while not until():
            self.assertLess(time.monotonic(), end, "waited in vain")
            slicer.app.processEvents()


def _ball(radius_mm: float) -> np.ndarray:
    """uint8 mask (z, y, x) of a ball in the middle of the grid."""
    steps = np.meshgrid(*(np.arange(n) - n // 2 for n in SIZE[::-1]), indexing="ij")
    distance = sum((axis * step) ** 2 for axis, step in zip(steps, SPACING[::-1], strict=True))
    return (distance <= radius_mm**2).astype(np.uint8)


def _image(array: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING)
    image.SetOrigin((-20.0, 15.0, 40.0))
    return image
