"""Selection of a RadScore's features in training cases: variance, repeatability, association, redundancy, LASSO."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import ClassifierTags, Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from DeepRadScoreLib.errors import CohortError, TooFewPositivesError
from DeepRadScoreLib.radscore.lasso import lasso
from DeepRadScoreLib.statistics.folds import stratified_group_folds

Rule = Literal["lasso", "single"]
Matrix: TypeAlias = np.ndarray | pd.DataFrame

MIN_POSITIVES = 10
MIN_POSITIVES_FOR_LASSO = 15
MIN_ICC = 0.75
MAX_P = 0.05
MIN_ASSOCIATED = 10
MAX_CORRELATION = 0.9
MAX_FOLDS = 10
PENALTY_STEPS = np.logspace(0.0, 1.5, 15)
"""Inverse penalties to try, as multiples of the one at which the first coefficient leaves zero."""

ROUNDING = 1e-12


def modelling_rule(y: Sequence[float] | np.ndarray) -> Rule:
    """The rule for outer training cases with the labels `y` (n,); their inner folds follow the same one.

    By the number of patients of the rarer class: from 15 on `"lasso"`, from 10 on `"single"` (the best feature alone).

    Raises
    ------
    TooFewPositivesError: under 10.
    """
    _, counts = np.unique(np.asarray(y), return_counts=True)
    rarer = int(counts.min()) if len(counts) == 2 else 0
    if rarer < MIN_POSITIVES:
        raise TooFewPositivesError(
            f"the rarer of the two labels stands in {rarer} training patients",
            mend=f"at least {MIN_POSITIVES} are needed: add patients or leave the endpoint out",
        )
    return "lasso" if rarer >= MIN_POSITIVES_FOR_LASSO else "single"


def icc31(*ratings: np.ndarray) -> np.ndarray:
    """ICC(3,1) of every feature: two-way mixed model, single rating, consistency (Shrout and Fleiss 1979).

    Parameters
    ----------
    ratings: two or more arrays (n, p), one for each segmentation of the same n cases.

    Returns
    -------
    (p,), (BMS - EMS) / (BMS + (k - 1) EMS) with the mean squares between cases and of the residual; 0 for a feature
    that is the same everywhere.
    """
    x = np.stack([np.asarray(rating, dtype=float) for rating in ratings])
    k, n = x.shape[:2]
    of_case = x.mean(axis=0)
    of_rating = x.mean(axis=1, keepdims=True)
    between = k * np.var(of_case, axis=0, ddof=1)
    residual = ((x - of_case - of_rating + of_case.mean(axis=0)) ** 2).sum(axis=(0, 1)) / ((n - 1) * (k - 1))
    total = between + (k - 1) * residual
    return np.divide(between - residual, total, out=np.zeros_like(total), where=total > 0)


class FeatureSelector(SelectorMixin, BaseEstimator):
    """Select the features of one region for one two-class endpoint.

    In this order: features that vary; repeatable ones; Mann-Whitney p < 0.05 (the best 10 if fewer than 10 have it);
    of two with |r| > 0.9 the one with the smaller p; LASSO logistic regression on z-scores. If LASSO selects none, the
    feature of the smallest p is selected.

    The LASSO penalty is the one with the smallest cross-validated logistic loss (deviance, as in glmnet): unlike an AUC
    of folds that hold one to three positives each it changes without steps, and it is defined for the empty model.
    There are min(10, rarer class) shuffled stratified folds.

    Parameters
    ----------
    rule: `"auto"` decides by `modelling_rule`; `"lasso"`; `"single"` selects the feature of the smallest p.
    repeatable: bool (n features), where ICC(3,1) is at least 0.75; None leaves that step out.
    seed: of the folds and of the solver.

    Attributes
    ----------
    coef_: (n selected,), in the order of the columns, for z-scores by the training mean and standard deviation. Of a
        feature selected alone without LASSO it is +1 if the second class has the higher values, else -1.
    rule_: the rule that was followed.
    lasso_empty_: whether LASSO selected none.
    funnel_: step -> number of features left after it.
    classes_: the two labels; the second one is the positive one.
    """

    def __init__(
        self, rule: Literal["auto"] | Rule = "auto", repeatable: np.ndarray | None = None, seed: int = 0
    ) -> None:
        self.rule = rule
        self.repeatable = repeatable
        self.seed = seed

    def fit(self, X: Matrix, y: Sequence[float] | np.ndarray, groups: np.ndarray | None = None) -> FeatureSelector:
        """Fit on features (n, p) and labels (n,); the cases of one of the `groups` (n,) share a LASSO fold.

        Raises
        ------
        TooFewPositivesError: `rule="auto"` and under 10 cases of the rarer class, or too few for two LASSO folds.
        CohortError: no feature varies, or none of those that do is repeatable.
        ValueError: NaN, infinity, other than two labels, or shapes that do not fit.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        self.classes_, positive = _two_classes(np.asarray(y))
        if self.rule not in ("auto", "lasso", "single"):
            raise ValueError(f'rule must be "auto", "lasso" or "single", not {self.rule!r}')
        self.rule_ = modelling_rule(positive) if self.rule == "auto" else self.rule

        candidates = self._candidates(X)
        p, sign = _association(X[:, candidates], positive)
        by_p = np.lexsort((X[:, candidates].mean(axis=0), p))
        ranked, p, sign = candidates[by_p], p[by_p], sign[by_p]
        selected, coefficients = ranked[:1], sign[:1]
        self.lasso_empty_ = False
        if self.rule_ == "lasso":
            associated = ranked[: max(MIN_ASSOCIATED, int((p < MAX_P).sum()))]
            distinct = _without_redundant(X, associated)
            weights = _lasso_weights(_z_scores(X[:, distinct]), positive, groups, self.seed)
            self.funnel_ |= {"associated": len(associated), "distinct": len(distinct)}
            self.lasso_empty_ = not weights.any()
            if not self.lasso_empty_:
                selected, coefficients = distinct[weights != 0], weights[weights != 0]
        self.funnel_["selected"] = len(selected)
        by_column = np.argsort(selected)
        self.coef_ = coefficients[by_column]
        self._support = np.isin(np.arange(X.shape[1]), selected)
        return self

    def _candidates(self, X: np.ndarray) -> np.ndarray:
        varies = np.ptp(X, axis=0) > ROUNDING * np.abs(X).max(axis=0)
        self.funnel_ = {"all": X.shape[1], "varying": int(varies.sum())}
        if not varies.any():
            raise CohortError(
                "no feature varies between the training patients", mend="check that the feature table is complete"
            )
        if self.repeatable is None:
            return np.flatnonzero(varies)
        repeatable = np.asarray(self.repeatable, dtype=bool)
        if repeatable.shape != (X.shape[1],):
            raise ValueError(f"repeatable has the shape {repeatable.shape}, X has {X.shape[1]} features")
        self.funnel_["repeatable"] = int((varies & repeatable).sum())
        if not (varies & repeatable).any():
            raise CohortError(
                f"no feature has an ICC(3,1) of at least {MIN_ICC}",
                where="repeat_mask",
                mend="check the repeated masks or leave that column empty",
            )
        return np.flatnonzero(varies & repeatable)

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return self._support

    def __sklearn_tags__(self) -> Tags:
        return two_class_tags(super().__sklearn_tags__())


def two_class_tags(tags: Tags) -> Tags:
    """Declare to scikit-learn that labels are needed, and two classes of them."""
    tags.target_tags.required = True
    tags.classifier_tags = ClassifierTags(multi_class=False)
    return tags


def _two_classes(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The two labels, and whether each case has the second one, bool (n,)."""
    check_classification_targets(y)
    classes = np.unique(y)
    if len(classes) != 2:
        what = f"{len(classes)} class" + ("es" if len(classes) > 1 else "")
        raise ValueError(f"Only binary classification is supported: y has {what}, two are needed.")
    return classes, y == classes[1]


def _association(X: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two-sided Mann-Whitney p of every column (p,), and +1 or -1 (p,): which class has the higher values."""
    n_pairs = positive.sum() * (~positive).sum()
    test = mannwhitneyu(X[positive], X[~positive], axis=0, method="asymptotic")
    return test.pvalue, np.where(test.statistic >= n_pairs / 2, 1.0, -1.0)


def _without_redundant(X: np.ndarray, ranked: np.ndarray) -> np.ndarray:
    """Of the columns `ranked` by p, those whose |r| (Pearson) with every selected one before is at most 0.9."""
    correlation = np.abs(np.atleast_2d(np.corrcoef(X[:, ranked], rowvar=False)))
    distinct: list[int] = []
    for position in range(len(ranked)):
        if not (correlation[position, distinct] > MAX_CORRELATION).any():
            distinct.append(position)
    return ranked[distinct]


def _z_scores(X: np.ndarray) -> np.ndarray:
    return (X - X.mean(axis=0)) / X.std(axis=0)


def _lasso_weights(Z: np.ndarray, positive: np.ndarray, groups: np.ndarray | None, seed: int) -> np.ndarray:
    """LASSO logistic coefficients (p,) of z-scores (n, p) at the penalty of the smallest cross-validated loss."""
    first_to_enter = np.abs(Z.T @ (positive - positive.mean())).max()
    if first_to_enter < ROUNDING * len(positive):
        return np.zeros(Z.shape[1])
    inverse_penalties = PENALTY_STEPS / first_to_enter
    losses = np.zeros(len(inverse_penalties))
    for train, test in _folds(positive, groups, seed):
        per_patient = len(positive) / len(train)
        known, labels, unseen = Z[train], positive[train], Z[test]
        truth = np.where(positive[test], 1.0, -1.0)
        for i, inverse_penalty in enumerate(inverse_penalties):
            coefficients, intercept = lasso(known, labels, inverse_penalty * per_patient, seed)
            towards_truth = truth * (unseen @ coefficients.T + intercept)[:, 0]
            losses[i] += np.logaddexp(0.0, -towards_truth).sum()
    return lasso(Z, positive, inverse_penalties[losses.argmin()], seed)[0][0]


def _folds(positive: np.ndarray, groups: np.ndarray | None, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    units = np.arange(len(positive)) if groups is None else np.asarray(groups)
    rarer = min(len(np.unique(units[label])) for label in (positive, ~positive))
    if rarer < 2:
        raise TooFewPositivesError(
            "the rarer of the two labels stands in one training patient", mend="LASSO needs at least 2"
        )
    if groups is not None:
        return stratified_group_folds(positive, groups, min(MAX_FOLDS, rarer), seed)
    folds = StratifiedKFold(min(MAX_FOLDS, rarer), shuffle=True, random_state=seed)
    return list(folds.split(units, positive))
