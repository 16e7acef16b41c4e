"""Tables as paths or DataFrames: a DataFrame becomes a temporary file for the time of a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pandas as pd

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
            table.to_csv(path, index=False)
            yield path
    else:
        yield as_path(cohort, "cohort", "a DataFrame")


@contextmanager
def feature_file(features: TableLike) -> Iterator[Path]:
    """The file of a feature table; for a DataFrame a temporary one, which stores every number exactly.

    Raises
    ------
    TypeError, CohortError: see `cohort_file`.
    MissingPackageError: a DataFrame without pyarrow.
    """
    if isinstance(features, pd.DataFrame):
        require("study", "a DataFrame of features", "pyarrow")
        with _temporary("features DataFrame.parquet") as path:
            _plain(features, path).to_parquet(path, index=False)
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
            raise error.renamed(path, name).with_traceback(error.__traceback__) from error.__cause__


def _plain(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    """A copy with unique text names of columns; an index that has a name becomes a column."""
    plain = table.reset_index() if table.index.name is not None else table.copy()
    plain.columns = [str(name) for name in plain]
    plain.attrs = {}
    check_columns(list(plain), path)
    return plain
