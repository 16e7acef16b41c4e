"""The columns that the fused model gets: two RadScores and what the network says, each on a scale of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from DeepRadScoreLib.radscore.names import REGIONS, Region
from DeepRadScoreLib.radscore.radscore import RadScore

REGION_COLUMNS: tuple[str, ...] = tuple(f"radscore_{region}" for region in REGIONS)
DeepKind = Literal["logit", "units", "pca"]
N_DEEP = 10


class NetworkOutputs(Protocol):
    """What a network gives for n patches: pooled features (n, p), and per endpoint 10 deep features and a logit."""

    @property
    def pooled(self) -> np.ndarray: ...

    @property
    def deep(self) -> dict[str, np.ndarray]: ...

    @property
    def logit(self) -> dict[str, np.ndarray]: ...


@dataclass(frozen=True)
class MergedOutputs:
    """The outputs of all networks of one fold, joined over the endpoints."""

    pooled: np.ndarray
    deep: dict[str, np.ndarray]
    logit: dict[str, np.ndarray]


def merge_outputs(each: Sequence[NetworkOutputs]) -> MergedOutputs:
    """Join the outputs of networks that stand for different endpoints; pooled features are the first one's."""
    deep = {key: values for outputs in each for key, values in outputs.deep.items()}
    logit = {key: values for outputs in each for key, values in outputs.logit.items()}
    return MergedOutputs(each[0].pooled, deep, logit)


@dataclass(frozen=True)
class Scale:
    """A z-score: the mean and standard deviation of a training part."""

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
    """One endpoint's RadScore of each region that the feature table has, with the scale of the part it was fitted on.

    A region's columns are those that begin with its name; the regions keep the order of `REGIONS`.
    """

    radscores: dict[Region, RadScore]
    scales: dict[Region, Scale]

    @classmethod
    def fit(cls, features: pd.DataFrame, labels: np.ndarray, patients: np.ndarray, **settings: Any) -> RegionScores:
        """Fit on a feature table (n x p), labels (n,) and patients (n,); `settings` go to `RadScore`.

        `repeatable` among them is bool (p,), a RadScore gets its own region's part of it.
        """
        radscores = {}
        repeatable = settings.pop("repeatable", None)
        for region in regions_of(features):
            own = np.array([column.startswith(f"{region}_") for column in features.columns])
            stable = None if repeatable is None else repeatable[own]
            radscores[region] = RadScore(repeatable=stable, **settings).fit(features.loc[:, own], labels, patients)
        return cls(radscores, {region: Scale.of(_score(radscores[region], features)) for region in radscores})

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, such as "radscore_tumour"."""
        return tuple(f"radscore_{region}" for region in self.radscores)

    def raw(self, features: pd.DataFrame) -> np.ndarray:
        """The RadScores themselves, (n, regions)."""
        return np.column_stack([_score(radscore, features) for radscore in self.radscores.values()])

    def columns(self, features: pd.DataFrame) -> np.ndarray:
        """The RadScores on the scale of their training part, (n, regions)."""
        raw = self.raw(features)
        return np.column_stack([self.scales[region](raw[:, i]) for i, region in enumerate(self.radscores)])


def regions_of(features: pd.DataFrame) -> tuple[Region, ...]:
    """The regions that a feature table has columns of."""
    return tuple(
        region for region in REGIONS if any(str(column).startswith(f"{region}_") for column in features.columns)
    )


def _score(radscore: RadScore, features: pd.DataFrame) -> np.ndarray:
    return radscore.transform(features[list(radscore.feature_names_in_)])[:, 0]


@dataclass(frozen=True)
class DeepColumns:
    """How one endpoint reads the networks' outputs.

    `logit`: one column, the z-scored logits of the networks averaged (`scales`, one per network).
    `units`: the 10 deep features of the only network.
    `pca`: 10 principal components (`axes`, 10 x p, about `centre`, p) of the only network's pooled features; `readout`
    (p,) are the weights of a logistic read-out, which stands for the missing logit in Grad-CAM.
    """

    kind: DeepKind
    scales: tuple[Scale, ...] = ()
    centre: np.ndarray | None = None
    axes: np.ndarray | None = None
    readout: np.ndarray | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return ("deep_ct",) if self.kind == "logit" else tuple(f"deep_{i}" for i in range(1, N_DEEP + 1))

    def columns(self, outputs: Sequence[NetworkOutputs], key: str) -> np.ndarray:
        """(n, 1) or (n, 10) from the outputs of every network."""
        if self.kind == "logit":
            return np.mean([self.of_network(outputs, key, i) for i in range(len(self.scales))], axis=0)
        return self.of_network(outputs, key, 0)

    def of_network(self, outputs: Sequence[NetworkOutputs], key: str, network: int) -> np.ndarray:
        """The same from one network alone."""
        if self.kind == "logit":
            return self.scales[network](outputs[network].logit[key])[:, None]
        if self.kind == "units":
            return np.asarray(outputs[0].deep[key], dtype=float)
        if self.centre is None or self.axes is None:
            raise ValueError("principal components need their centre and axes")
        return (np.asarray(outputs[0].pooled, dtype=float) - self.centre) @ self.axes.T
