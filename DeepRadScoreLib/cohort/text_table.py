"""Text tables (CSV), read with the standard library alone: Slicer reads them before the analysis packages are there."""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
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
    columns: stripped names without duplicates; a column without a name is "Unnamed: " and its position from 0.
    rows: at least one; column -> stripped cell, empty where the row is short.
    row_numbers: number of each row in the file, where the header is row 1 and blank lines count.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    row_numbers: tuple[int, ...]

    def numbered(self, column: str) -> list[tuple[int, str]]:
        """Row number and cell of every row; empty where the table has no such column."""
        if column not in self.columns:
            return []
        return [(number, row[column]) for number, row in zip(self.row_numbers, self.rows, strict=True)]


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
    """Parse a UTF-8 file separated by comma, semicolon or tab.

    Parameters
    ----------
    mend: what the user can do about a file that cannot be opened.

    Raises
    ------
    CohortError: the file cannot be opened or is no CSV table, a row is wider than the header, a column name is
        repeated, there are no rows.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        separator = separator_of(next((line for line in io.StringIO(text, newline="") if line.strip()), ""))
        records = _records(text, separator, skip_blanks=True)
        plain = _records(text, separator, skip_blanks=False)
        if not records:
            raise csv.Error("No columns to parse from file")
    except OSError as error:
        raise CohortError(f"the file cannot be read ({error.strerror})", where=path, mend=mend) from error
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
    """Number and stripped cells of each record that is not blank.

    Parameters
    ----------
    skip_blanks: whether a quoted cell may begin with blanks before its quotation mark.

    Raises
    ------
    csv.Error: a quotation mark is not closed; it then swallows the record `END`, appended to detect this.
    """
    stream = io.StringIO(f"{text}\n{END}", newline="")
    *records, last = csv.reader(stream, delimiter=separator, skipinitialspace=skip_blanks)
    if last != [END]:
        raise csv.Error("a quotation mark is not closed")
    stripped = ((number, [cell.strip() for cell in record]) for number, record in enumerate(records, start=1))
    return [(number, cells) for number, cells in stripped if len(cells) > 1 or any(cells)]


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

    Raises
    ------
    CohortError: `read_text_table` refuses the file, a column is missing or has an empty cell, a case_id or patient_id
        looks like a name in DICOM ("Doe^Jane": it would appear in every result), a case_id is repeated.
    """
    table = read_text_table(path, "cohort table")
    for column in dict.fromkeys(("case_id", *needs)):
        require_columns((column,), table.columns, path, f"add it; the table has {', '.join(table.columns)}")
        for number, text in table.numbered(column):
            if not text:
                raise CohortError(f'row {number} has nothing in column "{column}"', where=path, mend="fill in the cell")
    for column in ("case_id", "patient_id"):
        _check_names_nobody(table, column)
    _check_unique(table)
    return table


def _check_names_nobody(table: TextTable, column: str) -> None:
    for number, text in table.numbered(column):
        if "^" in text:
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
