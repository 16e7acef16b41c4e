"""The limits of the training data: learned from training cases, carried by a bundle, applied to any case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from DeepRadScoreLib.likeness.evidence import Evidence
from DeepRadScoreLib.likeness.parts import Fold, Part, PartLimits, fit_part, vectors_of
from DeepRadScoreLib.likeness.ranges import Ranges
from DeepRadScoreLib.likeness.scans import Scans
from DeepRadScoreLib.likeness.thresholds import Thresholds

FENCE = 3.0
"""A fused model's column farther from its median than this many times its 99 % range (to that side) is beyond it."""
MIN_CASES = 10


@dataclass(frozen=True)
class Judged:
    """Comparison of n cases with the training cases.

    Attributes
    ----------
    parts: part -> (n,) its scores; the highest of them is `scores`.
    percentiles: (n,) percent of the training cases that lie nearer.
    far, beyond: bool (n,), above the limit from which a warning stands beside the findings, or none is given.
    endpoints: endpoint -> bool (n,), a column of its model lies beyond its fence.
    """

    parts: dict[Part, np.ndarray]
    scores: np.ndarray
    percentiles: np.ndarray
    far: np.ndarray
    beyond: np.ndarray
    endpoints: dict[str, np.ndarray]

    def unlike(self, key: str) -> np.ndarray:
        """Which cases may get no finding of an endpoint, bool (n,)."""
        return self.beyond | self.endpoints.get(key, np.zeros_like(self.beyond))

    def warned(self) -> np.ndarray:
        """Which cases get a warning or lack a finding, bool (n,)."""
        return np.any([self.far, self.beyond, *self.endpoints.values()], axis=0)


@dataclass(frozen=True)
class TrainingLimits:
    """The limits of a bundle's training data.

    Attributes
    ----------
    parts: distances of the kinds of evidence that were known in training.
    thresholds: limits of the highest of their scores.
    features, measures: ranges of each feature, and of each measure (None: not known).
    columns: endpoint -> ranges of the columns of its fused model.
    scans: what the headers of the training CTs told (None: not known).
    """

    parts: dict[Part, PartLimits]
    thresholds: Thresholds
    features: Ranges
    measures: Ranges | None
    columns: dict[str, Ranges]
    scans: Scans | None

    @classmethod
    def fit(cls, training: Evidence, folds: Sequence[Fold]) -> TrainingLimits | None:
        """Learn them from training cases; None with fewer than `MIN_CASES`.

        Parameters
        ----------
        folds: (train, left out) positions, whole patients; with several networks those that these were trained with.
        """
        if len(training.features) < MIN_CASES:
            return None
        fitted = {part: fit_part(part, training, folds) for part in Part}
        known = {part: found for part, found in fitted.items() if found is not None}
        return cls(
            {part: found.limits for part, found in known.items()},
            Thresholds.of(np.max([found.left_out for found in known.values()], axis=0)),
            Ranges.of(training.features),
            None if training.measures is None else Ranges.of(training.measures),
            {key: Ranges.of(columns) for key, columns in training.columns.items()},
            Scans.of(training.acquisitions) if training.acquisitions else None,
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """What was not known in training and therefore limits nothing."""
        deep = ("deep_ct", "deep_1")
        named = {
            "image": Part.IMAGE in self.parts,
            "network": Part.NETWORK in self.parts,
            "deep_columns": all(any(name in ranges.names for name in deep) for ranges in self.columns.values()),
            "acquisition": self.scans is not None,
        }
        return tuple(name for name, known in named.items() if not known)

    def judge(self, cases: Evidence) -> Judged:
        """Compare cases with the training cases, by the parts that are known of both."""
        parts = {}
        for part, limits in self.parts.items():
            vectors = vectors_of(part, cases)
            if vectors:
                parts[part] = limits.scores(vectors)
        scores = np.max(list(parts.values()), axis=0)
        return Judged(
            parts,
            scores,
            self.thresholds.percentile(scores),
            scores > self.thresholds.warn,
            scores > self.thresholds.beyond,
            {key: self._outside(key, columns) for key, columns in cases.columns.items()},
        )

    def _outside(self, key: str, columns: pd.DataFrame) -> np.ndarray:
        ranges = self.columns.get(key)
        if ranges is None:
            return np.zeros(len(columns), dtype=bool)
        ordered = columns if tuple(columns) == ranges.names else columns[list(ranges.names)]
        return np.any(ranges.excess(ordered.to_numpy(float)) > FENCE, axis=1)
