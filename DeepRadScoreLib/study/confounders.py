"""Where, how and when each CT was made, which an endpoint may follow: columns for the baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd

from DeepRadScoreLib.cohort.number_columns import is_missing, read_numbers
from DeepRadScoreLib.cohort.table import Cohort
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.imaging.acquisition import Acquisition
from DeepRadScoreLib.models import CONFOUNDERS, Baseline

TABLE_COLUMNS: dict[Baseline, tuple[str, ...]] = {
    Baseline.SITE: ("site",),
    Baseline.SCANNER: ("scanner", "manufacturer", "scanner_model", "kernel", "kvp", "contrast"),
    Baseline.THICKNESS: ("slice_thickness", "slice_thickness_mm"),
    Baseline.DATE: ("date", "study_date", "scan_date", "ct_date", "year", "study_year"),
}
"""Columns of a cohort table, in any case of letters, that tell what the images do not."""
NUMBERS = (Baseline.THICKNESS, Baseline.DATE)
DATE_FORMS = ("%Y%m%d", "%Y-%m-%d", "%Y.%m.%d", "%d.%m.%Y", "%Y")
SPACING = "spacing_between_slices_mm"
UNKNOWN: dict[Baseline, str] = {
    Baseline.SITE: 'the cohort table has no column "site"',
    Baseline.SCANNER: "neither the headers of the CTs nor the cohort table name it",
    Baseline.THICKNESS: "neither the images nor the cohort table tell it",
    Baseline.DATE: "neither the headers of the CTs nor the cohort table tell it",
}
ONE_VALUE = "it is the same in all cases"


@dataclass(frozen=True)
class Confounders:
    """What is known of where, how and when the CTs of a study were made.

    Attributes
    ----------
    known: baseline -> its columns (n x columns), numbers or categories (text, None for missing), that differ between
        cases, indexed by case_id. Dates are days from the first one.
    absent: baseline -> why it is not run.
    """

    known: dict[Baseline, pd.DataFrame] = field(default_factory=dict)
    absent: dict[Baseline, str] = field(default_factory=lambda: dict(UNKNOWN))

    @property
    def tables(self) -> dict[Baseline, pd.DataFrame]:
        """`known` of the baselines that are run."""
        return {name: table for name, table in self.known.items() if name not in self.absent}

    def without(self, name: Baseline, reason: str) -> Confounders:
        """The same without a run of one baseline, which is still tested."""
        return self if name in self.absent else Confounders(self.known, self.absent | {name: reason})


def find_confounders(
    cohort: Cohort,
    case_ids: pd.Index,
    acquisitions: Sequence[Acquisition] | None = None,
    measures: pd.DataFrame | None = None,
) -> Confounders:
    """What the headers and grids of the CTs and the cohort table tell; of both, the images decide.

    Parameters
    ----------
    acquisitions: of the CTs of `case_ids`, in that order, or None without images.
    measures: index case_id, with the column "spacing_between_slices_mm", or None without images.
    """
    tables: dict[Baseline, pd.DataFrame] = {}
    absent: dict[Baseline, str] = {}
    for name in CONFOUNDERS:
        found = _from_images(name, case_ids, acquisitions, measures)
        reason = UNKNOWN[name]
        if found.isna().all(axis=None):
            try:
                found = _from_table(name, cohort.of_cases(case_ids))
            except CohortError as error:
                reason = error.sentence(lambda path: path.name).removesuffix(".")
        differing = found.loc[:, found.nunique(dropna=False) > 1]
        if differing.shape[1]:
            tables[name] = differing
        else:
            absent[name] = reason if found.isna().all(axis=None) else ONE_VALUE
    return Confounders(tables, absent)


def _from_images(
    name: Baseline, case_ids: pd.Index, acquisitions: Sequence[Acquisition] | None, measures: pd.DataFrame | None
) -> pd.DataFrame:
    if name == Baseline.THICKNESS and measures is not None:
        return measures[[SPACING]].loc[case_ids].round(3)
    if name == Baseline.SCANNER and acquisitions is not None:
        cells = [
            {
                "manufacturer": each.manufacturer,
                "model": each.model,
                "kernel": each.kernel,
                "kV": None if each.tube_voltage_kv is None else f"{each.tube_voltage_kv:g}",
                "contrast": None if each.contrast is None else str(each.contrast),
            }
            for each in acquisitions
        ]
        return pd.DataFrame(cells, index=case_ids, dtype=object)
    if name == Baseline.DATE and acquisitions is not None:
        return pd.DataFrame({"date": [each.study_month for each in acquisitions]}, index=case_ids, dtype=float)
    return pd.DataFrame(index=case_ids)


def _from_table(name: Baseline, cohort: Cohort) -> pd.DataFrame:
    """The columns that tell a confounder; raises CohortError where they are to be numbers or dates and none is."""
    table = cohort.table
    known = [column for column in table if column.casefold() in TABLE_COLUMNS[name]]
    if name not in NUMBERS:
        texts = {column: table[column].astype(object).mask(table[column].map(is_missing), None) for column in known}
        return pd.DataFrame(texts, index=table.index)
    found: dict[str, Sequence[float]] = {}
    errors: list[CohortError] = []
    for column in known:
        try:
            found[column] = _days(cohort, column) if name == Baseline.DATE else _numbers(cohort, column)
        except CohortError as error:
            errors.append(error)
    if errors and not found:
        raise errors[0]
    return pd.DataFrame(found, index=table.index)


def _numbers(cohort: Cohort, column: str) -> list[float]:
    numbers = read_numbers(column, list(cohort.table[column]), partial(cohort.cell, column))
    numbers.check_bounds()
    return numbers.values


def _days(cohort: Cohort, name: str) -> list[float]:
    """Days from the first of the dates of a column, NaN where nothing is known.

    Raises
    ------
    CohortError: the cells are not all dates of one of `DATE_FORMS`.
    """
    column = cohort.table[name].mask(cohort.table[name].map(is_missing), "").reset_index(drop=True)
    written = column != ""
    readings = [pd.to_datetime(column, format=form, errors="coerce") for form in DATE_FORMS]
    dates = max(readings, key=lambda dates: int(dates[written].notna().sum()))
    unread = np.flatnonzero(written & dates.isna())
    if len(unread):
        raise CohortError(
            f'"{column[unread[0]]}" is no date of the form that most have',
            where=cohort.cell(name, int(unread[0])),
            mend="write all of them as YYYY-MM-DD",
        )
    return (dates - dates.min()).dt.days.astype(float).tolist()
