"""Clinical and feature tables of public collections, converted to cohort and feature tables.

There is one module for each collection. Rules for all: a clinical table is text, a cell that says "not known" in the
words of the collection is empty in the cohort table, and a word that no rule knows is an error, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from DeepRadScoreLib.cohort.text_table import cell, parse_text_table, require_columns
from DeepRadScoreLib.errors import CohortError

MEND = "give the collection's own CSV file"


def read_columns(path: Path, names: Iterable[str]) -> pd.DataFrame:
    """The columns `names` of a CSV as stripped text, indexed by the numbers of the rows in the file.

    Raises
    ------
    CohortError: there is no such file, it is not a CSV table, one of the columns is missing, or the first of them,
        which holds the identifiers, has an empty or repeated cell.
    """
    try:
        text = parse_text_table(path, MEND)
    except CohortError as error:
        raise CohortError(error.what, where=path, mend=MEND) from error
    names = list(dict.fromkeys(names))
    require_columns(names, text.columns, path, MEND)
    table = pd.DataFrame(list(text.rows), index=list(text.row_numbers), columns=names)
    cases = table[names[0]]
    for number in cases.index[(cases == "") | cases.duplicated()]:
        what = f'the case "{cases[number]}" stands twice' if cases[number] else "the cell is empty"
        raise CohortError(what, where=cell(path, number, names[0]), mend="keep one row per case")
    return table


def recode(words: pd.Series, meaning: Mapping[str, str], path: Path) -> pd.Series:
    """Replace every word of a column by its meaning, ignoring upper and lower case.

    Parameters
    ----------
    words: a column of `read_columns`, (n,).
    meaning: word in lower case -> cell of the cohort table.
    path: the file, named in the error.

    Raises
    ------
    CohortError: a word is not in `meaning`.
    """
    lower = words.str.lower()
    for number in lower.index[~lower.isin(meaning)]:
        known = ", ".join(f'"{word}"' for word in meaning if word)
        raise CohortError(
            f'the word "{words[number]}" is not one that the collection uses there',
            where=cell(path, number, str(words.name)),
            mend=f"known are {known}; correct the cell",
        )
    return lower.map(dict(meaning))


def label_notes(table: pd.DataFrame, columns: tuple[str, ...]) -> tuple[str, ...]:
    """One sentence for each 0/1 column of a cohort table: numbers of positives, negatives and missing labels."""
    counts = {name: table[name].value_counts() for name in columns}
    return tuple(
        f"{name}: {count.get('1', 0)} positive, {count.get('0', 0)} negative, {count.get('', 0)} without a label."
        for name, count in counts.items()
    )
