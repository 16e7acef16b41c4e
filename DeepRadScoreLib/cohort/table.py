"""The cohort table: one row per case, read whole and checked before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from DeepRadScoreLib.cohort.pdl1 import Pdl1Labels, filled_pdl1
from DeepRadScoreLib.cohort.text_table import TextTable, cell, read_cohort_text
from DeepRadScoreLib.endpoints import KEYS, parse_label
from DeepRadScoreLib.errors import CohortError, Location
from DeepRadScoreLib.models import MaskGrid
from DeepRadScoreLib.paths import AnyPath, as_path

FILE_COLUMNS = ("ct", "mask", "repeat_mask", "lung_mask")


@dataclass(frozen=True)
class Cohort:
    """A cohort table.

    Attributes
    ----------
    path: the CSV file.
    table: one row per case, text as written, indexed by case_id (the index has no name, as the column has it); the file
        columns hold absolute paths.
    labels: (cases x endpoints) floats 0, 1, NaN, indexed by case_id; the columns are the endpoints that were read.
    pdl1_rules: number of PD-1/PD-L1 labels by the column they come from ("PDL1", "TPS", "CD8A").
    cd8a_cut: the cut that was applied to CD8A, NaN where none was needed.
    bad_labels: endpoint -> the error about a label that cannot be read; all labels of that endpoint are NaN.
    row_numbers: case_id -> number of its row in the file.
    notes: a sentence on each column of numbers that holds more than numbers but was read as such.
    sha256: of the file.

    Examples
    --------
    >>> from DeepRadScoreLib import read_cohort
    >>> cohort = read_cohort("cohort.csv")
    >>> len(cohort), cohort.pdl1_rules
    (3, {'PDL1': 0, 'TPS': 2, 'CD8A': 0})
    """

    path: Path
    table: pd.DataFrame
    labels: pd.DataFrame
    pdl1_rules: dict[str, int]
    cd8a_cut: float
    bad_labels: dict[str, CohortError] = field(default_factory=dict)
    row_numbers: dict[str, int] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()
    sha256: str = ""

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        counts = {key: (int(values.sum()), values.count()) for key, values in self.labels.items() if values.any()}
        known = ", ".join(f"{key} {positive} of {count}" for key, (positive, count) in counts.items())
        return f"Cohort({self.path.name}: {len(self)} cases; positive: {known})"

    def column(self, name: str) -> pd.Series:
        """One text column; empty strings where the table has no such column."""
        return self.table[name] if name in self.table else pd.Series("", index=self.table.index)

    def cell(self, column: str, position: int) -> Location:
        """A cell of the row at `position`, as errors name it."""
        case_id = str(self.table.index[position])
        if case_id in self.row_numbers:
            return cell(self.path, self.row_numbers[case_id], column)
        return Location(self.path, f'case "{case_id}", column "{column}"')

    def of_cases(self, case_ids: pd.Index) -> Cohort:
        """The table with the given cases alone, in their order."""
        return replace(self, table=self.table.loc[list(case_ids)], labels=self.labels.loc[list(case_ids)])

    def with_mask_grid(self, mask_grid: MaskGrid | None) -> Cohort:
        """The cohort with `mask_grid` in the cells of that column that are empty, or in a column of its own."""
        cells = [cell or mask_grid or "" for cell in self.column("mask_grid")]
        return replace(self, table=self.table.assign(mask_grid=cells))


def read_cohort(
    path: AnyPath,
    *,
    needs: tuple[str, ...] = (),
    cd8a_cut: float | None = None,
    endpoints: Sequence[str] = KEYS,
    one_bad_label_stops: bool = True,
) -> Cohort:
    """Read and check a cohort table (CSV in UTF-8, or the first sheet of an Excel workbook).

    Parameters
    ----------
    path: of the table; the paths in it are relative to its folder.
    needs: required columns beside case_id, without empty cells.
    cd8a_cut: CD8A above it counts as PD-1/PD-L1 expressed; None: the median of the table's patients.
    endpoints: the labels to read: any of `KEYS` (all NaN where the table has no such column) or of the table's
        other 0/1 columns.
    one_bad_label_stops: if False, an endpoint with a label that cannot be read has no labels, its error is added to
        `Cohort.bad_labels` and the other endpoints can be used.

    Raises
    ------
    CohortError: the file is missing or no table, a column of `needs` is missing or has an empty cell, a case_id or
        patient_id looks like a name in DICOM ("Doe^Jane": it would appear in every result), a case_id is repeated, a
        split is neither train, test nor empty or differs between the cases of a patient, an endpoint is neither a key
        nor a column, a label is neither 0, 1 nor empty (see `one_bad_label_stops`).
    TypeError: a path that is neither text nor a `Path`.

    Examples
    --------
    >>> from DeepRadScoreLib import read_cohort
    >>> cohort = read_cohort("cohort.csv", needs=("ct", "mask"))
    >>> cohort.labels.loc["P002-a", ["KRAS", "PDL1"]].to_list()
    [1.0, 1.0]
    """
    text = read_cohort_text(as_path(path, "the cohort table"), needs)
    table = pd.DataFrame(list(text.rows)).set_index("case_id", drop=False).rename_axis(index=None)
    _check_splits(text, table)
    for column in FILE_COLUMNS:
        if column in table:
            table[column] = [_resolved(text, number, column, name) for number, name in text.numbered(column)]
    return _labelled(text, table, endpoints, cd8a_cut, one_bad_label_stops)


def _resolved(text: TextTable, number: int, column: str, name: str) -> str:
    """The absolute path of a file that a cell names, "" for an empty cell."""
    try:
        return str((text.path.parent / name).resolve()) if name else ""
    except (OSError, RuntimeError) as error:
        where = cell(text.path, number, column)
        raise CohortError("this is no usable path", where=where, mend="correct the cell") from error


def _check_splits(text: TextTable, table: pd.DataFrame) -> None:
    for number, split in text.numbered("split"):
        if split not in ("train", "test", ""):
            raise CohortError(
                f'the split "{split}" in row {number} is neither train, test nor empty',
                where=text.path,
                mend="correct the cell",
            )
    if {"split", "patient_id"} <= set(table):
        several = table.groupby("patient_id")["split"].nunique() > 1
        if several.any():
            raise CohortError(
                f'the cases of patient "{several.idxmax()}" stand in more than one split',
                where=text.path,
                mend="put all cases of a patient into the same split",
            )


def _labelled(
    text: TextTable, table: pd.DataFrame, endpoints: Sequence[str], cd8a_cut: float | None, one_bad_label_stops: bool
) -> Cohort:
    pdl1 = Pdl1Labels()
    labels: dict[str, np.ndarray] = {}
    bad_labels: dict[str, CohortError] = {}
    for name in endpoints:
        if name not in text.columns and name not in KEYS:
            raise CohortError(
                f'the endpoint "{name}" is no column',
                where=text.path,
                mend=f"name some of {', '.join(KEYS)}, or a column of 0, 1 and empty cells; "
                f"the table has {', '.join(text.columns)}",
            )
        try:
            labels[name] = _labels(text, name)
            if name == "PDL1":
                pdl1 = filled_pdl1(labels[name], text, cd8a_cut)
                labels[name] = pdl1.labels
        except CohortError as error:
            if one_bad_label_stops:
                raise
            labels[name] = np.full(len(text.rows), np.nan)
            bad_labels[name] = error.with_traceback(None)
    index = table.index.rename("case_id")
    rows = dict(zip(table.index, text.row_numbers, strict=True))
    of_cases = pd.DataFrame(labels, index=index)
    return Cohort(text.path, table, of_cases, pdl1.rules, pdl1.cd8a_cut, bad_labels, rows, pdl1.notes, text.sha256)


def _labels(text: TextTable, key: str) -> np.ndarray:
    """The labels of a column, (n,); NaN where the table has no such column."""
    if key not in text.columns:
        return np.full(len(text.rows), np.nan)
    return np.array([parse_label(word, where=cell(text.path, number, key)) for number, word in text.numbered(key)])
