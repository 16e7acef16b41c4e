"""A cohort table read without pandas."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

GIVE_TABLE = "give the path of a cohort table (CSV)"


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a cohort table as text, every column in each, by the rules of `DeepRadScoreLib.cohort.table`.

    That module needs pandas, which a Slicer without the analysis packages does not have, and a case can be reviewed
    without them; a test compares the two.

    Raises
    ------
    CohortError: the table cannot be used, the column `case_id` or `ct` is missing or has an empty cell, an id
        looks like a name in DICOM, a case stands twice.
    """
    from DeepRadScoreLib.cohort.text_table import check_names_nobody
    from DeepRadScoreLib.errors import CohortError

    rows = _table(path)
    header = list(rows[0])
    for column in ("case_id", "ct"):
        if column not in header:
            raise CohortError(
                f'the column "{column}" is missing', where=path, mend=f"add it; the table has {', '.join(header)}"
            )
        for number, row in enumerate(rows, start=2):
            if not row[column]:
                raise CohortError(f'row {number} has nothing in column "{column}"', where=path, mend="fill in the cell")
    for column in ("case_id", "patient_id"):
        check_names_nobody(column, [row.get(column, "") for row in rows], path)
    ids = [row["case_id"] for row in rows]
    doubled = next((case_id for case_id, times in Counter(ids).items() if times > 1), None)
    if doubled is not None:
        stands = " and ".join(str(number) for number, found in enumerate(ids, start=2) if found == doubled)
        raise CohortError(
            f'the case "{doubled}" stands in rows {stands}',
            where=path,
            mend="give every row a case_id of its own",
        )
    return rows


def _table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV table as text, at least one, every column in each."""
    from DeepRadScoreLib.cohort.text_table import check_rows, separator_of
    from DeepRadScoreLib.errors import CohortError

    if not path.exists():
        raise CohortError("the file does not exist", where=path, mend=GIVE_TABLE)
    if path.is_dir():
        raise CohortError("this is a folder", where=path, mend=GIVE_TABLE)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        separator = separator_of(text.partition("\n")[0])
        check_rows(csv.reader(io.StringIO(text, newline=""), delimiter=separator), path)
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True))
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise CohortError(
            f"this is not a readable CSV table ({error})",
            where=path,
            mend="save the table as UTF-8 text separated by commas or semicolons",
        ) from error
    lines = [[cell.strip() for cell in line] for line in lines if line]
    if len(lines) < 2:
        raise CohortError("the table has no rows", where=path, mend="add one row per case")
    header, *body = lines
    return [dict(zip(header, [*line, *[""] * (len(header) - len(line))], strict=True)) for line in body]
