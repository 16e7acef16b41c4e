"""Views and layouts: real nodes, cameras and layout logic; nothing is drawn.

After Libs/MRML/Widgets/qMRMLLayoutManager.h, qMRMLSliceWidget.h, qMRMLThreeDWidget.h and qMRMLThreeDView.h.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from PySide6.QtCore import Property, QObject, Signal, Slot
from PySide6.QtWidgets import QWidget


class qMRMLSliceView(QWidget):
    def scheduleRender(self) -> None:
        pass

    def forceRender(self) -> None:
        pass


class qMRMLSliceWidget(QWidget):
    """One slice view: its logic and node are real, nothing is drawn."""

    def __init__(self, logic: Any) -> None:
        super().__init__()
        self._logic = logic
        self._view = qMRMLSliceView(self)

    def sliceLogic(self) -> Any:
        return self._logic

    def mrmlSliceNode(self) -> Any:
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        return self._logic.GetSliceCompositeNode()

    def sliceView(self) -> QWidget:
        return self._view

    def fitSliceToBackground(self) -> None:
        self._logic.FitSliceToBackground()


class qMRMLThreeDWidget(QWidget):
    """The 3-D view: its view node is real, and so is the camera node in the scene; nothing is drawn."""

    def __init__(self, node: Any) -> None:
        super().__init__()
        self._node = node

    def mrmlViewNode(self) -> Any:
        return self._node


class qSlicerLayoutManager(QObject):
    """Three slice views, the 3-D view and the layouts, by the real layout node; no table or plot view."""

    layoutChanged = Signal(int)

    def __init__(self, parts: SimpleNamespace) -> None:
        super().__init__()
        self._parts = parts
        self._widgets = {name: qMRMLSliceWidget(logic) for name, logic in parts.views.items()}
        self._three_d = qMRMLThreeDWidget(parts.view)

    def sliceViewNames(self) -> list[str]:
        return list(self._widgets)

    def sliceWidget(self, name: str) -> Any:
        return self._widgets.get(name)

    def threeDWidget(self, index: int) -> Any:
        return self._three_d if index == 0 else None

    def layoutLogic(self) -> Any:
        return self._parts.layout

    def mrmlSliceLogics(self) -> Any:
        return self._parts.slices

    @Slot()
    def resetSliceViews(self) -> None:
        for widget in self._widgets.values():
            widget.fitSliceToBackground()

    @Slot()
    def resetThreeDViews(self) -> None:
        pass

    @Slot(int)
    def setLayout(self, layout: int) -> None:
        node = self._parts.layout.GetLayoutNode()
        if node.GetViewArrangement() != layout:
            node.SetViewArrangement(layout)
            self.layoutChanged.emit(layout)

    layout = Property(int, lambda self: self._parts.layout.GetLayoutNode().GetViewArrangement(), setLayout)
    threeDViewCount = Property(int, lambda _: 1)
    tableViewCount = Property(int, lambda _: 0)
    plotViewCount = Property(int, lambda _: 0)
