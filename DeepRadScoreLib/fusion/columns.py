"""The columns of the fused model that the networks' outputs give, standardised; as JSON and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from DeepRadScoreLib.deepct.outputs import N_DEEP, NetworkOutputs
from DeepRadScoreLib.radscore.radscore import Scale

DeepKind = Literal["logit", "units", "pca"]
DEEP_ARRAYS = ("centre", "axes", "readout")


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
