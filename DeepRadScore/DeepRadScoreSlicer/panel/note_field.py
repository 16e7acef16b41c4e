"""A field for the reader's note, saved while it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt

PAUSE_MS = 800


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
        self._on_pause = on_pause
        self._showing = False
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", self._on_timeout)
        self.edit = qt.QPlainTextEdit()
        self.edit.objectName = "noteEdit"
        self.edit.placeholderText = "Note on the open case; it is saved while you write."
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

    def _on_timeout(self) -> None:
        self._on_pause()
