"""CSV as this program writes it: text in a cell is text, also where a spreadsheet would take it for a formula."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from DeepRadScoreLib.cohort.text_table import defused, restored

NUMBERS_AND_TIMES = "biufcmM"
"""Kinds of the types whose cells are no texts."""


def csv_text(table: pd.DataFrame, *, index: bool = False) -> str:
    """A table as CSV with every digit; missing values are empty cells, texts are `defused`."""
    cells = defused_table(table)
    text = cells.to_csv(index=index, lineterminator="\n")
    return cells.to_csv(index=index, lineterminator="\r\n") if line_end(text) == "\r\n" else text


def line_end(text: str) -> str:
    """End of the lines of a CSV that holds a text.

    The csv module quotes a carriage return only where it belongs to the line's end, and readers end a row at one that
    is not quoted.
    """
    return "\r\n" if "\r" in text else "\n"


def defused_table(table: pd.DataFrame) -> pd.DataFrame:
    """A copy whose texts, names of rows and names of columns are `defused`; numbers stay numbers."""
    return _changed(table, defused)


def restored_table(table: pd.DataFrame) -> pd.DataFrame:
    """The table that `defused_table` was given."""
    return _changed(table, restored)


def _changed(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    def of_cell(cell: object) -> object:
        return change(cell) if isinstance(cell, str) else cell

    made = table.copy(deep=False)
    for position, dtype in enumerate(table.dtypes):
        if dtype.kind in NUMBERS_AND_TIMES:
            continue
        cells = list(table.iloc[:, position])
        changed = [of_cell(cell) for cell in cells]
        if any(new is not old for new, old in zip(changed, cells, strict=True)):
            kind = object if isinstance(dtype, pd.CategoricalDtype) else dtype
            made.isetitem(position, pd.Series(changed, index=table.index, dtype=kind))
    made = made.rename(columns=of_cell)
    return made if isinstance(table.index, pd.RangeIndex) else made.rename(index=of_cell)
