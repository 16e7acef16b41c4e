"""First sheet of an Excel workbook as records of text cells."""

from __future__ import annotations

import re
import warnings
from datetime import date, datetime, time
from decimal import Decimal
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DeepRadScoreLib.cohort.size_checks import UNREADABLE, check_workbook
from DeepRadScoreLib.errors import CohortError, MissingPackageError
from DeepRadScoreLib.extras import install_line

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

Record = tuple[int, list[str]]
"""Number of a row, and its cells."""
ZIP, COMPOUND_FILE = b"PK\x03\x04", bytes.fromhex("d0cf11e0a1b11ae1")
"""How an .xlsx file begins, and how one of Excel 97 to 2003 or with a password does."""
AS_CSV = "save the sheet as CSV in UTF-8"


def is_workbook(content: bytes) -> bool:
    """Whether the bytes of a file are those of a workbook, whatever its name ends in."""
    return content.startswith((ZIP, COMPOUND_FILE))


def sheet_records(content: bytes, path: Path) -> list[Record]:
    """Number and stripped cells of each row of the first sheet in which a cell is not empty, the header first.

    Parameters
    ----------
    content: of the file `path`. Cells are as Excel shows them where the format adds zeros ("007") or is a percentage;
        dates are YYYY-MM-DD, numbers have every digit and a decimal point.

    Raises
    ------
    CohortError: the file is no .xlsx workbook or has a password; its first sheet is empty, has merged cells, or has a
        formula without a stored value.
    MissingPackageError: openpyxl is not installed.
    """
    if content.startswith(COMPOUND_FILE):
        raise CohortError(
            "this is a workbook of Excel 97 to 2003, or one with a password",
            where=path,
            mend=f"save it as .xlsx without a password, or {AS_CSV}",
        )
    if find_spec("openpyxl") is None:
        raise MissingPackageError(
            "a workbook is read with openpyxl, which is not installed",
            where=path,
            mend=f"{AS_CSV}, or run: {install_line('study')}",
        )
    shown, formulas = (_first_sheet(content, path, values) for values in (True, False))
    if shown.merged_cells.ranges:
        cells = min(str(cells) for cells in shown.merged_cells.ranges)
        raise CohortError(f"the cells {cells} are merged", where=path, mend="unmerge them and fill in each cell")
    records = []
    for row in shown.iter_rows():
        for cell in row:
            if cell.value is None and formulas[cell.coordinate].data_type == "f":
                raise CohortError(
                    f"the formula in cell {cell.coordinate} has no stored value",
                    where=path,
                    mend=f"open and save the table in Excel, or {AS_CSV}",
                )
        texts = [_text(cell.value, cell.number_format).strip() for cell in row]
        if any(texts):
            records.append((row[0].row, texts))
    if not records:
        raise CohortError("the first sheet is empty", where=path, mend="put the table into the first sheet")
    return _without_empty_ends(records)


def _first_sheet(content: bytes, path: Path, values: bool) -> Worksheet:
    from openpyxl import load_workbook

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # on parts of the workbook that are no cells
            check_workbook(BytesIO(content), path)
            return load_workbook(BytesIO(content), data_only=values).worksheets[0]
    except CohortError:
        raise
    except UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise CohortError(
            f"this is not a readable Excel workbook ({reason})", where=path, mend=f"save it anew, or {AS_CSV}"
        ) from error


def _without_empty_ends(records: list[Record]) -> list[Record]:
    """The records cut to the columns up to the last one with anything in it."""
    width = max(position for _, cells in records for position, text in enumerate(cells, start=1) if text)
    return [(number, cells[:width]) for number, cells in records]


def _text(value: Any, number_format: str) -> str:
    """The text of a cell's value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, (int, float)):
        return _number_text(value, number_format)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    return value.isoformat() if isinstance(value, (date, time)) else str(value)


def _number_text(value: float, number_format: str) -> str:
    if re.fullmatch(r"0+(\.0+)?%", number_format):
        return f"{(Decimal(repr(value)) * 100).normalize():f}%"
    text = repr(value).removesuffix(".0")
    return text.zfill(len(number_format)) if re.fullmatch("0+", number_format) else text
