"""The rules of tables that are saved as text, whoever reads them: here nothing but the standard library is needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from DeepRadScoreLib.errors import CohortError

SEPARATORS = ",;\t"


def separator_of(header: str) -> str:
    """Comma, semicolon or tab: which of them the header line has most of."""
    return max(SEPARATORS, key=header.count)


def check_rows(rows: Iterator[list[str]], path: Path) -> None:
    """Refuse a row that is wider than the header, which comes first, and a doubled column: CohortError."""
    header = [name.strip() for name in next(rows, [])]
    for number, row in enumerate(rows, start=2):
        if len(row) > len(header):
            raise CohortError(
                f"row {number} has {len(row)} cells, the header has {len(header)}",
                where=path,
                mend="remove the extra separators",
            )
    check_names(header, path)


def check_names(names: Sequence[str], path: Path) -> None:
    """Refuse a column name that stands twice: CohortError."""
    doubled = [name for name in names if name and names.count(name) > 1]
    if doubled:
        raise CohortError(f'the column "{doubled[0]}" stands twice', where=path, mend="keep one of them")


def check_names_nobody(column: str, cells: Iterable[str], path: Path) -> None:
    """Refuse identifiers that look like a name in DICOM ("Doe^Jane"), which every result would hold: CohortError."""
    for number, cell in enumerate(cells, start=2):
        if "^" in cell:
            raise CohortError(
                f'row {number} has what looks like a patient\'s name in column "{column}" ("^")',
                where=path,
                mend="write a pseudonym in its place, such as `deepradscore cohort dicom` makes",
            )
