"""The networks of all folds applied to patches: one forward pass of each gives its outputs and its heat maps."""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from DeepRadScoreLib.deepct.device import map_in_threads
from DeepRadScoreLib.deepct.gradcam import coarse_maps
from DeepRadScoreLib.deepct.network import DeepCT, last_activation, outputs_of
from DeepRadScoreLib.deepct.outputs import NetworkOutputs, join_cases, merge_outputs
from DeepRadScoreLib.endpoints import BY_KEY

CPU = torch.device("cpu")


@dataclass(frozen=True)
class MemberOutputs:
    """What the networks of each fold give.

    Attributes
    ----------
    outputs: of each fold, for n patches.
    maps: of each fold: endpoint -> heat map of the first patch before scaling, see `gradcam.coarse_maps`.
    """

    outputs: list[NetworkOutputs]
    maps: list[dict[str, np.ndarray]]


@dataclass(frozen=True)
class _Pass:
    outputs: NetworkOutputs
    maps: dict[str, np.ndarray]


def member_steps(
    members: Sequence[Mapping[str, DeepCT]],
    patches: np.ndarray,
    mapped: Collection[str] = (),
    readouts: Mapping[str, np.ndarray] | None = None,
) -> Generator[str, None, MemberOutputs]:
    """Apply the networks of each fold to patches (n, 160, 160) in HU, case by case on the CPU.

    As many networks run at a time as torch may use threads, each in one thread: sums are in the same order on every
    number of cores, so that outputs and maps are the same to the bit. The threads end with their step. No layer needs
    torch's deterministic algorithms on the CPU, and to ask for them imports torch's compiler, a second's work.

    Parameters
    ----------
    members: one dictionary per fold: "shared" or an endpoint key -> network.
    mapped: endpoints of which heat maps of the first patch are made.
    readouts: see `gradcam.grad_cams`.
    """
    networks = [(fold, name, network) for fold, member in enumerate(members) for name, network in member.items()]
    at_once = max(torch.get_num_threads(), 1)
    passes: list[_Pass] = []
    for start in range(0, len(networks), at_once):
        group = networks[start : start + at_once]
        yield _label(group, len(members))
        run = partial(_run, patches=patches, mapped=mapped, readouts=readouts)
        passes += map_in_threads(run, [network for *_, network in group], at_once)
    of_fold: list[list[_Pass]] = [[] for _ in members]
    for (fold, *_), found in zip(networks, passes, strict=True):
        of_fold[fold].append(found)
    return MemberOutputs(
        [merge_outputs([found.outputs for found in fold]) for fold in of_fold],
        [{key: values for found in fold for key, values in found.maps.items()} for fold in of_fold],
    )


def _run(
    network: DeepCT, patches: np.ndarray, mapped: Collection[str], readouts: Mapping[str, np.ndarray] | None
) -> _Pass:
    network = network.to(CPU).eval()
    with torch.inference_mode():
        activations = [last_activation(network, patch[None]) for patch in patches]
        outputs = join_cases([outputs_of(network, activation) for activation in activations])
    keys = [key for key in network.spec.endpoints if key in mapped]
    return _Pass(outputs, coarse_maps(network, activations[0], keys, readouts) if keys else {})


def _label(group: Sequence[tuple[int, str, DeepCT]], folds: int) -> str:
    (first, name, _), (last, *_) = group[0], group[-1]
    whose = f" for {BY_KEY[name].name}" if name in BY_KEY and len(group) == 1 else ""
    numbers = f"network {first + 1}" if first == last else f"networks {first + 1} to {last + 1}"
    return f"deep features and heat maps{whose}, {numbers} of {folds}"
