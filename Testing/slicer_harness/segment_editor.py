"""The Segment Editor, after Modules/Loadable/Segmentations/Widgets/qMRMLSegmentEditorWidget.{h,cxx} and its .ui file.

Its logic is the real one: the nodes it edits and the states for undo and redo. Its buttons, tables and shortcuts are as
many and as high as the original's; its effects draw nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import slicer
from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QApplication,
    QFrame,
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QTableWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from .qmrml_widgets import qMRMLNodeComboBox, qMRMLWidget
from .standins import stored

EFFECTS = (
    "Paint", "Erase", "Scissors", "Draw", "Fill between slices", "Grow from seeds", "Hollow", "Islands",
    "Level tracing", "Logical operators", "Margin", "Mask volume", "Smoothing", "Threshold",
)  # fmt: skip
"""Names (never translated) of the effects that EditorEffects/ registers."""
COLUMNS = 2
"""qMRMLSegmentEditorWidgetPrivate::EffectColumnCount."""
PREVIOUS_NEXT = (("Q", "W"), ("/", "*"), (",", "."), (">", "<"))
"""Keys for the previous and the next segment, as installKeyboardShortcuts pairs them."""
TABLE_HEIGHT = 75
"""Minimum height of SegmentsTable in qMRMLSegmentsTableView.ui."""


class qSlicerSegmentEditorAbstractEffect(QObject):
    """An effect by its name; it draws nothing."""

    def __init__(self, name: str, parent: QObject) -> None:
        super().__init__(parent)
        self.setObjectName(name)

    name = stored(str, "")


class qMRMLSegmentEditorWidget(qMRMLWidget):
    """The Segment Editor: what it edits lies in its parameter node."""

    currentSegmentIDChanged = Signal(str)
    segmentationNodeChanged = Signal(object)
    sourceVolumeNodeChanged = Signal(object)
    CPP_SIGNALS: ClassVar = {
        "segmentationNodeChanged(vtkMRMLSegmentationNode*)": "segmentationNodeChanged(PyObject)",
        "sourceVolumeNodeChanged(vtkMRMLVolumeNode*)": "sourceVolumeNodeChanged(PyObject)",
    }
    CPP_SLOTS: ClassVar = {
        "setSegmentationNode(vtkMRMLNode*)": "setSegmentationNode(PyObject)",
        "setSourceVolumeNode(vtkMRMLNode*)": "setSourceVolumeNode(PyObject)",
        "setMRMLSegmentEditorNode(vtkMRMLSegmentEditorNode*)": "setMRMLSegmentEditorNode(PyObject)",
    }

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._effects = {name: _effect(name, self) for name in EFFECTS}
        self._order, self._last = list(EFFECTS), ""
        self._shortcuts: list[QShortcut] = []
        self._views = self._installed = False
        self._build()
        self._place_effects()

    # its parts, as the .ui file has them

    def _build(self) -> None:
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        self._selectors = {"segmentation": qMRMLNodeComboBox(self), "source volume": qMRMLNodeComboBox(self)}
        for selector in self._selectors.values():
            whole.addWidget(selector)
        row = QHBoxLayout()
        for text in ("Add", "Remove", "Show 3D", "Segmentations…"):
            row.addWidget(QPushButton(text, self))
        whole.addLayout(row)
        halves = QHBoxLayout()
        whole.addLayout(halves)
        left, right = QVBoxLayout(), QVBoxLayout()
        halves.addLayout(left)
        halves.addLayout(right)
        self._buttons = QFrame(self)
        QGridLayout(self._buttons)
        left.addWidget(self._buttons)
        undo = QHBoxLayout()
        for text, slot in (("Undo", self.undo), ("Redo", self.redo)):
            button = QToolButton(self)
            button.setText(text)
            button.clicked.connect(slot)
            undo.addWidget(button)
        left.addLayout(undo)
        left.addStretch()
        table = QTableWidget(self)
        table.setMinimumHeight(TABLE_HEIGHT)
        right.addWidget(table)
        self._options, self._masking = QGroupBox("Options", self), QGroupBox("Masking", self)
        for box, lines in ((self._options, 5), (self._masking, 3)):
            inside = QVBoxLayout(box)
            for _ in range(lines):
                inside.addWidget(QLabel(" ", box))
            box.hide()
            right.addWidget(box)

    def _place_effects(self) -> None:
        """Buttons of the displayed effects, a button for none first (updateEffectList)."""
        grid = self._buttons.layout()
        while (item := grid.takeAt(0)) is not None:
            item.widget().deleteLater()
        for place, name in enumerate(["", *self._displayed()]):
            button = QToolButton(self._buttons)
            button.setObjectName(name or "NULL")
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
            button.setFixedSize(28, 28)
            button.clicked.connect(lambda _checked=False, name=name: self.setActiveEffectByName(name))
            grid.addWidget(button, place // COLUMNS, place % COLUMNS)

    def _displayed(self) -> list[str]:
        ordered = [name for name in self._order if name in self._effects]
        rest = [name for name in EFFECTS if name not in ordered]
        return ordered + (rest if self.unorderedEffectsVisible else [])

    # what it edits

    def mrmlSegmentEditorNode(self) -> Any:
        return self._node

    @Slot(object)
    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        self._node = node
        self._logic.SetSegmentEditorNode(node)

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        self._logic.SetMRMLScene(scene)
        super().setMRMLScene(scene)

    def segmentationNode(self) -> Any:
        return self._node.GetSegmentationNode() if self._node is not None else None

    def segmentationNodeID(self) -> str:
        node = self.segmentationNode()
        return node.GetID() if node is not None else ""

    @Slot(object)
    def setSegmentationNode(self, node: Any) -> None:
        """Takes the reference geometry's volume and the first segment (updateWidgetFromSegmentationNode)."""
        if self._node is None or node is self.segmentationNode():
            return
        self._logic.SetSegmentationNode(node)
        self.setActiveEffect(None)
        ids = ()
        if node is not None:
            self.setSourceVolumeNode(node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()))
            node.CreateDefaultDisplayNodes()
            ids = node.GetSegmentation().GetSegmentIDs()
        self.segmentationNodeChanged.emit(node)
        self.setCurrentSegmentID(ids[0] if ids else "")

    def sourceVolumeNode(self) -> Any:
        return self._node.GetSourceVolumeNode() if self._node is not None else None

    @Slot(object)
    def setSourceVolumeNode(self, node: Any) -> None:
        if self._node is None or node is self.sourceVolumeNode():
            return
        self._logic.SetSourceVolumeNode(node)
        self.sourceVolumeNodeChanged.emit(node)

    def currentSegmentID(self) -> str:
        return (self._node.GetSelectedSegmentID() or "") if self._node is not None else ""

    @Slot(str)
    def setCurrentSegmentID(self, segment_id: str) -> None:
        if self._node is not None and segment_id != self.currentSegmentID():
            self._node.SetSelectedSegmentID(segment_id)
            self.currentSegmentIDChanged.emit(segment_id)

    # undo

    @Slot()
    def saveStateForUndo(self) -> None:
        self._logic.SaveStateForUndo()

    @Slot()
    def undo(self) -> None:
        self._logic.Undo()

    @Slot()
    def redo(self) -> None:
        self._logic.Redo()

    # effects

    def activeEffect(self) -> Any:
        return self._effects.get(self._node.GetActiveEffectName() or "") if self._node is not None else None

    def setActiveEffect(self, effect: Any) -> None:
        if self._node is None:
            return
        name = effect.objectName() if effect is not None else ""
        self._last = self._node.GetActiveEffectName() or self._last
        self._node.SetActiveEffectName(name)
        for box in (self._options, self._masking):
            box.setVisible(bool(name))

    @Slot(str)
    def setActiveEffectByName(self, name: str) -> None:
        self.setActiveEffect(self.effectByName(name))

    def effectByName(self, name: str) -> Any:
        return self._effects.get(name)

    def effectByIndex(self, index: int) -> Any:
        displayed = ["", *self._displayed()]
        return self._effects.get(displayed[index]) if 0 <= index < len(displayed) else None

    def setEffectNameOrder(self, names: list[str]) -> None:
        self._order = list(names)
        self._place_effects()

    def effectNameOrder(self) -> list[str]:
        return list(self._order)

    # keys and views

    def installKeyboardShortcuts(self, parent: QWidget | None = None) -> None:
        """The same keys, on the main window where no parent is given; none where there is no main window."""
        self.uninstallKeyboardShortcuts()
        self._installed = True
        parent = parent or QApplication.instance()._window
        if parent is None:
            return
        for index in range(1, 11):
            self._add(str(index % 10), parent, lambda index=index: self._toggle(index))
            self._add(f"Shift+{index % 10}", parent, lambda index=index: self._toggle(index + 10))
        self._add(Qt.Key.Key_Escape, parent, lambda: self._toggle(0))
        self._add(Qt.Key.Key_Space, parent, lambda: self.setActiveEffectByName(self._last))
        for keys, slot in (
            (("Z", QKeySequence.StandardKey.Undo), self.undo),
            (("Y", QKeySequence.StandardKey.Redo), self.redo),
        ):
            for key in keys:
                self._add(key, parent, slot)
        for previous, following in PREVIOUS_NEXT:
            self._add(previous, parent, lambda: self._step(-1))
            self._add(following, parent, lambda: self._step(1))
        self._add("I", parent, lambda: None)

    def _add(self, key: Any, parent: QWidget, slot: Callable[[], Any]) -> None:
        shortcut = QShortcut(QKeySequence(key), parent)
        shortcut.activated.connect(slot)
        self._shortcuts.append(shortcut)

    def uninstallKeyboardShortcuts(self) -> None:
        for shortcut in self._shortcuts:
            shortcut.setParent(None)
            shortcut.deleteLater()
        self._shortcuts.clear()
        self._installed = False

    def _toggle(self, index: int) -> None:
        effect = self.effectByIndex(index)
        self.setActiveEffect(None if effect is self.activeEffect() else effect)

    def _step(self, by: int) -> None:
        node = self.segmentationNode()
        ids = list(node.GetSegmentation().GetSegmentIDs()) if node is not None else []
        if self.currentSegmentID() in ids and 0 <= ids.index(self.currentSegmentID()) + by < len(ids):
            self.setCurrentSegmentID(ids[ids.index(self.currentSegmentID()) + by])

    def setupViewObservations(self) -> None:
        self._views = True

    def removeViewObservations(self) -> None:
        self._views = False

    @Slot()
    def updateWidgetFromMRML(self) -> None:
        pass

    unorderedEffectsVisible = stored(bool, True, lambda self: self._place_effects())
    segmentationNodeSelectorVisible = stored(bool, True, lambda self: self._show_selectors())
    sourceVolumeNodeSelectorVisible = stored(bool, True, lambda self: self._show_selectors())
    switchToSegmentationsButtonVisible = stored(bool, True)
    addRemoveSegmentButtonsVisible = stored(bool, True)
    show3DButtonVisible = stored(bool, True)
    maskingSectionVisible = stored(bool, True)
    specifyGeometryButtonVisible = stored(bool, True)
    autoShowSourceVolumeNode = stored(bool, True)
    jumpToSelectedSegmentEnabled = stored(bool, False)
    undoEnabled = stored(bool, True)
    maximumNumberOfUndoStates = stored(
        int, 5, lambda self: self._logic.SetMaximumNumberOfUndoStates(self.maximumNumberOfUndoStates)
    )
    readOnly = stored(bool, False)

    def _show_selectors(self) -> None:
        self._selectors["segmentation"].setVisible(self.segmentationNodeSelectorVisible)
        self._selectors["source volume"].setVisible(self.sourceVolumeNodeSelectorVisible)


def _effect(name: str, parent: QObject) -> qSlicerSegmentEditorAbstractEffect:
    effect = qSlicerSegmentEditorAbstractEffect(name, parent)
    effect.name = name
    return effect


def editor_state(editor: Any) -> dict[str, Any]:
    """What a Segment Editor leaves in the application: its shortcuts, its hold on the views, its active effect."""
    obj = editor._object
    name = obj._node.GetActiveEffectName() if obj._node is not None else ""
    return {"shortcuts": obj._installed, "views": obj._views, "effect": name or ""}
