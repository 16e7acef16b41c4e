"""The label of synthetic results, in view for as long as they are shown."""

from __future__ import annotations

from typing import Any

import qt
import slicer

STYLE = "background-color: #ffd166; color: #2b1d00; font-weight: bold; padding: 1px 6px;"


class Band:
    """A label in the status bar of Slicer's window, which no scrolling of the panel moves out of view.

    Without a main window there is no band: the head of the profile says the same.
    """

    def __init__(self) -> None:
        self._text = ""
        self._shown = False
        self._label: Any | None = None

    @property
    def text(self) -> str:
        """What stands in the status bar now; "" for nothing."""
        return str(self._label.text) if self._label is not None else ""

    def say(self, text: str | None) -> None:
        """The label of the results that are shown, None where they have none or there are none."""
        self._text = text or ""
        self._update()

    def enter(self) -> None:
        """The module is shown."""
        self._shown = True
        self._update()

    def exit(self) -> None:
        """Another module is shown, or the panel goes."""
        self._shown = False
        self._update()

    def _update(self) -> None:
        window = slicer.util.mainWindow()
        wanted = self._text if self._shown else ""
        if window is None or wanted == self.text:
            return
        if self._label is not None:
            window.statusBar().removeWidget(self._label)
            self._label.deleteLater()
            self._label = None
        if wanted:
            self._label = qt.QLabel(wanted)
            self._label.objectName = "deepRadScoreBand"
            self._label.styleSheet = STYLE
            window.statusBar().addPermanentWidget(self._label)
