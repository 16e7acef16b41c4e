"""What an evaluation is given, and how its cases are split into outer folds (method: protocols)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.models import Protocol, Split
from DeepRadScoreLib.study.training.protocols import StudyData, TrainingPlan
from DeepRadScoreLib.study.training.splits import holdout, stratified_folds

PAPER_TEST_SHARE = 0.3


@dataclass(frozen=True)
class EvaluationPlan:
    """What an evaluation does; `training` holds all settings of the training parts (its protocol is not looked at).

    `split`: `cv` (folds, stratified, grouped by patient), `column` (the table's own `split`), `site` (each left out).
    The paper protocol has one held-out part: the column's, else 30 % of the patients.
    """

    protocols: tuple[Protocol, ...] = (Protocol.STRICT,)
    training: TrainingPlan = field(default_factory=TrainingPlan)
    split: Split = Split.CV
    folds: int = 5


@dataclass(frozen=True)
class StudyCases:
    """The cases of a study: tables indexed by case_id, all in the same order.

    Attributes
    ----------
    data: features, patches, labels of the endpoints asked for, patients.
    shuffled: (n x p) features of the same cases with shuffled voxels, or None.
    clinical: (n x covariates), or None.
    split, site: (n,) text of the cohort table's columns, empty where there is none.
    """

    data: StudyData
    shuffled: pd.DataFrame | None
    clinical: pd.DataFrame | None
    split: pd.Series
    site: pd.Series


@dataclass(frozen=True)
class Part:
    """One outer fold: its name and the positions of its training and its test cases."""

    name: str
    train: np.ndarray
    test: np.ndarray


def outer_parts(cases: StudyCases, plan: EvaluationPlan, protocol: Protocol) -> list[Part]:
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
        return [Part("test", np.flatnonzero(~test), np.flatnonzero(test))]
    if protocol == Protocol.PAPER:
        test = holdout(labels, patients, PAPER_TEST_SHARE, seed)
        return [Part("test", np.flatnonzero(~test), np.flatnonzero(test))]
    if plan.split == Split.SITE:
        return _sites(cases)
    folds = stratified_folds(labels, patients, plan.folds, seed)
    return [Part(str(number), train, test) for number, (train, test) in enumerate(folds, start=1)]


def _sites(cases: StudyCases) -> list[Part]:
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
    of_case = cases.site.to_numpy()
    return [Part(site, np.flatnonzero(of_case != site), np.flatnonzero(of_case == site)) for site in sites]


def disjoint(parts: list[Part]) -> list[np.ndarray]:
    """Test parts that cover all cases, or the training and the test part where there is one of each."""
    return [parts[0].train, parts[0].test] if len(parts) == 1 else [part.test for part in parts]
