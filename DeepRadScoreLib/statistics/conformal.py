"""Label sets of a level by class-conditional conformal prediction, from out-of-fold probabilities.

A label stays in a case's set if its nonconformity, one minus the label's probability, is at most a threshold of the
label's class: of n calibration patients of that class the ceil((n + 1) level)-th smallest nonconformity (Vovk 2012,
"Conditional validity of inductive conformal predictors", Machine Learning 92, 349). A new patient of the class then
keeps its own label with a probability of at least `level`, at most 1 / (n + 1) more. Where n is too small for that rank
(below 9 at .90) the label always stays.

The unit is the patient: each of a patient's m cases of a class counts 1 / m (Lee, Barber and Willett 2023,
"Distribution-free inference with hierarchical data"), so that a random case of a new patient is covered.

An out-of-fold score is that of one fold's model, a new case's the mean over the folds, which scatters less: compared as
they are, sets hold their label more often than they say, and both labels too often. Cross-conformal prediction, which
compares fold by fold and averages the ranks, makes them wider still (measured); `as_means_of_folds` gives the
out-of-fold scores the scatter of the mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

ROUNDING = 1e-9


@dataclass(frozen=True)
class LabelThresholds:
    """Thresholds of nonconformity for the positive and the negative label; None: the label always stays."""

    level: float
    positive: float | None
    negative: float | None

    @classmethod
    def of(cls, probabilities: np.ndarray, labels: np.ndarray, patients: np.ndarray, level: float) -> LabelThresholds:
        """From out-of-fold probabilities of the positive label (n,), labels 0 or 1 (n,) and patients (n,)."""
        positive = labels == 1
        return cls(
            level,
            rank_threshold(_of_positive(probabilities[positive]), patients[positive], level),
            rank_threshold(_of_negative(probabilities[~positive]), patients[~positive], level),
        )

    def keeps(self, probabilities: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Whether the positive, and whether the negative label stays, bool of the shape of `probabilities`."""
        given = np.asarray(probabilities, dtype=float)
        return _at_most(_of_positive(given), self.positive), _at_most(_of_negative(given), self.negative)


def rank_threshold(scores: np.ndarray, patients: np.ndarray, level: float) -> float | None:
    """The ceil((n + 1) level)-th smallest score (n,) of n patients, None where there is none.

    With several cases of a patient the smallest score up to which the patients' shares add up to (n + 1) level.
    """
    _, of_case, counts = np.unique(patients, return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(1.0 / counts[of_case][order]) >= (len(counts) + 1) * level - ROUNDING
    return float(scores[order][reached.argmax()]) if reached.any() else None


def as_means_of_folds(
    probabilities: np.ndarray, labels: np.ndarray, patients: np.ndarray, between_folds: float
) -> np.ndarray:
    """Out-of-fold probabilities (n,) with the scatter within each class that means over the folds would have.

    The log-odds by a fold taken at random vary as those of the mean over the folds and, on average over the cases,
    between the folds (law of total variance): Var(mean) = Var(fold) - `between_folds`. Each class is drawn towards the
    mean of its log-odds until it varies so, a patient's m cases weighing 1 / m each; the order within it stays. A class
    that varies no more than the folds do stays as it is.

    Parameters
    ----------
    probabilities, labels, patients: out-of-fold probability of the positive label, label (0 or 1) and patient, (n,).
    between_folds: variance (by n) of an unseen case's log-odds over the folds, mean over such cases.
    """
    drawn = np.array(probabilities, dtype=float)
    log_odds = logit(np.clip(drawn, ROUNDING, 1 - ROUNDING))
    _, of_case, counts = np.unique(patients, return_inverse=True, return_counts=True)
    shares = 1.0 / counts[of_case]
    for label in (0, 1):
        rows = labels == label
        mean = np.average(log_odds[rows], weights=shares[rows])
        variance = np.average((log_odds[rows] - mean) ** 2, weights=shares[rows])
        if variance > between_folds > 0:
            drawn[rows] = expit(mean + np.sqrt(1 - between_folds / variance) * (log_odds[rows] - mean))
    return drawn


def attainable_coverage(n: int, level: float) -> float:
    """The exact coverage of the rule with n patients of a class whose scores have no ties."""
    rank = int(np.ceil((n + 1) * level - ROUNDING))
    return 1.0 if rank > n else rank / (n + 1)


def _of_positive(probabilities: np.ndarray) -> np.ndarray:
    return 1.0 - probabilities


def _of_negative(probabilities: np.ndarray) -> np.ndarray:
    return probabilities


def _at_most(scores: np.ndarray, threshold: float | None) -> np.ndarray:
    return np.ones(scores.shape, dtype=bool) if threshold is None else scores <= threshold
