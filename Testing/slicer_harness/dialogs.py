"""Dialogs without a screen: a test says beforehand what the user will answer, and a dialog nobody expected is an
error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .pythonqt import overrides, slot_errors


class UnexpectedDialog(AssertionError):
    """A dialog that no test expected, or any dialog at all in batch mode."""


@dataclass
class Dialogs:
    """The answers to come and the texts that were shown."""

    batch: bool = False
    shown: list[str] = field(default_factory=list)
    _answers: list[tuple[str, Any]] = field(default_factory=list)

    def ask(self, text: str) -> Any:
        self.shown.append(text)
        found = next((a for a in self._answers if re.search(a[0], text, re.DOTALL)), None)
        if found is None or self.batch:
            problem = f"a dialog {'in batch mode' if self.batch else 'that no test expected'}: {text!r}"
            slot_errors.append(problem)
            raise UnexpectedDialog(problem)
        self._answers.remove(found)
        return found[1]

    @contextmanager
    def answering(self, pattern: str, answer: Any = True) -> Iterator[None]:
        """Within the block one dialog whose text matches `pattern` (re.search) is answered; it must appear.

        The answer is what the function that opens the dialog returns: True or False for a confirmation, a path for a
        file dialog ("" for cancel), None for a message that is only read.
        """
        entry = (pattern, answer)
        self._answers.append(entry)
        yield
        if any(a is entry for a in self._answers):
            self._answers = [a for a in self._answers if a is not entry]
            raise AssertionError(f"no dialog matched {pattern!r}; shown so far: {self.shown}")

    def clear(self) -> None:
        self.batch = False
        self.shown.clear()
        self._answers.clear()


dialogs = Dialogs()


def _file_dialog(kind: str) -> Any:
    def ask(_parent: Any = None, caption: str = "", *_: Any) -> Any:
        return dialogs.ask(f"{kind}: {caption}")

    return ask


for _kind in ("getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory"):
    overrides["QFileDialog", _kind] = _file_dialog(_kind)
for _kind in ("getText", "getItem", "getInt", "getDouble", "getMultiLineText"):
    overrides["QInputDialog", _kind] = lambda _parent, title="", label="", *_, _kind=_kind: dialogs.ask(
        f"{title}: {label}"
    )
for _kind in ("information", "warning", "critical", "question", "about"):
    overrides["QMessageBox", _kind] = lambda _parent, title="", text="", *_, _kind=_kind: dialogs.ask(
        f"{title}: {text}"
    )
overrides["QDialog", "exec_"] = lambda dialog, *_: dialogs.ask(f"{dialog.className()}: {dialog.windowTitle}")
