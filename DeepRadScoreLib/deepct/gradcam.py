"""Grad-CAM (Selvaraju et al. 2017) of an endpoint's positive logit on the last convolutional activation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from DeepRadScoreLib.deepct.backbones import BACKBONES
from DeepRadScoreLib.deepct.network import DeepCT, last_activation
from DeepRadScoreLib.deepct.outputs import N_DEEP


def grad_cams(
    networks: Sequence[DeepCT],
    hu: np.ndarray,
    endpoints: Sequence[str],
    *,
    readouts: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """Heat maps of one patch (160, 160) in HU: endpoint -> float32 (160, 160) in 0..1.

    Each network's map is the rectified sum of its activation's channels, weighted by the mean gradient of the positive
    logit; the maps of several (fold) networks are averaged, enlarged bilinearly to the patch and divided by their
    maximum, unless that is 0. `readouts` (endpoint -> weights over the pooled features) replace the logit of networks
    that were not trained.
    """
    each = []
    for network in networks:
        with torch.inference_mode():
            activation = last_activation(network.eval(), hu[None])
        each.append(coarse_maps(network, activation, endpoints, readouts))
    return draw(each, hu.shape)


def draw(each: Sequence[Mapping[str, np.ndarray]], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Heat maps of a patch of that shape from the coarse maps of each network, see `grad_cams`."""
    return {key: _enlarged(np.mean([maps[key] for maps in each], axis=0), shape) for key in each[0]}


def cells(network: DeepCT) -> str:
    """Rows and columns of the network's map, such as "5 x 5"."""
    pixels = network.spec.pixels
    with torch.inference_mode():
        shape = network.trunk.activation(torch.zeros(1, 3, pixels, pixels, device=_device(network))).shape
    return f"{shape[2]} x {shape[3]}"


def coarse_maps(
    network: DeepCT, activation: Tensor, endpoints: Sequence[str], readouts: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Each endpoint's map before scaling, (rows, columns), from the last activation (1, channels, rows, columns).

    Where the pooled features are the channels' means, their gradient is the same in every cell and known from the
    weights of head or read-out alone: no backward pass is made. `readouts` are those of `grad_cams`.
    """
    if not BACKBONES[network.spec.backbone].mean_pooled:
        return coarse_maps_by_autograd(network, activation, endpoints, readouts)
    cells = activation[0, 0].numel()
    maps = {}
    with torch.inference_mode():
        for key in endpoints:
            weights = (_pooled_gradient(network, key, readouts) / cells)[None, :, None, None]
            maps[key] = torch.relu((weights * activation).sum(dim=1))[0].cpu().numpy()
    return maps


def coarse_maps_by_autograd(
    network: DeepCT, activation: Tensor, endpoints: Sequence[str], readouts: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """What `coarse_maps` gives, for any backbone, with gradients by automatic differentiation."""
    maps = {}
    with torch.enable_grad():
        activation = activation.clone().requires_grad_(True)
        pooled = network.trunk.pool(activation)
        for key in endpoints:
            (gradient,) = torch.autograd.grad(_target(network, pooled, key, readouts), activation, retain_graph=True)
            weights = gradient.mean(dim=(2, 3), keepdim=True)
            maps[key] = torch.relu((weights * activation.detach()).sum(dim=1))[0].cpu().numpy()
    return maps


def _pooled_gradient(network: DeepCT, endpoint: str, readouts: Mapping[str, np.ndarray] | None) -> Tensor:
    """Gradient of the positive logit, or of the read-out, with respect to the pooled features, (p,)."""
    head = _head(network, endpoint)
    if readouts is not None:
        return _readout(readouts, endpoint, head.deep.weight.device)
    return head.last.weight[1, :N_DEEP] @ head.deep.weight


def _target(network: DeepCT, pooled: Tensor, endpoint: str, readouts: Mapping[str, np.ndarray] | None) -> Tensor:
    """The scalar whose gradient is taken. The head is linear: its RadScores do not change the gradient and are 0."""
    if readouts is not None:
        return (pooled @ _readout(readouts, endpoint, pooled.device))[0]
    radscores = pooled.new_zeros(1, network.spec.n_radscores) if network.spec.n_radscores else None
    return _head(network, endpoint)(pooled, radscores)[1][0, 1]


def _head(network: DeepCT, endpoint: str) -> Any:
    return network.heads[network.spec.endpoints.index(endpoint)]


def _readout(readouts: Mapping[str, np.ndarray], endpoint: str, device: torch.device) -> Tensor:
    return torch.from_numpy(np.asarray(readouts[endpoint], dtype=np.float32)).to(device)


def _device(network: DeepCT) -> torch.device:
    return next(network.parameters()).device


def _enlarged(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    coarse = torch.from_numpy(values)[None, None]
    fine = nn.functional.interpolate(coarse, size=shape, mode="bilinear", align_corners=False)[0, 0].numpy()
    peak = float(fine.max())
    return (fine / peak if peak > 0 else fine).astype(np.float32)
