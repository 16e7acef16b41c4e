"""Settings of networks, of a training and of an evaluation."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, replace
from numbers import Integral
from pathlib import Path

from DeepRadScoreLib.computing.case_record import CaseSettings
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.fusion.classifiers import Search
from DeepRadScoreLib.models import NetworkForm, Protocol, Split, chosen
from DeepRadScoreLib.paths import AnyPath


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
    """All settings of a training run; two runs with the same plan and data give the same bundle.

    `stable_features`: features that change with a jittered mask are not selected, as with a cohort's own second masks.
    """

    protocol: Protocol = Protocol.STRICT
    cases: CaseSettings = field(default_factory=CaseSettings)
    network: NetworkPlan = field(default_factory=NetworkPlan)
    folds: int = 5
    repeats: int = 10
    search: Search = "coarse"
    held_out_share: float = 0.2
    stable_features: bool = False
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
        settings = asdict(replace(self, network=replace(self.network, weights=named, device="")))
        return {"protocol": settings.pop("protocol"), **settings.pop("cases"), **settings}


@dataclass(frozen=True)
class EvaluationPlan:
    """Settings of an evaluation; `training` holds the settings of each training set (its protocol is ignored).

    `split`: `cv` (folds, stratified, grouped by patient), `column` (the table's `split`), `site` (each left out).
    The paper protocol has one test set: the column's, else 30 % of the patients.
    """

    protocols: tuple[Protocol, ...] = (Protocol.STRICT,)
    training: TrainingPlan = field(default_factory=TrainingPlan)
    split: Split = Split.CV
    folds: int = 5


def network_plan(
    form: NetworkForm | str,
    backbone: str,
    weights: AnyPath,
    weights_sha256: str | None,
    pixels: int,
    epochs: int,
    device: str,
) -> NetworkPlan:
    """The plan of a caller who names its settings, checked.

    Raises
    ------
    TypeError: epochs that are no whole number.
    InputError: a form that is not known, or too few epochs.
    """
    _check_whole(epochs=(epochs, 1))
    form = chosen(NetworkForm, form, "network")
    return NetworkPlan(form, backbone, os.fspath(weights), weights_sha256, pixels, epochs, device=device)


def training_plan(cases: CaseSettings, network: NetworkPlan, folds: int, repeats: int, seed: int) -> TrainingPlan:
    """The plan, of the strict protocol, of a caller who names its settings, checked.

    Raises
    ------
    TypeError: a number that is not whole.
    InputError: a number that is too small.
    """
    _check_whole(folds=(folds, 2), repeats=(repeats, 1), seed=(seed, 0))
    return TrainingPlan(cases=cases, network=network, folds=folds, repeats=repeats, seed=seed)


def _check_whole(**given: tuple[int, int]) -> None:
    """Refuse numbers that are not whole or smaller than allowed: name -> number, least."""
    for name, (number, least) in given.items():
        if not isinstance(number, Integral):
            raise TypeError(f"{name}: a whole number is needed, not {type(number).__name__}")
        if number < least:
            raise InputError(f"{number} is too small", where=name, mend=f"give a number from {least} on")
