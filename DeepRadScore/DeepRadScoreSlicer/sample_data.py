"""The synthetic sample in the scene, and in Slicer's module Sample Data."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DeepRadScoreSlicer import sample_making
from DeepRadScoreSlicer.translation import tr as _

if TYPE_CHECKING:
    from DeepRadScoreLib.synthetic.sample import Sample
    from DeepRadScoreSlicer.scene.opening import OpenedCase

NAME, CASE_ID, SCHEME = "DeepRadScoreSynthetic", "synthetic-sample", "deepradscore-sample:"
_running: list[Any] = []


def load(sample: Sample) -> OpenedCase:
    """Put the case of the sample into the scene."""
    from DeepRadScoreSlicer.cases.worklist import ListedCase
    from DeepRadScoreSlicer.scene.opening import open_case

    return open_case(ListedCase(CASE_ID, sample.ct, sample.mask), sample.mask)


def register() -> None:
    """Offer the sample in the module Sample Data: by its button, and to `SampleData.downloadSample`.

    Sample Data knows addresses only: ours have a private scheme, and a rule that makes the sample and replaces
    them by the files' addresses. Its button makes the sample in steps, without stopping the application.
    """
    import SampleData

    from DeepRadScoreLib import __version__

    logic = SampleData.SampleDataLogic
    with contextlib.suppress(AttributeError):  # from Slicer 5.12 on
        logic.registerCustomSampleDataCategory("DeepRadScore", "Deep-RadScore")
    logic.registerUrlRewriteRule("DeepRadScore", _address)
    logic.registerCustomSampleDataSource(
        category="DeepRadScore",
        sampleName=NAME,
        uris=[f"{SCHEME}ct", f"{SCHEME}mask"],
        fileNames=[f"DeepRadScore-{__version__}-synthetic-{kind}.nrrd" for kind in ("ct", "tumour")],
        nodeNames=[f"{CASE_ID} CT", f"{CASE_ID} tumour"],
        loadFileTypes=["VolumeFile", "SegmentationFile"],
        thumbnailFileName=str(Path(__file__).parents[1] / "Resources" / "Icons" / "DeepRadScore.png"),
        customDownloader=_on_button,
    )


def _address(address: str) -> str:
    if not address.startswith(SCHEME):
        return address
    sample = sample_making.make_sample()
    return (sample.ct if address == f"{SCHEME}ct" else sample.mask).as_uri()


def _on_button(source: Any) -> None:
    """Make the sample while the application stays usable, then load it; a second press meanwhile does nothing."""
    import slicer

    from DeepRadScoreSlicer.panel.work import Stepper

    if any(stepper.running for stepper in _running):
        return

    def show_error(error: Exception) -> None:
        slicer.util.errorDisplay(str(error), windowTitle="Deep-RadScore")

    def made(sample: Sample) -> None:
        load(sample)
        slicer.util.showStatusMessage(
            _("Synthetic, not for patients. Its model: {bundle}").format(bundle=sample.bundle), 10000
        )

    stepper = Stepper(
        sample_making.sample_steps(),
        on_step=lambda step: slicer.util.showStatusMessage(f"{step.text} ({step.fraction:.0%})", 3000),
        on_done=made,
        on_error=show_error,
        on_cancelled=lambda: None,
    )
    _running[:] = [stepper]
    stepper.start()
