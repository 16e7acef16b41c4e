"""The log of an output folder: what was analysed when, with which model, and what a reader changed.

It is only appended to. Each line names the hash of the line before, so that lines lost, changed or doubled by accident
show; whoever means to forge it can make all hashes anew.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from DeepRadScoreLib.errors import InputError, OutputError
from DeepRadScoreLib.version import __version__
from DeepRadScoreLib.writing import locked

if TYPE_CHECKING:
    from DeepRadScoreLib.bundles.bundle import Bundle

LOG_NAME = "deepradscore.log.jsonl"
BEGINNING = "0" * 64
MEND = "keep this file as evidence, and begin a new folder"


class LogEntry(BaseModel):
    """One line.

    Attributes
    ----------
    time: UTC, ISO 8601, whole seconds.
    model, profile: SHA-256 of the bundle and of `profile.json`, empty where there is none.
    changed: field -> its new value, of a reader's change.
    previous: SHA-256 of the line before.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    time: str
    event: Literal["analysed", "changed"]
    case_id: str
    program: str
    model: str = ""
    profile: str = ""
    changed: dict[str, str] = {}
    previous: str


def log_analysis(folder: Path, case_id: str, profile_file: Path, bundle: Bundle | None) -> None:
    """Append to the log of a folder that a case was analysed; its `profile.json` has been written.

    Raises
    ------
    OutputError: the log cannot be written.
    """
    model = "" if bundle is None else bundle.sha256
    append_to_log(folder, "analysed", case_id, model=model, profile=profile_file.read_bytes())


def append_to_log(
    folder: Path,
    event: Literal["analysed", "changed"],
    case_id: str,
    *,
    model: str = "",
    profile: bytes = b"",
    changed: dict[str, str] | None = None,
) -> None:
    """Append a line to the log of a folder; `profile`: the content of the case's `profile.json`.

    Raises
    ------
    OutputError: it cannot be written.
    """
    path = folder / LOG_NAME
    try:
        with locked(path.with_name(f".{LOG_NAME}.lock")), path.open("ab+") as stream:
            stream.seek(0)
            written = stream.read()
            lines = written.splitlines()
            entry = LogEntry(
                time=datetime.now(UTC).isoformat(timespec="seconds"),
                event=event,
                case_id=case_id,
                program=__version__,
                model=model,
                profile=_hash(profile) if profile else "",
                changed={name: _encodable(value) for name, value in (changed or {}).items()},
                previous=_hash(lines[-1]) if lines else BEGINNING,
            )
            begin = b"" if written.endswith(b"\n") or not written else b"\n"
            stream.write(begin + entry.model_dump_json(exclude_defaults=True).encode() + b"\n")
    except OSError as error:
        what = f"the log cannot be written ({error.strerror})"
        raise OutputError(what, where=path, mend="give yourself the right to write it, with space left") from error


def read_log(folder: Path) -> list[LogEntry]:
    """The lines of a folder's log, oldest first, after a check that none is missing, changed or doubled.

    Raises
    ------
    InputError: there is no log, or a line is no entry or does not follow the line before.
    """
    path = folder / LOG_NAME
    if not path.is_file():
        raise InputError("the folder has no log", where=path, mend="give a folder that `analyze` or a batch wrote")
    entries: list[LogEntry] = []
    previous = BEGINNING
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            entry = LogEntry.model_validate(json.loads(line))
        except (ValidationError, ValueError, RecursionError) as error:
            raise InputError(f"line {number} is damaged", where=path, mend=MEND) from error
        if entry.previous != previous:
            what = f"line {number} does not follow the line before: one was lost, changed or doubled"
            raise InputError(what, where=path, mend=MEND)
        entries.append(entry)
        previous = _hash(line)
    return entries


def changed_profiles(folder: Path, entries: list[LogEntry]) -> list[str]:
    """The case_ids whose `profile.json` below a folder is no longer that of its last entry."""
    last = {entry.case_id: entry.profile for entry in entries if entry.event == "analysed"}
    return [case_id for case_id, digest in last.items() if _profile_digest(folder, case_id) != digest]


def _profile_digest(folder: Path, case_id: str) -> str:
    for path in (folder / case_id / "profile.json", folder / "profile.json"):
        with suppress(OSError):
            if path.is_file():
                return _hash(path.read_bytes())
    return ""


def _encodable(text: str) -> str:
    """The text without halves of characters, which no UTF-8 holds."""
    return text.encode(errors="backslashreplace").decode()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
