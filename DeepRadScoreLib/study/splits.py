"""Splits of cases, whole patients only: stratified over all endpoints at once by seed, by column, or by site."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.models import Protocol, Split
from DeepRadScoreLib.study.data import StudyCases
from DeepRadScoreLib.study.plans import EvaluationPlan

PAPER_TEST_SHARE = 0.3
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


@dataclass(frozen=True)
class OuterFold:
    """One outer fold: its name and the positions of its training and its test cases."""

    name: str
    train: np.ndarray
    test: np.ndarray

    @classmethod
    def of_test(cls, name: str, test: np.ndarray) -> OuterFold:
        """The fold that tests the cases of a bool mask (n,) and trains on all others."""
        return cls(name, np.flatnonzero(~test), np.flatnonzero(test))


def outer_folds(cases: StudyCases, plan: EvaluationPlan, protocol: Protocol) -> list[OuterFold]:
    """The outer folds of a protocol.

    Raises
    ------
    CohortError: the column that the split needs is empty or has one value, or there are too few patients.
    """
    labels, patients, seed = cases.data.labels.to_numpy(), cases.data.patients.to_numpy(), plan.training.seed
    if plan.split == Split.COLUMN:
        test = (cases.split == "test").to_numpy()
        if test.all() or not test.any():
            raise CohortError(
                'the training or the test part of the column "split" is empty', mend="write train or test in its cells"
            )
        return [OuterFold.of_test("test", test)]
    if protocol == Protocol.PAPER:
        return [OuterFold.of_test("test", holdout(labels, patients, PAPER_TEST_SHARE, seed))]
    if plan.split == Split.SITE:
        return _one_site_out(cases)
    folds = stratified_folds(labels, patients, plan.folds, seed)
    return [OuterFold(str(number), train, test) for number, (train, test) in enumerate(folds, start=1)]


def _one_site_out(cases: StudyCases) -> list[OuterFold]:
    sites = sorted(set(cases.site))
    if len(sites) < 2 or "" in sites:
        raise CohortError(
            'leaving one site out needs two sites or more and no empty cell in the column "site"',
            mend="fill in the column, or choose --split cv",
        )
    torn = cases.site.groupby(cases.data.patients).nunique()
    if (torn > 1).any():
        raise CohortError(
            f'the cases of patient "{torn.index[torn > 1][0]}" stand at two sites', mend="give each patient one site"
        )
    return [OuterFold.of_test(site, (cases.site == site).to_numpy()) for site in sites]
