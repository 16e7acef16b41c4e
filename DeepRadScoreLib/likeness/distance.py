"""A robust distance of vectors from those of the training cases, of which no row is stored."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.utils.validation import check_is_fitted

MAD_TO_SD = 1.4826
ARRAYS = ("centre_", "scale_", "mean_", "sd_", "axes_", "variances_", "rest_")


class ShrunkDistance(BaseEstimator):
    """Squared Mahalanobis distance by a shrunk covariance of tamed columns.

    Each column is tamed, t = asinh((x - median) / (1.4826 MAD)), which leaves its middle as it is and its tails their
    logarithm, and z-scored. The covariance is that of Ledoit and Wolf (J Multivariate Anal 88:365, 2004); beyond the
    first `components` principal axes its variances are replaced by their mean. The distance therefore is, as in the
    monitoring of processes, Hotelling's T2 along these axes plus the residual (Q, squared prediction error) over its
    variance, and grows in directions in which training cases hardly vary.

    Parameters
    ----------
    components: at most so many principal axes.
    tame: False: columns are only z-scored.
    min_sd: (p,) least standard deviation of a column after taming; None: a constant column is not looked at.

    Attributes
    ----------
    centre_, scale_, mean_, sd_: (p,) of taming and z-scores.
    axes_, variances_, rest_: (k, p) axes, (k,) their shrunk variances, () the variance of the rest.
    """

    def __init__(self, components: int = 50, tame: bool = True, min_sd: np.ndarray | None = None) -> None:
        self.components = components
        self.tame = tame
        self.min_sd = min_sd

    def fit(self, X: np.ndarray, y: object = None) -> ShrunkDistance:
        """Fit on training vectors (n, p)."""
        X = np.asarray(X, dtype=float)
        self.centre_ = np.median(X, axis=0)
        deviation = MAD_TO_SD * np.median(np.abs(X - self.centre_), axis=0)
        self.scale_ = _first_positive(deviation, X.std(axis=0), np.ones(X.shape[1]))
        tamed = self._tamed(X)
        self.mean_ = tamed.mean(axis=0)
        sd = tamed.std(axis=0)
        self.sd_ = np.where(sd > 1e-9, sd, np.inf) if self.min_sd is None else np.maximum(sd, self.min_sd)
        self._fit_covariance((tamed - self.mean_) / self.sd_)
        return self

    def _fit_covariance(self, z: np.ndarray) -> None:
        n, p = z.shape
        shrinkage = float(ledoit_wolf_shrinkage(z, assume_centered=True))
        _, singular, axes = np.linalg.svd(z, full_matrices=False)
        variance = singular**2 / n
        total = variance.sum()
        ridge = shrinkage * total / p
        k = min(self.components, p, len(variance))
        self.axes_ = axes[:k]
        self.variances_ = np.maximum((1 - shrinkage) * variance[:k] + ridge, np.finfo(float).tiny)
        left = ((1 - shrinkage) * (total - variance[:k].sum()) + ridge * (p - k)) / max(p - k, 1)
        self.rest_ = np.array(max(left, ridge, np.finfo(float).tiny))

    def z_scores(self, X: np.ndarray) -> np.ndarray:
        """Tamed columns as z-scores, (n, p)."""
        check_is_fitted(self)
        return (self._tamed(np.asarray(X, dtype=float)) - self.mean_) / self.sd_

    def squared(self, X: np.ndarray) -> np.ndarray:
        """Squared distances, (n,)."""
        return (self.contributions(X)).sum(axis=1)

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """Part of the squared distance that each column has, (n, p): z times the precision matrix's product with z."""
        z = self.z_scores(X)
        along = z @ self.axes_.T
        weighted = z / self.rest_ + (along * (1 / self.variances_ - 1 / self.rest_)) @ self.axes_
        return z * weighted

    def _tamed(self, X: np.ndarray) -> np.ndarray:
        return np.arcsinh((X - self.centre_) / self.scale_) if self.tame else X - self.centre_

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The fitted state in float32 (float64 for taming), without the trailing underscores."""
        check_is_fitted(self)
        return {
            name.rstrip("_"): np.asarray(getattr(self, name), dtype=np.float32 if name == "axes_" else np.float64)
            for name in ARRAYS
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], *, tame: bool = True) -> ShrunkDistance:
        """The distance that `to_arrays` gave."""
        made = cls(len(arrays["variances"]), tame)
        for name in ARRAYS:
            setattr(made, name, np.asarray(arrays[name.rstrip("_")], dtype=float))
        return made


def _first_positive(*choices: np.ndarray) -> np.ndarray:
    """Elementwise the first of the choices that is above 0."""
    found = choices[-1]
    for choice in choices[-2::-1]:
        found = np.where(choice > 0, choice, found)
    return found
