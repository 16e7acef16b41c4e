"""Columns of numbers as people write them: decimal commas, units and bounds are read, all else is refused by row."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from DeepRadScoreLib.errors import CohortError, Location

MISSING_WORDS = frozenset(
    ("", "na", "n/a", "nan", "unknown", "not collected", "not recorded", "not recorded in database", "not assessed")
)
UNITS: dict[str, tuple[str, ...]] = {
    "years": ("y", "yr", "yrs", "year", "years"),
    "months": ("mo", "month", "months"),
    "weeks": ("wk", "week", "weeks"),
    "days": ("day", "days"),
    "%": ("%", "percent"),
    "mm": ("mm",),
    "cm": ("cm",),
    "mL": ("ml",),
    "kg": ("kg",),
    "Gy": ("gy",),
}
"""Unit -> how it is written, in lower case."""
UNIT_OF = {word: unit for unit, words in UNITS.items() for word in words}
UNIT_OF_QUANTITY = {"age": "years", "tps": "%", "thickness": "mm"}
"""Word of a column's name -> unit of its cells where neither name nor cell has one."""
RANGES = {"years": (0.0, 130.0), "days": (-60_000.0, 60_000.0), "%": (0.0, 100.0), "mm": (0.0, 1_000.0)}
"""Unit -> range of a quantity of `RANGED`, by the unit of its column."""
RANGED = ("age", "tps", "thickness", "day", "days")
"""Words of a column's name whose quantity has a known range."""
MAX_CODES = 5
"""A column of at most so many different numbers may hold codes of categories ("1", "2", "3a")."""
PLAIN = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
CELL = re.compile(
    r"(?P<bound><=|>=|[<>≤≥])?\s*"
    r"(?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*|,[0-9]+)?|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"(?P<rest>\s*(?:%|[^\W\d_]+\.?)?)"
)
BEGINS_AS_NUMBER = re.compile(rf"{CELL.pattern}(\s.*)?")
THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
BOUNDS = {"<": "<", "<=": "≤", "≤": "≤", ">": ">", ">=": "≥", "≥": "≥"}
WITHOUT = "write all of the column in one unit, without the unit"


@dataclass(frozen=True)
class NumberCell:
    """One cell that is a number: its value (its limit where `bound` is not empty), unit and decimal comma."""

    text: str
    value: float
    bound: str = ""
    unit: str = ""
    comma: bool = False

    @property
    def plain(self) -> bool:
        """Whether the cell is a number and nothing else."""
        return not (self.bound or self.unit or self.comma)

    @property
    def decimal(self) -> bool:
        """Whether its comma can only be a decimal one."""
        return self.comma and not THOUSANDS.fullmatch(_digits(self.text))


def number_cell(text: str) -> NumberCell | None:
    """The number in a cell, or None: "61", "61,5", "63 y", "> 89", "50 %"; of a unit only those of `UNITS`."""
    found = CELL.fullmatch(text.replace("\u2212", "-"))
    if found is None:
        return None
    word = found["rest"].strip().rstrip(".").casefold()
    if word and word not in UNIT_OF:
        return None
    value = float(found["number"].replace(",", "."))
    return NumberCell(text, value, BOUNDS.get(found["bound"], ""), UNIT_OF.get(word, ""), "," in found["number"])


def is_missing(text: str) -> bool:
    """Whether a cell says that nothing is known."""
    return text.casefold() in MISSING_WORDS


def is_number_column(texts: Sequence[str]) -> bool:
    """Whether known cells are meant as numbers: all are and none is a bound, or most are, of more than `MAX_CODES`.

    A column of codes ("1", "2", "3a"; "0", "1", ">1") is none.
    """
    begun = [found["number"] for text in texts if (found := BEGINS_AS_NUMBER.fullmatch(text))]
    if len(set(begun)) > MAX_CODES and 2 * len(begun) >= len(texts):
        return True
    cells = [number_cell(text) for text in texts]
    return bool(cells) and all(cell is not None and not cell.bound for cell in cells)


@dataclass(frozen=True)
class NumberColumn:
    """The checked numbers of a column.

    Attributes
    ----------
    name: of the column.
    cells: one for each row, None where nothing is known.
    locate: position of a row -> where its cell is, as errors name it.
    """

    name: str
    cells: tuple[NumberCell | None, ...]
    locate: Callable[[int], Location]

    @cached_property
    def known(self) -> list[NumberCell]:
        """The cells in which something is known."""
        return [cell for cell in self.cells if cell is not None]

    @property
    def values(self) -> list[float]:
        """The number of each row, the limit of a bound, NaN where nothing is known."""
        return [math.nan if cell is None else cell.value for cell in self.cells]

    def numbered(self) -> Iterator[tuple[int, NumberCell]]:
        """Position and cell of the rows in which something is known."""
        return ((position, cell) for position, cell in enumerate(self.cells) if cell is not None)

    def check_bounds(self) -> None:
        """Raise CohortError unless there is one lower and one upper bound at most, and no number beyond one."""
        wrong = _contradiction(self.known)
        if wrong is not None:
            position = next(position for position, cell in self.numbered() if cell is wrong[0])
            raise CohortError(
                f'"{wrong[0].text}" is a bound, and another row has "{wrong[1].text}"',
                where=self.locate(position),
                mend="write the number itself, or leave the cell empty",
            )

    def check_no_bounds(self) -> None:
        """Raise CohortError for the first bound."""
        for position, cell in self.numbered():
            if cell.bound:
                raise _not_a_number(cell.text, self.locate(position))

    @property
    def plain_texts(self) -> list[str]:
        """The number of each row with a decimal point and nothing else, empty where nothing is known."""
        return ["" if cell is None else repr(cell.value).removesuffix(".0") for cell in self.cells]

    @property
    def note(self) -> str:
        """How cells that are not only a number were read, or an empty text."""
        commas = sum(cell.comma for cell in self.known)
        units = [cell.unit for cell in self.known if cell.unit]
        bounds = [f'"{cell.text}" as {cell.value:g}' for cell in self.known if cell.bound]
        parts = [f"{commas} with a decimal comma"] if commas else []
        parts += [f"{len(units)} in {units[0]}"] if units else []
        parts += [f"{len(bounds)} as bounds ({', '.join(dict.fromkeys(bounds))})"] if bounds else []
        return f'cells of column "{self.name}" were read as numbers: {", ".join(parts)}' if parts else ""


def read_numbers(name: str, texts: Sequence[str], locate: Callable[[int], Location]) -> NumberColumn:
    """Read the cells of a column as numbers; an empty cell or one of `MISSING_WORDS` is missing.

    Parameters
    ----------
    name: of the column: its words tell the unit ("size_mm") and, for `RANGED`, the range.
    locate: position of a row -> where its cell is, as errors name it.

    Raises
    ------
    CohortError: a cell is no number or an infinite one, may have a decimal comma or one of thousands, has another unit
        than the other rows or the column's name, or lies outside its quantity's range.
    """
    cells = tuple(None if is_missing(text) else _finite(text, locate(position)) for position, text in enumerate(texts))
    column = NumberColumn(name, cells, locate)
    _check_commas(column)
    _check_units(column)
    _check_range(column)
    return column


def _finite(text: str, where: Location) -> NumberCell:
    found = number_cell(text)
    if found is None:
        raise _not_a_number(text, where)
    if math.isinf(found.value):
        raise CohortError(f'"{text}" is too large for a number', where=where, mend="correct the cell")
    return found


def _not_a_number(text: str, where: Location) -> CohortError:
    kind = "an infinite value" if re.fullmatch(r"[+-]?inf(inity)?", text, re.IGNORECASE) else "not a number"
    return CohortError(f'"{text}" is {kind}', where=where, mend="write a number, or leave the cell empty")


def _digits(text: str) -> str:
    found = CELL.fullmatch(text.replace("\u2212", "-"))
    return "" if found is None else found["number"]


def _check_commas(column: NumberColumn) -> None:
    """Raise CohortError where a comma, or beside decimal commas a point, may stand before thousands."""
    commas = any(cell.decimal for cell in column.known)
    for position, cell in column.numbered():
        digits = _digits(cell.text)
        doubtful = "." in digits if commas else cell.comma
        if doubtful and THOUSANDS.fullmatch(digits):
            raise CohortError(
                f'"{cell.text}" may be {digits.replace(",", ".")} or {re.sub("[.,]", "", digits)}',
                where=column.locate(position),
                mend="write the column with decimal points and without separators of thousands",
            )


def _words(name: str) -> list[str]:
    return re.findall(r"%|[^\W\d_]+", name.casefold())


def _unit_of_name(name: str) -> str:
    words = _words(name)
    units = [UNIT_OF[word] for word in words if word in UNIT_OF and (word == "%" or len(word) > 1)]
    quantities = [UNIT_OF_QUANTITY[word] for word in words if word in UNIT_OF_QUANTITY]
    return next(iter(units + quantities), "")


def _check_units(column: NumberColumn) -> None:
    named = _unit_of_name(column.name)
    units = [cell.unit for cell in column.known if cell.unit]
    expected = named or (max(units, key=units.count) if units else "")
    bare = next((cell for cell in column.known if not cell.unit), None)
    for position, cell in column.numbered():
        where = column.locate(position)
        if cell.unit and cell.unit != expected:
            other = f'the column "{column.name}"' if named else "another row"
            raise CohortError(f'"{cell.text}" is in {cell.unit}, {other} in {expected}', where=where, mend=WITHOUT)
        if cell.unit and not named and bare is not None:
            raise CohortError(f'"{cell.text}" has a unit, "{bare.text}" has none', where=where, mend=WITHOUT)


def _check_range(column: NumberColumn) -> None:
    unit = _unit_of_name(column.name)
    if unit not in RANGES or not any(word in RANGED for word in _words(column.name)):
        return
    low, high = RANGES[unit]
    for position, cell in column.numbered():
        if not low <= cell.value <= high:
            raise CohortError(
                f'"{cell.text}" lies outside {low:g} to {high:g} {unit}',
                where=column.locate(position),
                mend="correct the cell, or leave it empty where nothing is known",
            )


def _contradiction(known: Sequence[NumberCell]) -> tuple[NumberCell, NumberCell] | None:
    """A bound and another bound on that side, or a number beyond it; None if there is neither."""
    for signs, sense in (("<≤", -1), (">≥", 1)):
        bounds = [cell for cell in known if cell.bound and cell.bound in signs]
        others = (cell for cell in known if bounds and cell is not bounds[0])
        for cell in others:
            if cell.bound in signs and cell.bound:
                if (cell.bound, cell.value) != (bounds[0].bound, bounds[0].value):
                    return bounds[0], cell
            elif sense * (cell.value - bounds[0].value) > 0:
                return bounds[0], cell
    return None
