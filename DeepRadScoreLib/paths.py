"""Paths as a caller gives them: text or `pathlib.Path`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeAlias

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
