"""The table of cases: a row for each with its status and the reader's note."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
from slicer.i18n import tr as _

from DeepRadScoreSlicer.cases.worklist import ListedCase, Status, Worklist
from DeepRadScoreSlicer.panel.keys import shortcut

SYMBOLS = {Status.NOT_STARTED: "○", Status.IN_PROGRESS: "◐", Status.REVIEWED: "✔", Status.FLAGGED: "⚑"}
CASE, STATUS, NOTE = range(3)


class CaseTable:
    """Shows the cases of a list.

    Parameters
    ----------
    layout: what the table is added to.
    on_open: given the row of a case that was double-clicked, or chosen by Enter.

    Attributes
    ----------
    widget: the QTableWidget.
    """

    def __init__(self, layout: Any, on_open: Callable[[int], None]) -> None:
        self._on_open = on_open
        self.widget = table = qt.QTableWidget()
        table.objectName = "caseTable"
        table.setColumnCount(3)
        table.setHorizontalHeaderLabels([_("Case"), _("Status"), _("Note")])
        table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        table.setSelectionMode(qt.QAbstractItemView.SingleSelection)
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.tabKeyNavigation = False
        table.verticalHeader().visible = False
        table.horizontalHeader().setSectionResizeMode(NOTE, qt.QHeaderView.Stretch)
        table.toolTip = _("Double click or Enter opens a case.")
        table.connect("cellDoubleClicked(int,int)", self._on_double_click)
        layout.addWidget(table)
        self._shortcuts = [shortcut(key, table, self._on_enter, qt.Qt.WidgetShortcut) for key in ("Return", "Enter")]

    def fill(self, worklist: Worklist) -> None:
        """Show the cases of a list, none of them selected."""
        self.widget.setRowCount(len(worklist))
        for row, case in enumerate(worklist.cases):
            for column in (CASE, STATUS, NOTE):
                self.widget.setItem(row, column, qt.QTableWidgetItem(""))
            item = self.widget.item(row, CASE)
            item.setText(case.case_id)
            item.setToolTip(_files(case))
            self.show_review(row, worklist.status(case.case_id), worklist.note(case.case_id))
        self.widget.resizeColumnToContents(CASE)
        self.widget.resizeColumnToContents(STATUS)
        self.select(-1)

    def hide_rows(self, hidden: set[int]) -> None:
        """Hide these rows, and show all others."""
        for row in range(self.widget.rowCount):
            self.widget.setRowHidden(row, row in hidden)

    def show_review(self, row: int, status: Status, note: str) -> None:
        """Show the status and the note of the case in a row."""
        self.widget.item(row, STATUS).setText(status_text(status))
        self.widget.item(row, NOTE).setText(" ".join(note.split()))
        self.widget.item(row, NOTE).setToolTip(note)

    def select(self, row: int) -> None:
        """Select a row; -1 for none."""
        if row < 0:
            self.widget.clearSelection()
            self.widget.setCurrentCell(-1, -1)
        else:
            self.widget.setCurrentCell(row, CASE)

    def _on_double_click(self, row: int, _column: int) -> None:
        self._on_open(row)

    def _on_enter(self) -> None:
        if self.widget.currentRow() >= 0:
            self._on_open(self.widget.currentRow())


def status_text(status: Status) -> str:
    """A status in words, with a symbol before them."""
    return f"{SYMBOLS[status]} {status_name(status)}"


def status_name(status: Status) -> str:
    """A status in the application's language; files keep its value."""
    return {
        Status.NOT_STARTED: _("not started"),
        Status.IN_PROGRESS: _("in progress"),
        Status.REVIEWED: _("reviewed"),
        Status.FLAGGED: _("flagged"),
    }[status]


def _files(case: ListedCase) -> str:
    def named(path: Path | None, without: str) -> str:
        return without if path is None else str(path)

    text = _("CT: {ct}\nMask: {mask}")
    return text.format(ct=named(case.ct, _("in the DICOM database")), mask=named(case.mask, _("none named")))
