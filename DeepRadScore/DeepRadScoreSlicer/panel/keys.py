"""The panel's keys, all free beside those of Slicer and of the Segment Editor, and the line that lists them.

Single keys, Space and Esc are the Segment Editor's while the module is shown; Slicer itself takes Ctrl with a digit or
an arrow, Alt+Left and Alt+Right, and Ctrl+Shift with A, T, Z, Space and the arrows.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import qt
from slicer.i18n import tr as _

from DeepRadScoreSlicer.cases.worklist import Status


class Key(Enum):
    """A key by Qt's portable name."""

    NEXT_CASE = "Ctrl+PgDown"
    PREVIOUS_CASE = "Ctrl+PgUp"
    GO_TO_TUMOUR = "Ctrl+Shift+G"
    ANALYZE = "Ctrl+Return"
    NEXT_FINDING = "Alt+Down"
    PREVIOUS_FINDING = "Alt+Up"
    NOT_STARTED = "Ctrl+Shift+N"
    IN_PROGRESS = "Ctrl+Shift+P"
    REVIEWED = "Ctrl+Shift+R"
    FLAGGED = "Ctrl+Shift+F"


OF_STATUS = {status: Key[status.name] for status in Status}


def help_line() -> str:
    """What each key does, in one line."""
    done = {
        Key.NEXT_CASE: _("next case"),
        Key.PREVIOUS_CASE: _("case before"),
        Key.GO_TO_TUMOUR: _("go to tumour"),
        Key.ANALYZE: _("analyze or cancel"),
        Key.NEXT_FINDING: _("next finding"),
        Key.PREVIOUS_FINDING: _("finding before"),
        Key.NOT_STARTED: _("not started"),
        Key.IN_PROGRESS: _("in progress"),
        Key.REVIEWED: _("reviewed"),
        Key.FLAGGED: _("flagged"),
    }
    ours = " · ".join(f"{key.value} {text}" for key, text in done.items())
    return _("Keys: {ours}. Digits, letters, Space and Esc are the Segment Editor's.").format(ours=ours)


def shortcut(key: str, parent: Any, handler: Callable[[], None], context: Any | None = None) -> Any:
    """A key that works while `parent` can be seen, or has the focus where `context` is Qt.WidgetShortcut."""
    made = qt.QShortcut(qt.QKeySequence(key), parent)
    if context is not None:
        made.setContext(context)
    made.connect("activated()", handler)
    return made


def install(parent: Any, handlers: dict[Key, Callable[[], None]]) -> list[Any]:
    """Keys that work while `parent` can be seen; they live as long as the list is held."""
    return [shortcut(key.value, parent, handler) for key, handler in handlers.items()]
