"""Clinical columns of a cohort table as typed covariates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from DeepRadScoreLib.cohort.table import FILE_COLUMNS, Cohort
from DeepRadScoreLib.endpoints import PDL1_SOURCES
from DeepRadScoreLib.errors import CohortError, Location

NOT_CLINICAL = (*FILE_COLUMNS, "case_id", "patient_id", "split", "segment", "series")
MISSING_WORDS = frozenset(
    ("", "na", "n/a", "nan", "unknown", "not collected", "not recorded", "not recorded in database", "not assessed")
)


def covariates(cohort: Cohort, names: Sequence[str]) -> pd.DataFrame:
    """Typed clinical columns; one row per case, in the order and with the index of `cohort.table`.

    A column in which every cell that is not missing is a number is float64 with NaN for missing; any other holds
    categories, str with None for missing. Missing: an empty cell or one of `MISSING_WORDS`, in any case.

    Raises
    ------
    CohortError: a name is no column, its column has no value at all, or it is not a clinical variable: a file,
        identifier or split, an endpoint of `cohort.labels`, or a source of the labels of such an endpoint.
    """
    return pd.DataFrame({name: _covariate(cohort, name) for name in names}, index=cohort.table.index)


def _covariate(cohort: Cohort, name: str) -> pd.Series:
    where = Location(cohort.path, f'column "{name}"')
    if name not in cohort.table:
        mend = f"name some of {', '.join(cohort.table)}"
        raise CohortError(f'the covariate "{name}" is no column', where=cohort.path, mend=mend)
    leave_out = "leave it out of --covariates"
    if name in cohort.labels:
        what = f"{name} is an endpoint of this run and cannot predict itself"
        raise CohortError(what, where=where, mend=f"{leave_out} or out of --endpoints")
    if name in PDL1_SOURCES and "PDL1" in cohort.labels:
        what = f"the labels of the endpoint PDL1 come from {name}, which cannot predict them"
        raise CohortError(what, where=where, mend=f"{leave_out}, or PDL1 out of --endpoints")
    if name in NOT_CLINICAL:
        raise CohortError("this is not a clinical variable", where=where, mend=leave_out)
    text = cohort.table[name]
    missing = text.str.casefold().isin(MISSING_WORDS)
    if missing.all():
        raise CohortError("the column has no value", where=where, mend=leave_out)
    numbers = pd.to_numeric(text.mask(missing), errors="coerce").astype(np.float64)
    if (numbers.notna() & np.isfinite(numbers) | missing).all():
        return numbers
    return text.astype(object).where(~missing, None)
