"""Settings of a study: how networks, training parts and an evaluation are made."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.fusion.classifiers import Search
from DeepRadScoreLib.models import NetworkForm, Preprocessing, Protocol, Split


@dataclass(frozen=True)
class NetworkPlan:
    """How Deep-CT is trained (method: Deep-CT)."""

    form: NetworkForm = NetworkForm.SHARED
    backbone: str = "densenet121"
    weights: str = "imagenet"
    weights_sha256: str | None = None
    pixels: int = 160
    epochs: int = 60
    batch: int = 16
    device: str = "auto"


@dataclass(frozen=True)
class TrainingPlan:
    """All settings of a training run; two runs with the same plan and data give the same bundle."""

    protocol: Protocol = Protocol.STRICT
    preprocessing: Preprocessing = Preprocessing.CANONICAL
    shell_mm: float = 3.0
    network: NetworkPlan = field(default_factory=NetworkPlan)
    folds: int = 5
    repeats: int = 10
    search: Search = "coarse"
    held_out_share: float = 0.2
    seed: int = 0

    def check(self) -> None:
        """Refuse settings that cannot work, before anything is computed.

        Raises
        ------
        InputError: an unknown backbone, weights that are not there, a device that is not there, frozen in `paper`.
        """
        from DeepRadScoreLib.deepct.backbones import build_trunk
        from DeepRadScoreLib.deepct.device import device_of

        if self.protocol == Protocol.PAPER and self.network.form == NetworkForm.FROZEN:
            raise InputError(
                "the paper protocol trains its network",
                where="--network frozen",
                mend="choose --protocol strict, or --network shared or per-endpoint",
            )
        device_of(self.network.device)
        build_trunk(self.network.backbone, self.network.weights, sha256=self.network.weights_sha256)

    def plain(self) -> dict:
        """The plan as plain values, without paths and without the device: what decides the result."""
        weights = self.network.weights
        named = weights if weights in ("none", "imagenet") else Path(weights).name
        return asdict(replace(self, network=replace(self.network, weights=named, device="")))


@dataclass(frozen=True)
class EvaluationPlan:
    """What an evaluation does; `training` holds all settings of the training parts (its protocol is not looked at).

    `split`: `cv` (folds, stratified, grouped by patient), `column` (the table's own `split`), `site` (each left out).
    The paper protocol has one held-out part: the column's, else 30 % of the patients.
    """

    protocols: tuple[Protocol, ...] = (Protocol.STRICT,)
    training: TrainingPlan = field(default_factory=TrainingPlan)
    split: Split = Split.CV
    folds: int = 5
