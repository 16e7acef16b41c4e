"""When corrections are written for the case of a crash."""

from __future__ import annotations

from collections.abc import Callable

import qt

AUTOSAVE_MS = 5000


class Autosave:
    """Calls `write` at most `AUTOSAVE_MS` after the first change that is not written yet."""

    def __init__(self, write: Callable[[], None]) -> None:
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.connect("timeout()", write)

    def soon(self) -> None:
        """Something has changed."""
        if not self._timer.active:
            self._timer.start(AUTOSAVE_MS)

    def stop(self) -> None:
        """Nothing is left to be written."""
        self._timer.stop()
