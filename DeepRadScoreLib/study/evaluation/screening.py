"""Before a study runs: endpoints that cannot be evaluated, and columns that are likely the label itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from scipy.special import comb

SUSPECT_AUC = 0.99
FEWEST_OF_A_CLASS = 5
CHANCE = 0.001
MOST_LEVELS = 10
FEWEST_PER_LEVEL = 5
FEWEST_COPIED = 4
NAMED = 5


def endpoint_problem(labels: np.ndarray, patients: np.ndarray, folds: int) -> str:
    """Why an endpoint cannot be evaluated in `folds` folds, as one sentence; empty if it can.

    Patients are counted: positive where any case is, negative where a case is labelled and none is positive.

    Parameters
    ----------
    labels: 0, 1 or NaN, (n,).
    patients: the patient of each case, (n,).
    """
    labels = np.asarray(labels, dtype=np.float64)
    of_patient = pd.Series(labels).groupby(np.asarray(patients)).max().dropna()
    positives, negatives = int((of_patient == 1).sum()), int((of_patient == 0).sum())
    if len(of_patient) == 0:
        return "no patient has a label; fill in the column or leave the endpoint out."
    if positives == 0 or negatives == 0:
        only, other = ("negative", "positive") if positives == 0 else ("positive", "negative")
        return f"all {len(of_patient)} labelled patients are {only}; add {other} patients or leave the endpoint out."
    for count, kind in ((positives, "positive"), (negatives, "negative")):
        if count < folds:
            verb = "patient is" if count == 1 else "patients are"
            return f"{count} {verb} {kind}, fewer than the {folds} folds; add patients or ask for fewer folds."
    return ""


def likely_leaks(
    features: pd.DataFrame | None, clinical: pd.DataFrame | None, labels: pd.DataFrame
) -> dict[str, list[str]]:
    """Sentences naming columns that are likely an endpoint's label under another name; endpoint -> sentences.

    A column is named where it alone separates at least 5 positive from at least 5 negative cases with an AUC, either
    way round, over 0.99, and so good a separation of any of the table's columns is not expected by chance (the number
    of columns x 2 / (n choose positives) below 0.001, which spares tables of a dozen cases). A clinical column of
    categories, or of at most 10 different numbers, also counts with its levels put in order of their share of
    positives, if there are at least 5 cases per level. With fewer cases a clinical column is named where it equals the
    label, or its opposite, in all of at least four cases. Cases without a value are left out column by column.

    Parameters
    ----------
    features: (n x columns) numbers; clinical: (n x columns) numbers or categories; labels: (n x endpoints) 0, 1, NaN.
        All three have the same cases in the same order.
    """
    ranked = None if features is None or features.empty else _Ranked.of(features)
    clinical = pd.DataFrame(index=labels.index) if clinical is None else clinical
    found: dict[str, list[str]] = {}
    for endpoint in map(str, labels):
        y = labels[endpoint].to_numpy(dtype=np.float64)
        strengths = ranked.suspects(y) if ranked is not None else {}
        aucs = {str(name): _clinical_auc(clinical[name], y, clinical.shape[1]) for name in clinical}
        strengths |= {name: auc for name, auc in aucs.items() if auc > SUSPECT_AUC}
        copies = [str(name) for name in clinical if name not in strengths and _is_copy(clinical[name], y)]
        found[endpoint] = _sentences(endpoint, strengths, copies)
    return found


_MEND = "it is likely the label under another name; leave it out of the table or of --covariates."


def _sentences(endpoint: str, strengths: dict[str, float], copies: list[str]) -> list[str]:
    by_strength = sorted(strengths, key=lambda name: (-strengths[name], name))
    sentences = [
        f'the column "{name}" alone separates {endpoint} with an AUC of {strengths[name]:.3f}: {_MEND}'
        for name in by_strength[:NAMED]
    ]
    rest = len(by_strength) - NAMED
    if rest > 0:
        sentences.append(f"{rest} more {'column' if rest == 1 else 'columns'} alone separate {endpoint} like that.")
    return sentences + [
        f'the column "{name}" equals the label of {endpoint}, or its opposite, in every case: {_MEND}'
        for name in copies
    ]


@dataclass(frozen=True)
class _Ranked:
    """Columns sorted once, from which the AUC of each for any labels follows by sums.

    Attributes
    ----------
    order: (n, columns) the cases of each column in rising order, those without a value last.
    first, last: (n, columns) where the run of equal values around each place begins and ends.
    known: (n, columns) in that order, whether there is a value.
    """

    names: tuple[str, ...]
    order: np.ndarray
    first: np.ndarray
    last: np.ndarray
    known: np.ndarray

    @classmethod
    def of(cls, table: pd.DataFrame) -> _Ranked:
        values = table.to_numpy(dtype=np.float64)
        order = np.argsort(values, axis=0, kind="stable")
        values = np.take_along_axis(values, order, axis=0)
        place = np.arange(len(values))[:, None]
        begins = np.ones(values.shape, dtype=bool)
        begins[1:] = values[1:] != values[:-1]
        ends = np.ones(values.shape, dtype=bool)
        ends[:-1] = begins[1:]
        first = np.maximum.accumulate(np.where(begins, place, 0), axis=0)
        last = np.minimum.accumulate(np.where(ends, place, len(values))[::-1], axis=0)[::-1]
        return cls(tuple(map(str, table.columns)), order, first, last, ~np.isnan(values))

    def suspects(self, y: np.ndarray) -> dict[str, float]:
        """Column -> its AUC, either way round, where that is over the limit and not expected by chance."""
        strength, positives, negatives = self.aucs(y)
        strength = np.maximum(strength, 1.0 - strength)
        enough = np.minimum(positives, negatives) >= FEWEST_OF_A_CLASS
        certain = 2.0 * len(self.names) / comb(positives + negatives, positives) < CHANCE
        chosen = np.flatnonzero(enough & certain & (strength > SUSPECT_AUC))
        return {self.names[column]: float(strength[column]) for column in chosen}

    def aucs(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """AUC (ties count half), positives and negatives of each column, (columns,); AUC is NaN with one class."""
        positive = (y == 1.0)[self.order] & self.known
        negative = (y == 0.0)[self.order] & self.known
        below = np.vstack([np.zeros(len(self.names)), np.cumsum(negative, axis=0, dtype=np.float64)])
        beaten = np.take_along_axis(below, self.first, axis=0) + np.take_along_axis(below, self.last + 1, axis=0)
        positives, negatives = positive.sum(axis=0), negative.sum(axis=0)
        with np.errstate(invalid="ignore"):
            auc = (positive * beaten).sum(axis=0) / 2.0 / (positives * negatives)
        return auc, positives, negatives


def _clinical_auc(column: pd.Series, y: np.ndarray, columns: int) -> float:
    """AUC, either way round, of one clinical column as it is or by its levels; 0 where chance alone may reach 1."""
    values, y = _known(column, y)
    positives = int(y.sum())
    if min(positives, len(y) - positives) < FEWEST_OF_A_CLASS or 2.0 * columns / comb(len(y), positives) >= CHANCE:
        return 0.0
    levels, numeric = values.nunique(), is_numeric_dtype(values)
    encodings = {"as it is": values.to_numpy(dtype=np.float64)} if numeric else {}
    if levels <= len(y) / FEWEST_PER_LEVEL and not (numeric and levels > MOST_LEVELS):
        encodings["by level"] = pd.Series(y, values.index).groupby(values).transform("mean").to_numpy()
    aucs = [_Ranked.of(pd.DataFrame({"": encoding})).aucs(y)[0][0] for encoding in encodings.values()]
    return max((float(max(auc, 1.0 - auc)) for auc in aucs), default=0.0)


def _is_copy(column: pd.Series, y: np.ndarray) -> bool:
    """Whether a column of two values is the label, or its opposite,, in all of 4 cases or more."""
    values, y = _known(column, y)
    if len(y) < FEWEST_COPIED or len(np.unique(y)) != 2 or values.nunique() != 2:
        return False
    return bool(pd.Series(y, values.index).groupby(values).nunique().max() == 1)


def _known(column: pd.Series, y: np.ndarray) -> tuple[pd.Series, np.ndarray]:
    """The column and the labels of the cases that have both."""
    known = column.notna().to_numpy() & ~np.isnan(y)
    return column[known].reset_index(drop=True), y[known]
