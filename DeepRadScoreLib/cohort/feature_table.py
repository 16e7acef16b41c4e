"""Feature tables as CSV, Parquet or Excel, written by this library or by other programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_float_dtype, is_numeric_dtype

from DeepRadScoreLib.cohort.case_notes import CaseNotes, notes_file, read_notes
from DeepRadScoreLib.cohort.csv_text import defused_table, line_end
from DeepRadScoreLib.cohort.table import Cohort
from DeepRadScoreLib.cohort.table_files import any_of, read_table, some_of
from DeepRadScoreLib.cohort.text_table import require_columns
from DeepRadScoreLib.endpoints import KEYS, PDL1_SOURCES
from DeepRadScoreLib.errors import CohortError, InputError
from DeepRadScoreLib.extras import require
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS, FEATURES_OF_CLASS, REGIONS
from DeepRadScoreLib.writing import check_file, check_space, write_folder

PREFIXES: dict[str, str] = {region: f"{region}_" for region in REGIONS}
MAX_MISSING = 0.5
MIN_CELL_BYTES = 4
"""In a table on disk, of either kind."""
MAX_WHOLE = 2.0**53
"""Whole numbers below it are exact as floats."""


@dataclass(frozen=True)
class FeatureTable:
    """Features of the cases of a cohort that are in a table.

    Attributes
    ----------
    features: (n x columns) float64, index case_id in the cohort's order, all finite, no column constant; columns are
        `tumour_<name>` and `peritumoral_<name>`.
    missing: case_id -> why this case of the cohort has no features here.
    extra: number of rows of the table that belong to no case of the cohort.
    dropped: column -> why it was left out.
    sha256: of the file.
    notes: on those of `features`, or None: no notes file lies beside the table.
    """

    features: pd.DataFrame
    missing: dict[str, str]
    extra: int
    dropped: dict[str, str]
    sha256: str
    notes: CaseNotes | None = None


def check_feature_file(path: Path) -> None:
    """Check, before anything is computed, that a feature table can be written to a file.

    Raises
    ------
    OutputError: the file cannot be written.
    InputError: its ending is neither .csv nor .parquet.
    MissingPackageError: a .parquet file without pyarrow.
    """
    check_file(path)
    if path.suffix not in (".parquet", ".csv"):
        raise InputError(
            f'the ending "{path.suffix}" is not known', where="--out", mend="end the name in .parquet or .csv"
        )
    if path.suffix == ".parquet":
        require("study", "writing .parquet tables", "pyarrow")


def check_feature_space(path: Path, cases: int) -> None:
    """Check, before anything is computed, that a feature table of so many cases has space. Raises OutputError."""
    check_space(path, cases * len(FEATURE_COLUMNS) * MIN_CELL_BYTES)


def write_feature_table(features: pd.DataFrame, path: Path, notes: CaseNotes) -> None:
    """Write a table with the index case_id and its notes file, both or none.

    CSV is written a few rows at a time, since its text is larger than the table.

    Parameters
    ----------
    notes: of the table's cases, in its order.

    Raises
    ------
    OutputError: they cannot be written.
    """

    def write(folder: Path) -> None:
        with (folder / path.name).open("xb") as stream:
            if path.suffix == ".csv":
                end = line_end("".join(map(str, features.index)))
                defused_table(features).to_csv(stream, float_format="%.17g", chunksize=10, lineterminator=end)
            else:
                features.reset_index().to_parquet(stream, index=False)
        (folder / notes_file(path).name).write_bytes(notes.to_csv().encode())

    write_folder(path.parent, write, lambda _folder, _names: ())


def read_feature_table(
    path: Path, cohort: Cohort, *, case_column: str | None = None, prefixes: Mapping[str, str] | None = None
) -> FeatureTable:
    """Read a feature table (one row per case) for a cohort, and the notes file that may lie beside it.

    Nothing is imputed, as that would have to be learned inside each training set. Over the cohort's cases, and without
    use of any label: a column that more than half of the cases lack is left out; then a case that lacks more than half
    of a region's columns; then every column that still has a gap, and every constant one. An infinite value is a gap.

    Parameters
    ----------
    path: CSV, TSV or TXT (UTF-8, separated by comma, semicolon or tab), Parquet, or XLSX (its first sheet).
    case_column: the column with the case_ids of the cohort; None: "case_id".
    prefixes: region ("tumour", "peritumoral") -> prefix of its columns in the file; None: "tumour_" and
        "peritumoral_", either of which may be absent. With the prefix "" a region has the numeric columns named as
        pyradiomics names them (imagetype_class_feature), or, if there is none, all numeric columns except those of the
        cohort table. Columns named diagnostics_* are never features.

    Raises
    ------
    InputError: `prefixes` names an unknown region or one prefix for two regions.
    MissingPackageError: an XLSX file without openpyxl.
    CohortError: the file is missing or no table, has no such case column, a repeated case, no case of the cohort, no
        column of a region that `prefixes` names, or no usable column at all; or `read_notes` refuses its notes file.
    """
    regions = _checked_prefixes(prefixes)
    case_column = case_column or "case_id"
    table, sha256 = read_table(path, text_column=case_column)
    table = _by_case(table, path, case_column)
    notes = read_notes(path, table.index)
    columns = _columns_of_regions(table, path, cohort, regions, named=prefixes is not None)
    used = _cases_in_common(table, path, cohort, case_column)
    features, dropped = _numeric(used, columns, path)
    features, missing = _without_gaps(features, dropped)
    if features.empty:
        raise CohortError(
            "no feature has a value in every case and differs between cases",
            where=path,
            mend="give a table with complete columns",
        )
    absent = cohort.table.index.difference(used.index, sort=False)
    missing |= dict.fromkeys(absent, f"{path.name} has no row for this case.")
    noted = None if notes is None else notes.of_cases(features.index)
    return FeatureTable(features, missing, len(table) - len(used), dropped, sha256, noted)


def _checked_prefixes(prefixes: Mapping[str, str] | None) -> dict[str, str]:
    if prefixes is None:
        return PREFIXES
    for region in prefixes:
        if region not in REGIONS:
            raise InputError(
                f'"{region}" is no region', where="the prefixes of the feature table", mend=f"name {any_of(REGIONS)}"
            )
    if len(set(prefixes.values())) < len(prefixes) or not prefixes:
        raise InputError(
            "every region needs a prefix of its own",
            where="the prefixes of the feature table",
            mend="leave out the region that the table does not have",
        )
    return dict(prefixes)


def _by_case(table: pd.DataFrame, path: Path, case_column: str) -> pd.DataFrame:
    """The table, indexed by the case_ids as text."""
    mend = f"name the column of the case_ids with --case-column; the table has {some_of(table.columns)}"
    require_columns((case_column,), table, path, mend)
    cells = table[case_column]
    if cells.isna().any():
        what = f'row {cells.isna().idxmax() + 2} has nothing in column "{case_column}"'
        raise CohortError(what, where=path, mend="fill in the cell")
    if is_float_dtype(cells) and (np.isfinite(cells) & (cells % 1 == 0) & (cells.abs() < MAX_WHOLE)).all():
        cells = cells.astype(np.int64)
    index = pd.Index(cells.astype(str).str.strip(), name="case_id")
    return table.drop(columns=case_column).set_axis(index, axis=0)


def _columns_of_regions(
    table: pd.DataFrame, path: Path, cohort: Cohort, prefixes: Mapping[str, str], *, named: bool
) -> dict[str, str]:
    """Column of the file -> feature column; of several prefixes that fit, the longest decides."""
    columns: dict[str, str] = {}
    for region, prefix in sorted(prefixes.items(), key=lambda item: -len(item[1])):
        free = [
            name
            for name in table
            if name.startswith(prefix)
            and name not in columns
            and name not in cohort.labels
            and not name.removeprefix(prefix).startswith("diagnostics_")
        ]
        found = free if prefix else _columns_without_prefix(table[free], path, cohort)
        if named and not found:
            raise CohortError(
                f'no column begins with "{prefix}", the prefix of the {region} region'
                if prefix
                else ("no numeric column that ", cohort.path, f" does not have is left for the {region} region"),
                where=path,
                mend=f"correct the prefix; the table has {some_of(table.columns)}",
            )
        columns |= {name: f"{region}_{name.removeprefix(prefix)}" for name in found}
    if not columns:
        raise CohortError(
            f"no column begins with {any_of(prefixes.values())}",
            where=path,
            mend=f"name the prefix of each region, empty for none; the table has {some_of(table.columns)}",
        )
    return {name: columns[name] for name in table if name in columns}


def _columns_without_prefix(free: pd.DataFrame, path: Path, cohort: Cohort) -> list[str]:
    names = [name.split("_") for name in free]
    as_pyradiomics = ["_".join(words) for words in names if len(words) == 3 and words[1] in FEATURES_OF_CLASS]
    if as_pyradiomics:
        return as_pyradiomics
    ours = [name for name in free if name.startswith(tuple(PREFIXES.values()))]
    if ours:
        raise CohortError(f'the columns name their region already ("{ours[0]}")', where=path, mend="give no prefixes")
    known = {*cohort.table, *cohort.labels, *KEYS, *PDL1_SOURCES}
    return [
        name for name in free if is_numeric_dtype(free[name]) and name not in known and not name.startswith("Unnamed:")
    ]


def _cases_in_common(table: pd.DataFrame, path: Path, cohort: Cohort, case_column: str) -> pd.DataFrame:
    """The rows of the cohort's cases, in the cohort's order."""
    case_ids = cohort.table.index
    rows = table[table.index.isin(case_ids)]
    if rows.empty:
        example = f' (such as "{table.index[0]}")' if len(table) else ""
        raise CohortError(
            (
                f'no case_id in column "{case_column}"{example} is in ',
                cohort.path,
                f' (such as "{case_ids[0]}")',
            ),
            where=path,
            mend="name the column of the case_ids with --case-column, or write them alike in both tables",
        )
    doubled = rows.index[rows.index.duplicated()]
    if len(doubled):
        number, others = int((rows.index == doubled[0]).sum()), doubled.nunique()
        what = f'the case "{doubled[0]}" has {number} rows ({others} such {"case" if others == 1 else "cases"})'
        raise CohortError(what, where=path, mend="keep one row per case")
    return rows.loc[case_ids[case_ids.isin(rows.index)]].rename_axis(rows.index.name)


def _numeric(used: pd.DataFrame, columns: Mapping[str, str], path: Path) -> tuple[pd.DataFrame, dict[str, str]]:
    """The features as float64 with NaN for gaps, and the columns left out because they are not numeric."""
    numbers: dict[str, pd.Series] = {}
    dropped: dict[str, str] = {}
    for name, ours in columns.items():
        cells = used[name] if is_numeric_dtype(used[name]) else pd.to_numeric(used[name].astype(str), errors="coerce")
        if (cells.isna() & used[name].notna()).any():
            dropped[ours] = "it holds something other than numbers."
        else:
            numbers[ours] = cells.astype(np.float64)
    if not numbers:
        raise CohortError(
            "no feature column is numeric",
            where=path,
            mend=f"write numbers with a decimal point; the column {next(iter(columns))} holds something else",
        )
    features = pd.DataFrame(numbers)
    return features.where(np.isfinite(features)), dropped


def _without_gaps(features: pd.DataFrame, dropped: dict[str, str]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Leave out columns and cases as `read_feature_table` says; adds to `dropped`, returns the cases left out."""
    features = _leave_out_columns(features, features.isna().mean() > MAX_MISSING, dropped)
    missing: dict[str, str] = {}
    for region in REGIONS:
        gaps = features[[name for name in features if name.startswith(f"{region}_")]].isna()
        for case_id in gaps.index[gaps.mean(axis=1) > MAX_MISSING]:
            missing[case_id] = f"{gaps.loc[case_id].sum()} of its {gaps.shape[1]} {region} features have no value."
    features = features.drop(index=list(missing))
    features = _leave_out_columns(features, features.isna().any(), dropped)
    constant = features.nunique() <= 1
    dropped |= dict.fromkeys(features.columns[constant], "it has the same value in every case.")
    return features.loc[:, ~constant], missing


def _leave_out_columns(features: pd.DataFrame, which: pd.Series, dropped: dict[str, str]) -> pd.DataFrame:
    for name, gaps in features.loc[:, which].isna().sum().items():
        dropped[str(name)] = f"it has no value in {gaps} of {len(features)} cases."
    return features.loc[:, ~which]
