"""One fused model: the best of seven classifiers, its calibration and its threshold, all from out-of-fold scores."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, ParameterGrid, StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from DeepRadScoreLib.errors import BundleError, TooFewPositivesError
from DeepRadScoreLib.fusion.classifiers import (
    CLASSIFIERS,
    Search,
    candidate,
    fit_and_score,
    fitted,
    raw_score,
    scores_of_forests,
)
from DeepRadScoreLib.fusion.storage import MEND, from_skops, to_skops
from DeepRadScoreLib.statistics.auc import youden_threshold

if TYPE_CHECKING:
    from sklearn.utils import Tags

NO_SIGNAL_THRESHOLD = 0.5
Fold = tuple[np.ndarray, np.ndarray]
MAX_FOLD_TRIES = 20


class FusionModel(ClassifierMixin, BaseEstimator):
    """The classifier of one endpoint (method: fusion and classifiers).

    Each classifier is tuned by one search over `folds` folds; the tuned ones are compared by `repeats` x `folds` folds,
    and the best by mean AUC (the first in `classifiers` on a tie) is refitted on all cases. Its out-of-fold scores of
    that comparison give Platt's calibration and Youden's threshold. All folds are stratified and grouped by patient;
    where the rarer class has fewer patients than `folds` there are fewer.

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
    prevalence_: share of positives in training.
    oof_score_: (n,) calibrated out-of-fold probability of each training case, mean over the repeats.
    threshold_: "positive" from this probability on; from the out-of-fold probabilities of all repeats.
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
        tuning = grouped_folds(label, groups, self.folds, (self.seed, 0))
        comparing = [grouped_folds(label, groups, self.folds, (self.seed, 1 + r)) for r in range(self.repeats)]
        scores, self.best_params_, self.cv_auc_, tuned = {}, {}, {}, {}
        for name in self.classifiers:
            tuned[name], self.best_params_[name] = self._tune(name, X, label, tuning)
            scores[name], self.cv_auc_[name] = self._compare(tuned[name], X, label, comparing)
        self.classifier_ = max(self.classifiers, key=lambda name: float(self.cv_auc_[name].mean()))
        self.estimator_ = fitted(clone(tuned[self.classifier_]), X, label)
        self._calibrate(label, scores[self.classifier_])
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Raw score (n,) of the chosen classifier, higher for the positive class: what AUC and SHAP are taken of.

        It is the classifier's decision function; for KNN, RF, NB and MLP its uncalibrated probability.
        """
        check_is_fitted(self)
        return raw_score(self.estimator_, validate_data(self, X, reset=False, dtype=np.float64))

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Calibrated probabilities (n, 2) of `classes_`."""
        positive = self._probability(self.decision_function(X))
        return np.column_stack([1.0 - positive, positive])

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
        """Read what `to_bytes` wrote. Raises BundleError for damaged bytes and for a type outside the closed list."""
        model = from_skops(data)
        if not isinstance(model, cls):
            raise BundleError(f'the stored object is a "{type(model).__name__}", not a fused model', mend=MEND)
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

    def _tune(self, name: str, X: np.ndarray, y: np.ndarray, folds: list[Fold]) -> tuple[Pipeline, dict[str, Any]]:
        pipeline, grid = candidate(name, self.seed, self.search)
        if len(ParameterGrid(grid)) == 1:
            best = dict(next(iter(ParameterGrid(grid))))
        elif name == "RF":
            best = self._tune_forest(pipeline, grid[0], X, y, folds)
        else:
            best = GridSearchCV(pipeline, grid, scoring="roc_auc", cv=folds, refit=False, n_jobs=self.n_jobs)
            best = dict(best.fit(X, y).best_params_)
        return pipeline.set_params(**best), {key.removeprefix("estimator__"): best[key] for key in best}

    def _tune_forest(
        self, pipeline: Pipeline, grid: dict[str, list[int]], X: np.ndarray, y: np.ndarray, folds: list[Fold]
    ) -> dict[str, int]:
        """The result of `GridSearchCV`, from one forest per fold: a smaller forest is its first trees."""
        ((parameter, sizes),) = grid.items()
        scores = Parallel(n_jobs=self.n_jobs)(
            delayed(scores_of_forests)(clone(pipeline), X, y, train, test, sizes) for train, test in folds
        )
        aucs = [[roc_auc_score(y[test], row) for row in rows] for (_, test), rows in zip(folds, scores, strict=True)]
        return {parameter: sizes[int(np.mean(aucs, axis=0).argmax())]}

    def _compare(
        self, pipeline: Pipeline, X: np.ndarray, y: np.ndarray, repeats: list[list[Fold]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Out-of-fold scores (repeats, n) and the AUC of each fold, (repeats x folds,)."""
        folds = [(repeat, *fold) for repeat, folds in enumerate(repeats) for fold in folds]
        left_out = Parallel(n_jobs=self.n_jobs)(
            delayed(fit_and_score)(clone(pipeline), X, y, train, test) for _, train, test in folds
        )
        scores = np.empty((len(repeats), len(y)))
        for (repeat, _, test), values in zip(folds, left_out, strict=True):
            scores[repeat, test] = values
        aucs = [roc_auc_score(y[test], values) for (_, _, test), values in zip(folds, left_out, strict=True)]
        return scores, np.array(aucs)

    def _calibrate(self, y: np.ndarray, scores: np.ndarray) -> None:
        self.prevalence_ = float(y.mean())
        self.slope_, self.intercept_ = platt(y, scores)
        self.no_signal_ = self.slope_ <= 0
        probabilities = self._probability(scores)
        self.oof_score_ = probabilities.mean(axis=0)
        self.threshold_ = (
            NO_SIGNAL_THRESHOLD if self.no_signal_ else youden_threshold(np.tile(y, len(scores)), probabilities.ravel())
        )

    def _probability(self, scores: np.ndarray) -> np.ndarray:
        if self.no_signal_:
            return np.full(scores.shape, self.prevalence_)
        return sigmoid(scores, self.slope_, self.intercept_)


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
            splitter = StratifiedGroupKFold(splits, shuffle=True, random_state=state)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "The least populated class", UserWarning)
                folds = list(splitter.split(np.zeros(len(y)), y, groups))
            if all(len(np.unique(y[rows])) == 2 for fold in folds for rows in fold):
                return folds
    raise TooFewPositivesError(
        f"the rarer class has {rarest} patient(s), too few for two folds with both classes",
        mend="add labelled cases of both classes",
    )


def platt(y: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Slope and intercept of Platt's sigmoid, probability = 1 / (1 + exp(-(slope * score + intercept))).

    The targets are Platt's (N+ + 1) / (N+ + 2) and 1 / (N- + 2), so that perfectly separated scores get a finite slope
    (Platt 1999, "Probabilistic outputs for support vector machines", section 2.2).

    Parameters
    ----------
    y: 0 or 1, (n,).
    scores: out-of-fold scores, (n,) or (repeats, n); each repeat counts alike, and together they count as n cases.

    A slope of zero (constant scores) or below says that the scores know nothing of y.
    """
    scores = np.atleast_2d(scores)
    centre, spread = float(scores.mean()), float(scores.std())
    if not spread > 0:
        return 0.0, 0.0
    target = np.where(y == 1, (y.sum() + 1.0) / (y.sum() + 2.0), 1.0 / (len(y) - y.sum() + 2.0))
    column = ((scores - centre) / spread).reshape(-1, 1)
    weight = np.tile(target, len(scores))
    logistic = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(
        np.vstack([column, column]),
        np.repeat([1, 0], len(column)),
        sample_weight=np.concatenate([weight, 1.0 - weight]) / len(scores),
    )
    slope = float(logistic.coef_[0, 0]) / spread
    return slope, float(logistic.intercept_[0]) - slope * centre


def sigmoid(scores: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """The calibrated probability of each score, of the same shape."""
    return expit(slope * scores + intercept)
