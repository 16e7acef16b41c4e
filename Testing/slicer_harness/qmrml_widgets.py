"""Plain stand-ins for the qMRML widgets used, after Slicer's Libs/MRML/Widgets and the Segmentations module's widgets.

The scene reaches them only through `setMRMLScene`, as in Slicer; without it a selector is empty and disabled.
"""

from __future__ import annotations

import weakref
from typing import Any, ClassVar

import shiboken6
import slicer
import vtk
from PySide6.QtCore import Property, Signal, Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from .standins import stored


class Observers:
    """The observers that a widget has set; they go with the widget."""

    def __init__(self, widget: QWidget) -> None:
        self._tags: list[tuple[Any, int]] = []
        self._widget = weakref.ref(widget)
        widget.destroyed.connect(self.clear)

    def add(self, observed: Any, event: int, name: str, with_node: bool = False) -> None:
        widget = self._widget

        def plain(*_: Any) -> None:
            alive = widget()
            if alive is not None and shiboken6.isValid(alive):
                getattr(alive, name)()

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def handing_over(_caller: Any, _event: str, node: Any) -> None:
            alive = widget()
            if alive is not None and shiboken6.isValid(alive):
                getattr(alive, name)(node)

        self._tags.append((observed, observed.AddObserver(event, handing_over if with_node else plain)))

    def forget(self, observed: Any) -> None:
        """A node is leaving the scene: nothing here may keep it alive."""
        for known, tag in self._tags:
            if known is observed:
                known.RemoveObserver(tag)
        self._tags[:] = [entry for entry in self._tags if entry[0] is not observed]

    def clear(self, *_: Any) -> None:
        for observed, tag in self._tags:
            observed.RemoveObserver(tag)
        self._tags.clear()


class qMRMLWidget(QWidget):
    """A widget that hands its scene on by a signal, and to nobody by itself."""

    mrmlSceneChanged = Signal(object)
    CPP_SIGNALS: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged(PyObject)"}
    CPP_SLOTS: ClassVar = {"setMRMLScene(vtkMRMLScene*)": "setMRMLScene(PyObject)"}

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None

    def mrmlScene(self) -> Any:
        return self._scene

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(QWidget):
    """The scene's nodes of some types, one of them chosen."""

    currentNodeChanged = Signal((object,), (bool,))
    currentNodeIDChanged = Signal(str)
    nodeActivated = Signal(object)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeAboutToBeRemoved = Signal(object)
    CPP_SIGNALS: ClassVar = {
        f"{name}(vtkMRMLNode*)": f"{name}(PyObject)"
        for name in ("currentNodeChanged", "nodeActivated", "nodeAdded", "nodeAddedByUser", "nodeAboutToBeRemoved")
    }
    CPP_SLOTS: ClassVar = {
        "setMRMLScene(vtkMRMLScene*)": "setMRMLScene(PyObject)",
        "setCurrentNode(vtkMRMLNode*)": "setCurrentNode(PyObject)",
    }

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None
        self._requested = ""
        self._attributes: list[tuple[str, str, Any]] = []
        self._observers, self._node_observers = Observers(self), Observers(self)
        self._box = QComboBox(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._box.currentIndexChanged.connect(self._emit)
        self._box.activated.connect(lambda _: self.nodeActivated.emit(self.currentNode()))
        self.setFocusProxy(self._box)
        self.setEnabled(False)

    def _refill(self) -> None:
        chosen = self.currentNodeID
        self._box.blockSignals(True)
        self._box.clear()
        if self.noneEnabled:
            self._box.addItem(self.noneDisplay, "")
        for node in self._nodes():
            self._box.addItem(node.GetName(), node.GetID())
        self._observe_names()
        index = self._box.findData(chosen) if chosen else -1
        first = 0 if self.noneEnabled or (self._box.count() and not self._has_actions()) else -1
        self._box.setCurrentIndex(index if index >= 0 else first)
        self._box.blockSignals(False)
        if self.currentNodeID != chosen:
            self._emit()

    def _has_actions(self) -> bool:
        return self.addEnabled or self.removeEnabled or self.editEnabled or self.renameEnabled

    def _nodes(self) -> list[Any]:
        scene = self._scene
        every = [] if scene is None else [scene.GetNthNode(i) for i in range(scene.GetNumberOfNodes())]
        return [node for node in every if self._accepts(node)]

    def _accepts(self, node: Any) -> bool:
        kinds = self.nodeTypes
        of_kind = any(node.IsA(k) if self.showChildNodeTypes else node.GetClassName() == k for k in kinds)
        if not of_kind or (node.GetHideFromEditors() and not self.showHidden):
            return False
        if any(node.IsA(k) for k in self.hideChildNodeTypes if k not in kinds):
            return False
        return all(
            node.GetAttribute(name) is not None and value in (None, "", node.GetAttribute(name))
            for kind, name, value in self._attributes
            if node.IsA(kind)
        )

    def _observe_names(self) -> None:
        self._node_observers.clear()
        for node in self._nodes():
            self._node_observers.add(node, vtk.vtkCommand.ModifiedEvent, "_rename")

    def _rename(self) -> None:
        for i in range(self._box.count()):
            node = self._node_with_id(self._box.itemData(i))
            if node is not None and self._box.itemText(i) != node.GetName():
                self._box.setItemText(i, node.GetName())

    def _added(self, node: Any) -> None:
        if not self._accepts(node):
            return
        before = self._box.currentIndex()
        self._box.blockSignals(True)
        self._box.addItem(node.GetName(), node.GetID())
        if before < 0 and self._has_actions():
            self._box.setCurrentIndex(-1)
        self._box.blockSignals(False)
        self._node_observers.add(node, vtk.vtkCommand.ModifiedEvent, "_rename")
        self.nodeAdded.emit(node)
        if self._box.currentIndex() != before:
            self._emit()

    def _about_to_be_removed(self, node: Any) -> None:
        index = self._box.findData(node.GetID())
        if index < 0:
            return
        self.nodeAboutToBeRemoved.emit(node)
        self._node_observers.forget(node)
        was_current = index == self._box.currentIndex()
        self._box.blockSignals(True)
        self._box.removeItem(index)
        self._box.blockSignals(False)
        if was_current:
            self._emit()

    def _emit(self, *_: Any) -> None:
        node = self.currentNode()
        self.currentNodeChanged[object].emit(node)
        self.currentNodeChanged[bool].emit(node is not None)
        self.currentNodeIDChanged.emit(self.currentNodeID)

    def _node_with_id(self, node_id: str | None) -> Any:
        return self._scene.GetNodeByID(node_id) if self._scene is not None and node_id else None

    def mrmlScene(self) -> Any:
        return self._scene

    @Slot(object)
    def setMRMLScene(self, scene: Any) -> None:
        if scene is self._scene:
            return
        self._observers.clear()
        self._scene = scene
        if scene is not None:
            self._observers.add(scene, scene.NodeAddedEvent, "_added", with_node=True)
            self._observers.add(scene, scene.NodeAboutToBeRemovedEvent, "_about_to_be_removed", with_node=True)
            self._observers.add(scene, scene.EndImportEvent, "_refill")
        self._refill()
        if self._requested:
            self._set_current_id(self._requested)
            self._requested = ""
        self.setEnabled(scene is not None)

    def currentNode(self) -> Any:
        return self._node_with_id(self._box.currentData())

    @Slot(object)
    def setCurrentNode(self, node: Any) -> None:
        self._set_current_id(node.GetID() if node is not None else "")

    @Slot(str)
    def setCurrentNodeID(self, node_id: str) -> None:
        self._set_current_id(node_id)

    def _set_current_id(self, node_id: str) -> None:
        if self._scene is None:
            self._requested = node_id
            return
        index = self._box.findData(node_id) if node_id else -1
        self._box.setCurrentIndex(index if index >= 0 else (0 if self.noneEnabled else -1))

    @Slot(int)
    def setCurrentNodeIndex(self, index: int) -> None:
        self._box.setCurrentIndex(index + int(self.noneEnabled))

    def nodeCount(self) -> int:
        return self._box.count() - int(self.noneEnabled)

    def nodeFromIndex(self, index: int) -> Any:
        return self._node_with_id(self._box.itemData(index + int(self.noneEnabled)))

    def addNode(self, node_type: str = "") -> Any:
        kinds = self.nodeTypes
        if not kinds or (node_type and node_type not in kinds) or self._scene is None:
            return None
        node = self._scene.AddNewNodeByClass(node_type or kinds[0], self.baseName)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        if self.currentNode() is not None:
            self._scene.RemoveNode(self.currentNode())

    def addAttribute(self, node_type: str, name: str, value: Any = None) -> None:
        self._attributes.append((node_type, name, value))
        self._refill()

    def removeAttribute(self, node_type: str, name: str) -> None:
        self._attributes = [a for a in self._attributes if a[:2] != (node_type, name)]
        self._refill()

    nodeTypes = stored("QStringList", [], _refill)
    hideChildNodeTypes = stored("QStringList", [], _refill)
    showHidden = stored(bool, False, _refill)
    showChildNodeTypes = stored(bool, True, _refill)
    noneEnabled = stored(bool, False, _refill)
    noneDisplay = stored(str, "None", _refill)
    addEnabled = stored(bool, True)
    removeEnabled = stored(bool, True)
    editEnabled = stored(bool, False)
    renameEnabled = stored(bool, False)
    selectNodeUponCreation = stored(bool, True)
    baseName = stored(str, "")
    currentNodeID = Property(str, lambda self: self._box.currentData() or "", lambda self, v: self._set_current_id(v))


class qMRMLSegmentSelectorWidget(qMRMLWidget):
    """A segmentation and one of its segments.

    As the original, it keeps the last segment's ID when the segmentation is gone or has no segments left.
    """

    currentNodeChanged = Signal((object,), (bool,))
    currentSegmentChanged = Signal(str)
    segmentSelectionChanged = Signal("QStringList")
    CPP_SIGNALS: ClassVar = {"currentNodeChanged(vtkMRMLNode*)": "currentNodeChanged(PyObject)"}
    CPP_SLOTS: ClassVar = {"setCurrentNode(vtkMRMLNode*)": "setCurrentNode(PyObject)"}

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._segmentation: Any = None
        self._segment = ""
        self._observers = Observers(self)
        self._nodes, self._label, self._segments = qMRMLNodeComboBox(self), QLabel(self), QComboBox(self)
        self._nodes.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._nodes.addEnabled = self._nodes.removeEnabled = False
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self._nodes, self._label, self._segments):
            layout.addWidget(widget)
        self.mrmlSceneChanged.connect(self._nodes.setMRMLScene)
        self._nodes.currentNodeChanged[object].connect(self._node_changed)
        self._nodes.currentNodeChanged[object].connect(self.currentNodeChanged[object])
        self._nodes.currentNodeChanged[bool].connect(self.currentNodeChanged[bool])
        self._segments.currentIndexChanged.connect(self._segment_changed)
        self._populate()

    def _node_changed(self, node: Any) -> None:
        if node is self._segmentation:
            return
        self._observers.clear()
        self._segmentation = node
        if node is not None:
            for event in ("SegmentAdded", "SegmentRemoved", "SegmentModified"):
                self._observers.add(node, getattr(slicer.vtkSegmentation, event), "_populate")
        self._populate()

    def _ids(self) -> list[str]:
        node = self._segmentation
        return list(node.GetSegmentation().GetSegmentIDs()) if node is not None and node.GetSegmentation() else []

    def _populate(self) -> None:
        ids = self._ids()
        self._segments.blockSignals(True)
        self._segments.clear()
        for visible in (self._segments,):
            visible.setVisible(bool(ids))
        self._label.setText(
            "" if ids else ("No segments in segmentation" if self._segmentation else "No node is selected")
        )
        self._label.setVisible(not ids)
        if not ids:
            self._segments.blockSignals(False)
            return
        if self.noneEnabled:
            self._segments.addItem("None", "")
        for segment_id in ids:
            self._segments.addItem(self._segmentation.GetSegmentation().GetSegment(segment_id).GetName(), segment_id)
        keep = self._segment in ids or (self.noneEnabled and not self._segment)
        self._segments.setCurrentIndex(self._segments.findData(self._segment) if keep else -1)
        self._segments.blockSignals(False)
        if not keep:
            self._segments.setCurrentIndex(int(self.noneEnabled))

    def _segment_changed(self, index: int) -> None:
        if self._segmentation is not None:
            self._segment = self._segments.itemData(index) or ""
            self.currentSegmentChanged.emit(self._segment)

    def currentNode(self) -> Any:
        return self._nodes.currentNode()

    def currentNodeID(self) -> str:
        return self._nodes.currentNodeID

    @Slot(object)
    def setCurrentNode(self, node: Any) -> None:
        self._nodes.setCurrentNode(node)

    @Slot(str)
    def setCurrentNodeID(self, node_id: str) -> None:
        self._nodes.setCurrentNodeID(node_id)

    def currentSegmentID(self) -> str:
        return self._segment

    @Slot(str)
    def setCurrentSegmentID(self, segment_id: str) -> None:
        index = 0 if not segment_id and self.noneEnabled else self._segments.findData(segment_id)
        if index >= 0:
            self._segments.setCurrentIndex(index)

    def _set_none_enabled(self, enabled: bool) -> None:
        self._nodes.noneEnabled = enabled
        self._populate()

    noneEnabled = Property(bool, lambda self: self._nodes.noneEnabled, _set_none_enabled)
    editEnabled = stored(bool, False)
    multiSelection = stored(bool, False)
    horizontalLayout = stored(bool, False)
    selectNodeUponCreation = stored(bool, True)
    segmentationNodeSelectorVisible = Property(
        bool, lambda self: not self._nodes.isHidden(), lambda self, v: self._nodes.setVisible(v)
    )


QMRML = {cls.__name__: cls for cls in (qMRMLWidget, qMRMLNodeComboBox, qMRMLSegmentSelectorWidget)}
