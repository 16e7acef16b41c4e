"""Paths as a caller gives them: text or `pathlib.Path`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

from DeepRadScoreLib.errors import InputError

AnyPath: TypeAlias = str | os.PathLike[str]


def as_path(given: AnyPath, what: str, other: str = "") -> Path:
    """The same path as a `Path`; `what` names the argument in the message, `other` what it might be too.

    Raises
    ------
    TypeError: it is neither text nor a path.
    """
    if isinstance(given, str | os.PathLike):
        return Path(given)
    wanted = "a path (str or Path)" + (f" or {other}" if other else "")
    raise TypeError(f"{what}: {wanted} is needed, not {type(given).__name__}")


def relative_path(path: Path, table: Path) -> str:
    """A path relative to the folder of a table that is to name it, with "/" on every system.

    Raises
    ------
    InputError: they lie on different drives.
    """
    try:
        return Path(os.path.relpath(path.resolve(), table.resolve().parent)).as_posix()
    except ValueError as error:
        raise InputError(
            "the table lies on another drive than the images, and its paths are relative",
            where=table,
            mend="write the table to the drive of the images",
        ) from error
