"""Status and notes on the cases of one list, in a JSON file that several sessions may share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from DeepRadScoreLib.errors import InputError, OutputError
from DeepRadScoreLib.writing import replacing
from DeepRadScoreSlicer.translation import tr as _

SCHEMA = 1


class ReviewFile:
    """One JSON file with an entry for each case that a reader has opened.

    Each change reads the file again, alters the one entry and writes the whole under another name before it replaces
    the old one, so that neither a crash nor a second session on the same list loses what others wrote.

    Attributes
    ----------
    path: where it is; it comes into being with the first change.
    message: what had to be done to open it, for the user; "" if nothing.
    """

    def __init__(self, path: Path) -> None:
        """Raises InputError where the file was written by a newer version or cannot be read at all."""
        self.path = path
        self.message = ""
        self._entries = self._read()

    def get(self, case_id: str, field: str) -> str:
        """Value of a field of a case's entry; "" where there is none."""
        return str(self._entries.get(case_id, {}).get(field, ""))

    def put(self, case_id: str, **fields: str) -> None:
        """Change fields of a case's entry and write the file. Raises OutputError; then nothing is changed."""
        entries = self._read()
        entries[case_id] = {**entries.get(case_id, {}), **fields}
        text = json.dumps({"schema": SCHEMA, "cases": entries}, ensure_ascii=False, indent=1, sort_keys=True)
        _write(self.path, text + "\n")
        self._entries = entries
        _log(self.path.parent, case_id, fields)

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            document = json.loads(self.path.read_text(encoding="utf-8"))
            entries = document["cases"]
            if not (isinstance(entries, dict) and all(isinstance(entry, dict) for entry in entries.values())):
                raise TypeError
            newer = int(document["schema"]) > SCHEMA
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise InputError(
                _("the reader's notes cannot be read ({reason})").format(reason=error.strerror),
                where=self.path,
                mend=_("give yourself the right to read this file"),
            ) from error
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            self._set_aside()
            return {}
        if newer:
            raise InputError(
                _("the reader's notes were written by a newer version of DeepRadScore"),
                where=self.path,
                mend=_("update the DeepRadScore extension, or move this file elsewhere"),
            )
        return entries

    def _set_aside(self) -> None:
        """Give a damaged file another name, so that it is never written over."""
        number = 1
        while (damaged := self.path.with_name(f"{self.path.name}.damaged-{number}")).exists():
            number += 1
        try:
            self.path.rename(damaged)
        except OSError as error:
            raise OutputError(
                _("the reader's notes are damaged and cannot be set aside ({reason})").format(reason=error.strerror),
                where=self.path,
                mend=_("move this file elsewhere by hand"),
            ) from error
        self.message = _(
            "{path}: the reader's notes were damaged; they are kept as {name}, and a new file begins."
        ).format(path=self.path, name=damaged.name)


def _write(path: Path, text: str) -> None:
    """Write JSON; half a character, which no UTF-8 holds, becomes its JSON escape."""
    try:
        with replacing(path) as unfinished:
            unfinished.write_bytes(text.encode(errors="backslashreplace"))
    except OSError as error:
        raise OutputError(
            _("the reader's notes cannot be saved ({reason})").format(reason=error.strerror),
            where=path,
            mend=_("choose a list in a folder that you may write to, with space left"),
        ) from error


def _log(folder: Path, case_id: str, fields: dict[str, str]) -> None:
    """Note a change in the folder's log; there is none before the packages that an analysis needs are installed."""
    try:
        from DeepRadScoreLib.report.log import append_to_log
    except ImportError:
        return
    append_to_log(folder, "changed", case_id, changed=fields)
