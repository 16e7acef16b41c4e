"""Splits of a cohort: stratified over all endpoints at once, whole patients only, by seed."""

from __future__ import annotations

import numpy as np

from DeepRadScoreLib.errors import CohortError

Fold = tuple[np.ndarray, np.ndarray]


def stratified_folds(labels: np.ndarray, groups: np.ndarray, n_splits: int, seed: int) -> list[Fold]:
    """(train, test) case indices of `n_splits` folds in which every endpoint's positives and labels are spread evenly.

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011) over patients. A patient counts as positive where
    any of its cases is, and as labelled where any is; the folds depend on the patients, not on the order of the cases.

    Parameters
    ----------
    labels: 0, 1 or NaN, (n, endpoints) or (n,).
    groups: patient of each case, (n,).

    Raises
    ------
    CohortError: there are fewer patients than folds.
    """
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

    patients, of_case = np.unique(groups, return_inverse=True)
    if len(patients) < n_splits:
        raise CohortError(
            f"{len(patients)} patients cannot be split into {n_splits} folds",
            mend="add patients or ask for fewer folds",
        )
    splitter = MultilabelStratifiedKFold(n_splits, shuffle=True, random_state=seed)
    strata = _strata(labels, of_case, len(patients))
    tests = [np.isin(of_case, test) for _, test in splitter.split(strata, strata)]
    return [(np.flatnonzero(~test), np.flatnonzero(test)) for test in tests]


def holdout(labels: np.ndarray, groups: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Which cases are held out, bool (n,): `share` of the patients, stratified as `stratified_folds` does it.

    Raises
    ------
    CohortError: there are fewer than two patients.
    """
    from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

    patients, of_case = np.unique(groups, return_inverse=True)
    if len(patients) < 2:
        raise CohortError("one patient cannot be split into two parts", mend="add patients")
    splitter = MultilabelStratifiedShuffleSplit(1, test_size=share, random_state=seed)
    strata = _strata(labels, of_case, len(patients))
    _, test = next(splitter.split(strata, strata))
    return np.isin(of_case, test)


def _strata(labels: np.ndarray, of_case: np.ndarray, patients: int) -> np.ndarray:
    """Per patient (patients, 2 x endpoints): positive, and labelled, for each endpoint; bool as 0 and 1."""
    labels = np.asarray(labels, dtype=np.float64).reshape(len(of_case), -1)
    strata = np.zeros((patients, 2 * labels.shape[1]), dtype=np.int64)
    np.maximum.at(strata, of_case, np.hstack([labels == 1.0, ~np.isnan(labels)]).astype(np.int64))
    return strata if strata.shape[1] > 1 else np.hstack([strata, strata])
