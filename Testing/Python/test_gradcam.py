"""Grad-CAM against a second implementation by hooks, and the sanity checks of Adebayo et al. 2018."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from DeepRadScoreLib.deepct.backbones import build_trunk
from DeepRadScoreLib.deepct.gradcam import cells, grad_cams
from DeepRadScoreLib.deepct.network import DeepCT, NetworkSpec, network_input

KEYS = ("EGFR", "KRAS")


def network_of(seed: int, backbone: str = "densenet121", pixels: int = 96) -> DeepCT:
    trunk, _ = build_trunk(backbone, seed=seed)
    return DeepCT(NetworkSpec(backbone, KEYS, pixels=pixels), trunk, seed).eval()


def patch(shift: int = 0) -> np.ndarray:
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:160, :160]
    return np.where(np.hypot(y - 60, x - 60 - shift) < 14, 40.0, -850.0) + rng.normal(0, 20, (160, 160))


def map_by_hooks(network: DeepCT, hu: np.ndarray, number: int) -> np.ndarray:
    """Forward and backward hooks on the last batch norm; the ReLU is taken here."""
    kept = {}
    layer = network.trunk.net.features
    handles = [
        layer.register_forward_hook(lambda _, __, out: kept.update(activation=torch.relu(out))),
    ]
    x = network_input(hu[None], network.spec.pixels).requires_grad_(True)
    features = layer(x)
    activation = torch.relu(features)
    activation.retain_grad()
    pooled = activation.mean(dim=(2, 3))
    head = network.heads[number]
    logit = (pooled @ head.deep.weight.T + head.deep.bias) @ head.last.weight[1] + head.last.bias[1]
    logit.sum().backward()
    for handle in handles:
        handle.remove()
    alpha = activation.grad.mean(dim=(2, 3))[0]
    combined = (alpha[:, None, None] * kept["activation"][0]).sum(0).clamp_min(0)[None, None]
    drawn = torch.nn.functional.interpolate(combined, size=(160, 160), mode="bilinear")[0, 0].detach().numpy()
    return drawn / drawn.max() if drawn.max() > 0 else drawn


def informative_seed() -> int:
    for seed in range(20):
        maps = grad_cams([network_of(seed)], patch(), KEYS)
        if all(values.max() > 0 for values in maps.values()):
            return seed
    raise AssertionError("no random network with a map")


def test_equal_to_an_implementation_by_hooks():
    network = network_of(informative_seed())
    maps = grad_cams([network], patch(), KEYS)
    for number, key in enumerate(KEYS):
        np.testing.assert_allclose(maps[key], map_by_hooks(network, patch(), number), atol=1e-5)
        assert maps[key].dtype == np.float32
        assert maps[key].max() == pytest.approx(1.0)


def test_randomised_weights_and_a_moved_input_change_the_map():
    seed = informative_seed()
    before = grad_cams([network_of(seed)], patch(), KEYS)["EGFR"]
    other = network_of(seed)
    with torch.no_grad():
        for parameter in other.trunk.net.features.denseblock4.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.05)
    randomised = grad_cams([other], patch(), KEYS)["EGFR"]
    assert np.corrcoef(before.ravel(), randomised.ravel())[0, 1] < 0.95 or randomised.max() == 0
    moved = grad_cams([network_of(seed)], patch(shift=50), KEYS)["EGFR"]
    assert np.abs(moved - before).max() > 0.1


def test_maps_of_fold_networks_are_averaged_before_scaling():
    networks = [network_of(seed) for seed in (0, 1)]
    both = grad_cams(networks, patch(), KEYS)["EGFR"]
    raw = []
    for network in networks:
        scaled = map_by_hooks(network, patch(), 0)
        raw.append(scaled)
    assert both.max() in (0.0, pytest.approx(1.0))
    assert both.shape == (160, 160)
    if all(values.max() > 0 for values in raw):
        assert (both[(raw[0] == 0) & (raw[1] == 0)] == 0).all()


def test_cells_are_named():
    assert cells(network_of(0, "densenet121", 160)) == "5 x 5"


def test_a_readout_stands_for_the_logit():
    network = network_of(0)
    weights = np.random.default_rng(2).normal(size=1024).astype(np.float32)
    found = grad_cams([network], patch(), ("EGFR",), readouts={"EGFR": weights})["EGFR"]
    with torch.no_grad():
        activation = network.trunk.activation(network_input(patch()[None], 96))[0]
    cam = (torch.from_numpy(weights)[:, None, None] * activation).sum(0).clamp_min(0)
    drawn = torch.nn.functional.interpolate(cam[None, None], size=(160, 160), mode="bilinear")[0, 0].numpy()
    np.testing.assert_allclose(found, drawn / drawn.max() if drawn.max() > 0 else drawn, atol=1e-4)
