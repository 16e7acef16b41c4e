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
    logit; the maps of several (fold) networks are averaged, drawn up to the patch bilinearly and scaled once by their
    maximum. A map that is 0 everywhere stays so. `readouts` (endpoint -> weights over the pooled features) stand for
    the logit of networks that were not trained.
    """
    cells = {key: np.mean([_cells(network, hu, key, readouts) for network in networks], axis=0) for key in endpoints}
    return {key: _drawn(values, hu.shape) for key, values in cells.items()}


def cells(network: DeepCT) -> str:
    """Rows and columns of the network's map, such as "5 x 5"."""
    with torch.inference_mode():
        shape = network.trunk.activation(torch.zeros(1, 3, network.spec.pixels, network.spec.pixels)).shape
    return f"{shape[2]} x {shape[3]}"


def _cells(network: DeepCT, hu: np.ndarray, endpoint: str, readouts: Mapping[str, np.ndarray] | None) -> np.ndarray:
    network.eval()
    with torch.no_grad():
        activation = network.trunk.activation(network_input(hu[None], network.spec.pixels))
    activation = activation.detach().requires_grad_(True)
    with torch.enable_grad():
        target = _target(network, network.trunk.pool(activation), endpoint, readouts)
        (gradient,) = torch.autograd.grad(target, activation)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    return torch.relu((weights * activation.detach()).sum(dim=1))[0].numpy()


def _target(network: DeepCT, pooled: Tensor, endpoint: str, readouts: Mapping[str, np.ndarray] | None) -> Tensor:
    if readouts is not None:
        return (pooled @ torch.from_numpy(np.asarray(readouts[endpoint], dtype=np.float32)))[0]
    head = network.heads[network.spec.endpoints.index(endpoint)]
    radscores = torch.zeros(1, network.spec.n_radscores) if network.spec.n_radscores else None
    return head(pooled, radscores)[1][0, 1]


def _drawn(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    drawn = nn.functional.interpolate(
        torch.from_numpy(values)[None, None], size=shape, mode="bilinear", align_corners=False
    )[0, 0].numpy()
    peak = float(drawn.max())
    return (drawn / peak if peak > 0 else drawn).astype(np.float32)
