"""The columns of the fused model: two RadScores and the networks' outputs, each standardised; as JSON and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from DeepRadScoreLib.deepct.outputs import N_DEEP, NetworkOutputs
from DeepRadScoreLib.radscore.names import REGIONS, Region, region_columns
from DeepRadScoreLib.radscore.radscore import RadScore
from DeepRadScoreLib.radscore.rows import FeatureRows, Features, positions

DeepKind = Literal["logit", "units", "pca"]
DEEP_ARRAYS = ("centre", "axes", "readout")


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


@dataclass(frozen=True)
class DeepColumns:
    """How one endpoint's columns are made of the networks' outputs.

    `logit`: one column, the z-scored logits of the networks averaged (`scales`, one per network).
    `units`: the 10 deep features of the only network.
    `pca`: 10 principal components (`axes`, 10 x p, about `centre`, p) of the only network's pooled features; `readout`
    (p,) are the weights of a logistic read-out, used as the missing logit in Grad-CAM.
    """

    kind: DeepKind
    scales: tuple[Scale, ...] = ()
    centre: np.ndarray | None = None
    axes: np.ndarray | None = None
    readout: np.ndarray | None = None

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> DeepColumns:
        """The deep columns that `to_dict` gave."""
        arrays = {name: None if stored[name] is None else np.array(stored[name]) for name in DEEP_ARRAYS}
        return cls(stored["kind"], tuple(Scale(**scale) for scale in stored["scales"]), **arrays)

    def to_dict(self) -> dict[str, Any]:
        """The deep columns as values that JSON has."""
        arrays = {name: getattr(self, name) for name in DEEP_ARRAYS}
        return {
            "kind": self.kind,
            "scales": [asdict(scale) for scale in self.scales],
            **{name: None if array is None else array.tolist() for name, array in arrays.items()},
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names: "deep_ct", or "deep_1" to "deep_10"."""
        return ("deep_ct",) if self.kind == "logit" else tuple(f"deep_{i}" for i in range(1, N_DEEP + 1))

    def columns(self, outputs: Sequence[NetworkOutputs], key: str) -> np.ndarray:
        """(n, 1) or (n, 10), the mean over the networks."""
        return self.members(outputs, key).mean(axis=0)

    def members(self, outputs: Sequence[NetworkOutputs], key: str) -> np.ndarray:
        """(networks, n, 1), or (1, n, 10) from the only network."""
        return np.stack([self.of_network(outputs, key, i) for i in range(max(len(self.scales), 1))])

    def of_network(self, outputs: Sequence[NetworkOutputs], key: str, network: int) -> np.ndarray:
        """(n, 1) or (n, 10) from one network alone."""
        if self.kind == "logit":
            return self.scales[network](outputs[network].logit[key])[:, None]
        if self.kind == "units":
            return np.asarray(outputs[0].deep[key], dtype=float)
        if self.centre is None or self.axes is None:
            raise ValueError("principal components need their centre and axes")
        return (np.asarray(outputs[0].pooled, dtype=float) - self.centre) @ self.axes.T
