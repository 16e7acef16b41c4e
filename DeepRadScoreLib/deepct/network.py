"""Deep-CT: a trunk with two fully connected layers for each endpoint, its input, its outputs and its bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from DeepRadScoreLib.deepct.backbones import BACKBONES, Trunk, backbone_named
from DeepRadScoreLib.deepct.checked_weights import checked_weights
from DeepRadScoreLib.deepct.device import deterministic, device_of, map_in_threads
from DeepRadScoreLib.deepct.outputs import N_DEEP, NetworkOutputs, join_cases
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.carriers import PATCH_PIXELS

WINDOW_HU = (-1000.0, 400.0)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_SD = (0.229, 0.224, 0.225)
MAX_BATCHES_AT_ONCE = 4
"""Of patches through one network: bounds the memory on many cores."""


@dataclass(frozen=True)
class NetworkSpec:
    """Architecture of a network: backbone, endpoints with a head each, RadScores in the head (0 or 2), pixels.

    Raises
    ------
    InputError: a backbone that is not known, or fewer pixels than pass through it, or more than a patch has.
    """

    backbone: str
    endpoints: tuple[str, ...]
    n_radscores: int = 0
    pixels: int = PATCH_PIXELS

    def __post_init__(self) -> None:
        least = backbone_named(self.backbone).min_pixels
        if not least <= self.pixels <= PATCH_PIXELS:
            raise InputError(
                f"{self.backbone} cannot take {self.pixels} pixels",
                where="--pixels",
                mend=f"choose {least} to {PATCH_PIXELS}",
            )


class Head(nn.Module):
    """Pooled features -> 10 deep features -> 2 logits; no ReLU between; Xavier-initialised (method: Deep-CT)."""

    def __init__(self, pooled: int, n_radscores: int) -> None:
        super().__init__()
        self.deep = nn.Linear(pooled, N_DEEP)
        self.last = nn.Linear(N_DEEP + n_radscores, 2)
        for layer in (self.deep, self.last):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, pooled: Tensor, radscores: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Deep features (n, 10) and logits (n, 2); `radscores` (n, 2) are concatenated to the deep features."""
        deep = self.deep(pooled)
        return deep, self.last(deep if radscores is None else torch.cat([deep, radscores], dim=1))


class DeepCT(nn.Module):
    """One trunk, one head for each endpoint."""

    def __init__(self, spec: NetworkSpec, trunk: Trunk, seed: int = 0) -> None:
        super().__init__()
        self.spec = spec
        self.trunk = trunk
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.heads = nn.ModuleList(Head(BACKBONES[spec.backbone].pooled, spec.n_radscores) for _ in spec.endpoints)

    @property
    def pooled(self) -> int:
        """Number of pooled features."""
        return BACKBONES[self.spec.backbone].pooled

    def read(self, pooled: Tensor, radscores: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Deep features (n, endpoints, 10) and logits (n, endpoints, 2) of pooled features (n, p).

        `radscores`: (n, endpoints, 2), needed where the network was built with them.
        """
        each = [
            head(pooled, None if radscores is None else radscores[:, number]) for number, head in enumerate(self.heads)
        ]
        return torch.stack([deep for deep, _ in each], dim=1), torch.stack([logits for _, logits in each], dim=1)

    def forward(self, x: Tensor, radscores: Tensor | None = None) -> Tensor:
        """Logits (n, endpoints, 2) of input (n, 3, pixels, pixels)."""
        return self.read(self.trunk(x), radscores)[1]


def network_input(hu: np.ndarray, pixels: int = PATCH_PIXELS) -> Tensor:
    """Patches (n, 160, 160) in HU as input (n, 3, pixels, pixels): window, area mean, 3 channels, ImageNet scale."""
    low, high = WINDOW_HU
    x = torch.from_numpy(np.ascontiguousarray(hu, dtype=np.float32))
    x = ((x - low) / (high - low)).clamp(0.0, 1.0)[:, None]
    if x.shape[-1] != pixels:
        x = nn.functional.adaptive_avg_pool2d(x, pixels)
    mean, sd = (torch.tensor(values).view(1, 3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_SD))
    return (x.expand(-1, 3, -1, -1) - mean) / sd


def last_activation(network: DeepCT, hu: np.ndarray) -> Tensor:
    """The trunk's last activation, (n, channels, rows, columns), for patches (n, 160, 160) in HU."""
    device = next(network.parameters()).device
    return network.trunk.activation(network_input(hu, network.spec.pixels).to(device))


def outputs_of(network: DeepCT, activation: Tensor, radscores: Tensor | None = None) -> NetworkOutputs:
    """Outputs from the trunk's last activation; a joint network without `radscores` is read with both at 0."""
    endpoints = network.spec.endpoints
    if network.spec.n_radscores and radscores is None:
        radscores = activation.new_zeros(len(activation), len(endpoints), network.spec.n_radscores)
    pooled = network.trunk.pool(activation)
    units, pairs = network.read(pooled, radscores)
    logits = pairs[..., 1] - pairs[..., 0]
    return NetworkOutputs(
        pooled.cpu().numpy(),
        {key: units[:, number].cpu().numpy() for number, key in enumerate(endpoints)},
        {key: logits[:, number].cpu().numpy() for number, key in enumerate(endpoints)},
    )


def deep_outputs(
    network: DeepCT, hu: np.ndarray, *, radscores: np.ndarray | None = None, device: str = "cpu", batch: int = 32
) -> NetworkOutputs:
    """Outputs for patches (n, 160, 160) in HU, on the CPU the same on every number of cores.

    A joint network without `radscores` is read with both at 0.
    """
    torch_device = device_of(device)
    network = network.to(torch_device).eval()
    given = None if radscores is None or not network.spec.n_radscores else np.asarray(radscores, dtype=np.float32)

    def outputs(rows: slice) -> NetworkOutputs:
        scores = None if given is None else torch.from_numpy(given[rows]).to(torch_device)
        with torch.inference_mode():
            return outputs_of(network, last_activation(network, hu[rows]), scores)

    batches = [slice(start, start + batch) for start in range(0, max(len(hu), 1), batch)]
    if torch_device.type == "cpu":
        return join_cases(map_in_threads(outputs, batches, min(torch.get_num_threads(), MAX_BATCHES_AT_ONCE)))
    with deterministic(torch_device):
        return join_cases([outputs(rows) for rows in batches])


def network_to_bytes(network: DeepCT) -> bytes:
    """The weights as safetensors."""
    return save({key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()})


def network_from_bytes(data: bytes, spec: NetworkSpec) -> DeepCT:
    """A network of that spec with the weights that `network_to_bytes` gave; its outputs are equal to the last bit.

    Raises
    ------
    BundleError: see `checked_weights`.
    """
    with torch.device("meta"), _WithoutDraws():
        network = DeepCT(spec, Trunk(spec.backbone))
    network.load_state_dict(checked_weights(data, network.state_dict()), assign=True)
    return network.eval()


class _WithoutDraws(TorchFunctionMode):
    """Initial weights are not drawn: the first draw on the device "meta" imports torch's compiler, a second's work."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if func.__name__ in ("normal_", "uniform_") or getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else given["tensor"]
        return func(*args, **given)
