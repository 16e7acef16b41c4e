"""Origin and quality of the cases of a feature table, and the notes file that lies beside the table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import pandas as pd

from DeepRadScoreLib.cohort.csv_text import csv_text
from DeepRadScoreLib.cohort.text_table import TextTable, cell, read_text_table, require_columns
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.imaging import QualityNote
from DeepRadScoreLib.imaging.checks.quality_codes import QUALITY_CODES, counts_text
from DeepRadScoreLib.models import Engine

ENDING = ".notes.csv"
NOTES = "notes"
"""Key of a DataFrame's `attrs` for the text of its notes file: pandas copies and compares `attrs`, cheap for a text."""
CASE_ID, SYNTHETIC, ENGINE = "case_id", "synthetic", "engine"
COLUMNS = (CASE_ID, SYNTHETIC, ENGINE)
SEVERITIES = ("", "info", "warning")
"""In alphabetical order too: of two severities the greater text is the graver one."""
OTHER_TABLE = "put the notes file of this table beside it, or remove the file"


@dataclass(frozen=True)
class QualityCount:
    """How many cases have a code with a severity."""

    code: str
    severity: str
    cases: int


@dataclass(frozen=True)
class CaseNotes:
    """Origin and quality of cases, one row each.

    Attributes
    ----------
    synthetic: (n,) bool, index case_id.
    engine: (n,) what computed the features, same index.
    quality: (n x codes) "", "info" or "warning", same index; of two notes with one code the graver one. The codes are
        in the order of `QUALITY_CODES`, then those that this program does not know.
    """

    synthetic: pd.Series
    engine: pd.Series
    quality: pd.DataFrame

    @classmethod
    def of(
        cls,
        case_ids: Iterable[str],
        synthetic: Iterable[bool],
        quality: Sequence[Sequence[QualityNote]],
        engine: Engine,
    ) -> CaseNotes:
        """The notes of cases computed by one engine, all in one order."""
        rows = [
            {note.code: note.severity for note in sorted(of_case, key=attrgetter("severity"))} for of_case in quality
        ]
        return cls.of_rows(case_ids, synthetic, [engine] * len(rows), rows)

    @classmethod
    def of_rows(
        cls,
        case_ids: Iterable[str],
        synthetic: Iterable[bool],
        engine: Iterable[str],
        rows: Sequence[Mapping[str, str]],
    ) -> CaseNotes:
        """The notes of cases, each with its code -> severity."""
        index = pd.Index(list(case_ids), name=CASE_ID)
        found = {code for row in rows for code, severity in row.items() if severity}
        known = [code for code in QUALITY_CODES if code in found]
        codes = [*known, *sorted(found - set(known))]
        cells = {code: [row.get(code, "") for row in rows] for code in codes}
        return cls(
            pd.Series(list(synthetic), index, dtype=bool),
            pd.Series(list(engine), index, dtype=object),
            pd.DataFrame(cells, index, dtype=object),
        )

    def __len__(self) -> int:
        return len(self.synthetic)

    @property
    def rows(self) -> list[dict[str, str]]:
        """Code -> severity of each case."""
        return [{code: text for code, text in row.items() if text} for row in self.quality.to_dict("records")]

    def of_cases(self, case_ids: pd.Index) -> CaseNotes:
        """The given cases, in their order, with the codes that they have.

        Raises
        ------
        KeyError: there are no notes of one of them.
        """
        quality = self.quality.loc[case_ids]
        return CaseNotes(self.synthetic.loc[case_ids], self.engine.loc[case_ids], quality.loc[:, (quality != "").any()])

    def joined(self, other: CaseNotes) -> CaseNotes:
        """The notes of both on the same cases in the same order, with the engine of the first."""
        pairs = zip(self.rows, other.rows, strict=True)
        rows = [{code: max(a.get(code, ""), b.get(code, "")) for code in a | b} for a, b in pairs]
        return CaseNotes.of_rows(self.synthetic.index, self.synthetic | other.synthetic, self.engine, rows)

    def counts(self) -> tuple[QualityCount, ...]:
        """Number of cases by code and severity, where there is one."""
        found = (
            QualityCount(str(code), severity, int((cells == severity).sum()))
            for code, cells in self.quality.items()
            for severity in SEVERITIES[1:]
        )
        return tuple(count for count in found if count.cases)

    def cases_by_code(self) -> dict[str, int]:
        """Code -> number of cases that have it, with whatever severity."""
        return {str(code): int((cells != "").sum()) for code, cells in self.quality.items()}

    def with_codes(self, codes: Sequence[str]) -> dict[str, str]:
        """Case that has one of the codes -> the first of them that it has."""
        cases = zip(self.quality.index, self.rows, strict=True)
        found = {str(case_id): [code for code in codes if code in row] for case_id, row in cases}
        return {case_id: chosen[0] for case_id, chosen in found.items() if chosen}

    def to_csv(self) -> str:
        """The text of a notes file."""
        table = self.quality.copy()
        table.insert(0, SYNTHETIC, self.synthetic.astype(int))
        table.insert(1, ENGINE, self.engine)
        return csv_text(table, index=True)


def cases_to_exclude(notes: CaseNotes, codes: Sequence[str], where: Path) -> dict[str, str]:
    """Case that has one of the codes -> the first of them that it has.

    Raises
    ------
    CohortError: no case of the table `where` is left.
    """
    found = notes.with_codes(codes)
    if len(found) == len(notes):
        counts = {code: list(found.values()).count(code) for code in dict.fromkeys(found.values())}
        raise CohortError(
            f"no case is left: all have a quality code that is left out ({counts_text(counts, len(notes))})",
            where=where,
            mend="name fewer codes by --exclude-quality",
        )
    return found


def notes_file(table: Path) -> Path:
    """The notes file of a feature table: `features.notes.csv` beside `features.parquet`."""
    return table.with_suffix(ENDING)


def read_notes(table: Path, case_ids: pd.Index) -> CaseNotes | None:
    """Read the notes file of a feature table whose cases are known; None if there is none.

    Raises
    ------
    CohortError: it is no table, lacks a column, holds a cell that it cannot, or is of other cases.
    """
    path = notes_file(table)
    if not path.exists():
        return None
    text = read_text_table(path, "notes file")
    require_columns(COLUMNS, text.columns, path, OTHER_TABLE)
    codes = [name for name in text.columns if name not in COLUMNS]
    allowed = {SYNTHETIC: ("0", "1"), ENGINE: tuple(Engine)} | dict.fromkeys(codes, SEVERITIES)
    for column, words in allowed.items():
        _check_cells(text, column, words)
    found = [row[CASE_ID] for row in text.rows]
    _check_cases(path, table, found, case_ids)
    rows = [{code: row[code] for code in codes} for row in text.rows]
    synthetic, engine = ([row[name] for row in text.rows] for name in (SYNTHETIC, ENGINE))
    return CaseNotes.of_rows(found, [cell == "1" for cell in synthetic], engine, rows)


def _check_cells(text: TextTable, column: str, words: Sequence[str]) -> None:
    for number, word in text.numbered(column):
        if word not in words:
            listed = " or ".join(allowed or "nothing" for allowed in words)
            raise CohortError(f'"{word}" is not {listed}', where=cell(text.path, number, column), mend="correct it")


def _check_cases(path: Path, table: Path, found: list[str], case_ids: pd.Index) -> None:
    """Raise CohortError unless the notes are of exactly the cases of the table."""
    if len(set(found)) < len(found):
        doubled = next(case_id for case_id in found if found.count(case_id) > 1)
        raise CohortError(f'the case "{doubled}" has several rows', where=path, mend="keep one row per case")
    for here, there, words in ((set(case_ids), set(found), "lacks"), (set(found), set(case_ids), "has")):
        others = sorted(here - there)
        if others:
            what = f'it is of another table than {table.name}: it {words} the case "{others[0]}"'
            raise CohortError(what, where=path, mend=OTHER_TABLE)
