"""Reader of tables of other programs: CSV with any usual separator, Parquet, Excel."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from packaging.version import Version

from DeepRadScoreLib.cohort.csv_text import restored_table
from DeepRadScoreLib.cohort.size_checks import UNREADABLE, check_size, check_workbook
from DeepRadScoreLib.cohort.text_table import check_columns, check_file, separator_of, split_separator_line
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.extras import require
from DeepRadScoreLib.provenance import content_digest

TEXT_ENDINGS = (".csv", ".tsv", ".txt")
PACKAGES = {".parquet": "pyarrow", ".xlsx": "openpyxl"}
"""Ending of a file -> package that reads it."""
ENDINGS = (*TEXT_ENDINGS, *PACKAGES)
EXACT_NUMBERS: dict[str, Any] = {} if Version(pd.__version__) >= Version("3.1") else {"float_precision": "round_trip"}
"""Before pandas 3.1 the last digits of a number in a CSV are lost by default; since then the option is deprecated."""


def read_table(path: Path, *, text_column: str) -> tuple[pd.DataFrame, str]:
    """Read the table in a file, without its empty rows, and the SHA-256 of the file.

    Parameters
    ----------
    path: CSV, TSV or TXT (UTF-8, separated by comma, semicolon, tab or what a line `sep=` names), Parquet, or XLSX (its
        first sheet).
    text_column: a column to be read as text, so that "007" stays "007".

    Raises
    ------
    CohortError: the file is missing, is a folder, has an unknown ending, has another format than its ending says, or
        has two columns of one name or too many cells.
    MissingPackageError: an XLSX file without openpyxl, or a Parquet file without pyarrow.
    """
    check_file(path, "give the path of a table")
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        mend = f"save the table as {any_of(ENDINGS)}"
        raise CohortError(f'the ending "{path.suffix}" is not known', where=path, mend=mend)
    if ending in PACKAGES:
        require("study", f"reading {ending} tables", PACKAGES[ending])
    try:
        table = _read(path, ending, text_column)
        sha256 = content_digest(path).hex()
    except CohortError:
        raise
    except UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise CohortError(
            f"this is not a readable {ending} table ({reason})",
            where=path,
            mend="give it the ending of its format, or save it anew",
        ) from error
    table.columns = [str(name).strip() or f"Unnamed: {position}" for position, name in enumerate(table)]
    check_columns(list(table.columns), path)
    return table.dropna(how="all"), sha256


def any_of(words: Iterable[str]) -> str:
    """`"a" or "b"`."""
    return " or ".join(f'"{word}"' for word in words)


def some_of(names: Iterable[object]) -> str:
    """The first eight names, and the number of others."""
    words = [str(name) for name in names]
    return ", ".join(words[:8]) + (f" and {len(words) - 8} more" if len(words) > 8 else "")


def _read(path: Path, ending: str, text_column: str) -> pd.DataFrame:
    if ending == ".parquet":
        _check_parquet(path)
        table = pd.read_parquet(path)
        return table.reset_index(drop=not any(table.index.names))
    if ending == ".xlsx":
        check_workbook(path, path)
        return pd.read_excel(path, engine="openpyxl", dtype={text_column: str})
    with path.open(encoding="utf-8-sig", newline="") as stream:
        header = stream.readline()
        named, _ = split_separator_line(header)
        header = stream.readline() if named else header
    separator = named or separator_of(header)
    names = [name.strip() for name in next(csv.reader([header], delimiter=separator), [])]
    check_columns(names, path)
    check_size(_lines(path), len(names), path)
    table = pd.read_csv(
        path,
        sep=separator,
        encoding="utf-8-sig",
        dtype={text_column: str},
        skipinitialspace=True,
        low_memory=False,
        **EXACT_NUMBERS,
        skiprows=1 if named else 0,
    )
    if not isinstance(table.index, pd.RangeIndex):
        raise CohortError(
            "the rows have more cells than the header",
            where=path,
            mend="name every column, and leave no separator at the end of the rows",
        )
    return restored_table(table)


def _lines(path: Path) -> int:
    """Number of line ends of either kind in a text file."""
    ends = {b"\n": 0, b"\r": 0}
    with path.open("rb") as stream:
        while chunk := stream.read(2**20):
            for end in ends:
                ends[end] += chunk.count(end)
    return max(ends.values())


def _check_parquet(path: Path) -> None:
    """Refuse a file whose footer promises too many cells: packed, they may take a few bytes."""
    from pyarrow.parquet import read_metadata

    footer = read_metadata(path)
    check_size(footer.num_rows, footer.num_columns, path)
