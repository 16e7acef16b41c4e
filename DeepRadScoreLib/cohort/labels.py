"""Label tables of hospitals, joined to a cohort by PatientID; the ID is left out and dates become days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from DeepRadScoreLib.cohort.covariates import NOT_CLINICAL
from DeepRadScoreLib.cohort.number_columns import is_missing
from DeepRadScoreLib.cohort.text_table import TextTable, cell, read_text_table, require_columns
from DeepRadScoreLib.endpoints import KEYS, PDL1_SOURCES, parse_label
from DeepRadScoreLib.errors import CohortError, Location

ID = "PatientID"
ALWAYS_JOINED = (*KEYS, *PDL1_SOURCES, "split", "site")
"""Columns that are always joined if the table has them."""
NOT_JOINED = ({*NOT_CLINICAL, "study_day", ID}) - {"split"}
DATE_FORMS = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d %H:%M:%S")
MIN_IDENTIFIER_DIGITS = 4
"""Shorter numbers identify nobody."""


@dataclass(frozen=True, eq=False)
class PatientLabels:
    """The columns of a label table that are joined to a cohort.

    Attributes
    ----------
    path: the file.
    rows: PatientID -> number of its row in the file, and the cells of all columns.
    names: joined columns that are not dates.
    dates: joined columns of dates: column -> PatientID -> date.
    """

    path: Path
    rows: dict[str, tuple[int, dict[str, str]]] = field(repr=False)
    names: tuple[str, ...]
    dates: dict[str, dict[str, date]] = field(repr=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the cohort table gets: `names`, and `<name>_days` for each column of dates."""
        return (*self.names, *(f"{name}_days" for name in self.dates))

    def of(self, patient: str, study: date | None, names: Callable[[str], bool]) -> dict[str, str]:
        """The cells of a patient's case; empty where the table does not have the patient.

        Parameters
        ----------
        study: the day of the CT, from which dates are counted; None: they become empty cells.
        names: whether words name this patient.

        Raises
        ------
        CohortError: a cell names the patient.
        """
        if patient not in self.rows:
            return {}
        number, row = self.rows[patient]
        cells = {name: row[name] for name in self.names}
        for name, text in cells.items():
            if name not in KEYS and not (_is_number(text) and len(text) < MIN_IDENTIFIER_DIGITS) and names(text):
                raise CohortError(
                    "the cell repeats what the DICOM header says of the patient, the institution or a date",
                    where=cell(self.path, number, name),
                    mend="write a code in its place, or leave the column out",
                )
        for name, days in self.dates.items():
            day = days.get(patient)
            cells[f"{name}_days"] = "" if day is None or study is None else str((day - study).days)
        return cells

    def check_one_issuer(self, patients: Iterable[tuple[str, str]]) -> None:
        """Raise CohortError if a PatientID of the labels is that of two persons; `patients`: pairs of ID and person."""
        persons = defaultdict(set)
        for patient, person in patients:
            persons[patient].add(person)
        for patient, (number, _) in self.rows.items():
            if len(persons[patient]) > 1:
                raise CohortError(
                    f"the PatientID in row {number} stands for two patients of different issuers in the folder",
                    where=self.path,
                    mend="make one cohort table for each hospital",
                )


def read_labels(path: Path, columns: Sequence[str] = ()) -> PatientLabels:
    """Read a label table (CSV, UTF-8) with the column `PatientID` as in DICOM.

    Parameters
    ----------
    columns: columns to be joined beside those of `ALWAYS_JOINED`. A column in which every cell that is not missing is a
        date becomes days since the day of the CT.

    Raises
    ------
    CohortError: the file is no table, it lacks PatientID or one of `columns`, one of `columns` is one that the cohort
        table makes, a PatientID is empty or repeated, a label is neither 0, 1 nor empty, a column mixes dates with
        other words, or day and month of a date are ambiguous.
    """
    table = read_text_table(path, "label table")
    require_columns((ID,), table.columns, path, f"name it so; the table has {', '.join(table.columns)}")
    for name in columns:
        if name not in table.columns or name in NOT_JOINED:
            wrong = "is missing" if name not in table.columns else "cannot be taken into the cohort table"
            raise CohortError(
                f'the column "{name}" {wrong}',
                where=Location(path, "--columns"),
                mend=f"name some of {', '.join(one for one in table.columns if one not in NOT_JOINED)}",
            )
    rows = _rows_by_patient(table)
    names = list(dict.fromkeys((*(name for name in ALWAYS_JOINED if name in table.columns), *columns)))
    for name in names:
        if name in KEYS:
            for number, text in table.numbered(name):
                parse_label(text, where=cell(path, number, name))
    dates = {name: found for name in names if name not in KEYS and (found := _dates(table, name))}
    for name in dates:
        if f"{name}_days" in table.columns:
            raise CohortError(f'the column "{name}_days" stands there already', where=path, mend="rename it")
    return PatientLabels(path, rows, tuple(name for name in names if name not in dates), dates)


def _rows_by_patient(table: TextTable) -> dict[str, tuple[int, dict[str, str]]]:
    rows: dict[str, tuple[int, dict[str, str]]] = {}
    for number, row in zip(table.row_numbers, table.rows, strict=True):
        patient = row[ID]
        if not patient:
            raise CohortError(f"row {number} has no {ID}", where=table.path, mend="fill in the cell")
        if patient in rows:
            what = f"one {ID} stands in rows {rows[patient][0]} and {number}"
            raise CohortError(what, where=table.path, mend="keep one of them")
        rows[patient] = number, row
    return rows


def _dates(table: TextTable, column: str) -> dict[str, date]:
    """PatientID -> date of a column of dates; empty for any other column."""
    cells = {row[ID]: row[column] for row in table.rows if not is_missing(row[column])}
    where = Location(table.path, f'column "{column}"')
    readings: list[dict[str, date]] = []
    for form in DATE_FORMS:
        days = {patient: day for patient, text in cells.items() if (day := _day(text, form))}
        if days and len(days) == len(cells) and days not in readings:
            readings.append(days)
    if len(readings) > 1:
        raise CohortError(
            "day and month of the dates cannot be told apart", where=where, mend="write all of them as YYYY-MM-DD"
        )
    if readings:
        return readings[0]
    for number, text in table.numbered(column):
        if any(_day(text, form) for form in DATE_FORMS):
            raise CohortError(
                f"row {number} holds a date, other rows hold something else or dates of another form",
                where=where,
                mend="write all of them as YYYY-MM-DD, or leave the column out",
            )
    return {}


def _day(text: str, form: str) -> date | None:
    try:
        day = datetime.strptime(text, form).date()
    except ValueError:
        return None
    return day if 1850 <= day.year <= 2150 and (form != "%Y%m%d" or len(text) == 8) else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
