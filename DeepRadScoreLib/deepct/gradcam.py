"""Grad-CAM (Selvaraju et al. 2017) of an endpoint's positive logit on the last convolutional activation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from DeepRadScoreLib.deepct.network import DeepCT, network_input


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
    return draw([coarse_maps(network, hu, endpoints, readouts) for network in networks], hu.shape)


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
    network: DeepCT, hu: np.ndarray, endpoints: Sequence[str], readouts: Mapping[str, np.ndarray] | None
) -> dict[str, np.ndarray]:
    """Each endpoint's map before scaling, (rows, columns) of the activation, from one forward pass of one network.

    Patch and `readouts` are those of `grad_cams`.
    """
    network.eval()
    with torch.no_grad():
        activation = network.trunk.activation(network_input(hu[None], network.spec.pixels).to(_device(network)))
    activation.requires_grad_(True)
    maps = {}
    with torch.enable_grad():
        pooled = network.trunk.pool(activation)
        for key in endpoints:
            (gradient,) = torch.autograd.grad(_target(network, pooled, key, readouts), activation, retain_graph=True)
            weights = gradient.mean(dim=(2, 3), keepdim=True)
            maps[key] = torch.relu((weights * activation.detach()).sum(dim=1))[0].cpu().numpy()
    return maps


def _target(network: DeepCT, pooled: Tensor, endpoint: str, readouts: Mapping[str, np.ndarray] | None) -> Tensor:
    """The scalar whose gradient is taken. The head is linear: its RadScores do not change the gradient and are 0."""
    if readouts is not None:
        return (pooled @ torch.from_numpy(np.asarray(readouts[endpoint], dtype=np.float32)).to(pooled.device))[0]
    head = network.heads[network.spec.endpoints.index(endpoint)]
    radscores = pooled.new_zeros(1, network.spec.n_radscores) if network.spec.n_radscores else None
    return head(pooled, radscores)[1][0, 1]


def _device(network: DeepCT) -> torch.device:
    return next(network.parameters()).device


def _enlarged(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    coarse = torch.from_numpy(values)[None, None]
    fine = nn.functional.interpolate(coarse, size=shape, mode="bilinear", align_corners=False)[0, 0].numpy()
    peak = float(fine.max())
    return (fine / peak if peak > 0 else fine).astype(np.float32)
