"""Labels held against columns: endpoints that cannot be evaluated, columns that are the label, confounders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from scipy.special import comb
from scipy.stats import chi2_contingency, fisher_exact, mannwhitneyu

from DeepRadScoreLib.models import Baseline
from DeepRadScoreLib.statistics.metrics import holm
from DeepRadScoreLib.study.data import StudyCases
from DeepRadScoreLib.study.results.document import AssociationCard

SUSPECT_AUC = 0.99
MIN_OF_A_CLASS = 5
MAX_CHANCE = 0.001
MAX_LEVELS = 10
MIN_PER_LEVEL = 5
MIN_COPIED = 4
MAX_NAMED = 5
MIN_OF_LEVEL = 5
"""Levels of fewer patients are one level in a test."""
MEND = "it is likely the label under another name; leave it out of the table or of --covariates."


@dataclass(frozen=True)
class Association:
    """Test of whether an endpoint's label follows a confounder: the column of the smallest p, and that p.

    `p` is Bonferroni's over the confounder's columns.
    """

    column: str
    test: str
    p: float


def label_problems(cases: StudyCases, folds: int) -> dict[str, str]:
    """Endpoint -> why it cannot be evaluated in `folds` folds, or which columns are likely its label; the others not.

    Columns are held against the first case of each patient.
    """
    data = cases.data
    features = data.features if data.features.shape[1] else None
    first = ~data.patients.duplicated().to_numpy()
    leaks = likely_leaks(
        None if features is None else features[first],
        None if cases.clinical is None else cases.clinical[first],
        data.labels[first],
    )
    found = {str(key): endpoint_problem(data.labels[key], data.patients, folds) for key in data.labels}
    return {key: problem or " ".join(leaks[key]) for key, problem in found.items() if problem or leaks[key]}


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
    clinical = pd.DataFrame(index=labels.index) if clinical is None else clinical
    found: dict[str, list[str]] = {}
    for endpoint in map(str, labels):
        y = labels[endpoint].to_numpy(dtype=np.float64)
        strengths = {} if features is None or features.empty else _suspects(features, y)
        aucs = {str(name): _clinical_auc(clinical[name], y, clinical.shape[1]) for name in clinical}
        strengths |= {name: auc for name, auc in aucs.items() if auc > SUSPECT_AUC}
        copies = [str(name) for name in clinical if name not in strengths and _is_copy(clinical[name], y)]
        found[endpoint] = _sentences(endpoint, strengths, copies)
    return found


def _sentences(endpoint: str, strengths: dict[str, float], copies: list[str]) -> list[str]:
    by_strength = sorted(strengths, key=lambda name: (-strengths[name], name))
    sentences = [
        f'the column "{name}" alone separates {endpoint} with an AUC of {strengths[name]:.3f}: {MEND}'
        for name in by_strength[:MAX_NAMED]
    ]
    rest = len(by_strength) - MAX_NAMED
    if rest > 0:
        sentences.append(f"{rest} more {'column' if rest == 1 else 'columns'} alone separate {endpoint} like that.")
    return sentences + [
        f'the column "{name}" equals the label of {endpoint}, or its opposite, in every case: {MEND}' for name in copies
    ]


def column_aucs(table: pd.DataFrame, y: np.ndarray) -> pd.DataFrame:
    """AUC (ties count half; NaN with one class), positives and negatives of each column, over the cases that have both.

    `table` is (n x columns) numbers, `y` (n,) 0, 1 or NaN.
    """
    labelled = ~np.isnan(y)
    ranks, positive = table[labelled].astype(np.float64).rank(), y[labelled] == 1.0
    positives, negatives = ranks[positive].count(), ranks[~positive].count()
    ordered = ranks[positive].sum() - positives * (positives + 1) / 2.0
    return pd.DataFrame({"auc": ordered / (positives * negatives), "positives": positives, "negatives": negatives})


def _suspects(table: pd.DataFrame, y: np.ndarray) -> dict[str, float]:
    """Column -> its AUC, either way round, where that is over the limit and not expected by chance."""
    auc, positives, negatives = column_aucs(table, y).to_numpy().T
    strength = np.maximum(auc, 1.0 - auc)
    enough = np.minimum(positives, negatives) >= MIN_OF_A_CLASS
    certain = 2.0 * table.shape[1] / comb(positives + negatives, positives) < MAX_CHANCE
    chosen = np.flatnonzero(enough & certain & (strength > SUSPECT_AUC))
    return {str(table.columns[column]): float(strength[column]) for column in chosen}


def _clinical_auc(column: pd.Series, y: np.ndarray, columns: int) -> float:
    """AUC, either way round, of one clinical column as it is or by its levels; 0 where chance alone may reach 1."""
    values, y = _known(column, y)
    positives = int(y.sum())
    if min(positives, len(y) - positives) < MIN_OF_A_CLASS or 2.0 * columns / comb(len(y), positives) >= MAX_CHANCE:
        return 0.0
    levels, numeric = values.nunique(), is_numeric_dtype(values)
    encodings = {"as it is": values.to_numpy(dtype=np.float64)} if numeric else {}
    if levels <= len(y) / MIN_PER_LEVEL and not (numeric and levels > MAX_LEVELS):
        encodings["by level"] = pd.Series(y, values.index).groupby(values).transform("mean").to_numpy()
    aucs = column_aucs(pd.DataFrame(encodings, index=values.index), y)["auc"]
    return float(np.maximum(aucs, 1.0 - aucs).max()) if encodings else 0.0


def _is_copy(column: pd.Series, y: np.ndarray) -> bool:
    """Whether a column of two values is the label, or its opposite, in all of 4 cases or more."""
    values, y = _known(column, y)
    if len(y) < MIN_COPIED or len(np.unique(y)) != 2 or values.nunique() != 2:
        return False
    return bool(pd.Series(y, values.index).groupby(values).nunique().max() == 1)


def _known(column: pd.Series, y: np.ndarray) -> tuple[pd.Series, np.ndarray]:
    """The column and the labels of the cases that have both."""
    known = column.notna().to_numpy() & ~np.isnan(y)
    return column[known].reset_index(drop=True), y[known]


def association_cards(cases: StudyCases) -> dict[str, dict[str, AssociationCard]]:
    """Endpoint -> confounder -> its test, with Holm's p over all of them."""
    data = cases.data
    found = associations(cases.confounders.known, data.labels, data.patients)
    cards: dict[str, dict[str, AssociationCard]] = {str(key): {} for key in data.labels}
    for ((key, name), each), p in zip(found.items(), holm([each.p for each in found.values()]), strict=True):
        cards[key][name] = AssociationCard(column=each.column, test=each.test, p=each.p, p_holm=p)
    return cards


def associations(
    tables: Mapping[Baseline, pd.DataFrame], labels: pd.DataFrame, patients: pd.Series
) -> dict[tuple[str, Baseline], Association]:
    """Endpoint and confounder -> their test, over patients; pairs without two classes and two levels are left out.

    Numbers: Mann-Whitney's test of each patient's mean. Categories: Fisher's exact test of two levels, chi-squared of
    more, of each patient's first case; a missing cell is a level, and levels of under 5 patients are one.
    """
    people = patients.to_numpy()
    of_patients = {name: [_by_patient(table[column], people) for column in table] for name, table in tables.items()}
    found = {}
    for key in map(str, labels):
        y = labels[key].groupby(people).max().dropna()
        for name, columns in of_patients.items():
            tests = [(*_test(column.loc[y.index], y), str(column.name)) for column in columns]
            known = [test for test in tests if not np.isnan(test[0])]
            if known:
                p, test, column = min(known)
                found[key, name] = Association(column, test, min(1.0, p * len(known)))
    return found


def _by_patient(column: pd.Series, patients: np.ndarray) -> pd.Series:
    """The mean of numbers, the first of categories, index patient; a missing category is one too."""
    if is_numeric_dtype(column):
        return column.groupby(patients).mean()
    return column.where(column.notna(), "missing").groupby(patients).first()


def _test(column: pd.Series, y: pd.Series) -> tuple[float, str]:
    """p and name of the test of one column against labels, both (patients,); NaN where there is nothing to test."""
    if is_numeric_dtype(column):
        negative, positive = (column[(y == label) & column.notna()] for label in (0, 1))
        if not len(negative) or not len(positive) or column.nunique() < 2:
            return np.nan, ""
        return float(mannwhitneyu(positive, negative).pvalue), "Mann-Whitney"
    frequent = column.map(column.value_counts()) >= MIN_OF_LEVEL
    counts = pd.crosstab(column.where(frequent, "of few patients"), y).to_numpy()
    if min(counts.shape) < 2:
        return np.nan, ""
    if counts.shape == (2, 2):
        return float(fisher_exact(counts)[1]), "Fisher"
    return float(chi2_contingency(counts)[1]), "chi-squared"
