"""Clinical columns of a cohort table as typed covariates, and as numbers for a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from DeepRadScoreLib.cohort.number_columns import is_missing, is_number_column, read_numbers
from DeepRadScoreLib.cohort.table import FILE_COLUMNS, Cohort
from DeepRadScoreLib.endpoints import PDL1_SOURCES
from DeepRadScoreLib.errors import CohortError, Location

NOT_CLINICAL = (*FILE_COLUMNS, "case_id", "patient_id", "split", "segment", "series", "mask_grid")
MIN_CATEGORY_SHARE = 0.02
LEAVE_OUT = "leave it out of --covariates"
MIN_OWN_CATEGORIES = 3
"""Patients of whom each has a category of its own are refused from this number on."""


@dataclass(frozen=True)
class Covariates:
    """Typed clinical columns.

    Attributes
    ----------
    table: one row per case, index case_id in the cohort's order; float64 with NaN for missing, or categories, str with
        None for missing.
    notes: a sentence on each column with cells that are not only a number but were read as one.
    """

    table: pd.DataFrame
    notes: tuple[str, ...] = ()


def covariates(cohort: Cohort, names: Sequence[str]) -> Covariates:
    """The clinical columns `names`: numbers where the cells are meant as numbers (`is_number_column`), else categories.

    Missing is an empty cell or one of `MISSING_WORDS`, in any case; a bound ("> 89") is read as its limit.

    Raises
    ------
    CohortError: a name is no column, its column has no value at all, or it is not a clinical variable: a file,
        identifier or split, an endpoint of `cohort.labels`, or a source of the labels of such an endpoint; a cell of a
        column of numbers cannot be read (see `read_numbers`); every patient has a category of its own.
    """
    columns: dict[str, pd.Series] = {}
    notes: list[str] = []
    for name in names:
        columns[name], note = _covariate(cohort, name)
        notes += filter(None, [note])
    return Covariates(pd.DataFrame(columns, index=cohort.table.index), tuple(notes))


def _covariate(cohort: Cohort, name: str) -> tuple[pd.Series, str]:
    where = Location(cohort.path, f'column "{name}"')
    _check_clinical(cohort, name, where)
    text = cohort.table[name]
    missing = text.map(is_missing).astype(bool)
    if missing.all():
        raise CohortError("the column has no value", where=where, mend=LEAVE_OUT)
    if is_number_column(list(text[~missing])):
        numbers = read_numbers(name, list(text), partial(cohort.cell, name))
        numbers.check_bounds()
        return pd.Series(numbers.values, text.index, dtype=np.float64), numbers.note
    patients = cohort.table.get("patient_id", pd.Series(cohort.table.index, cohort.table.index))
    categories = text[~missing].nunique()
    if categories >= max(MIN_OWN_CATEGORIES, patients[~missing].nunique()):
        raise CohortError(
            f'the column has as many categories ({categories}) as patients, such as "{text[~missing].iloc[0]}"',
            where=where,
            mend=f"write numbers alone if they are meant, or {LEAVE_OUT}",
        )
    return text.astype(object).where(~missing, None), ""


def _check_clinical(cohort: Cohort, name: str, where: Location) -> None:
    """Raise CohortError unless the name is that of a clinical column that tells no label."""
    if name not in cohort.table:
        mend = f"name some of {', '.join(cohort.table)}"
        raise CohortError(f'the covariate "{name}" is no column', where=cohort.path, mend=mend)
    if name in cohort.labels:
        what = f"{name} is an endpoint of this run and cannot predict itself"
        raise CohortError(what, where=where, mend=f"{LEAVE_OUT} or out of --endpoints")
    if name in PDL1_SOURCES and "PDL1" in cohort.labels:
        what = f"the labels of the endpoint PDL1 come from {name}, which cannot predict them"
        raise CohortError(what, where=where, mend=f"{LEAVE_OUT}, or PDL1 out of --endpoints")
    if name in NOT_CLINICAL:
        raise CohortError("this is not a clinical variable", where=where, mend=LEAVE_OUT)


def with_plain_numbers(cohort: Cohort) -> pd.DataFrame:
    """The cohort's table, in which each clinical column of numbers has decimal points, no units and no bounds."""
    table = cohort.table.copy()
    for name in table.columns.difference([*NOT_CLINICAL, *cohort.labels], sort=False):
        known = [text for text in table[name] if not is_missing(text)]
        if is_number_column(known):
            with suppress(CohortError):
                numbers = read_numbers(name, list(table[name]), partial(cohort.cell, name))
                table[name] = numbers.plain_texts if numbers.note else table[name]
    return table


def clinical_columns(training: pd.DataFrame, others: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Numeric columns (n, d) of the training and the other cases from the covariates named by the user.

    Missing numbers get the training median and missing categories are a category; categories are one column each, as
    the training set has them; a category that it does not have is zero everywhere.
    """
    numeric = [name for name in training if pd.api.types.is_numeric_dtype(training[name])]
    categories = [name for name in training if name not in numeric]
    encode = ColumnTransformer(
        [
            ("numeric", SimpleImputer(strategy="median", keep_empty_features=True), numeric),
            ("categories", OneHotEncoder(handle_unknown="ignore", min_frequency=MIN_CATEGORY_SHARE), categories),
        ],
        sparse_threshold=0.0,
    )
    whole = [
        table.assign(**{name: table[name].astype(object).where(table[name].notna(), "missing") for name in categories})
        for table in (training, others)
    ]
    return encode.fit_transform(whole[0]).astype(float), encode.transform(whole[1]).astype(float)
