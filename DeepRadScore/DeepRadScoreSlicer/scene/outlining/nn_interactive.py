"""A tumour outlined from one point by the extension nnInteractive, in a segment of ours.

The calls follow coendevente/SlicerNNInteractive@95a1bfae (SlicerNNInteractive.py: `point_prompt`, `session`, and the
segment editor `ui.editor_widget`, whose segment and volume it works on).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from DeepRadScoreLib.errors import InputError, MissingPackageError
from DeepRadScoreSlicer.scene.voxels import index_to_ras
from DeepRadScoreSlicer.translation import tr as _

MODULE = "SlicerNNInteractive"


def installed() -> bool:
    """Whether the extension is there; its model may still have to be initialized."""
    return hasattr(slicer.modules, MODULE.lower())


def server() -> str:
    """The server to which nnInteractive would send the CT; "" where it works on this computer."""
    widget = _widget()
    return "" if widget is None or widget.get_mode() == "local" else str(widget.server)


def check_ready(volume: Any, ras: tuple[float, float, float] | None) -> None:
    """Refuse what `outline_at` cannot do, before anything is changed.

    Raises
    ------
    MissingPackageError: the extension is not installed, or its model not initialized.
    InputError: the crosshair was never set, or lies outside the CT.
    """
    if not installed():
        raise MissingPackageError(
            _("the extension nnInteractive is not installed"), mend=_("install it from the Extensions Manager")
        )
    if getattr(_widget(), "session", None) is None:
        raise MissingPackageError(
            _("nnInteractive is not initialized"),
            mend=_("open the module nnInteractive, press Initialize there, and come back"),
        )
    if ras is None:
        raise InputError(
            _("the crosshair is not set"), mend=_("hold Shift and move the mouse over the tumour, then press again")
        )
    index_at(volume, ras)


def outline_at(ras: tuple[float, float, float], volume: Any, segmentation: Any, segment_id: str) -> None:
    """Let nnInteractive fill a segment from a point (RAS mm) of a CT.

    It shows its own progress. On an error its editor has again what it had before.

    Raises
    ------
    InputError: it failed, or the segment or the CT went meanwhile.
    """
    widget, index = _widget(), index_at(volume, ras)
    panel = widget.ui
    editor = panel.editor_widget
    before = editor.segmentationNode(), editor.sourceVolumeNode()
    editor.setSegmentationNode(segmentation)
    editor.setSourceVolumeNode(volume)
    editor.mrmlSegmentEditorNode().SetSelectedSegmentID(segment_id)
    try:
        widget.point_prompt(xyz=index, positive_click=True)
    except Exception as error:  # whatever another extension raises
        if all(node is None or node.GetScene() is not None for node in before):
            editor.setSegmentationNode(before[0])
            editor.setSourceVolumeNode(before[1])
        raise InputError(
            _("nnInteractive failed: {reason}").format(reason=error),
            mend=_("try it in its own module, or draw the tumour"),
        ) from error
    if volume.GetScene() is None or segmentation.GetScene() is None:
        raise InputError(_("the scene was closed while nnInteractive worked"), mend=_("open the case again"))


def _widget() -> Any | None:
    return getattr(slicer.modules, f"{MODULE}Widget", None)


def index_at(volume: Any, ras: tuple[float, float, float]) -> list[int]:
    """The voxel i, j, k at a point. Raises InputError where that is outside the CT."""
    index = np.rint((np.linalg.inv(index_to_ras(volume)) @ (*ras, 1.0))[:3]).astype(int)
    if (index < 0).any() or (index >= volume.GetImageData().GetDimensions()).any():
        raise InputError(_("the crosshair lies outside the CT"), mend=_("put it into the tumour"))
    return [int(one) for one in index]
