"""What the stand-in widgets share: properties that only store, and the C++ signatures of their signals and slots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Property


def stored(kind: Any, default: Any, changed: Callable[[Any], None] | None = None) -> Any:
    """A Qt property that keeps what it is given and, where `changed` is given, calls it after a change."""
    key = object()

    def values(self: Any) -> dict[Any, Any]:
        return self.__dict__.setdefault("_stored", {})

    def get(self: Any) -> Any:
        value = values(self).get(key, default)
        return list(value) if isinstance(value, (list, tuple)) else value

    def put(self: Any, value: Any) -> None:
        if isinstance(kind, type) and not isinstance(value, (kind, int) if kind is float else kind):
            raise TypeError(f"{kind.__name__}, not {type(value).__name__}")
        if get(self) == value:
            return
        values(self)[key] = value
        if changed is not None:
            changed(self)

    return Property(kind, get, put)
