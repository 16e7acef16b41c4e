"""The cohort table: one row per case, read whole and checked before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from DeepRadScoreLib.cohort.text_table import TextTable, cell, read_cohort_text
from DeepRadScoreLib.endpoints import KEYS, PDL1_SOURCES, parse_label, pdl1_label
from DeepRadScoreLib.errors import CohortError, Location
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
    """

    path: Path
    table: pd.DataFrame
    labels: pd.DataFrame
    pdl1_rules: dict[str, int]
    cd8a_cut: float
    bad_labels: dict[str, CohortError] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        counts = {key: (int(values.sum()), values.count()) for key, values in self.labels.items() if values.any()}
        known = ", ".join(f"{key} {positive} of {count}" for key, (positive, count) in counts.items())
        return f"Cohort({self.path.name}: {len(self)} cases; positive: {known})"

    def column(self, name: str) -> pd.Series:
        """One text column; empty strings where the table has no such column."""
        return self.table[name] if name in self.table else pd.Series("", index=self.table.index)


def read_cohort(
    path: AnyPath,
    *,
    needs: tuple[str, ...] = (),
    cd8a_cut: float | None = None,
    endpoints: Sequence[str] = KEYS,
    one_bad_label_stops: bool = True,
) -> Cohort:
    """Read and check a cohort table (CSV, UTF-8).

    Parameters
    ----------
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
    """
    text = read_cohort_text(as_path(path, "the cohort table"), needs)
    table = pd.DataFrame(list(text.rows)).set_index("case_id", drop=False).rename_axis(index=None)
    _check_splits(text, table)
    for column in FILE_COLUMNS:
        if column in table:
            table[column] = [str((text.path.parent / name).resolve()) if name else "" for name in table[column]]
    return _labelled(text, table, endpoints, cd8a_cut, one_bad_label_stops)


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
    rules, cut = {"PDL1": 0, "TPS": 0, "CD8A": 0}, float("nan")
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
            labels[name] = _parsed(text, name, parse_label)
            if name == "PDL1":
                labels[name], rules, cut = _filled_pdl1(labels[name], text, cd8a_cut)
        except CohortError as error:
            if one_bad_label_stops:
                raise
            labels[name] = np.full(len(text.rows), np.nan)
            bad_labels[name] = error.with_traceback(None)
    index = table.index.rename("case_id")
    return Cohort(text.path, table, pd.DataFrame(labels, index=index), rules, cut, bad_labels)


def _filled_pdl1(
    labels: np.ndarray, text: TextTable, cd8a_cut: float | None
) -> tuple[np.ndarray, dict[str, int], float]:
    """PD-1/PD-L1 labels with gaps filled from TPS or CD8A, number of labels by source, and the cut for CD8A."""
    rules = {"PDL1": int((~np.isnan(labels)).sum()), "TPS": 0, "CD8A": 0}
    tps, cd8a = (_parsed(text, name, _parse_number) for name in PDL1_SOURCES)
    cut = float("nan")
    if "CD8A" in text.columns:
        cut = cd8a_cut if cd8a_cut is not None else _median_over_patients(text, cd8a)
    for row in np.flatnonzero(np.isnan(labels)):
        label, rule = pdl1_label(tps[row], cd8a[row], cut)
        if rule:
            labels[row] = label
            rules[rule] += 1
    return labels, rules, cut


def _parsed(text: TextTable, column: str, parse: Callable[..., float]) -> np.ndarray:
    """`parse(word, where=...)` of every cell of a column, (n,); NaN where the table has no such column."""
    if column not in text.columns:
        return np.full(len(text.rows), np.nan)
    return np.array([parse(word, where=cell(text.path, number, column)) for number, word in text.numbered(column)])


def _parse_number(word: str, *, where: Location) -> float:
    try:
        return float(word) if word else np.nan
    except ValueError as error:
        raise CohortError(f'"{word}" is not a number', where=where, mend="write a number") from error


def _median_over_patients(text: TextTable, values: np.ndarray) -> float:
    """The median of each patient's first known value."""
    patients = [row.get("patient_id", row["case_id"]) for row in text.rows]
    return float(pd.Series(values).groupby(patients).first().median())
