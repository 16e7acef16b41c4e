"""A table as HTML in a notebook, with the synthetic label above it."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

BAND = "background:#7a1f1f;color:#fff;font-weight:bold;padding:4px 8px"


def table_html(title: str, table: pd.DataFrame, *, label: str | None = None, notes: Iterable[str] = ()) -> str:
    """Title, notes and table, all escaped; below a band with `label` unless it is None."""
    band = "" if label is None else f'<div style="{BAND}">{escape(label)}</div>'
    lines = "".join(f"<div>{escape(note)}</div>" for note in notes)
    return f"<div>{band}<strong>{escape(title)}</strong>{lines}{table.to_html(border=0, na_rep='', escape=True)}</div>"
