"""PD-1/PD-L1 labels of a cohort table, with gaps filled from the columns TPS and CD8A."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from DeepRadScoreLib.cohort.number_columns import NumberCell, NumberColumn, read_numbers
from DeepRadScoreLib.cohort.text_table import TextTable, cell
from DeepRadScoreLib.endpoints import PDL1_SOURCES, TPS_CUT_PERCENT, pdl1_label
from DeepRadScoreLib.errors import CohortError, Location

TPS, CD8A = PDL1_SOURCES


@dataclass(frozen=True)
class Pdl1Labels:
    """Labels of PD-1/PD-L1, one for each row of a table.

    Attributes
    ----------
    labels: (n,) 0, 1 or NaN.
    rules: number of labels by the column that they come from ("PDL1", "TPS", "CD8A").
    cd8a_cut: the cut for CD8A, NaN where there is none.
    notes: a sentence on each source with cells that are not only a number but were read as one.
    """

    labels: np.ndarray = field(default_factory=lambda: np.empty(0))
    rules: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("PDL1", *PDL1_SOURCES), 0))
    cd8a_cut: float = float("nan")
    notes: tuple[str, ...] = ()


def filled_pdl1(given: np.ndarray, text: TextTable, cd8a_cut: float | None) -> Pdl1Labels:
    """The labels that are `given`, (n,), and those that TPS, or else CD8A, tells where they are NaN.

    Parameters
    ----------
    cd8a_cut: CD8A above it counts as expressed; None: the median over the patients of each one's first known value.

    Raises
    ------
    CohortError: a cell of TPS or CD8A cannot be read (see `read_numbers`); a TPS is a share of 1 or a bound that leaves
        the label open; a CD8A is a bound.
    """
    tps, cd8a = (_read(text, name) for name in PDL1_SOURCES)
    cd8a.check_no_bounds()
    tps_percent, expression = np.array(_tps_percent(tps)), np.array(cd8a.values)
    cut = float("nan")
    if CD8A in text.columns:
        cut = cd8a_cut if cd8a_cut is not None else _median_over_patients(text, expression)
    labels = given.copy()
    rules = {"PDL1": int((~np.isnan(labels)).sum()), TPS: 0, CD8A: 0}
    for row in np.flatnonzero(np.isnan(labels)):
        label, rule = pdl1_label(tps_percent[row], expression[row], cut)
        if rule:
            labels[row] = label
            rules[rule] += 1
    return Pdl1Labels(labels, rules, cut, tuple(filter(None, (tps.note, cd8a.note))))


def _read(text: TextTable, name: str) -> NumberColumn:
    """A column of numbers, all of them missing where the table has no such column."""
    words = [row.get(name, "") for row in text.rows]
    return read_numbers(name, words, lambda position: cell(text.path, text.row_numbers[position], name))


def _tps_percent(tps: NumberColumn) -> list[float]:
    """TPS of each row in percent; of a bound a number on its side of the cut."""
    _check_no_shares(tps)
    values = tps.values
    for position, found in tps.numbered():
        if found.bound:
            values[position] = _beyond_cut(found, tps.locate(position))
    return values


def _beyond_cut(bound: NumberCell, where: Location) -> float:
    if bound.bound in (">", "≥") and bound.value >= TPS_CUT_PERCENT:
        return bound.value
    if (bound.bound == "<" and bound.value <= TPS_CUT_PERCENT) or (
        bound.bound == "≤" and bound.value < TPS_CUT_PERCENT
    ):
        return 0.0
    raise CohortError(
        f'"{bound.text}" leaves open whether TPS reaches {TPS_CUT_PERCENT:g} %',
        where=where,
        mend="write the number itself, or leave the cell empty",
    )


def _check_no_shares(tps: NumberColumn) -> None:
    """Raise CohortError where all numbers without a unit are 1 or less and one is a fraction: shares, or percent?"""
    bare = [(position, found) for position, found in tps.numbered() if not (found.unit or found.bound)]
    fractions = [(position, found) for position, found in bare if 0 < found.value < 1]
    if fractions and all(found.value <= 1 for _, found in bare):
        position, found = fractions[0]
        raise CohortError(
            f'"{found.text}" may be a share or percent, as no number of the column is above 1',
            where=tps.locate(position),
            mend=f'write percent: "{100 * found.value:g}" for that share, or "{found.value:g} %"',
        )


def _median_over_patients(text: TextTable, values: np.ndarray) -> float:
    """The median of each patient's first known value."""
    patients = [row.get("patient_id", row["case_id"]) for row in text.rows]
    return float(pd.Series(values).groupby(patients).first().median())
