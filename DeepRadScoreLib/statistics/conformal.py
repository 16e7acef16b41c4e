"""Label sets of a level by class-conditional conformal prediction, from out-of-fold probabilities.

A label stays in a case's set if its nonconformity, one minus the label's probability, is at most a threshold of the
label's class: of n calibration patients of that class the ceil((n + 1) level)-th smallest nonconformity (Vovk 2012,
"Conditional validity of inductive conformal predictors", Machine Learning 92, 349). A new patient of the class then
keeps its own label with a probability of at least `level`, at most 1 / (n + 1) more. Where n is too small for that rank
(below 9 at .90) the label always stays.

The unit is the patient: each of a patient's m cases of a class counts 1 / m (Lee, Barber and Willett 2023,
"Distribution-free inference with hierarchical data"), so that a random case of a new patient is covered.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
