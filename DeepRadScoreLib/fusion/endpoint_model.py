"""One endpoint's model: RadScores, deep columns and fused model together, as JSON and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from DeepRadScoreLib.deepct.outputs import NetworkOutputs
from DeepRadScoreLib.fusion.columns import DeepColumns
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.radscore.radscore import RegionScores
from DeepRadScoreLib.radscore.rows import Features


@dataclass(frozen=True)
class EndpointModel:
    """One endpoint's model: from a case's features and networks' outputs to a probability.

    Attributes
    ----------
    regions: the RadScores shown: the mean of the folds', or, without folds, those fitted on all training cases.
    fold_regions: the RadScores of each fold; empty where the protocol has none.
    background: (m, d) training rows of the fused columns, for SHAP.
    averaged: the score is the mean over the folds' columns. False in a bundle of schema 1: there `regions` were
        refitted on all training patients, and the score is that of their columns.
    """

    key: str
    regions: RegionScores
    fold_regions: tuple[RegionScores, ...]
    deep: DeepColumns
    fusion: FusionModel
    background: np.ndarray
    averaged: bool = True

    @classmethod
    def from_dict(cls, key: str, stored: dict[str, Any], fusion: FusionModel) -> EndpointModel:
        """The endpoint's model from the values of `to_dict` and its fused model."""
        return cls(
            key,
            regions=RegionScores.from_dict(stored["regions"]),
            fold_regions=tuple(RegionScores.from_dict(regions) for regions in stored["fold_regions"]),
            deep=DeepColumns.from_dict(stored["deep"]),
            fusion=fusion,
            background=np.array(stored["background"]),
            averaged=stored.get("averaged", False),
        )

    def to_dict(self) -> dict[str, Any]:
        """All but the fused model, as values that JSON has."""
        return {
            "endpoint": self.key,
            "regions": self.regions.to_dict(),
            "fold_regions": [regions.to_dict() for regions in self.fold_regions],
            "deep": self.deep.to_dict(),
            "background": self.background.tolist(),
            "averaged": self.averaged,
        }

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fused model's columns."""
        return (*self.deep.names, *self.regions.names)

    def columns(self, features: Features, outputs: Sequence[NetworkOutputs]) -> np.ndarray:
        """The fused model's columns whose mean score is the case's, (members, n, 3) or (members, n, 12)."""
        if self.averaged and self.fold_regions:
            return self.fold_columns(features, outputs)
        return np.hstack([self.deep.columns(outputs, self.key), self.regions.columns(features)])[None]

    def fold_columns(self, features: Features, outputs: Sequence[NetworkOutputs]) -> np.ndarray:
        """The fused model's columns by each fold's RadScores and network, (folds, n, 3) or (folds, n, 12)."""
        return np.stack(
            [
                np.hstack([self.deep.of_network(outputs, self.key, fold), regions.columns(features)])
                for fold, regions in enumerate(self.fold_regions)
            ]
        )

    def log_odds(self, columns: np.ndarray) -> np.ndarray:
        """Calibrated log-odds of the positive class, (n,), from `columns` (members, n, d)."""
        return self.fusion.log_odds(self.fusion.member_scores(columns).mean(axis=0))

    def fold_log_odds(
        self, features: Features, outputs: Sequence[NetworkOutputs], scores: np.ndarray | None = None
    ) -> np.ndarray:
        """Calibrated log-odds by each fold's RadScores and network, (folds, n).

        `scores`: raw scores of what `columns` gave for the same cases, so that they are not computed twice.
        """
        if not self.fold_regions:
            return np.empty((0, len(features)))
        if not self.averaged or scores is None:
            scores = self.fusion.member_scores(self.fold_columns(features, outputs))
        return self.fusion.log_odds(scores)
