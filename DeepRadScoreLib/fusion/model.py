"""One fused model: the best of several classifiers, its calibration and its threshold, all from out-of-fold scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from DeepRadScoreLib.archive import MEND
from DeepRadScoreLib.errors import BundleError, TooFewPositivesError
from DeepRadScoreLib.fusion.classifiers import CLASSIFIERS, Search, candidate, pipeline_score, raw_score
from DeepRadScoreLib.fusion.fitted_checks import check_fitted
from DeepRadScoreLib.fusion.search import best_settings, fitted, scores_of_folds
from DeepRadScoreLib.fusion.storage import from_skops, to_skops
from DeepRadScoreLib.statistics.auc import roc_area, youden_threshold
from DeepRadScoreLib.statistics.folds import Fold, ScaledFolds, stratified_group_folds

if TYPE_CHECKING:
    from sklearn.utils import Tags

NO_SIGNAL_THRESHOLD = 0.5
MAX_FOLD_TRIES = 20


class FusionModel(ClassifierMixin, BaseEstimator):
    """The classifier of one endpoint (method: fusion and classifiers).

    Each classifier is tuned by one search over `folds` folds; the tuned ones are compared by `repeats` x `folds` folds,
    and the best by mean AUC (the first in `classifiers` on a tie) is refitted on all cases. Its out-of-fold scores of
    that comparison give Platt's calibration and Youden's threshold, to which each patient counts alike. All folds are
    stratified and grouped by patient; where the rarer class has fewer patients than `folds` there are fewer.

    Parameters
    ----------
    search: the grid, "coarse" or, for demonstrations, "quick".
    n_jobs: processes, as joblib counts them; they do not change the result.

    Attributes
    ----------
    classifier_: name of the chosen classifier.
    cv_auc_: classifier -> AUC of each fold of each repeat.
    best_params_: classifier -> the hyper-parameters found.
    estimator_: the chosen pipeline, refitted on all cases.
    slope_, intercept_: of the calibration.
    no_signal_: the out-of-fold scores do not rise with the label (slope <= 0): the model knows nothing, every
        probability is the prevalence, and the threshold is 0.5.
    prevalence_: share of positives in training, where each patient counts alike.
    oof_score_: (n,) calibrated out-of-fold probability of each training case, mean over the repeats.
    threshold_: "positive" from this probability on; from the out-of-fold probabilities of all repeats.

    Examples
    --------
    >>> import numpy as np
    >>> from DeepRadScoreLib import FusionModel
    >>> label = np.repeat([0, 1], 20)
    >>> columns = np.random.default_rng(0).normal(size=(40, 2)) + label[:, None]
    >>> model = FusionModel(search="quick", folds=2, repeats=1, classifiers=("LR", "LDA")).fit(columns, label)
    >>> model.predict_proba(columns).shape, model.no_signal_
    ((40, 2), False)
    """

    def __init__(
        self,
        search: Search = "coarse",
        folds: int = 5,
        repeats: int = 10,
        seed: int = 0,
        n_jobs: int = 1,
        classifiers: Sequence[str] = CLASSIFIERS,
    ) -> None:
        self.search = search
        self.folds = folds
        self.repeats = repeats
        self.seed = seed
        self.n_jobs = n_jobs
        self.classifiers = classifiers

    def fit(self, X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> FusionModel:
        """Fit on columns X (n, d), labels y (n,) of two classes and the patient of each case, groups (n,).

        Without `groups` every case is another patient.

        Raises
        ------
        TooFewPositivesError: the rarer class has fewer than two patients.
        ValueError: one class only, more than two, NaN, or nothing but constant columns.
        """
        X, y = validate_data(self, X, y, dtype=np.float64)
        label = self._two_classes(y)
        if not np.ptp(X, axis=0).any():
            raise ValueError("every column is constant, there is nothing to learn from")
        groups = np.arange(len(label)) if groups is None else column_or_1d(groups)
        repeats = [grouped_folds(label, groups, self.folds, (self.seed, number)) for number in range(self.repeats + 1)]
        tuning, comparing = ScaledFolds.of(X, label, repeats[:1]), ScaledFolds.of(X, label, repeats[1:])
        results = Parallel(n_jobs=self.n_jobs)(
            delayed(self._tune_and_compare)(name, tuning, comparing) for name in self.classifiers
        )
        self.best_params_, scores, self.cv_auc_ = (
            dict(zip(self.classifiers, each, strict=True)) for each in zip(*results, strict=True)
        )
        self.classifier_ = max(self.classifiers, key=lambda name: float(self.cv_auc_[name].mean()))
        pipeline, _ = candidate(self.classifier_, self.seed)
        best = self.best_params_[self.classifier_]
        pipeline.set_params(**{f"estimator__{key}": value for key, value in best.items()})
        self.estimator_ = fitted(pipeline, X, label)
        self._calibrate(label, comparing.by_case(scores[self.classifier_]), shares_of_patients(groups))
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Raw score (n,) of the chosen classifier, higher for the positive class: what AUC and SHAP are taken of.

        It is the classifier's decision function; for KNN, RF, NB and MLP its uncalibrated probability.
        """
        check_is_fitted(self)
        return raw_score(self.estimator_, validate_data(self, X, reset=False, dtype=np.float64))

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Calibrated probabilities (n, 2) of `classes_`."""
        positive = self.calibrated(self.decision_function(X))
        return np.column_stack([1.0 - positive, positive])

    def member_scores(self, members: np.ndarray) -> np.ndarray:
        """Raw scores (m, n) of n cases whose columns are known from m members (folds), (m, n, d)."""
        return pipeline_score(self.estimator_, members.reshape(-1, members.shape[-1])).reshape(members.shape[:2])

    def calibrated(self, scores: np.ndarray) -> np.ndarray:
        """The calibrated probability of the positive class of raw scores, of the same shape."""
        if self.no_signal_:
            return np.full(scores.shape, self.prevalence_)
        return expit(self.log_odds(scores))

    def log_odds(self, scores: np.ndarray) -> np.ndarray:
        """The calibrated log-odds of raw scores, of the same shape; what they say where there is a signal."""
        return self.slope_ * scores + self.intercept_

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Class (n,) at `threshold_`."""
        check_is_fitted(self)
        return self.classes_[(self.predict_proba(X)[:, 1] >= self.threshold_).astype(int)]

    def to_bytes(self) -> bytes:
        """The fitted model as a skops archive; `from_bytes` gives back one of the same probabilities to the bit."""
        check_is_fitted(self)
        return to_skops(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> FusionModel:
        """Read what `to_bytes` wrote.

        Raises
        ------
        BundleError: damaged bytes, a type outside the closed list, or a state that no fitted model has.
        """
        model = from_skops(data)
        if not isinstance(model, cls):
            raise BundleError(f'the stored object is a "{type(model).__name__}", not a fused model', mend=MEND)
        check_fitted(model)
        return model

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _two_classes(self, y: np.ndarray) -> np.ndarray:
        check_classification_targets(y)
        self.classes_, label = np.unique(y, return_inverse=True)
        if len(self.classes_) > 2:
            raise ValueError(f"Only binary classification is supported. The type of the target is {type_of_target(y)}.")
        if len(self.classes_) < 2:
            raise ValueError("a classifier cannot be trained when only one class is present")
        return label

    def _tune_and_compare(
        self, name: str, tuning: ScaledFolds, comparing: ScaledFolds
    ) -> tuple[dict[str, Any], list[np.ndarray], np.ndarray]:
        """A classifier's best hyper-parameters, and with these its scores and its AUC of each fold."""
        best = best_settings(name, self.search, tuning.folds, tuning.truths, self.seed)
        scores = scores_of_folds(name, best, comparing.folds, self.seed)
        return best, scores, np.array([roc_area(*each) for each in zip(comparing.truths, scores, strict=True)])

    def _calibrate(self, y: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> None:
        self.prevalence_ = float(np.average(y, weights=weights))
        self.slope_, self.intercept_ = platt(y, scores, weights)
        self.no_signal_ = self.slope_ <= 0
        probabilities = self.calibrated(scores)
        self.oof_score_ = probabilities.mean(axis=0)
        repeats = len(scores)
        self.threshold_ = (
            NO_SIGNAL_THRESHOLD
            if self.no_signal_
            else youden_threshold(np.tile(y, repeats), probabilities.ravel(), np.tile(weights, repeats))
        )


def grouped_folds(y: np.ndarray, groups: np.ndarray, n_splits: int, seed: tuple[int, ...]) -> list[Fold]:
    """(train, test) indices of `n_splits` folds, or of fewer where the rarer class has fewer groups than that.

    Parameters
    ----------
    y: 0 or 1, (n,).
    groups: patient of each case, (n,); no patient is in both train and test.
    seed: the same numbers give the same folds.

    Raises
    ------
    TooFewPositivesError: no two folds can be made that hold both classes in train and test.
    """
    rarest = min(len(np.unique(groups[y == label])) for label in (0, 1))
    for splits in range(min(n_splits, rarest), 1, -1):
        for attempt in range(MAX_FOLD_TRIES):
            state = int(np.random.default_rng([*seed, attempt]).integers(2**31))
            folds = stratified_group_folds(y, groups, splits, state)
            if all(0 < y[rows].sum() < len(rows) for fold in folds for rows in fold):
                return folds
    raise TooFewPositivesError(
        f"the rarer class has {rarest} patient(s), too few for two folds with both classes",
        mend="add labelled cases of both classes",
    )


def shares_of_patients(groups: np.ndarray) -> np.ndarray:
    """Weight of each case (n,): 1 over the number of its patient's cases. `groups`: patient of each case, (n,)."""
    _, of_case, cases = np.unique(groups, return_inverse=True, return_counts=True)
    return 1.0 / cases[of_case]


def platt(y: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, float]:
    """Slope and intercept of Platt's sigmoid, probability = 1 / (1 + exp(-(slope * score + intercept))).

    The targets are Platt's (N+ + 1) / (N+ + 2) and 1 / (N- + 2), so that perfectly separated scores get a finite slope
    (Platt 1999, "Probabilistic outputs for support vector machines", section 2.2).

    Parameters
    ----------
    y: 0 or 1, (n,).
    scores: out-of-fold scores, (n,) or (repeats, n); each repeat counts alike, and together they count as n cases.
    weights: how much each case counts, (n,); None: 1.

    A slope of zero (constant scores) or below says that the scores know nothing of y.
    """
    scores = np.atleast_2d(scores)
    centre, spread = float(scores.mean()), float(scores.std())
    if not spread > 0:
        return 0.0, 0.0
    weights = np.ones(len(y)) if weights is None else weights
    positive, negative = weights @ (y == 1), weights @ (y == 0)
    target = np.where(y == 1, (positive + 1.0) / (positive + 2.0), 1.0 / (negative + 2.0))
    column = ((scores - centre) / spread).reshape(-1, 1)
    logistic = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(
        np.vstack([column, column]),
        np.repeat([1, 0], len(column)),
        sample_weight=np.concatenate([np.tile(weights * each, len(scores)) for each in (target, 1.0 - target)])
        / len(scores),
    )
    slope = float(logistic.coef_[0, 0]) / spread
    return slope, float(logistic.intercept_[0]) - slope * centre
