"""The Segment Editor inside the module's panel."""

from __future__ import annotations

from typing import Any

import slicer

TAG = "DeepRadScore"
EFFECTS = [
    "Paint", "Draw", "Erase", "Level tracing", "Grow from seeds", "Fill between slices", "Threshold",
    "Margin", "Smoothing", "Scissors", "Islands", "Logical operators", "Mask volume",
]  # fmt: skip


class Editor:
    """A `qMRMLSegmentEditorWidget` with another parameter node than Slicer's Segment Editor.

    The nodes are chosen by the panel, so the editor's selectors are hidden. Outside Slicer's application, where
    there is no such widget, the panel works without it.
    """

    def __init__(self, layout: Any) -> None:
        import qSlicerSegmentationsModuleWidgetsPythonQt as widgets

        self._widget = widgets.qMRMLSegmentEditorWidget()
        self._widget.maximumNumberOfUndoStates = 10
        self._widget.segmentationNodeSelectorVisible = False
        self._widget.sourceVolumeNodeSelectorVisible = False
        self._widget.switchToSegmentationsButtonVisible = False
        self._widget.setEffectNameOrder(EFFECTS)
        self._widget.unorderedEffectsVisible = False
        self._entered = False
        self._choose_node()
        self._widget.setMRMLScene(slicer.mrmlScene)
        layout.addWidget(self._widget)

    def set_nodes(self, segmentation: Any | None, volume: Any | None, segment_id: str = "") -> None:
        """Edit a segmentation on a volume; None for nothing to edit."""
        if slicer.mrmlScene.IsClosing():
            return
        self._choose_node()
        if self._widget.segmentationNode() != segmentation:
            self._widget.setActiveEffect(None)
            self._widget.setSegmentationNode(segmentation)
        if segmentation is not None:
            self._widget.setSourceVolumeNode(volume)
            if segment_id:
                self._widget.setCurrentSegmentID(segment_id)
        self._widget.enabled = segmentation is not None and volume is not None

    def draw(self) -> None:
        """Activate painting: the next stroke in a slice view draws the chosen segment."""
        self._widget.setActiveEffectByName("Paint")

    def save_state(self) -> None:
        """Save the segmentation for the editor's Undo: to be called before the module itself changes it."""
        self._widget.saveStateForUndo()

    def undo(self) -> None:
        """Go back to the state that was saved last."""
        self._widget.undo()

    def enter(self) -> None:
        """Install the editor's keys and observe the views: the module is shown."""
        if not self._entered:
            self._entered = True
            self._choose_node()
            self._widget.installKeyboardShortcuts()
            self._widget.setupViewObservations()
            self._widget.updateWidgetFromMRML()

    def exit(self) -> None:
        """Deactivate the effect, the keys and the views' observers: the module is hidden."""
        if self._entered:
            self._entered = False
            self._widget.setActiveEffect(None)
            self._widget.uninstallKeyboardShortcuts()
            self._widget.removeViewObservations()

    def close(self) -> None:
        """Let go of the scene's nodes before it is closed."""
        self._widget.setSegmentationNode(None)
        self._widget.removeViewObservations()

    def _choose_node(self) -> None:
        """Set the editor's parameter node: made where the scene has none (first use, or after it was closed)."""
        node = slicer.mrmlScene.GetSingletonNode(TAG, "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
            node.UnRegister(None)
            node.SetSingletonTag(TAG)
            node = slicer.mrmlScene.AddNode(node)
        if self._widget.mrmlSegmentEditorNode() != node:
            self._widget.setMRMLSegmentEditorNode(node)
