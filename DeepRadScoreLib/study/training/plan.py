"""The settings of a training run, as a caller names them, checked."""

from __future__ import annotations

import os
from numbers import Integral

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.models import NetworkForm, Preprocessing, Protocol, chosen
from DeepRadScoreLib.paths import AnyPath
from DeepRadScoreLib.study.plans import NetworkPlan, TrainingPlan


def training_plan(
    protocol: Protocol | str,
    preprocessing: Preprocessing | str,
    network: NetworkForm | str,
    backbone: str,
    weights: AnyPath,
    weights_sha256: str | None,
    epochs: int,
    pixels: int,
    folds: int,
    repeats: int,
    seed: int,
    device: str,
) -> TrainingPlan:
    """The plan of a caller who names its settings.

    Raises
    ------
    TypeError: a number that is not whole.
    InputError: a name that is not known, or a number that is too small.
    """
    _check_whole(folds=(folds, 2), repeats=(repeats, 1), seed=(seed, 0), epochs=(epochs, 1))
    form = chosen(NetworkForm, network, "network")
    return TrainingPlan(
        protocol=chosen(Protocol, protocol, "protocol"),
        preprocessing=chosen(Preprocessing, preprocessing, "preprocessing"),
        network=NetworkPlan(form, backbone, os.fspath(weights), weights_sha256, pixels, epochs, device=device),
        folds=folds,
        repeats=repeats,
        seed=seed,
    )


def _check_whole(**given: tuple[int, int]) -> None:
    """Refuse numbers that are not whole or smaller than allowed: name -> number, least."""
    for name, (number, least) in given.items():
        if not isinstance(number, Integral):
            raise TypeError(f"{name}: a whole number is needed, not {type(number).__name__}")
        if number < least:
            raise InputError(f"{number} is too small", where=name, mend=f"give a number from {least} on")
