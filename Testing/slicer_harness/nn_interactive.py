"""The extension nnInteractive, as far as one point goes.

After coendevente/SlicerNNInteractive@95a1bfae (slicer_plugin/SlicerNNInteractive/SlicerNNInteractive.py): `session` is
None until the user initializes it; `point_prompt(xyz, positive_click)` works on volume, segmentation and segment of
`ui.editor_widget`, pumps the event loop, and writes the whole segment. The stand-in takes what is connected with the
point and over -200 HU.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import slicer
from scipy.ndimage import label


class EditorWidget:
    """The nodes that its segment editor works on."""

    def __init__(self) -> None:
        self._segmentation: Any = None
        self._volume: Any = None
        self._node = slicer.vtkMRMLSegmentEditorNode()

    def segmentationNode(self) -> Any:
        return self._segmentation

    def sourceVolumeNode(self) -> Any:
        return self._volume

    def setSegmentationNode(self, node: Any) -> None:
        self._segmentation = node

    def setSourceVolumeNode(self, node: Any) -> None:
        self._volume = node

    def mrmlSegmentEditorNode(self) -> Any:
        return self._node


class SlicerNNInteractiveWidget:
    """The panel of the extension."""

    def __init__(self, how: str) -> None:
        self.session = None if how == "not initialized" else object()
        self.ui = SimpleNamespace(editor_widget=EditorWidget())
        self._how = how
        self.server = "https://segment.example" if how == "on a server" else ""

    def get_mode(self) -> str:
        return "remote" if self.server else "local"

    def point_prompt(self, xyz: list[int] | None = None, positive_click: bool = False) -> None:
        editor = self.ui.editor_widget
        volume, segmentation = editor.sourceVolumeNode(), editor.segmentationNode()
        assert xyz is not None and positive_click
        slicer.app.processEvents()
        if self._how == "fails":
            raise RuntimeError("CUDA out of memory")
        if self._how == "scene closed":
            slicer.mrmlScene.Clear(0)
            return
        pieces = label(slicer.util.arrayFromVolume(volume) > -200)[0]
        piece = pieces[tuple(xyz[::-1])]
        mask = ((pieces == piece) & (piece > 0) & (self._how != "empty")).astype(np.uint8)
        segment_id = editor.mrmlSegmentEditorNode().GetSelectedSegmentID()
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, segment_id, volume)


@contextmanager
def nn_interactive(how: str = "finds") -> Iterator[SlicerNNInteractiveWidget]:
    """Within the block the extension is installed.

    Parameters
    ----------
    how: "finds", "on a server" (finds it there), "not initialized", "fails", "empty", "scene closed" (while it works).
    """
    widget = SlicerNNInteractiveWidget(how)
    slicer.modules.slicernninteractive = SimpleNamespace(name="SlicerNNInteractive")
    slicer.modules.SlicerNNInteractiveWidget = widget
    try:
        yield widget
    finally:
        del slicer.modules.slicernninteractive, slicer.modules.SlicerNNInteractiveWidget
