"""The case list on the screen: a table, next and previous, the status of the open case and the reader's note."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt

from DeepRadScoreSlicer.cases.case_list import CaseList, ListedCase, Status

SYMBOLS = {Status.NOT_STARTED: "○", Status.IN_PROGRESS: "◐", Status.REVIEWED: "✔", Status.FLAGGED: "⚑"}
NEXT_KEY = "Ctrl+PgDown"
PREVIOUS_KEY = "Ctrl+PgUp"
"""Slicer itself takes Ctrl+Right and Ctrl+Left, Alt+Right and Alt+Left (next and previous module), Ctrl+Shift+Right and
Ctrl+Shift+Left (sequences), and single keys while a segment is edited."""
NOTE_PAUSE_MS = 800
MOST_REMARKS = 5
CASE, STATUS, NOTE = range(3)


class CaseListPanel:
    """Shows a `CaseList` and opens its cases one at a time.

    Attributes
    ----------
    current: the open case, None before the first.
    """

    def __init__(
        self, layout: Any, on_open: Callable[[ListedCase], bool], *, shortcut_parent: Any | None = None
    ) -> None:
        """Build the widgets.

        Parameters
        ----------
        layout: of the frame they go into.
        on_open: puts a case into the scene; False: the user does not want to leave the open one.
        shortcut_parent: the keys work while this widget can be seen; default: what holds the layout's own widget.
        """
        self.current: ListedCase | None = None
        self._list: CaseList | None = None
        self._on_open = on_open
        self._filling = False
        self._make_table(layout)
        self._make_buttons(layout)
        self._make_note(layout)
        frame = layout.parentWidget()
        parent = shortcut_parent or frame.parentWidget() or frame
        self._shortcuts = [
            _shortcut(NEXT_KEY, parent, self.next),
            _shortcut(PREVIOUS_KEY, parent, self.previous),
            _shortcut("Return", self.table, self._open_selected, qt.Qt.WidgetShortcut),
            _shortcut("Enter", self.table, self._open_selected, qt.Qt.WidgetShortcut),
        ]
        self._show_state()

    def set_list(self, case_list: CaseList) -> None:
        """Show another list; nothing of it is opened yet. A note that cannot be saved keeps the list before it."""
        if not self.leave():
            return
        self._list, self.current = case_list, None
        self._fill()
        self._show_note()
        self._show_state()
        self._say(_remarks(case_list.remarks))

    def next(self) -> None:
        """Open the case after the open one; the first where none is open."""
        self._step(1)

    def previous(self) -> None:
        """Open the case before the open one."""
        self._step(-1)

    def mark(self, status: Status) -> None:
        """Give the open case a status."""
        if self.current is not None and self._list is not None:
            self._save(self._list.set_status, self.current.case_id, status)
            self._show_row(self._row(self.current))
        self._show_state()

    def leave(self) -> bool:
        """Save the note now, not after the pause: when the module is left, a scene closed or Slicer ended.

        False where it cannot be saved; the message says why, and the text stays in its field.
        """
        self._timer.stop()
        if self.current is None or self._list is None:
            return True
        saved = self._save(self._list.set_note, self.current.case_id, self.note_edit.plainText)
        self._show_row(self._row(self.current))
        return saved

    def close_case(self) -> None:
        """No case is open any more, as after the scene was closed."""
        self.leave()
        self.current = None
        self._show_note()
        self._show_state()

    def _make_table(self, layout: Any) -> None:
        self.table = qt.QTableWidget()
        self.table.objectName = "caseTable"
        self.table.setColumnCount(3)
        self.table.setHorizontalHeaderLabels(["Case", "Status", "Note"])
        self.table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        self.table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        self.table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        self.table.tabKeyNavigation = False
        self.table.verticalHeader().visible = False
        self.table.horizontalHeader().setSectionResizeMode(NOTE, qt.QHeaderView.Stretch)
        self.table.toolTip = "Double click or Enter opens a case."
        self.table.connect("cellDoubleClicked(int,int)", self._on_double_click)
        layout.addWidget(self.table)

    def _make_buttons(self, layout: Any) -> None:
        row = qt.QHBoxLayout()
        self.previous_button = _button("Previous", "previousCaseButton", f"Open the case before ({PREVIOUS_KEY})")
        self.next_button = _button("Next", "nextCaseButton", f"Open the next case ({NEXT_KEY})")
        self.previous_button.connect("clicked(bool)", self._on_previous)
        self.next_button.connect("clicked(bool)", self._on_next)
        row.addWidget(self.previous_button)
        row.addWidget(self.next_button)
        layout.addLayout(row)
        row = qt.QHBoxLayout()
        self.status_buttons: dict[Status, Any] = {}
        for status, handler in (
            (Status.NOT_STARTED, self._on_not_started),
            (Status.IN_PROGRESS, self._on_in_progress),
            (Status.REVIEWED, self._on_reviewed),
            (Status.FLAGGED, self._on_flagged),
        ):
            button = _button(_words(status), f"{status.name.lower()}Button", f"The open case is {status.value}")
            button.checkable = True
            button.connect("clicked(bool)", handler)
            self.status_buttons[status] = button
            row.addWidget(button)
        layout.addLayout(row)

    def _make_note(self, layout: Any) -> None:
        self.note_edit = qt.QPlainTextEdit()
        self.note_edit.objectName = "noteEdit"
        self.note_edit.placeholderText = "Note on the open case; it is saved while you write."
        self.note_edit.tabChangesFocus = True
        self.note_edit.maximumHeight = 70
        self.note_edit.connect("textChanged()", self._on_note_changed)
        layout.addWidget(self.note_edit)
        self.message_label = qt.QLabel()
        self.message_label.objectName = "caseListMessageLabel"
        self.message_label.wordWrap = True
        self.message_label.textFormat = qt.Qt.PlainText
        self.message_label.visible = False
        layout.addWidget(self.message_label)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(NOTE_PAUSE_MS)
        self._timer.connect("timeout()", self._on_note_pause)

    def _step(self, by: int) -> None:
        if self._list is None:
            return
        row = by + (-1 if self.current is None else self._row(self.current))
        if 0 <= row < len(self._list):
            self._open(row)

    def _open(self, row: int) -> None:
        if self._list is None:
            return
        case = self._list.cases[row]
        if case == self.current:
            return
        self._say("")
        if not self.leave() or not self._on_open(case):
            self._select_current()
            return
        self.current = case
        if self._list.status(case.case_id) is Status.NOT_STARTED:
            self._save(self._list.set_status, case.case_id, Status.IN_PROGRESS)
        self._show_row(row)
        self._select_current()
        self._show_note()
        self._show_state()

    def _open_selected(self) -> None:
        if self.table.currentRow() >= 0:
            self._open(self.table.currentRow())

    def _save(self, keep: Callable[..., None], *what: Any) -> bool:
        from DeepRadScoreLib.errors import DeepRadScoreError

        try:
            keep(*what)
        except DeepRadScoreError as error:
            self._say(str(error))
            return False
        return True

    def _fill(self) -> None:
        cases = () if self._list is None else self._list.cases
        self.table.setRowCount(len(cases))
        for row, case in enumerate(cases):
            for column in (CASE, STATUS, NOTE):
                self.table.setItem(row, column, qt.QTableWidgetItem(""))
            item = self.table.item(row, CASE)
            item.setText(case.case_id)
            item.setToolTip(_files(case))
            self._show_row(row)
        self.table.resizeColumnToContents(CASE)
        self.table.resizeColumnToContents(STATUS)
        self._select_current()

    def _show_row(self, row: int) -> None:
        if self._list is None:
            return
        case = self._list.cases[row]
        note = self._list.note(case.case_id)
        self.table.item(row, STATUS).setText(_words(self._list.status(case.case_id)))
        self.table.item(row, NOTE).setText(" ".join(note.split()))
        self.table.item(row, NOTE).setToolTip(note)

    def _select_current(self) -> None:
        if self.current is None:
            self.table.clearSelection()
            self.table.setCurrentCell(-1, -1)
        else:
            self.table.setCurrentCell(self._row(self.current), CASE)

    def _show_note(self) -> None:
        text = self._list.note(self.current.case_id) if self._list is not None and self.current is not None else ""
        self._filling = True
        self.note_edit.setPlainText(text)
        self._filling = False

    def _show_state(self) -> None:
        number = 0 if self._list is None else len(self._list)
        row = -1 if self.current is None else self._row(self.current)
        self.next_button.enabled = row + 1 < number
        self.previous_button.enabled = row > 0
        self.note_edit.enabled = self.current is not None
        for status, button in self.status_buttons.items():
            button.enabled = self.current is not None
            button.checked = (
                self._list is not None
                and self.current is not None
                and self._list.status(self.current.case_id) is status
            )

    def _row(self, case: ListedCase) -> int:
        return -1 if self._list is None else self._list.cases.index(case)

    def _say(self, text: str) -> None:
        self.message_label.text = text
        self.message_label.visible = bool(text)

    def _on_double_click(self, row: int, column: int) -> None:
        self._open(row)

    def _on_next(self, checked: bool = False) -> None:
        self.next()

    def _on_previous(self, checked: bool = False) -> None:
        self.previous()

    def _on_not_started(self, checked: bool = False) -> None:
        self.mark(Status.NOT_STARTED)

    def _on_in_progress(self, checked: bool = False) -> None:
        self.mark(Status.IN_PROGRESS)

    def _on_reviewed(self, checked: bool = False) -> None:
        self.mark(Status.REVIEWED)

    def _on_flagged(self, checked: bool = False) -> None:
        self.mark(Status.FLAGGED)

    def _on_note_pause(self) -> None:
        self.leave()

    def _on_note_changed(self) -> None:
        if not self._filling and self.current is not None:
            self._timer.start()


def _words(status: Status) -> str:
    return f"{SYMBOLS[status]} {status.value}"


def _button(text: str, name: str, tip: str) -> Any:
    button = qt.QPushButton(text)
    button.objectName = name
    button.toolTip = tip
    return button


def _shortcut(key: str, parent: Any, handler: Callable[[], None], context: Any | None = None) -> Any:
    shortcut = qt.QShortcut(qt.QKeySequence(key), parent)
    if context is not None:
        shortcut.setContext(context)
    shortcut.connect("activated()", handler)
    return shortcut


def _files(case: ListedCase) -> str:
    def named(path: Path | None, without: str) -> str:
        return without if path is None else str(path)

    return f"CT: {named(case.ct, 'in the DICOM database')}\nMask: {named(case.mask, 'none named')}"


def _remarks(remarks: tuple[str, ...]) -> str:
    rest = len(remarks) - MOST_REMARKS
    more = (f"and {rest} more remarks.",) if rest > 0 else ()
    return "\n".join([*remarks[:MOST_REMARKS], *more])
