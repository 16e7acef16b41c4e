"""Tables as people save them: CSV with any usual separator, Parquet, Excel."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterable
from pathlib import Path
from xml.etree.ElementTree import ParseError

import pandas as pd

from DeepRadScoreLib.cohort.text_table import check_columns, check_file, separator_of
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.extras import require
from DeepRadScoreLib.provenance import content_digest

TEXT_ENDINGS = (".csv", ".tsv", ".txt")
PACKAGES = {".parquet": "pyarrow", ".xlsx": "openpyxl"}
"""What reads a table with such an ending."""
ENDINGS = (*TEXT_ENDINGS, *PACKAGES)


def read_table(path: Path, *, text_column: str) -> tuple[pd.DataFrame, str]:
    """The table in a file, without its empty rows, and the file's SHA-256.

    Parameters
    ----------
    path: CSV, TSV or TXT (UTF-8, separated by comma, semicolon or tab), Parquet, or XLSX (its first sheet).
    text_column: a column that is read as text, so that "007" stays "007".

    Raises
    ------
    CohortError: the file is missing, is a folder, has an unknown ending, or is not what its ending says.
    MissingPackageError: an XLSX file without openpyxl, or a Parquet file without pyarrow.
    """
    check_file(path, "give the path of a table")
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise CohortError(
            f'the ending "{path.suffix}" is not known', where=path, mend=f"save the table as {any_of(ENDINGS)}"
        )
    if ending in PACKAGES:
        require("study", f"reading {ending} tables", PACKAGES[ending])
    try:
        table = _read(path, ending, text_column)
        sha256 = content_digest(path).hex()
    except (ValueError, KeyError, OSError, csv.Error, ParseError, zipfile.BadZipFile) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise CohortError(
            f"this is not a readable {ending} table ({said})",
            where=path,
            mend="give it the ending of its format, or save it anew",
        ) from error
    table.columns = [str(name).strip() for name in table]
    return table.dropna(how="all"), sha256


def any_of(words: Iterable[str]) -> str:
    """`"a" or "b"`."""
    return " or ".join(f'"{word}"' for word in words)


def some_of(names: Iterable[object], most: int = 8) -> str:
    """The first names, and how many more there are."""
    words = [str(name) for name in names]
    rest = len(words) - most
    return ", ".join(words[:most]) + (f" and {rest} more" if rest > 0 else "")


def _read(path: Path, ending: str, text_column: str) -> pd.DataFrame:
    if ending == ".parquet":
        table = pd.read_parquet(path)
        return table.reset_index() if table.index.name else table
    if ending == ".xlsx":
        return pd.read_excel(path, engine="openpyxl", dtype={text_column: str})
    return _read_text(path, text_column)


def _read_text(path: Path, text_column: str) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        header = stream.readline()
    separator = separator_of(header)
    names = [name.strip() for name in next(csv.reader([header], delimiter=separator), [])]
    check_columns(names, path)
    table = pd.read_csv(
        path,
        sep=separator,
        encoding="utf-8-sig",
        dtype={text_column: str},
        skipinitialspace=True,
        low_memory=False,
    )
    if not isinstance(table.index, pd.RangeIndex):
        raise CohortError(
            "the rows have more cells than the header",
            where=path,
            mend="name every column, and leave no separator at the end of the rows",
        )
    return table
