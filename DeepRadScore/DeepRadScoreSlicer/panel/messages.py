"""Messages of the panel: one sentence in a label where the press was made, never a dialog."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

from DeepRadScoreLib.errors import DeepRadScoreError

STATUS_MS = 5000


class Messages:
    """Shows one sentence in a label, which is hidden while there is none, and in Slicer's status bar.

    Parameters
    ----------
    label: at the top of the panel; it holds the sentence, and shows it where it belongs to no section.
    """

    def __init__(self, label: Any) -> None:
        self._label = label
        self._place: Any | None = None
        self._places: list[Any] = []

    def at(self, place: Any) -> Messages:
        """The messages of a section, which shows them in a label of its own; any sentence replaces the one before."""
        placed = Messages(self._label)
        placed._place, placed._places = place, self._places
        self._places.append(place)
        return placed

    def say(self, text: str) -> None:
        """Replace the sentence shown; "" hides it."""
        self._label.text = text
        self._label.visible = bool(text) and self._place is None
        for place in self._places:
            place.text = text if place is self._place else ""
            place.visible = bool(text) and place is self._place
        if text:
            slicer.util.showStatusMessage(text, STATUS_MS)

    def fail(self, error: Exception) -> None:
        """Show an error; one that no user can have caused goes to the log with its traceback."""
        if isinstance(error, DeepRadScoreError):
            self.say(str(error))
            return
        logging.error("DeepRadScore", exc_info=error)
        text = str(error) or type(error).__name__
        self.say(_("This did not work: {error} (details are in the log).").format(error=text))

    def guarded(self, work: Callable[[], None]) -> None:
        """Call a function and show its error, if any: nothing may be raised into Qt."""
        try:
            work()
        except Exception as error:
            self.fail(error)
