"""RadScore: the linear combination of a region's selected features, one number per case; and those of all regions."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from DeepRadScoreLib.radscore.names import REGIONS, Region, region_columns
from DeepRadScoreLib.radscore.rows import FeatureRows, Features, positions
from DeepRadScoreLib.radscore.selection import FeatureSelector, Matrix, Rule, two_class_tags


class RadScore(TransformerMixin, BaseEstimator):
    """RadScore = f1 c1 + ... + fn cn of z-scored features, without intercept or sigmoid.

    Higher speaks for the second class. The z-scores use the mean and standard deviation of the training cases, also for
    other cases. Features and coefficients come from `FeatureSelector`; the coefficient of a feature selected alone
    without LASSO (rule `"single"`, or LASSO selected none) is +1 if the second class has the higher values, else -1.

    Parameters
    ----------
    rule, repeatable, seed: see `FeatureSelector`.

    Attributes
    ----------
    selected_: (k,) columns of the selected features, ascending.
    mean_, scale_, coef_: (k,) their training means, standard deviations (of n, not n - 1) and coefficients.
    rule_, lasso_empty_, funnel_: see `FeatureSelector`.

    Examples
    --------
    >>> import numpy as np
    >>> from DeepRadScoreLib import RadScore
    >>> label = np.repeat([0, 1], 30)
    >>> features = np.random.default_rng(0).normal(size=(60, 20))
    >>> features[:, 7] += 2 * label
    >>> score = RadScore().fit(features, label)
    >>> 7 in score.selected_, score.transform(features).shape
    (True, (60, 1))
    """

    def __init__(
        self, rule: Literal["auto"] | Rule = "auto", repeatable: np.ndarray | None = None, seed: int = 0
    ) -> None:
        self.rule = rule
        self.repeatable = repeatable
        self.seed = seed

    def fit(self, X: Matrix, y: Sequence[float] | np.ndarray, groups: np.ndarray | None = None) -> RadScore:
        """Fit on features (n, p) and labels (n,); for `groups` and what is raised see `FeatureSelector.fit`."""
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        selector = FeatureSelector(self.rule, self.repeatable, self.seed).fit(X, y, groups)
        self.selected_ = selector.get_support(indices=True)
        self.mean_ = X[:, self.selected_].mean(axis=0)
        self.scale_ = X[:, self.selected_].std(axis=0)
        self.coef_ = selector.coef_
        self.rule_: Rule = selector.rule_
        self.lasso_empty_: bool = selector.lasso_empty_
        self.funnel_: dict[str, int] = selector.funnel_
        return self

    @classmethod
    def weighted_sum(cls, scores: Sequence[RadScore], weights: Sequence[float], X: Matrix) -> RadScore:
        """One RadScore over the features of several: up to a constant the sum of weight times score.

        Parameters
        ----------
        scores: fitted on tables of the same columns by the same rule; `funnel_` and `lasso_empty_` are the first one's.
        weights: (k,), one for each score.
        X: (n, p) the training cases whose means and standard deviations give the z-scores.
        """
        values = np.asarray(X, dtype=np.float64)
        slopes = np.zeros(values.shape[1])
        for score, weight in zip(scores, weights, strict=True):
            slopes[score.selected_] += weight * score.coef_ / score.scale_
        total = copy(scores[0])
        total.selected_ = np.unique(np.concatenate([score.selected_ for score in scores]))
        total.mean_ = values[:, total.selected_].mean(axis=0)
        total.scale_ = values[:, total.selected_].std(axis=0)
        total.coef_ = slopes[total.selected_] * total.scale_
        return total

    def contributions(self, X: Matrix) -> np.ndarray:
        """Coefficient times z-score of every selected feature, (n, k); a row adds up to the score.

        Raises
        ------
        ValueError: NaN, infinity, or other columns than those of the training table.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return self._weighted(X[:, self.selected_])

    def named_contributions(self, table: pd.DataFrame) -> np.ndarray:
        """`contributions` of a table of features, of which only the selected columns are looked up and checked.

        scikit-learn's own check goes through all columns of a DataFrame one by one, 5 ms for 851.

        Raises
        ------
        KeyError: a selected feature is missing.
        ValueError: NaN or infinity.
        """
        check_is_fitted(self)
        return self.selected_contributions(table[list(self.selected_names)].to_numpy(dtype=np.float64))

    def selected_contributions(self, selected: np.ndarray) -> np.ndarray:
        """`contributions` from the values of the selected features alone, (n, k).

        Raises
        ------
        ValueError: NaN or infinity.
        """
        if not np.isfinite(selected).all():
            raise ValueError("a selected feature holds NaN or infinity")
        return self._weighted(selected)

    def _weighted(self, selected: np.ndarray) -> np.ndarray:
        return self.coef_ * ((selected - self.mean_) / self.scale_)

    def score_samples(self, X: Matrix) -> np.ndarray:
        """The scores, (n,), added up from the first selected feature to the last."""
        return np.cumsum(self.contributions(X), axis=1)[:, -1]

    def transform(self, X: Matrix) -> np.ndarray:
        """The scores as a column, (n, 1)."""
        return self.score_samples(X)[:, None]

    def get_feature_names_out(self, input_features: Sequence[str] | None = None) -> np.ndarray:
        """The name of the only column."""
        check_is_fitted(self)
        return np.array(["radscore"], dtype=object)

    @property
    def selected_names(self) -> tuple[str, ...]:
        """The selected features by name (`x<column>` if the training table had no names), in the order of `coef_`."""
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        return tuple(f"x{i}" if names is None else str(names[i]) for i in self.selected_)

    def to_dict(self) -> dict[str, Any]:
        """All that scoring needs, as plain numbers, strings and lists; JSON preserves every float to the last bit."""
        fitted = zip(self.selected_names, self.selected_, self.mean_, self.scale_, self.coef_, strict=True)
        features = [
            {"name": name, "column": int(column), "mean": float(mean), "sd": float(sd), "coefficient": float(weight)}
            for name, column, mean, sd, weight in fitted
        ]
        names = getattr(self, "feature_names_in_", None)
        return {
            "features": features,
            "rule": self.rule_,
            "lasso_empty": bool(self.lasso_empty_),
            "funnel": {step: int(count) for step, count in self.funnel_.items()},
            "n_columns": int(self.n_features_in_),
            "columns": None if names is None else [str(name) for name in names],
        }

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> RadScore:
        """A fitted RadScore from the values of `to_dict`; it gives the same scores to the last bit.

        Raises
        ------
        KeyError: an entry is missing.
        """
        score = cls(rule=stored["rule"])
        features = stored["features"]
        score.selected_ = np.array([feature["column"] for feature in features], dtype=int)
        score.mean_ = np.array([feature["mean"] for feature in features], dtype=float)
        score.scale_ = np.array([feature["sd"] for feature in features], dtype=float)
        score.coef_ = np.array([feature["coefficient"] for feature in features], dtype=float)
        score.rule_, score.lasso_empty_ = stored["rule"], stored["lasso_empty"]
        score.funnel_ = dict(stored["funnel"])
        score.n_features_in_ = stored["n_columns"]
        if stored["columns"] is not None:
            score.feature_names_in_ = np.array(stored["columns"], dtype=object)
        return score

    def __repr__(self, N_CHAR_MAX: int = 120) -> str:
        return " ".join(super().__repr__(N_CHAR_MAX).split())

    def __sklearn_tags__(self) -> Tags:
        return two_class_tags(super().__sklearn_tags__())


@dataclass(frozen=True)
class Scale:
    """A z-score by the mean and standard deviation of training cases."""

    mean: float
    sd: float

    @classmethod
    def of(cls, values: np.ndarray) -> Scale:
        """From training values (n,); a constant gets the standard deviation 1."""
        sd = float(np.std(values))
        return cls(float(np.mean(values)), sd if sd > 0 else 1.0)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        return (values - self.mean) / self.sd


@dataclass(frozen=True)
class RegionScores:
    """One endpoint's RadScore of each region in the feature table, with its scale in the training cases.

    A region's columns are those that begin with its name; the regions keep the order of `REGIONS`.
    """

    radscores: dict[Region, RadScore]
    scales: dict[Region, Scale]

    @classmethod
    def fit(
        cls,
        features: pd.DataFrame,
        labels: np.ndarray,
        patients: np.ndarray,
        *,
        repeatable: np.ndarray | None = None,
        **settings: Any,
    ) -> RegionScores:
        """Fit on a feature table (n x p), labels (n,) and patients (n,).

        `repeatable`, bool (p,), and `settings` go to `RadScore`.
        """
        radscores = {}
        for region in regions_of(features):
            of_region = np.array([column.startswith(f"{region}_") for column in features.columns])
            stable = None if repeatable is None else repeatable[of_region]
            score = RadScore(repeatable=stable, **settings)
            radscores[region] = score.fit(features.loc[:, of_region], labels, patients)
        return cls(radscores, {region: Scale.of(_score(radscores[region], features)) for region in radscores})

    @classmethod
    def mean_of(cls, folds: Sequence[RegionScores], features: pd.DataFrame) -> RegionScores:
        """The mean of the folds' z-scored RadScores as one RadScore per region, with the same sum for every case.

        `features` (n x p) are all training cases: their means and standard deviations give the z-scores. The scale's
        standard deviation is 1, since the weights hold those of the folds.
        """
        radscores, scales = {}, {}
        for region, first in folds[0].radscores.items():
            weights = [1.0 / (len(folds) * fold.scales[region].sd) for fold in folds]
            table = features[list(first.feature_names_in_)]
            mean = RadScore.weighted_sum([fold.radscores[region] for fold in folds], weights, table)
            columns = [fold.scales[region](_score(fold.radscores[region], table)) for fold in folds]
            radscores[region] = mean
            scales[region] = Scale(float(np.mean(_score(mean, table)) - np.mean(columns)), 1.0)
        return cls(radscores, scales)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> RegionScores:
        """The RadScores that `to_dict` gave."""
        columns = {region: {"columns": list(region_columns(region))} for region in REGIONS}
        return cls(
            {region: RadScore.from_dict(stored[region]["radscore"] | columns[region]) for region in REGIONS},
            {region: Scale(**stored[region]["scale"]) for region in REGIONS},
        )

    def to_dict(self) -> dict[str, Any]:
        """The RadScores of both regions as values that JSON has, without the names of all features."""
        return {
            region: {
                "radscore": self.radscores[region].to_dict() | {"columns": None},
                "scale": asdict(self.scales[region]),
            }
            for region in REGIONS
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, such as "radscore_tumour"."""
        return tuple(f"radscore_{region}" for region in self.radscores)

    def contributions(self, features: Features) -> dict[Region, np.ndarray]:
        """What each selected feature of a region adds to its RadScore, (n, k)."""
        if isinstance(features, FeatureRows):
            return {
                region: radscore.selected_contributions(features.values[:, self._positions[region]])
                for region, radscore in self.radscores.items()
            }
        return {region: radscore.named_contributions(features) for region, radscore in self.radscores.items()}

    @cached_property
    def _positions(self) -> dict[Region, np.ndarray]:
        return {region: positions(radscore.selected_names) for region, radscore in self.radscores.items()}

    def raw(self, features: Features) -> np.ndarray:
        """The RadScores, (n, regions)."""
        return np.column_stack([sums(added) for added in self.contributions(features).values()])

    def columns(self, features: Features) -> np.ndarray:
        """The RadScores as z-scores, (n, regions)."""
        raw = self.raw(features)
        return np.column_stack([self.scales[region](raw[:, i]) for i, region in enumerate(self.radscores)])


def regions_of(features: pd.DataFrame) -> tuple[Region, ...]:
    """The regions that a feature table has columns of."""
    return tuple(
        region for region in REGIONS if any(str(column).startswith(f"{region}_") for column in features.columns)
    )


def _score(radscore: RadScore, features: pd.DataFrame) -> np.ndarray:
    return sums(radscore.named_contributions(features))


def sums(contributions: np.ndarray) -> np.ndarray:
    """RadScores (n,) from contributions (n, k), added up from the first to the last."""
    return np.cumsum(contributions, axis=1)[:, -1]
