"""A hospital's table of labels by PatientID, joined to a cohort without the ID and with days instead of dates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from DeepRadScoreLib.cohort.covariates import MISSING_WORDS, NOT_CLINICAL
from DeepRadScoreLib.cohort.text_table import TextTable, read_text_table
from DeepRadScoreLib.endpoints import KEYS, PDL1_SOURCES, parse_label
from DeepRadScoreLib.errors import CohortError, Location

ID = "PatientID"
ALWAYS_JOINED = (*KEYS, *PDL1_SOURCES, "split", "site")
"""Columns that are joined where the table has them."""
NOT_JOINED = ({*NOT_CLINICAL, "study_day", ID}) - {"split"}
DATE_FORMS = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d %H:%M:%S")
MIN_DIGITS = 4
"""A number of fewer digits is no identifier."""


@dataclass(frozen=True, eq=False)
class PatientLabels:
    """The columns of a label table that a cohort gets.

    Attributes
    ----------
    table: the file; it holds more columns.
    row_numbers: PatientID -> number of its row in the file.
    names: the columns that are not dates.
    dates: column -> PatientID -> date.
    """

    table: TextTable = field(repr=False)
    row_numbers: dict[str, int] = field(repr=False)
    names: tuple[str, ...]
    dates: dict[str, dict[str, date]] = field(repr=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """What the cohort gets: the columns, and `<name>_days` for each of the dates."""
        return (*self.names, *(f"{name}_days" for name in self.dates))

    def of(self, patient: str, study: date | None, names: Callable[[str], bool]) -> dict[str, str]:
        """The cells of a patient's case; none where the table does not have the patient.

        Parameters
        ----------
        study: the day of the CT, from which dates are counted; None: they become empty cells.
        names: whether words name this patient.

        Raises
        ------
        CohortError: a cell does.
        """
        if patient not in self.row_numbers:
            return {}
        number = self.row_numbers[patient]
        row = self.table.rows[self.table.row_numbers.index(number)]
        cells = {name: row[name] for name in self.names}
        for name, cell in cells.items():
            if name not in KEYS and not (_is_number(cell) and len(cell) < MIN_DIGITS) and names(cell):
                raise CohortError(
                    "the cell repeats what the DICOM header says of the patient, the institution or a date",
                    where=self.table.location(number, name),
                    mend="write a code in its place, or leave the column out",
                )
        for name, days in self.dates.items():
            day = days.get(patient)
            cells[f"{name}_days"] = "" if day is None or study is None else str((day - study).days)
        return cells

    def check_one_issuer(self, patients: Iterable[tuple[str, str]]) -> None:
        """Refuse labels that one PatientID leads to two patients, given as pairs of ID and person: CohortError."""
        persons = defaultdict(set)
        for patient, person in patients:
            persons[patient].add(person)
        torn = [self.row_numbers[patient] for patient in self.row_numbers if len(persons.get(patient, ())) > 1]
        if torn:
            raise CohortError(
                f"the PatientID in row {torn[0]} stands for two patients of different issuers in the folder",
                where=self.table.path,
                mend="make one cohort table for each hospital",
            )

    def counted(self, patients: Collection[str]) -> list[str]:
        """Sentences on who is without labels or without images."""
        with_images = set(patients)
        bare, absent = len(with_images - set(self.row_numbers)), len(set(self.row_numbers) - with_images)
        return [
            f"{count} {'patient' if count == 1 else 'patients'} {what}."
            for count, what in (
                (bare, "with images not in the labels: their cells are empty"),
                (absent, "of the labels without a CT and its mask in the folder"),
            )
            if count
        ]


def read_labels(path: Path, columns: Sequence[str] = ()) -> PatientLabels:
    """Read a label table (CSV, UTF-8): `PatientID` as in DICOM, those of `ALWAYS_JOINED` that it has, and those named.

    A column in which every cell that is not missing is a date becomes days since the day of the CT.

    Raises
    ------
    CohortError: the file is no table, it lacks PatientID or a named column, a named column is one that the cohort table
        makes itself, a PatientID is empty or stands twice, a label is neither 0, 1 nor empty, a date stands among other
        words, or day and month of a date cannot be told apart.
    """
    table = read_text_table(path, "label table")
    if ID not in table.columns:
        raise CohortError(
            f'the column "{ID}" is missing', where=path, mend=f"name it so; the table has {', '.join(table.columns)}"
        )
    for name in columns:
        if name not in table.columns or name in NOT_JOINED:
            wrong = "is missing" if name not in table.columns else "cannot be taken into the cohort table"
            raise CohortError(
                f'the column "{name}" {wrong}',
                where=Location(path, "--columns"),
                mend=f"name some of {', '.join(one for one in table.columns if one not in NOT_JOINED)}",
            )
    row_numbers = _row_numbers(table)
    names = list(dict.fromkeys((*(name for name in ALWAYS_JOINED if name in table.columns), *columns)))
    for name in names:
        if name in KEYS:
            for number, cell in table.numbered(name):
                parse_label(cell, where=table.location(number, name))
    dates = {name: found for name in names if name not in KEYS and (found := _dates(table, name))}
    doubled = [name for name in dates if f"{name}_days" in table.columns]
    if doubled:
        raise CohortError(f'the column "{doubled[0]}_days" stands there already', where=path, mend="rename it")
    return PatientLabels(table, row_numbers, tuple(name for name in names if name not in dates), dates)


def _row_numbers(table: TextTable) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for number, patient in table.numbered(ID):
        if not patient:
            raise CohortError(f"row {number} has no {ID}", where=table.path, mend="fill in the cell")
        if patient in numbers:
            raise CohortError(
                f"one {ID} stands in rows {numbers[patient]} and {number}", where=table.path, mend="keep one of them"
            )
        numbers[patient] = number
    return numbers


def _dates(table: TextTable, column: str) -> dict[str, date]:
    """PatientID -> date, of a column of dates; nothing of another column."""
    cells = {row[ID]: row[column] for row in table.rows if row[column].casefold() not in MISSING_WORDS}
    where = Location(table.path, f'column "{column}"')
    fitting = [
        found
        for form in DATE_FORMS
        if None not in (found := {patient: _day(cell, form) for patient, cell in cells.items()}).values() and found
    ]
    if not fitting:
        dated = [number for number, cell in table.numbered(column) if any(_day(cell, form) for form in DATE_FORMS)]
        if dated:
            raise CohortError(
                f"row {dated[0]} holds a date, other rows hold something else or dates of another form",
                where=where,
                mend="write all of them as YYYY-MM-DD, or leave the column out",
            )
        return {}
    if any(other != fitting[0] for other in fitting):
        raise CohortError(
            "day and month of the dates cannot be told apart", where=where, mend="write all of them as YYYY-MM-DD"
        )
    return {patient: day for patient, day in fitting[0].items() if day is not None}


def _day(cell: str, form: str) -> date | None:
    try:
        day = datetime.strptime(cell, form).date()
    except ValueError:
        return None
    return day if 1850 <= day.year <= 2150 and (form != "%Y%m%d" or len(cell) == 8) else None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
