"""Tools of the self-test: cases put under review, the panel's buttons, and waiting for its work."""

from __future__ import annotations

import io
import json
import sys
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
MAX_WAIT_S = 300.0


class PanelTest(ScriptedLoadableModuleTest):
    """Tests of the panel: each begins with an empty scene, the module chosen and no model."""

    def setUp(self) -> None:
        slicer.util.selectModule(MODULE)
        slicer.mrmlScene.Clear()
        self.panel.ui.bundlePathEdit.currentPath = ""
        slicer.app.processEvents()

    def tearDown(self) -> None:
        slicer.mrmlScene.Clear()
        slicer.app.processEvents()

    def runTest(self) -> None:
        """Run all tests by unittest itself, which counts skipped ones and gives the reason; keep what it says."""
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(type(self))
        said = io.StringIO()
        outcome = unittest.TextTestRunner(said, verbosity=2).run(suite)
        print(said.getvalue(), file=sys.stderr)
        print(f"Result of the self-test, to be sent with a report of a problem: {write_result(said.getvalue())}")
        if not outcome.wasSuccessful():
            raise AssertionError(f"{len(outcome.failures) + len(outcome.errors)} of {outcome.testsRun} tests failed")

    @property
    def panel(self) -> Any:
        """The module's widget as it is now: a reload makes another one."""
        return getattr(slicer.modules, f"{MODULE}Widget")

    def needs_packages(self) -> None:
        """Skip the test where the analysis is not possible."""
        from DeepRadScoreSlicer import requirements

        if missing := ", ".join(each.name for each in requirements.hindering()):
            self.skipTest(f"skipped: the analysis needs packages that are not installed here: {missing}")

    def sample(self) -> Any:
        """The synthetic sample, made if it is not there."""
        self.needs_packages()
        from DeepRadScoreSlicer import sample_making

        return sample_making.make_sample()

    def open_sample(self) -> None:
        """Open the sample by the panel's button."""
        self.sample()
        self.panel.onSample()
        self.wait(lambda: self.idle() and self.panel.review.chosen.complete)

    def open_ball(self) -> tuple[Any, Any, str]:
        """A CT-like volume with a ball of tissue in air, and its mask, chosen in the panel."""
        from DeepRadScoreSlicer.scene.voxels import image_to_segmentation, image_to_volume

        mask = ball(RADIUS_MM)
        air = np.random.default_rng(0).normal(-850, 20, mask.shape)
        hu = np.where(mask == 1, air + 880, air).astype(np.int16)
        volume = image_to_volume(ball_image(hu), "ball CT")
        segmentation = image_to_segmentation(ball_image(mask), "ball", "tumour", (0.1, 0.8, 1.0))
        segment_id = segmentation.GetSegmentation().GetNthSegmentID(0)
        node = self.panel.logic.getParameterNode()
        node.inputVolume, node.segmentation, node.segmentId = volume, segmentation, segment_id
        slicer.app.processEvents()
        self.assertTrue(self.panel.review.chosen.complete)
        return volume, segmentation, segment_id

    def draw(self, volume: Any, segmentation: Any, segment_id: str, mask: np.ndarray) -> None:
        """Replace the segment by a mask (z, y, x)."""
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, segment_id, volume)

    def analyze(self) -> None:
        """Analyze what is under review, to the end."""
        self.panel.ui.analyzeButton.click()
        self.wait(self.idle)
        self.assertIsNotNone(self.stored(), self.panel.ui.messageLabel.text)

    def export(self, folder: Path) -> dict[str, bytes]:
        """The results as the panel writes them into a folder, by file name."""
        self.panel.ui.exportPathEdit.currentPath = str(folder)
        self.panel.results.export()
        files = {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        self.assertEqual(json.loads(files["profile.json"]), self.stored().document)
        return files

    def stored(self) -> Any:
        """The results of the CT under review, or None."""
        from DeepRadScoreSlicer.scene import results

        chosen = self.panel.review.chosen
        return results.find(slicer.mrmlScene.GetNodeByID(chosen.volume_id), self.panel.review.lesion)

    def ours(self, role: str) -> list[Any]:
        """The module's nodes of one role."""
        from DeepRadScoreSlicer.scene import ownership

        return ownership.ours(role)

    def shell_image(self) -> sitk.Image:
        """The shell in the scene as an image."""
        from DeepRadScoreSlicer.scene.from_nodes import segment_image

        node = self.ours("shell")[0]
        return segment_image(node, node.GetSegmentation().GetNthSegmentID(0))

    def wait_for_shell(self) -> None:
        """Until the shell is drawn."""
        self.wait(lambda: bool(self.ours("shell")))

    def idle(self) -> bool:
        """Whether nothing runs."""
        return not self.panel.work.running

    def layers(self) -> list[tuple[str | None, str | None]]:
        """Background and foreground of each slice view, by node ID."""
        nodes = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        return [(node.GetBackgroundVolumeID(), node.GetForegroundVolumeID()) for node in nodes]

    def node_ids(self) -> list[str]:
        """The IDs of all nodes of the scene."""
        from DeepRadScoreSlicer.scene import ownership

        return sorted(node.GetID() for node in ownership.all_nodes())

    def wait(self, until: Callable[[], bool]) -> None:
        """Let the application work until something is so."""
        end = time.monotonic() + MAX_WAIT_S
        while not until():
            self.assertLess(time.monotonic(), end, "waited in vain")
            slicer.app.processEvents()


def write_result(text: str) -> Path:
    """Write what a self-test said, below the versions in use; the file, beside Slicer's settings.

    The folder of the user, which may bear a person's name, is written as "~".
    """
    from DeepRadScoreSlicer import requirements
    from DeepRadScoreSlicer.scene.dicom_database import review_folder

    path = review_folder() / "self-test.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    started = time.strftime("%Y-%m-%d %H:%M")
    whole = f"DeepRadScoreTest, {started}\n{requirements.information()}\n\n{text}"
    path.write_text(whole.replace(str(Path.home()), "~"), encoding="utf-8")
    return path


def ball(radius_mm: float) -> np.ndarray:
    """uint8 mask (z, y, x) of a ball in the middle of the grid."""
    steps = np.meshgrid(*(np.arange(n) - n // 2 for n in SIZE[::-1]), indexing="ij")
    distance = sum((axis * step) ** 2 for axis, step in zip(steps, SPACING[::-1], strict=True))
    return (distance <= radius_mm**2).astype(np.uint8)


def ball_image(array: np.ndarray) -> sitk.Image:
    """An array (z, y, x) on the grid of the ball."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING)
    image.SetOrigin((-20.0, 15.0, 40.0))
    return image
