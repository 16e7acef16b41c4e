"""Public collections: their own tables, read into this library's cohort and feature tables.

One module for each collection. What they share: a clinical table is text, a cell that says "not known" in the
collection's own words is empty in the cohort table, and a word that a rule does not know is an error, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from DeepRadScoreLib.cohort.text_table import parse_text_table
from DeepRadScoreLib.errors import CohortError, Location

MEND = "give the collection's own CSV file"


def read_columns(path: Path, names: Iterable[str]) -> pd.DataFrame:
    """The columns `names` of a CSV as stripped text, indexed by the rows' numbers in the file.

    Raises
    ------
    CohortError: there is no such file, it is not a CSV table, one of the columns is missing, or the first of them,
        which holds the identifiers, has an empty cell or one that stands twice.
    """
    try:
        text = parse_text_table(path)
    except OSError as error:
        raise CohortError(f"the file cannot be read ({error.strerror})", where=path, mend=MEND) from error
    except CohortError as error:
        raise CohortError(error.what, where=path, mend=MEND) from error
    wanted = list(dict.fromkeys(names))
    for column in wanted:
        if column not in text.columns:
            raise CohortError(f'the column "{column}" is missing', where=path, mend=MEND)
    table = pd.DataFrame(list(text.rows), index=list(text.row_numbers), columns=wanted)
    _check_identifiers(table[wanted[0]], path)
    return table


def _check_identifiers(cases: pd.Series, path: Path) -> None:
    for number in cases.index[(cases == "") | cases.duplicated()]:
        what = f'the case "{cases[number]}" stands twice' if cases[number] else "the cell is empty"
        raise CohortError(what, where=cell(path, number, cases), mend="keep one row per case")


def recode(words: pd.Series, meaning: Mapping[str, str], path: Path) -> pd.Series:
    """Every word of a column by its meaning, upper and lower case alike.

    Parameters
    ----------
    words: a column as `read_columns` gave it, (n,), with its name.
    meaning: word in lower case -> cell of the cohort table.
    path: the file, for the message.

    Raises
    ------
    CohortError: a word that `meaning` does not have.
    """
    lower = words.str.lower()
    for number in lower.index[~lower.isin(meaning)]:
        known = ", ".join(f'"{word}"' for word in meaning if word)
        raise CohortError(
            f'the word "{words[number]}" is not one that the collection uses there',
            where=cell(path, number, words),
            mend=f"known are {known}; correct the cell",
        )
    return lower.map(dict(meaning))


def cell(path: Path, row_number: int, column: pd.Series) -> Location:
    """A cell of a file, for the sentence of an error; the header is row 1."""
    return Location(path, f'row {row_number}, column "{column.name}"')


def label_notes(table: pd.DataFrame, columns: tuple[str, ...]) -> tuple[str, ...]:
    """One sentence for each 0/1 column of a cohort table: positives, negatives, and those without a label."""
    counts = {name: table[name].value_counts() for name in columns}
    return tuple(
        f"{name}: {count.get('1', 0)} positive, {count.get('0', 0)} negative, {count.get('', 0)} without a label."
        for name, count in counts.items()
    )
