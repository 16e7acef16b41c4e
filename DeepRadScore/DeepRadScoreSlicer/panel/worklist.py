"""A list of cases on the screen: its table, next and previous, the status of the open case and the reader's note."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import qt
from slicer.i18n import tr as _

from DeepRadScoreLib.errors import DeepRadScoreError
from DeepRadScoreSlicer.cases.worklist import ListedCase, Status, Worklist
from DeepRadScoreSlicer.panel.case_table import CaseTable, status_name, status_text
from DeepRadScoreSlicer.panel.keys import OF_STATUS, Key, install

MAX_REMARKS = 5
PAUSE_MS = 800


class WorklistView:
    """Shows a `Worklist` and opens its cases one at a time.

    Attributes
    ----------
    current: the open case, None before the first.
    """

    def __init__(self, layout: Any, on_open: Callable[[ListedCase, Callable[[], None]], None]) -> None:
        """Build the widgets.

        Parameters
        ----------
        layout: of the frame they go into; the keys work while what holds this frame can be seen.
        on_open: puts a case into the scene, and calls its second argument once this is the open case; not where the
            user does not want to leave the one that was open.
        """
        self.current: ListedCase | None = None
        self._list: Worklist | None = None
        self._opening = False
        self._on_open = on_open
        self._make_filter(layout)
        self.table = CaseTable(layout, self._open)
        self._make_buttons(layout)
        self.note = NoteField(layout, self.leave)
        self._make_message(layout)
        frame = layout.parentWidget()
        parent = frame.parentWidget() or frame
        marks = {key: partial(self.mark, status) for status, key in OF_STATUS.items()}
        self._shortcuts = install(parent, {Key.NEXT_CASE: self.next, Key.PREVIOUS_CASE: self.previous, **marks})
        self._show_state()

    def set_list(self, worklist: Worklist) -> None:
        """Show another list; nothing of it is opened yet. A note that cannot be saved keeps the list before it."""
        if not self.leave():
            return
        self._list, self.current = worklist, None
        self.table.fill(worklist)
        self.filter.setCurrentIndex(0)
        self._show_note()
        self._show_state()
        self._say(_remarks(worklist.remarks))

    def next(self) -> None:
        """Open the listed case after the open one; the first where none is open."""
        self._step(1)

    def previous(self) -> None:
        """Open the listed case before the open one."""
        self._step(-1)

    def show_only(self, status: Status | None) -> None:
        """List the cases of one status, and the open one; None for all. Next and previous keep to those listed."""
        self.filter.setCurrentIndex(0 if status is None else 1 + list(Status).index(status))

    def wait(self, opening: bool) -> None:
        """Offer no other case while one is being opened."""
        if opening != self._opening:
            self._opening = opening
            self._show_state()

    def mark(self, status: Status) -> None:
        """Give the open case a status."""
        if self.current is not None and self._list is not None:
            self._save(self._list.set_status, self.current.case_id, status)
            self._show_row(self._row)
        self._show_state()

    def leave(self) -> bool:
        """Save the note now, not after the pause: when the module is left, a scene closed or Slicer ended.

        False where it cannot be saved; the message says why, and the text stays in its field.
        """
        self.note.stop()
        if self.current is None or self._list is None:
            return True
        saved = self._save(self._list.set_note, self.current.case_id, self.note.text)
        self._show_row(self._row)
        return saved

    def close_case(self) -> None:
        """No case is open any more, as after the scene was closed."""
        self.leave()
        self.current = None
        self._show_note()
        self._show_state()

    def _make_buttons(self, layout: Any) -> None:
        row = qt.QHBoxLayout()
        self.previous_button = _button(
            _("Previous"),
            "previousCaseButton",
            _("Open the case before ({key})").format(key=Key.PREVIOUS_CASE.value),
        )
        self.next_button = _button(
            _("Next"), "nextCaseButton", _("Open the next case ({key})").format(key=Key.NEXT_CASE.value)
        )
        self.previous_button.connect("clicked(bool)", lambda _checked: self.previous())
        self.next_button.connect("clicked(bool)", lambda _checked: self.next())
        row.addWidget(self.previous_button)
        row.addWidget(self.next_button)
        layout.addLayout(row)
        row = qt.QHBoxLayout()
        self.status_buttons: dict[Status, Any] = {}
        for status in Status:
            button = _button(
                status_text(status),
                f"{status.name.lower()}Button",
                _("The open case is {status} ({key})").format(status=status_name(status), key=OF_STATUS[status].value),
            )
            button.checkable = True
            button.connect("clicked(bool)", lambda _checked, status=status: self.mark(status))
            self.status_buttons[status] = button
            row.addWidget(button)
        layout.addLayout(row)

    def _make_filter(self, layout: Any) -> None:
        self.filter = qt.QComboBox()
        self.filter.objectName = "caseFilterBox"
        self.filter.toolTip = _("Which cases are listed: all, or those of one status and the open one.")
        self.filter.accessibleName = _("Cases that are listed")
        self.filter.addItem(_("All cases"))
        for status in Status:
            self.filter.addItem(status_text(status))
        self.filter.connect("currentIndexChanged(int)", lambda _index: self._show_state())
        layout.addWidget(self.filter)

    def _make_message(self, layout: Any) -> None:
        self.message_label = qt.QLabel()
        self.message_label.objectName = "caseListMessageLabel"
        self.message_label.wordWrap = True
        self.message_label.textFormat = qt.Qt.PlainText
        self.message_label.visible = False
        layout.addWidget(self.message_label)

    @property
    def _row(self) -> int:
        """The row of the open case, -1 where none is open."""
        return -1 if self._list is None or self.current is None else self._list.cases.index(self.current)

    def _listed(self) -> list[int]:
        """The rows that are shown: of the chosen status, and the open case's."""
        chosen, worklist = self.filter.currentIndex, self._list
        if worklist is None:
            return []
        status = None if chosen == 0 else list(Status)[chosen - 1]
        rows = enumerate(worklist.cases)
        return [row for row, case in rows if row == self._row or status in (None, worklist.status(case.case_id))]

    def _neighbour(self, by: int) -> int | None:
        """The shown row after (1) or before (-1) the open case's, or None."""
        beyond = [row for row in self._listed() if (row - self._row) * by > 0]
        return beyond[0 if by > 0 else -1] if beyond and (by > 0 or self._row >= 0) else None

    def _step(self, by: int) -> None:
        row = self._neighbour(by)
        if row is not None:
            self._open(row)

    def _open(self, row: int) -> None:
        if self._list is None:
            return
        case = self._list.cases[row]
        if case == self.current:
            return
        self._say("")
        if self.leave():
            self._on_open(case, lambda: self._opened(row))
        self.table.select(self._row)

    def _opened(self, row: int) -> None:
        """The case of a row is the open one now."""
        assert self._list is not None
        self.leave()
        self.current = case = self._list.cases[row]
        if self._list.status(case.case_id) is Status.NOT_STARTED:
            self._save(self._list.set_status, case.case_id, Status.IN_PROGRESS)
        self._show_row(row)
        self.table.select(row)
        self._show_note()
        self._show_state()

    def _save(self, save: Callable[..., None], *what: Any) -> bool:
        try:
            save(*what)
        except DeepRadScoreError as error:
            self._say(str(error))
            return False
        return True

    def _show_row(self, row: int) -> None:
        assert self._list is not None
        case_id = self._list.cases[row].case_id
        self.table.show_review(row, self._list.status(case_id), self._list.note(case_id))

    def _show_note(self) -> None:
        self.note.show("" if self._list is None or self.current is None else self._list.note(self.current.case_id))

    def _show_state(self) -> None:
        worklist, current = self._list, self.current
        self.table.hide_rows(set(range(len(worklist or ()))) - set(self._listed()))
        self.next_button.enabled = not self._opening and self._neighbour(1) is not None
        self.previous_button.enabled = not self._opening and self._neighbour(-1) is not None
        self.note.edit.enabled = current is not None
        status = None if worklist is None or current is None else worklist.status(current.case_id)
        for each, button in self.status_buttons.items():
            button.enabled = current is not None
            button.checked = each is status

    def _say(self, text: str) -> None:
        self.message_label.text = text
        self.message_label.visible = bool(text)


class NoteField:
    """A text field that asks to be saved whenever its text has not changed for a while.

    Parameters
    ----------
    layout: what the field is added to.
    on_pause: called `PAUSE_MS` after the last change that the user made.

    Attributes
    ----------
    edit: the QPlainTextEdit.
    """

    def __init__(self, layout: Any, on_pause: Callable[[], Any]) -> None:
        self._showing = False
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", on_pause)
        self.edit = qt.QPlainTextEdit()
        self.edit.objectName = "noteEdit"
        self.edit.placeholderText = _("Note on the open case; it is saved while you write.")
        self.edit.tabChangesFocus = True
        self.edit.maximumHeight = 70
        self.edit.connect("textChanged()", self._on_change)
        layout.addWidget(self.edit)

    @property
    def text(self) -> str:
        """The text in the field."""
        return str(self.edit.plainText)

    def show(self, note: str) -> None:
        """Show a note that is saved."""
        self._showing = True
        self.edit.setPlainText(note)
        self._showing = False

    def stop(self) -> None:
        """Cancel the pending call of `on_pause`."""
        self._timer.stop()

    def _on_change(self) -> None:
        if not self._showing:
            self._timer.start(PAUSE_MS)


def _button(text: str, name: str, tip: str) -> Any:
    button = qt.QPushButton(text)
    button.objectName = name
    button.toolTip = tip
    return button


def _remarks(remarks: tuple[str, ...]) -> str:
    rest = len(remarks) - MAX_REMARKS
    more = (_("and {count} more remarks.").format(count=rest),) if rest > 0 else ()
    return "\n".join([*remarks[:MAX_REMARKS], *more])
