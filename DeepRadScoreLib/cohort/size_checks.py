"""Sizes of tables of others, checked before they fill the memory; and what their readers raise."""

from __future__ import annotations

import csv
import re
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO
from xml.etree.ElementTree import ParseError

from DeepRadScoreLib.errors import CohortError

MAX_CELLS = 50_000_000
"""Of a table that is read: 29 000 cases with all features."""
MAX_UNPACKED_BYTES = 2**30
"""Of all parts of a workbook."""
CELL_REFERENCE = re.compile(rb"""\br\s*=\s*["']([A-Z]{0,3})(\d+)["']""")
"""The attribute of a cell ("AB12") or row ("12") of a sheet."""
UNREADABLE = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError, RuntimeError, OSError),
    *(EOFError, MemoryError, csv.Error, ParseError, zipfile.BadZipFile, zlib.error),
)
"""What pandas, pyarrow and openpyxl raise on files that they do not understand."""


def check_size(rows: int, columns: int, path: Path) -> None:
    """Raise CohortError for a table that has or would have more than `MAX_CELLS` cells."""
    if rows * columns > MAX_CELLS:
        raise CohortError(
            f"the table has {rows} rows and {columns} columns, {MAX_CELLS} cells at most can be read",
            where=path,
            mend="leave out columns that are not needed",
        )


def check_workbook(workbook: Path | BinaryIO, path: Path) -> None:
    """Raise CohortError for a workbook that is too large when unpacked, or that has too many cells.

    The readers fill in all cells between the first one and the farthest. Raises one of `UNREADABLE` for a damaged file.
    """
    with zipfile.ZipFile(workbook) as archive:
        unpacked = sum(part.file_size for part in archive.infolist())
        if unpacked > MAX_UNPACKED_BYTES:
            what = f"it would become {unpacked} bytes when unpacked"
            raise CohortError(what, where=path, mend="save the table as CSV")
        rows = columns = 0
        for part in archive.namelist():
            for name, row in CELL_REFERENCE.findall(archive.read(part)):
                rows, columns = max(rows, int(row[:9])), max(columns, _column_number(name))
    check_size(rows, columns, path)


def _column_number(name: bytes) -> int:
    """1 of "A", 27 of "AA"."""
    number = 0
    for letter in name:
        number = 26 * number + letter - ord("A") + 1
    return number
