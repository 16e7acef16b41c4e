"""Tables of text cells: CSV, read with the standard library alone (Slicer reads it before other packages are there)."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from DeepRadScoreLib.cohort.size_checks import check_size
from DeepRadScoreLib.cohort.workbooks import Record, is_workbook, sheet_records
from DeepRadScoreLib.errors import CohortError, Location
from DeepRadScoreLib.models import MaskGrid

SEPARATORS = ",;\t"
SEPARATOR_LINE = re.compile(r'"?sep=(?P<separator>[^"\r\n])"?[ ,;\t]*(\r\n|\r|\n)', re.IGNORECASE)
"""A first line that Excel takes for no row, as it hides it."""
END = "end"
IMAGE_COLUMNS = ("ct", "mask")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""How a text begins that a spreadsheet takes for a formula, or that `defused` made of one."""


@dataclass(frozen=True)
class TextTable:
    """A table of text cells.

    Attributes
    ----------
    path: the file it came from.
    columns: stripped names without duplicates; a column without a name is "Unnamed: " and its position from 0.
    rows: at least one; column -> stripped cell without what `defused` added, empty where the row is short.
    row_numbers: number of each row in the file, where the header is row 1 and blank lines count; a line `sep=;` does
        not, as it does not in Excel.
    sha256: of the file.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    row_numbers: tuple[int, ...]
    sha256: str

    def numbered(self, column: str) -> list[tuple[int, str]]:
        """Row number and cell of every row; empty where the table has no such column."""
        if column not in self.columns:
            return []
        return [(number, row[column]) for number, row in zip(self.row_numbers, self.rows, strict=True)]

    def without_empty(self, names: Iterable[str]) -> TextTable:
        """The table without those of the columns `names` that are empty throughout."""
        empty = {name for name in names if name in self.columns and not any(row[name] for row in self.rows)}
        if not empty:
            return self
        columns = tuple(name for name in self.columns if name not in empty)
        return replace(self, columns=columns, rows=tuple({name: row[name] for name in columns} for row in self.rows))


def defused(text: str) -> str:
    """The text of a cell with an apostrophe before it where a spreadsheet would take it for a formula.

    A number is none; a text that begins with apostrophes and then like a formula gets one more, see `restored`.
    """
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def restored(text: str) -> str:
    """The text that `defused` was given."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def cell(path: Path, row_number: int, column: str) -> Location:
    """A cell of a table, as errors name it."""
    return Location(path, f'row {row_number}, column "{column}"')


def read_text_table(path: Path, what: str) -> TextTable:
    """Read a CSV table; the error about a missing file names the kind of table, `what` ("cohort table").

    Raises
    ------
    CohortError: there is no such file, it is a folder, or `parse_text_table` refuses it.
    """
    mend = f"give the path of a {what} (CSV)"
    check_file(path, mend)
    return parse_text_table(path, mend)


def check_file(path: Path, mend: str) -> None:
    """Raise CohortError if the path of a table does not exist or is a folder."""
    if not path.exists():
        raise CohortError("the file does not exist", where=path, mend=mend)
    if path.is_dir():
        raise CohortError("this is a folder", where=path, mend=mend)


def parse_text_table(path: Path, mend: str) -> TextTable:
    """Parse a UTF-8 file separated by comma, semicolon, tab or what its line `sep=` names, or an Excel workbook.

    Parameters
    ----------
    mend: what the user can do about a file that cannot be opened.

    Raises
    ------
    CohortError: the file cannot be opened or is no table, a row is wider than the header, a column name is repeated,
        there are no rows; a workbook has merged cells or a formula without a stored value in its first sheet.
    MissingPackageError: a workbook without openpyxl.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CohortError(f"the file cannot be read ({error.strerror})", where=path, mend=mend) from error
    records = sheet_records(content, path) if is_workbook(content) else _csv_records(content, path)
    (_, header), *body = records
    _check_widths(body, len(header), path)
    check_size(len(body), len(header), path)
    header = [restored(name) for name in header]
    check_columns(header, path)
    if not body:
        raise CohortError("the table has no rows", where=path, mend="add one row per case")
    columns = tuple(name or f"Unnamed: {position}" for position, name in enumerate(header))
    rows = [dict.fromkeys(columns, "") | dict(zip(columns, map(restored, cells), strict=False)) for _, cells in body]
    numbers = tuple(number for number, _ in body)
    return TextTable(path, columns, tuple(rows), numbers, hashlib.sha256(content).hexdigest())


def _check_widths(records: Iterable[Record], width: int, path: Path) -> None:
    for number, cells in records:
        if len(cells) > width:
            raise CohortError(
                f"row {number} has {len(cells)} cells, the header has {width}",
                where=path,
                mend="remove the extra separators",
            )


def _csv_records(content: bytes, path: Path) -> list[Record]:
    """Number and stripped cells of each record of a CSV file with anything in it, the header first."""
    try:
        text = content.decode("utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig")
        if "\0" in text:
            raise csv.Error("it holds zero bytes")
        separator, text = split_separator_line(text)
        header = next((line for line in io.StringIO(text, newline="") if line.strip()), "")
        separator = separator or separator_of(header)
        records = _records(text, separator, skip_blanks=True)
        if not records:
            raise csv.Error("No columns to parse from file")
        plain = _records(text, separator, skip_blanks=False)
    except (UnicodeDecodeError, csv.Error) as error:
        raise CohortError(
            f"this is not a readable CSV table ({error})",
            where=path,
            mend="save the table as UTF-8 text separated by commas or semicolons",
        ) from error
    _check_widths(plain, len(records[0][1]), path)
    return records


def _records(text: str, separator: str, *, skip_blanks: bool) -> list[Record]:
    """Number and stripped cells of each record in which a cell is not empty.

    Parameters
    ----------
    skip_blanks: whether a quoted cell may begin with blanks before its quotation mark.

    Raises
    ------
    csv.Error: a quotation mark is not closed; it then swallows the record `END`, appended to detect this.
    """
    stream = io.StringIO(f"{text}\n{END}", newline="")
    with _cells_of_any_length(text):
        *records, last = csv.reader(stream, delimiter=separator, skipinitialspace=skip_blanks)
    if last != [END]:
        raise csv.Error("a quotation mark is not closed")
    stripped = ((number, [cell.strip() for cell in record]) for number, record in enumerate(records, start=1))
    return [(number, cells) for number, cells in stripped if any(cells)]


@contextmanager
def _cells_of_any_length(text: str) -> Iterator[None]:
    """Let the csv module, which has one limit for the whole process, read cells as long as the text."""
    limit = csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def split_separator_line(text: str) -> tuple[str, str]:
    """The separator that a first line `sep=;` names, empty without such a line, and the text after that line."""
    found = SEPARATOR_LINE.match(text)
    return (found["separator"], text[found.end() :]) if found else ("", text)


def separator_of(header: str) -> str:
    """The most frequent of comma, semicolon and tab in the header line."""
    return max(SEPARATORS, key=header.count)


def require_columns(names: Iterable[str], columns: Collection[str], path: Path, mend: str) -> None:
    """Raise CohortError for the first of `names` that is not among the columns of the table in `path`."""
    for name in names:
        if name not in columns:
            raise CohortError(f'the column "{name}" is missing', where=path, mend=mend)


def check_columns(names: Sequence[str], path: Path) -> None:
    """Raise CohortError for the first column name that is repeated."""
    doubled = [name for name, times in Counter(names).items() if name and times > 1]
    if doubled:
        raise CohortError(f'the column "{doubled[0]}" stands twice', where=path, mend="keep one of them")


def read_cohort_text(path: Path, needs: Iterable[str]) -> TextTable:
    """Read a cohort table as text, with a unique case_id in each row and no empty cell in the columns of `needs`.

    Columns `ct` and `mask` that are empty throughout are left out.

    Raises
    ------
    CohortError: `read_text_table` refuses the file, a column is missing or has an empty cell, a case_id or patient_id
        looks like a name in DICOM ("Doe^Jane": it would appear in every result), a case_id is repeated, a cell of
        `mask_grid` is no `MaskGrid`.
    """
    table = read_text_table(path, "cohort table")
    for column in dict.fromkeys(("case_id", *needs)):
        require_columns((column,), table.columns, path, f"add it; the table has {', '.join(table.columns)}")
        for number, text in table.numbered(column):
            if not text:
                raise CohortError(f'row {number} has nothing in column "{column}"', where=path, mend="fill in the cell")
    table = table.without_empty(IMAGE_COLUMNS)
    for column in ("case_id", "patient_id"):
        _check_names_nobody(table, column)
    _check_unique(table)
    _check_mask_grids(table)
    return table


def _check_names_nobody(table: TextTable, column: str) -> None:
    for number, text in table.numbered(column):
        if "^" in text:
            raise CohortError(
                f'row {number} has what looks like a patient\'s name in column "{column}" ("^")',
                where=table.path,
                mend="write a pseudonym in its place, such as `deepradscore cohort dicom` makes",
            )


def _check_mask_grids(table: TextTable) -> None:
    for number, text in table.numbered("mask_grid"):
        if text and text not in tuple(MaskGrid):
            raise CohortError(
                f'"{text}" is no place of a mask',
                where=cell(table.path, number, "mask_grid"),
                mend=f"write {' or '.join(MaskGrid)}, or nothing",
            )


def _check_unique(table: TextTable) -> None:
    numbers = defaultdict(list)
    for number, case_id in table.numbered("case_id"):
        numbers[case_id].append(str(number))
    for case_id, found in numbers.items():
        if len(found) > 1:
            raise CohortError(
                f'the case "{case_id}" stands in rows {" and ".join(found)}',
                where=table.path,
                mend="give every row a case_id of its own",
            )
