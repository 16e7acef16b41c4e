"""Plain stand-ins for the ctk widgets used, after CTK's headers: properties, signals, what these do to each other."""

from __future__ import annotations

import enum
from typing import Any, ClassVar

from PySide6.QtCore import Property, QChildEvent, QRegularExpression, Qt, Signal, Slot
from PySide6.QtGui import QRegularExpressionValidator
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSlider,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QMessageBox,
    QSizePolicy,
    QSlider,
    QStyle,
    QStyleOptionButton,
    QStylePainter,
    QToolButton,
    QWidget,
)

from .dialogs import dialogs
from .pythonqt import overrides
from .standins import stored


class ctkCollapsibleButton(QAbstractButton):
    """A section with a heading; collapsing hides what is in it."""

    contentsCollapsed = Signal(bool)

    def __init__(self, *args: Any) -> None:
        text = [a for a in args if isinstance(a, str)]
        super().__init__(*[a for a in args if isinstance(a, QWidget)])
        self.setText("".join(text))
        self._collapsed = False
        self._hidden: set[QWidget] = set()
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(lambda on: self.setCollapsed(not on))

    def _is_collapsed(self) -> bool:
        return self._collapsed

    def setCollapsed(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self.setChecked(not collapsed)
        for child in self.children():
            if not isinstance(child, QWidget):
                continue
            if collapsed and not child.isHidden():
                self._hidden.add(child)
                child.hide()
            elif not collapsed and child in self._hidden:
                child.show()
        if not collapsed:
            self._hidden.clear()
        self.contentsCollapsed.emit(collapsed)

    collapsed = Property(bool, _is_collapsed, setCollapsed)
    collapsedHeight = stored(int, 14)
    flat = stored(bool, False)

    def paintEvent(self, _event: Any) -> None:
        painter, option = QStylePainter(self), QStyleOptionButton()
        option.initFrom(self)
        option.rect.setHeight(self._heading())
        option.text = ("▸ " if self._collapsed else "▾ ") + self.text()
        painter.drawControl(QStyle.ControlElement.CE_PushButton, option)

    def _heading(self) -> int:
        return self.fontMetrics().height() + 8

    def childEvent(self, event: QChildEvent) -> None:
        if self.layout() is not None:
            self.layout().setContentsMargins(9, self._heading() + 6, 9, 9)
        super().childEvent(event)

    def sizeHint(self) -> Any:
        hint = self.layout().sizeHint() if self.layout() is not None and not self._collapsed else super().sizeHint()
        hint.setHeight(max(hint.height() if not self._collapsed else 0, self._heading()))
        return hint

    minimumSizeHint = sizeHint


class PathFilter(enum.IntFlag):
    """What a ctkPathLineEdit may hold: ctkPathLineEdit::Filter, QDir's numbers."""

    Dirs, Files, Drives = 0x001, 0x002, 0x004
    Readable, Writable, Executable, Hidden = 0x010, 0x020, 0x040, 0x100


class ctkPathLineEdit(QWidget):
    """A path that can be typed or looked for.

    An empty text is no valid path and is not reported: `updateHasValidInput` emits `currentPathChanged` only for text
    that the validator accepts, which is ".+" where there are no name filters (ctkPathLineEdit.cpp, ctkUtils.cpp).
    """

    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)

    Dirs, Files, Drives = PathFilter.Dirs, PathFilter.Files, PathFilter.Drives
    Readable, Writable, Executable = PathFilter.Readable, PathFilter.Writable, PathFilter.Executable

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._box, button = QComboBox(self), QToolButton(self)
        self._box.setEditable(True)
        self._box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self._edit = self._box.lineEdit()
        self._edit.setValidator(QRegularExpressionValidator(QRegularExpression(".+"), self))
        self._valid = False
        button.setText("...")
        button.clicked.connect(self.browse)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._box)
        layout.addWidget(button)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._edit.textChanged.connect(self._update_validity)
        self.setFocusProxy(self._edit)

    def _update_validity(self) -> None:
        before, self._valid = self._valid, self._edit.hasAcceptableInput()
        if self._valid:
            self.currentPathChanged.emit(self._path())
        if self._valid != before:
            self.validInputChanged.emit(self._valid)

    def _path(self) -> str:
        return self._edit.text()

    @Slot(str)
    def setCurrentPath(self, path: str) -> None:
        self._edit.setText(path)

    @Slot()
    def browse(self) -> None:
        answer = dialogs.ask(f"ctkPathLineEdit: {self.objectName()}")
        if answer:
            self.setCurrentPath(answer)

    currentPath = Property(str, _path, setCurrentPath)
    label = stored(str, "")
    filters = stored(int, 0)
    nameFilters = stored("QStringList", [])
    settingKey = stored(str, "")
    showBrowseButton = stored(bool, True)
    showHistoryButton = stored(bool, True)

    @Slot()
    def addCurrentPathToHistory(self) -> None:
        pass


class ctkSliderWidget(QWidget):
    """A slider with a spin box, over a real interval."""

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    CPP_SIGNALS: ClassVar = {"valueChanged(double)": "valueChanged(double)"}
    STEPS = 1000

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider, self._box = QSlider(Qt.Orientation.Horizontal, self), QDoubleSpinBox(self)
        self._slider.setRange(0, self.STEPS)
        self._box.setRange(0.0, 99.0)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        layout.addWidget(self._box)
        self._box.valueChanged.connect(self._follow)
        self._slider.actionTriggered.connect(self._slid)
        self.setFocusProxy(self._slider)

    def _follow(self, value: float) -> None:
        low, high = self._box.minimum(), self._box.maximum()
        self._slider.setValue(round((value - low) / (high - low) * self.STEPS) if high > low else 0)
        self.valueChanged.emit(value)

    def _slid(self, action: int) -> None:
        if action != QAbstractSlider.SliderAction.SliderNoAction.value:
            low, high = self._box.minimum(), self._box.maximum()
            self._box.setValue(low + (high - low) * self._slider.sliderPosition() / self.STEPS)

    def setRange(self, low: float, high: float) -> None:
        self._box.setRange(low, high)

    value = Property(float, lambda self: self._box.value(), lambda self, v: self._box.setValue(v))
    minimum = Property(float, lambda self: self._box.minimum(), lambda self, v: self._box.setMinimum(v))
    maximum = Property(float, lambda self: self._box.maximum(), lambda self, v: self._box.setMaximum(v))
    singleStep = Property(float, lambda self: self._box.singleStep(), lambda self, v: self._box.setSingleStep(v))
    decimals = Property(int, lambda self: self._box.decimals(), lambda self, v: self._box.setDecimals(v))
    prefix = Property(str, lambda self: self._box.prefix(), lambda self, v: self._box.setPrefix(v))
    suffix = Property(str, lambda self: self._box.suffix(), lambda self, v: self._box.setSuffix(v))
    tracking = stored(bool, True)
    pageStep = stored(float, 1.0)
    spinBoxVisible = Property(bool, lambda self: not self._box.isHidden(), lambda self, v: self._box.setVisible(v))

    @Slot(float)
    def setValue(self, value: float) -> None:
        self._box.setValue(value)


class ctkMessageBox(QMessageBox):
    """A message box that can be told not to come again. It is answered from `dialogs`."""

    dontShowAgain = stored(bool, False)
    dontShowAgainVisible = stored(bool, False)
    dontShowAgainSettingsKey = stored(str, "")
    YES = (QMessageBox.StandardButton.Ok, QMessageBox.StandardButton.Yes, QMessageBox.StandardButton.Retry)
    NO = (QMessageBox.StandardButton.Cancel, QMessageBox.StandardButton.No, QMessageBox.StandardButton.Close)

    def exec(self) -> Any:
        """The button that the recorded answer means: True is Ok, Yes or Retry, False is Cancel, No or Close."""
        answer = dialogs.ask(self.text())
        if not isinstance(answer, bool) and answer is not None:
            return answer
        offered = self.standardButtons()
        candidates = self.NO if answer is False else self.YES
        return next((button for button in candidates if offered & button), QMessageBox.StandardButton.Ok)


overrides["ctkMessageBox", "exec_"] = lambda box: box._object.exec()

CTK = {
    cls.__name__: cls
    for cls in (
        ctkCollapsibleButton,
        ctkPathLineEdit,
        ctkSliderWidget,
        ctkMessageBox,
    )
}
