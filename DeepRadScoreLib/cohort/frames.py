"""Tables as paths or DataFrames: a DataFrame becomes a temporary file for the time of a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pandas as pd

from DeepRadScoreLib.cohort.case_notes import CASE_ID, NOTES, notes_file
from DeepRadScoreLib.cohort.csv_text import csv_text, restored_table
from DeepRadScoreLib.cohort.table import FILE_COLUMNS, Cohort
from DeepRadScoreLib.cohort.text_table import check_columns
from DeepRadScoreLib.errors import DeepRadScoreError
from DeepRadScoreLib.extras import require
from DeepRadScoreLib.paths import AnyPath, as_path

TableLike: TypeAlias = pd.DataFrame | AnyPath


@contextmanager
def cohort_file(cohort: TableLike | Cohort) -> Iterator[Path]:
    """The file of a cohort table; for a DataFrame a temporary one, with paths relative to the current folder.

    Raises
    ------
    TypeError: it is none of these.
    CohortError: two columns of a DataFrame have one name.
    """
    if isinstance(cohort, Cohort):
        yield cohort.path
    elif isinstance(cohort, pd.DataFrame):
        with _temporary("cohort DataFrame.csv") as path:
            table = _plain(cohort, path)
            for column in set(FILE_COLUMNS) & set(table):
                table[column] = [str(Path(cell).absolute()) if cell else "" for cell in table[column].fillna("")]
            path.write_bytes(csv_text(table).encode())
            yield path
    else:
        yield as_path(cohort, "cohort", "a DataFrame")


@contextmanager
def feature_file(features: TableLike) -> Iterator[Path]:
    """The file of a feature table; for a DataFrame a temporary one, which stores every number exactly.

    Notes in the DataFrame's `attrs`, where `extract` puts them, become its notes file.

    Raises
    ------
    TypeError, CohortError: see `cohort_file`.
    MissingPackageError: a DataFrame without pyarrow.
    """
    if isinstance(features, pd.DataFrame):
        require("study", "a DataFrame of features", "pyarrow")
        with _temporary("features DataFrame.parquet") as path:
            plain = _plain(features, path)
            plain.to_parquet(path, index=False)
            notes = features.attrs.get(NOTES)
            if notes:
                notes_file(path).write_bytes(_notes_of_rows(notes, plain).encode())
            yield path
    else:
        yield as_path(features, "features", "a DataFrame")


@contextmanager
def _temporary(name: str) -> Iterator[Path]:
    """Path of a temporary file, removed at the end; an error about it gives its name without the folder."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        try:
            yield path
        except DeepRadScoreError as error:
            renamed = error.renamed(path, name).renamed(notes_file(path), notes_file(Path(name)).name)
            raise renamed.with_traceback(error.__traceback__) from error.__cause__


def _notes_of_rows(notes: str, plain: pd.DataFrame) -> str:
    """The text of a notes file without the rows that are not in the table any more."""
    table = restored_table(pd.read_csv(StringIO(notes), dtype=str, keep_default_na=False))
    if CASE_ID in plain:
        table = table[table[CASE_ID].isin(plain[CASE_ID].astype(str))]
    return csv_text(table)


def _plain(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """A copy with unique text names of columns; an index that has a name becomes a column."""
    plain = table.reset_index() if table.index.name is not None else table.copy()
    plain.columns = [str(name) for name in plain]
    plain.attrs = {}
    check_columns(list(plain), path)
    return plain
