"""Tables in a terminal."""

from __future__ import annotations

from rich.table import Column, Table


def uncut_table(*headings: str) -> Table:
    """A table without rows whose cells are folded onto further lines, not cut off, where the terminal is narrow."""
    return Table(*(Column(heading, overflow="fold") for heading in headings))
