"""Tables saved as text, read with the standard library alone: a Slicer without the analysis packages reads them too."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from DeepRadScoreLib.errors import CohortError, Location

SEPARATORS = ",;\t"
END = "end"


@dataclass(frozen=True)
class TextTable:
    """A table of text cells.

    Attributes
    ----------
    path: the file it came from.
    columns: stripped names, each once; a column without one is "Unnamed: " and its position, counted from 0.
    rows: at least one; column -> stripped cell, empty where the row is short.
    row_numbers: of each row in the file, where the header is row 1 and blank lines count.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    row_numbers: tuple[int, ...]

    def numbered(self, column: str) -> list[tuple[int, str]]:
        """Row number and cell of every row; nothing where the table has no such column."""
        if column not in self.columns:
            return []
        return [(number, row[column]) for number, row in zip(self.row_numbers, self.rows, strict=True)]

    def location(self, row_number: int, column: str) -> Location:
        """A cell, for the sentence of an error."""
        return Location(self.path, f'row {row_number}, column "{column}"')


def read_text_table(path: Path, what: str) -> TextTable:
    """Read a CSV table; `what` it should be ("cohort table") stands in the sentence about a missing file.

    Raises
    ------
    CohortError: there is no such file, or it is none that `parse_text_table` can read.
    """
    mend = f"give the path of a {what} (CSV)"
    check_file(path, mend)
    try:
        return parse_text_table(path)
    except OSError as error:
        raise CohortError(f"the file cannot be read ({error.strerror})", where=path, mend=mend) from error


def check_file(path: Path, mend: str) -> None:
    """Refuse the path of a table that is missing or a folder: CohortError."""
    if not path.exists():
        raise CohortError("the file does not exist", where=path, mend=mend)
    if path.is_dir():
        raise CohortError("this is a folder", where=path, mend=mend)


def parse_text_table(path: Path) -> TextTable:
    """The table in a UTF-8 file, separated by comma, semicolon or tab.

    Raises
    ------
    CohortError: the file is no CSV table, a row is wider than the header, a column stands twice, there are no rows.
    OSError: the file cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        separator = separator_of(next((line for line in io.StringIO(text, newline="") if line.strip()), ""))
        records = _records(text, separator, skip_blanks=True)
        plain = _records(text, separator, skip_blanks=False)
        if not records:
            raise csv.Error("No columns to parse from file")
    except (UnicodeDecodeError, csv.Error) as error:
        raise CohortError(
            f"this is not a readable CSV table ({error})",
            where=path,
            mend="save the table as UTF-8 text separated by commas or semicolons",
        ) from error
    (_, header), *body = records
    for number, cells in (*plain, *body):
        if len(cells) > len(header):
            raise CohortError(
                f"row {number} has {len(cells)} cells, the header has {len(header)}",
                where=path,
                mend="remove the extra separators",
            )
    check_columns(header, path)
    if not body:
        raise CohortError("the table has no rows", where=path, mend="add one row per case")
    columns = tuple(name or f"Unnamed: {position}" for position, name in enumerate(header))
    rows = [dict.fromkeys(columns, "") | dict(zip(columns, cells, strict=False)) for _, cells in body]
    return TextTable(path, columns, tuple(rows), tuple(number for number, _ in body))


def _records(text: str, separator: str, *, skip_blanks: bool) -> list[tuple[int, list[str]]]:
    """Number and stripped cells of each record that is not blank; `skip_blanks`: a quote may stand after a blank.

    Raises csv.Error where a quote is not closed: the record that is added to the end is then no record of its own.
    """
    stream = io.StringIO(f"{text}\n{END}", newline="")
    *records, last = csv.reader(stream, delimiter=separator, skipinitialspace=skip_blanks)
    if last != [END]:
        raise csv.Error("a quotation mark is not closed")
    stripped = ((number, [cell.strip() for cell in record]) for number, record in enumerate(records, start=1))
    return [(number, cells) for number, cells in stripped if len(cells) > 1 or any(cells)]


def separator_of(header: str) -> str:
    """Comma, semicolon or tab: which of them the header line has most of."""
    return max(SEPARATORS, key=header.count)


def check_columns(names: Sequence[str], path: Path) -> None:
    """Refuse a column name that stands twice: CohortError."""
    doubled = [name for name, times in Counter(names).items() if name and times > 1]
    if doubled:
        raise CohortError(f'the column "{doubled[0]}" stands twice', where=path, mend="keep one of them")


def read_cohort_text(path: Path, needs: Iterable[str]) -> TextTable:
    """A cohort table as text, with a case_id of its own in each row and no empty cell in the columns of `needs`.

    Raises
    ------
    CohortError: `read_text_table` does, a column is missing or has an empty cell, a case_id or patient_id looks like a
        name in DICOM ("Doe^Jane": it would stand in every result), a case stands twice.
    """
    table = read_text_table(path, "cohort table")
    for column in dict.fromkeys(("case_id", *needs)):
        _check_filled(table, column)
    for column in ("case_id", "patient_id"):
        _check_names_nobody(table, column)
    _check_unique(table)
    return table


def _check_filled(table: TextTable, column: str) -> None:
    if column not in table.columns:
        raise CohortError(
            f'the column "{column}" is missing',
            where=table.path,
            mend=f"add it; the table has {', '.join(table.columns)}",
        )
    for number, cell in table.numbered(column):
        if not cell:
            raise CohortError(
                f'row {number} has nothing in column "{column}"', where=table.path, mend="fill in the cell"
            )


def _check_names_nobody(table: TextTable, column: str) -> None:
    for number, cell in table.numbered(column):
        if "^" in cell:
            raise CohortError(
                f'row {number} has what looks like a patient\'s name in column "{column}" ("^")',
                where=table.path,
                mend="write a pseudonym in its place, such as `deepradscore cohort dicom` makes",
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
