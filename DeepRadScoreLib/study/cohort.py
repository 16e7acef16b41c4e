"""The cohort table: one row per case, read whole and checked before anything is computed."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from DeepRadScoreLib.endpoints import KEYS, parse_label, pdl1_label
from DeepRadScoreLib.errors import CohortError

FILE_COLUMNS = ("ct", "mask", "repeat_mask", "lung_mask")
SPLITS = ("train", "test", "")


@dataclass(frozen=True)
class Cohort:
    """A cohort table.

    Attributes
    ----------
    path: the CSV it came from.
    table: one row per case, text as written; the file columns hold absolute paths.
    labels: (cases x 10 endpoint keys) floats 0, 1, NaN.
    pdl1_rules: how many PD-1/PD-L1 labels came from the column itself, from TPS, from CD8A.
    cd8a_cut: the cut that was used for CD8A, NaN where none was needed.
    """

    path: Path
    table: pd.DataFrame
    labels: pd.DataFrame
    pdl1_rules: dict[str, int]
    cd8a_cut: float

    def __len__(self) -> int:
        return len(self.table)

    def column(self, name: str) -> pd.Series:
        """One text column; empty strings where the table has no such column."""
        if name in self.table:
            return self.table[name]
        return pd.Series([""] * len(self.table), index=self.table.index)


def read_cohort(path: Path, *, needs: tuple[str, ...], cd8a_cut: float | None = None) -> Cohort:
    """Read and check a cohort table (CSV, UTF-8).

    Raises
    ------
    CohortError: the file is missing or no table, a column of `needs` is missing or has an empty cell, a case stands
        twice, a label is neither 0, 1 nor empty, a split is neither train, test nor empty.
    """
    table = _read_text_table(path)
    for column in needs:
        if column not in table:
            raise CohortError(
                f'the column "{column}" is missing', where=str(path), mend=f"add it; the table has {', '.join(table)}"
            )
        empty = table.index[table[column] == ""]
        if len(empty):
            raise CohortError(
                f'row {empty[0] + 2} has nothing in column "{column}"', where=str(path), mend="fill in the cell"
            )
    doubled = table["case_id"][table["case_id"].duplicated()]
    if len(doubled):
        raise CohortError(
            f'the case "{doubled.iloc[0]}" stands in rows {_rows_of(table, doubled.iloc[0])}',
            where=str(path),
            mend="give every row a case_id of its own",
        )
    for index, split in enumerate(table.get("split", [])):
        if split not in SPLITS:
            raise CohortError(
                f'the split "{split}" in row {index + 2} is neither train, test nor empty',
                where=str(path),
                mend="correct the cell",
            )
    _check_one_split_per_patient(table, path)
    labels, rules, cut = _read_labels(table, path, cd8a_cut)
    for column in FILE_COLUMNS:
        if column in table:
            table[column] = [str((path.parent / cell).resolve()) if cell else "" for cell in table[column]]
    return Cohort(path, table, labels, rules, cut)


def _read_text_table(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise CohortError("the file does not exist", where=str(path), mend="give the path of a cohort table (CSV)")
    if path.is_dir():
        raise CohortError("this is a folder", where=str(path), mend="give the path of a cohort table (CSV)")
    _check_widths(path)
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        raise CohortError(
            f"this is not a readable CSV table ({str(error).splitlines()[0]})",
            where=str(path),
            mend="save the table as comma-separated UTF-8 text",
        ) from error
    if table.empty:
        raise CohortError("the table has no rows", where=str(path), mend="add one row per case")
    table.columns = [str(column).strip() for column in table.columns]
    return table.apply(lambda column: column.str.strip())


def _check_widths(path: Path) -> None:
    """Refuse rows wider than the header and doubled column names: pandas would shift or rename columns instead."""
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as stream:
        rows = csv.reader(stream)
        header = [name.strip() for name in next(rows, [])]
        for number, row in enumerate(rows, start=2):
            if len(row) > len(header):
                raise CohortError(
                    f"row {number} has {len(row)} cells, the header has {len(header)}",
                    where=str(path),
                    mend="remove the extra commas",
                )
    doubled = [name for name in header if name and header.count(name) > 1]
    if doubled:
        raise CohortError(f'the column "{doubled[0]}" stands twice', where=str(path), mend="keep one of them")


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
            where=str(path),
            mend="put all cases of a patient into the same split",
        )


def _read_labels(table: pd.DataFrame, path: Path, cd8a_cut: float | None) -> tuple[pd.DataFrame, dict[str, int], float]:
    labels = pd.DataFrame(np.nan, index=table.index, columns=list(KEYS))
    for key in KEYS:
        for row, value in enumerate(table.get(key, [])):
            labels.loc[row, key] = parse_label(value, where=f'{path}, row {row + 2}, column "{key}"')
    rules = {"PDL1": int(labels["PDL1"].notna().sum()), "TPS": 0, "CD8A": 0}
    tps, cd8a = (_read_numbers(table, name, path) for name in ("TPS", "CD8A"))
    cut = float("nan")
    if "CD8A" in table:
        cut = cd8a_cut if cd8a_cut is not None else _median_over_patients(table, cd8a)
    for row in labels.index[labels["PDL1"].isna()]:
        label, rule = pdl1_label(tps[row], cd8a[row], cut)
        if rule:
            labels.loc[row, "PDL1"] = label
            rules[rule] += 1
    return labels, rules, cut


def _read_numbers(table: pd.DataFrame, name: str, path: Path) -> np.ndarray:
    values = np.full(len(table), np.nan)
    for row, cell in enumerate(table.get(name, [])):
        try:
            values[row] = float(cell) if cell else np.nan
        except ValueError as error:
            raise CohortError(
                f'"{cell}" is not a number', where=f'{path}, row {row + 2}, column "{name}"', mend="write a number"
            ) from error
    return values


def _median_over_patients(table: pd.DataFrame, cd8a: np.ndarray) -> float:
    patients = table["patient_id"] if "patient_id" in table else table["case_id"]
    return float(pd.Series(cd8a).groupby(patients).first().median())
