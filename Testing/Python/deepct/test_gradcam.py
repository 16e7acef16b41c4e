"""Grad-CAM against a second implementation by hooks in torchvision's own forward, and Adebayo's sanity checks."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from DeepRadScoreLib.deepct.backbones import BACKBONES as ALL_BACKBONES
from DeepRadScoreLib.deepct.backbones import build_trunk
from DeepRadScoreLib.deepct.gradcam import cells, coarse_maps, coarse_maps_by_autograd, grad_cams
from DeepRadScoreLib.deepct.network import DeepCT, NetworkSpec, last_activation, network_input
from DeepRadScoreLib.deepct.torchvision_import import import_torchvision

KEYS = ("EGFR", "KRAS")
BACKBONES = ("densenet121", "resnet50")
RADSCORES = torch.tensor([[1.5, -0.7]])


def network_of(seed: int, backbone: str = "densenet121", pixels: int = 96, n_radscores: int = 0) -> DeepCT:
    trunk, _ = build_trunk(backbone, seed=seed)
    return DeepCT(NetworkSpec(backbone, KEYS, n_radscores=n_radscores, pixels=pixels), trunk, seed).eval()


def patch(column: int = 60) -> np.ndarray:
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:160, :160]
    return np.where(np.hypot(y - 60, x - column) < 14, 40.0, -850.0) + rng.normal(0, 20, (160, 160))


class BothLayers(torch.nn.Module):
    """The head in the place of torchvision's last layer, with RadScores that are not 0 where it takes them."""

    def __init__(self, head):
        super().__init__()
        self.head = head

    def forward(self, pooled):
        deep = self.head.deep(pooled)
        joint = self.head.last.in_features > 10
        return self.head.last(torch.cat([deep, RADSCORES], dim=1) if joint else deep)


def unscaled_map(network: DeepCT, hu: np.ndarray, number: int) -> np.ndarray:
    """Rectified map (cells, cells) by a tensor hook inside torchvision's own forward pass.

    DenseNet's forward takes the ReLU once more after the hook; what is added there lets its gradient through at 0.
    """
    kept = {}

    def keep(module, inputs, output):
        kept["activation"] = torch.relu(output)
        kept["activation"].retain_grad()
        return kept["activation"]

    if network.spec.backbone == "densenet121":
        model = import_torchvision().models.densenet121(weights=None).eval()
        model.load_state_dict(network.trunk.net.state_dict(), strict=False)
        model.classifier = BothLayers(network.heads[number])
        model.features.register_forward_hook(lambda *given: keep(*given) + 1e-12)
    else:
        model = copy.deepcopy(network.trunk.net)
        model.fc = BothLayers(network.heads[number])
        model.layer4.register_forward_hook(keep)
    model(network_input(hu[None], network.spec.pixels))[0, 1].backward()
    alpha = kept["activation"].grad.sum(dim=(2, 3))[0] / kept["activation"][0, 0].numel()
    return torch.einsum("c,cyx->yx", alpha, kept["activation"][0]).clamp_min(0).detach().numpy()


def drawn(values: np.ndarray) -> np.ndarray:
    """Bilinear interpolation between cell centres, the outermost ones repeated, by scipy; then scaled."""
    from scipy.ndimage import map_coordinates

    at = (np.arange(160) + 0.5) * len(values) / 160 - 0.5
    large = map_coordinates(values.astype(float), np.meshgrid(at, at, indexing="ij"), order=1, mode="nearest")
    return large / large.max() if large.max() > 0 else large


def informative_seed(backbone: str, n_radscores: int = 0) -> int:
    for seed in range(20):
        maps = grad_cams([network_of(seed, backbone, n_radscores=n_radscores)], patch(), KEYS)
        if all(values.max() > 0 for values in maps.values()):
            return seed
    raise AssertionError("no random network with a map")


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("n_radscores", [0, 2])
def test_equal_to_an_implementation_by_hooks(backbone, n_radscores):
    network = network_of(informative_seed(backbone, n_radscores), backbone, n_radscores=n_radscores)
    maps = grad_cams([network], patch(), KEYS)
    assert np.abs(maps["EGFR"] - maps["KRAS"]).max() > 0.1
    for number, key in enumerate(KEYS):
        np.testing.assert_allclose(maps[key], drawn(unscaled_map(network, patch(), number)), atol=1e-4)
        assert maps[key].dtype == np.float32
        assert maps[key].shape == (160, 160)
        assert maps[key].max() == pytest.approx(1.0)
    again = grad_cams([network], patch(), KEYS[1:])
    np.testing.assert_array_equal(again["KRAS"], maps["KRAS"])


@pytest.mark.parametrize("backbone", ALL_BACKBONES)
@pytest.mark.parametrize("by_readout", [False, True])
def test_weights_known_without_a_backward_pass_are_autograds(backbone, by_readout):
    """The second endpoint has the first one's weights with the other sign, so that one of the maps is not empty."""
    network = network_of(1, backbone, n_radscores=2)
    network.heads[1].load_state_dict(network.heads[0].state_dict())
    network.heads[1].last.weight.data.neg_()
    weights = np.random.default_rng(3).normal(size=network.heads[0].deep.in_features).astype(np.float32)
    readouts = {"EGFR": weights, "KRAS": -weights} if by_readout else None
    with torch.no_grad():
        activation = last_activation(network, patch()[None])
    found = coarse_maps(network, activation, KEYS, readouts)
    expected = coarse_maps_by_autograd(network, activation, KEYS, readouts)
    peak = max(float(values.max()) for values in expected.values())
    assert peak > 0
    for key in KEYS:
        np.testing.assert_allclose(found[key], expected[key], rtol=0, atol=1e-5 * peak)


def test_maps_of_fold_networks_are_averaged_before_scaling():
    networks = [network_of(seed) for seed in range(4)]
    each = [unscaled_map(network, patch(), 0) for network in networks]
    assert sum(values.max() > 0 for values in each) >= 2
    found = grad_cams(networks, patch(), ("EGFR",))["EGFR"]
    np.testing.assert_allclose(found, drawn(np.mean(each, axis=0)), atol=1e-4)
    scaled_first = drawn(np.mean([values / max(values.max(), 1e-12) for values in each], axis=0))
    assert np.abs(found - scaled_first).max() > 0.01


def test_a_map_of_nothing_stays_nothing():
    network = network_of(0)
    negative = np.full(1024, -1.0, dtype=np.float32)
    found = grad_cams([network], patch(), ("EGFR",), readouts={"EGFR": negative})["EGFR"]
    assert not found.any()


def test_randomised_weights_change_the_map():
    seed = informative_seed("densenet121")
    before = grad_cams([network_of(seed, pixels=160)], patch(), ("EGFR",))["EGFR"]
    similar = []
    for part in ("denseblock4", "denseblock3", "denseblock1"):
        other = network_of(seed, pixels=160)
        fresh = build_trunk("densenet121", seed=seed + 50)[0].net.features.get_submodule(part)
        other.trunk.net.features.get_submodule(part).load_state_dict(fresh.state_dict())
        similar.append(np.corrcoef(before.ravel(), grad_cams([other], patch(), ("EGFR",))["EGFR"].ravel())[0, 1])
    assert max(np.nan_to_num(similar)) < 0.9


def test_it_moves_with_the_input():
    """Of a read-out that tells a disc from none, the map is brightest at the disc, to half a cell of 32 pixels."""
    network = network_of(1, pixels=160)
    with torch.no_grad():
        disc, none = (network.trunk(network_input(hu[None]))[0].numpy() for hu in (patch(80), patch(1000)))
    readout = {"EGFR": disc - none}
    for column in (48, 80, 112):
        found = grad_cams([network], patch(column), ("EGFR",), readouts=readout)["EGFR"]
        assert abs(int(found.sum(axis=0).argmax()) - column) <= 16


def test_cells_are_named():
    assert cells(network_of(0, "densenet121", 160)) == "5 x 5"
    assert cells(network_of(0, "resnet50", 64)) == "2 x 2"


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_readout_stands_for_the_logit(backbone):
    network = network_of(0, backbone)
    weights = np.random.default_rng(2).normal(size=network.heads[0].deep.in_features).astype(np.float32)
    found = grad_cams([network], patch(), ("EGFR",), readouts={"EGFR": weights})["EGFR"]
    with torch.no_grad():
        activation = network.trunk.activation(network_input(patch()[None], 96))[0].numpy()
    np.testing.assert_allclose(found, drawn(np.einsum("c,cyx->yx", weights, activation).clip(0)), atol=1e-4)
