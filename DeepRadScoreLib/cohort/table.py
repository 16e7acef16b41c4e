"""The cohort table: one row per case, read whole and checked before anything is computed."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from DeepRadScoreLib.cohort.text_table import check_names_nobody, check_rows, separator_of
from DeepRadScoreLib.endpoints import KEYS, parse_label, pdl1_label
from DeepRadScoreLib.errors import CohortError, Location

FILE_COLUMNS = ("ct", "mask", "repeat_mask", "lung_mask")
SPLITS = ("train", "test", "")
PDL1_SOURCES = ("TPS", "CD8A")
NOT_CLINICAL = (*FILE_COLUMNS, "case_id", "patient_id", "split", "segment", "series")
MISSING_WORDS = frozenset(
    ("", "na", "n/a", "nan", "unknown", "not collected", "not recorded", "not recorded in database", "not assessed")
)


@dataclass(frozen=True)
class Cohort:
    """A cohort table.

    Attributes
    ----------
    path: the CSV it came from.
    table: one row per case, text as written; the file columns hold absolute paths.
    labels: (cases x endpoints) floats 0, 1, NaN; the ten keys, or the endpoints that were asked for, in that order.
    pdl1_rules: how many PD-1/PD-L1 labels came from the column itself, from TPS, from CD8A.
    cd8a_cut: the cut that was used for CD8A, NaN where none was needed.
    bad_labels: endpoint -> the error about a label that cannot be read; all labels of that endpoint are NaN.
    """

    path: Path
    table: pd.DataFrame
    labels: pd.DataFrame
    pdl1_rules: dict[str, int]
    cd8a_cut: float
    bad_labels: dict[str, CohortError] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.table)

    def column(self, name: str) -> pd.Series:
        """One text column; empty strings where the table has no such column."""
        if name in self.table:
            return self.table[name]
        return pd.Series([""] * len(self.table), index=self.table.index)


def read_cohort(
    path: Path,
    *,
    needs: tuple[str, ...],
    cd8a_cut: float | None = None,
    endpoints: Sequence[str] = KEYS,
    one_bad_label_stops: bool = True,
) -> Cohort:
    """Read and check a cohort table (CSV, UTF-8).

    Parameters
    ----------
    needs: the columns that must be there, with no empty cell.
    cd8a_cut: CD8A above it counts as PD-1/PD-L1 expressed; None: the median of the table's patients.
    endpoints: which labels to read: any of the ten keys (all NaN where the table has no such column) or of the
        table's other 0/1 columns, which keep their names.
    one_bad_label_stops: False: an endpoint with a label that cannot be read has no labels and its sentence stands in
        `Cohort.bad_labels`, so that the other endpoints can be used.

    Raises
    ------
    CohortError: the file is missing or no table, a column of `needs` is missing or has an empty cell, a case_id or
        patient_id looks like a name in DICOM ("Doe^Jane": it would stand in every result), a case stands twice, a
        split is neither train, test nor empty or differs between the cases of a patient, an endpoint is neither a key
        nor a column, a label is neither 0, 1 nor empty (see `one_bad_label_stops`).
    """
    table = read_text_table(path, "cohort table")
    for column in dict.fromkeys(("case_id", *needs)):
        if column not in table:
            raise CohortError(
                f'the column "{column}" is missing', where=path, mend=f"add it; the table has {', '.join(table)}"
            )
        empty = table.index[table[column] == ""]
        if len(empty):
            raise CohortError(
                f'row {empty[0] + 2} has nothing in column "{column}"', where=path, mend="fill in the cell"
            )
    for column in ("case_id", "patient_id"):
        check_names_nobody(column, table.get(column, []), path)
    doubled = table["case_id"][table["case_id"].duplicated()]
    if len(doubled):
        raise CohortError(
            f'the case "{doubled.iloc[0]}" stands in rows {_rows_of(table, doubled.iloc[0])}',
            where=path,
            mend="give every row a case_id of its own",
        )
    for index, split in enumerate(table.get("split", [])):
        if split not in SPLITS:
            raise CohortError(
                f'the split "{split}" in row {index + 2} is neither train, test nor empty',
                where=path,
                mend="correct the cell",
            )
    _check_one_split_per_patient(table, path)
    cohort = _labelled(table, path, endpoints, cd8a_cut, one_bad_label_stops)
    for column in FILE_COLUMNS:
        if column in table:
            table[column] = [str((path.parent / cell).resolve()) if cell else "" for cell in table[column]]
    return cohort


def covariates(cohort: Cohort, names: Sequence[str]) -> pd.DataFrame:
    """The named clinical columns, typed; one row per case, in the table's order, with the index of `cohort.table`.

    A column in which every cell that is not missing is a number is float64 with NaN for missing; any other holds
    categories, str with None for missing. Missing: an empty cell or one of `MISSING_WORDS`, in any case.

    Raises
    ------
    CohortError: a name is no column, its column has no value at all, or it is not a clinical variable: a file,
        identifier or split, an endpoint that is being evaluated, or what such an endpoint's labels come from.
    """
    return pd.DataFrame({name: _covariate(cohort, name) for name in names}, index=cohort.table.index)


def _covariate(cohort: Cohort, name: str) -> pd.Series:
    where = Location(cohort.path, f'column "{name}"')
    if name not in cohort.table:
        raise CohortError(
            f'the covariate "{name}" is no column',
            where=cohort.path,
            mend=f"name some of {', '.join(cohort.table)}",
        )
    if name in cohort.labels:
        raise CohortError(
            f"{name} is an endpoint of this run and cannot predict itself",
            where=where,
            mend="leave it out of --covariates or out of --endpoints",
        )
    if name in PDL1_SOURCES and "PDL1" in cohort.labels:
        raise CohortError(
            f"the labels of the endpoint PDL1 come from {name}, which cannot predict them",
            where=where,
            mend="leave it out of --covariates, or PDL1 out of --endpoints",
        )
    if name in NOT_CLINICAL:
        raise CohortError("this is not a clinical variable", where=where, mend="leave it out of --covariates")
    text = cohort.table[name]
    missing = text.str.casefold().isin(MISSING_WORDS)
    if missing.all():
        raise CohortError("the column has no value", where=where, mend="leave it out of --covariates")
    numbers = pd.to_numeric(text.mask(missing), errors="coerce").astype(np.float64)
    if (numbers.notna() & np.isfinite(numbers) | missing).all():
        return numbers
    return text.astype(object).where(~missing, None)


def read_text_table(path: Path, what: str) -> pd.DataFrame:
    """A CSV (UTF-8) as stripped text cells; row i of the table is line i + 2 of the file.

    Raises
    ------
    CohortError: there is no such file, it is no CSV table, or it has no rows.
    """
    if not path.exists():
        raise CohortError("the file does not exist", where=path, mend=f"give the path of a {what} (CSV)")
    if path.is_dir():
        raise CohortError("this is a folder", where=path, mend=f"give the path of a {what} (CSV)")
    separator = _checked_separator(path)
    try:
        table = pd.read_csv(
            path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True
        )
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        raise CohortError(
            f"this is not a readable CSV table ({str(error).splitlines()[0]})",
            where=path,
            mend="save the table as UTF-8 text separated by commas or semicolons",
        ) from error
    if table.empty:
        raise CohortError("the table has no rows", where=path, mend="add one row per case")
    table.columns = [str(column).strip() for column in table.columns]
    return table.apply(lambda column: column.str.strip())


def _checked_separator(path: Path) -> str:
    """The table's separator; rows wider than the header and doubled column names are refused.

    pandas would shift or rename columns instead.
    """
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
        separator = separator_of(stream.readline())
        stream.seek(0)
        check_rows(csv.reader(stream, delimiter=separator), path)
    return separator


def _rows_of(table: pd.DataFrame, case_id: str) -> str:
    return " and ".join(str(index + 2) for index in table.index[table["case_id"] == case_id])


def _check_one_split_per_patient(table: pd.DataFrame, path: Path) -> None:
    if "split" not in table or "patient_id" not in table:
        return
    parts = table.groupby("patient_id")["split"].nunique()
    torn = parts.index[parts > 1]
    if len(torn):
        raise CohortError(
            f'the cases of patient "{torn[0]}" stand in more than one split',
            where=path,
            mend="put all cases of a patient into the same split",
        )


def _labelled(
    table: pd.DataFrame, path: Path, endpoints: Sequence[str], cd8a_cut: float | None, one_bad_label_stops: bool
) -> Cohort:
    rules, cut = {"PDL1": 0, "TPS": 0, "CD8A": 0}, float("nan")
    labels: dict[str, np.ndarray] = {}
    bad_labels: dict[str, CohortError] = {}
    for name in endpoints:
        if name not in table and name not in KEYS:
            raise CohortError(
                f'the endpoint "{name}" is no column',
                where=path,
                mend=f"name some of {', '.join(KEYS)}, or a column of 0, 1 and empty cells; "
                f"the table has {', '.join(table)}",
            )
        try:
            labels[name] = _read_column(table, name, path)
            if name == "PDL1":
                labels[name], rules, cut = _filled_pdl1(labels[name], table, path, cd8a_cut)
        except CohortError as error:
            if one_bad_label_stops:
                raise
            labels[name] = np.full(len(table), np.nan)
            bad_labels[name] = error.with_traceback(None)
    return Cohort(path, table, pd.DataFrame(labels, index=table.index), rules, cut, bad_labels)


def _read_column(table: pd.DataFrame, name: str, path: Path) -> np.ndarray:
    values = np.full(len(table), np.nan)
    for row, cell in enumerate(table.get(name, [])):
        values[row] = parse_label(cell, where=Location(path, f'row {row + 2}, column "{name}"'))
    return values


def _filled_pdl1(
    labels: np.ndarray, table: pd.DataFrame, path: Path, cd8a_cut: float | None
) -> tuple[np.ndarray, dict[str, int], float]:
    """PD-1/PD-L1 labels with the gaps filled from TPS or CD8A, how many came by which rule, and the cut for CD8A."""
    rules = {"PDL1": int((~np.isnan(labels)).sum()), "TPS": 0, "CD8A": 0}
    tps, cd8a = (_read_numbers(table, name, path) for name in PDL1_SOURCES)
    cut = float("nan")
    if "CD8A" in table:
        cut = cd8a_cut if cd8a_cut is not None else _median_over_patients(table, cd8a)
    for row in np.flatnonzero(np.isnan(labels)):
        label, rule = pdl1_label(tps[row], cd8a[row], cut)
        if rule:
            labels[row] = label
            rules[rule] += 1
    return labels, rules, cut


def _read_numbers(table: pd.DataFrame, name: str, path: Path) -> np.ndarray:
    values = np.full(len(table), np.nan)
    for row, cell in enumerate(table.get(name, [])):
        try:
            values[row] = float(cell) if cell else np.nan
        except ValueError as error:
            raise CohortError(
                f'"{cell}" is not a number',
                where=Location(path, f'row {row + 2}, column "{name}"'),
                mend="write a number",
            ) from error
    return values


def _median_over_patients(table: pd.DataFrame, cd8a: np.ndarray) -> float:
    patients = table["patient_id"] if "patient_id" in table else table["case_id"]
    return float(pd.Series(cd8a).groupby(patients).first().median())
