"""What the panel says when something is done or goes wrong: one sentence, no dialog."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _

STATUS_MS = 5000


class Messages:
    """Shows one sentence in a label, which is hidden while there is none, and in Slicer's status bar."""

    def __init__(self, label: Any) -> None:
        self._label = label

    def say(self, text: str) -> None:
        """Say this in place of what was said before; "" for nothing."""
        self._label.text = text
        self._label.visible = bool(text)
        if text:
            slicer.util.showStatusMessage(text, STATUS_MS)

    def fail(self, error: Exception) -> None:
        """Say what went wrong; what no user can have caused goes to the log with its traceback."""
        from DeepRadScoreLib.errors import DeepRadScoreError

        if isinstance(error, DeepRadScoreError):
            self.say(str(error))
            return
        logging.error("DeepRadScore", exc_info=error)
        said = str(error) or type(error).__name__
        self.say(_("This did not work: {error} (details are in the log).").format(error=said))

    def guarded(self, work: Callable[[], None]) -> None:
        """Do something, and say it if it fails: nothing may be raised into Qt."""
        try:
            work()
        except Exception as error:
            self.fail(error)
