"""Deep-CT against torchvision itself, closed forms, and runs of its own that were broken off."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

from DeepRadScoreLib.deepct.backbones import BACKBONES, build_trunk, freeze
from DeepRadScoreLib.deepct.network import (
    DeepCT,
    NetworkSpec,
    deep_outputs,
    network_from_bytes,
    network_input,
    network_to_bytes,
)
from DeepRadScoreLib.deepct.torchvision_import import import_torchvision
from DeepRadScoreLib.deepct.training import TrainingSettings, frozen_network, masked_cross_entropy, train_network
from DeepRadScoreLib.errors import InputError

PUBLISHED_PARAMETERS = {
    "densenet121": 7_978_856,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "vgg19": 143_667_240,
    "inception_v3": 27_161_264,
}
AUXILIARY_HEAD = 3_326_696
SPEC = NetworkSpec("resnet50", ("EGFR", "KRAS"), pixels=32)


def full_model(name: str):
    extra = {"init_weights": False, "transform_input": True} if name == "inception_v3" else {}
    return getattr(import_torchvision().models, name)(weights=None, **extra)


def last_layer(name: str, model):
    return model.classifier[-1] if name == "vgg19" else model.classifier if name == "densenet121" else model.fc


def published_layout(name: str, state: dict) -> dict:
    """densenet121's published file has the keys of an older torchvision."""
    if name != "densenet121":
        return state
    old = {}
    for key, value in state.items():
        if key.endswith("num_batches_tracked"):
            continue
        in_layer = ".denselayer" in key
        old[re.sub(r"\.(norm|conv)([12])\.", r".\1.\2.", key) if in_layer else key] = value
    return old


@pytest.mark.parametrize("name", list(BACKBONES))
def test_trunk_equals_torchvision_before_the_head(name, tmp_path):
    torch.manual_seed(3)
    model = full_model(name).eval()
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == PUBLISHED_PARAMETERS[name]
    file = tmp_path / "weights.safetensors"
    save_file({key: value.contiguous() for key, value in published_layout(name, model.state_dict()).items()}, file)
    trunk, described = build_trunk(name, file)
    assert described == f"file {hashlib.sha256(file.read_bytes()).hexdigest()[:16]}"
    layer = last_layer(name, model)
    in_trunk = sum(parameter.numel() for parameter in trunk.parameters())
    auxiliary = AUXILIARY_HEAD if name == "inception_v3" else 0
    assert in_trunk == count - sum(parameter.numel() for parameter in layer.parameters()) - auxiliary
    x = torch.rand(2, 3, 96, 96)
    with torch.inference_mode():
        pooled = trunk.eval()(x)
        assert pooled.shape == (2, BACKBONES[name].pooled)
        torch.testing.assert_close(layer(pooled), model(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("name", "cells"), [("densenet121", 5), ("vgg19", 10), ("inception_v3", 3)])
def test_cells_of_the_last_activation_at_160_pixels(name, cells):
    trunk, _ = build_trunk(name)
    with torch.inference_mode():
        activation = trunk.eval().activation(torch.zeros(1, 3, 160, 160))
    assert activation.shape[2:] == (cells, cells)
    assert float(activation.min()) >= 0.0


def test_weights_of_another_backbone_or_hash_are_refused(tmp_path):
    model = full_model("resnet50")
    pth = tmp_path / "resnet50-0676ba61.pth"
    torch.save(model.state_dict(), pth)
    with pytest.raises(InputError, match="not the file that torchvision publishes"):
        build_trunk("resnet50", pth)
    digest = hashlib.sha256(pth.read_bytes()).hexdigest()
    trunk, _ = build_trunk("resnet50", pth, sha256=digest)
    torch.testing.assert_close(trunk.net.conv1.weight, model.conv1.weight)
    with pytest.raises(InputError, match="do not fit densenet121"):
        build_trunk("densenet121", pth, sha256=digest)
    with pytest.raises(InputError, match="not the one that was given"):
        build_trunk("resnet50", pth, sha256="0" * 64)
    text = tmp_path / "weights.safetensors"
    text.write_text("no weights")
    with pytest.raises(InputError, match="not a readable weight file"):
        build_trunk("resnet50", text)
    with pytest.raises(InputError, match="does not exist"):
        build_trunk("resnet50", tmp_path / "none.pth")


def test_densenet_is_frozen_through_dense_block_three():
    trunk, _ = build_trunk("densenet121")
    freeze(trunk)
    trained = {key.split(".")[1] for key, parameter in trunk.net.named_parameters() if parameter.requires_grad}
    assert trained == {"transition3", "denseblock4", "norm5"}


def test_heads_are_xavier_uniform_and_joint_ones_take_two_radscores():
    trunk, _ = build_trunk("resnet50")
    network = DeepCT(dataclasses.replace(SPEC, n_radscores=2), trunk, seed=1)
    head = network.heads[0]
    assert (head.deep.in_features, head.deep.out_features) == (2048, 10)
    assert (head.last.in_features, head.last.out_features) == (12, 2)
    for layer in (head.deep, head.last):
        limit = math.sqrt(6.0 / (layer.in_features + layer.out_features))
        assert float(layer.weight.detach().abs().max()) <= limit
        assert float(layer.weight.detach().std()) == pytest.approx(limit / math.sqrt(3.0), rel=0.25)
    hu = np.random.default_rng(0).normal(-500, 200, (2, 160, 160))
    low = deep_outputs(network, hu, radscores=np.zeros((2, 2, 2)))
    high = deep_outputs(network, hu, radscores=np.ones((2, 2, 2)))
    np.testing.assert_array_equal(low.deep["EGFR"], high.deep["EGFR"])
    weight = head.last.weight.detach().numpy()
    np.testing.assert_allclose(
        high.logit["EGFR"] - low.logit["EGFR"], (weight[1, 10:] - weight[0, 10:]).sum(), atol=1e-4
    )


def test_input_window_and_imagenet_scale():
    x = network_input(np.array([[[-2000.0, -1000.0], [400.0, 3000.0]]]), pixels=2)
    expected = (np.array([[0.0, 0.0], [1.0, 1.0]]) - 0.485) / 0.229
    np.testing.assert_allclose(x[0, 0].numpy(), expected, rtol=1e-6)
    assert x.shape == (1, 3, 2, 2)


def test_missing_labels_change_nothing():
    logits = torch.randn(6, 2, 2, requires_grad=True)
    labels = torch.tensor([[0.0, 1], [1, math.nan], [0, 0], [math.nan, 1], [1, 0], [1, 1]])
    weights = torch.tensor([[1.0, 2.0], [0.5, 1.5]])
    loss = masked_cross_entropy(logits, labels, weights)
    by_hand = [
        (weights[e, int(labels[i, e])], cross_entropy(logits[i, e][None], labels[i, e].long()[None]))
        for i in range(6)
        for e in range(2)
        if not torch.isnan(labels[i, e])
    ]
    expected = sum(w * value for w, value in by_hand) / sum(w for w, _ in by_hand)
    torch.testing.assert_close(loss, expected)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert not gradient[1, 1].any()
    assert not gradient[3, 0].any()


def rings(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Patches with noise, a disc, and for every second one a ring around it; a second label that means nothing."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:160, :160]
    labels = np.column_stack([np.arange(n) % 2, rng.integers(0, 2, n)]).astype(float)
    hu = rng.normal(-800, 60, (n, 160, 160))
    for i in range(n):
        r = np.hypot(y - 80 - rng.normal(0, 3), x - 80 - rng.normal(0, 3))
        hu[i][r < 15] += 700
        if labels[i, 0]:
            hu[i][(r > 25) & (r < 45)] += 500
    return hu, labels


SETTINGS = TrainingSettings(weights="none", epochs=5, batch=16)


def trained(**changes):
    hu, labels = rings(64, 0)
    labels[3, 0] = np.nan
    others, other_labels = rings(40, 1)
    return train_network(
        hu, labels, others, other_labels, spec=SPEC, settings=SETTINGS, seed=5, device="cpu", **changes
    )


def test_it_learns_repeats_itself_and_goes_on_where_it_was_broken_off(tmp_path):
    whole = trained()
    hu, labels = rings(60, 2)
    from sklearn.metrics import roc_auc_score

    outputs = deep_outputs(whole.network, hu)
    assert roc_auc_score(labels[:, 0], outputs.logit["EGFR"]) > 0.8

    def stop_after_two(report):
        if report.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint=tmp_path / "run.checkpoint", progress=stop_after_two)
    resumed = trained(checkpoint=tmp_path / "run.checkpoint")
    assert resumed.history == whole.history
    assert network_to_bytes(resumed.network) == network_to_bytes(whole.network)


def test_bytes_give_the_same_network_to_the_last_bit():
    hu, _ = rings(4, 3)
    network, described = frozen_network(hu, SPEC, weights="none", sha256=None, seed=1, device="cpu")
    assert described == "random"
    again = network_from_bytes(network_to_bytes(network), SPEC)
    before, after = deep_outputs(network, hu), deep_outputs(again, hu)
    np.testing.assert_array_equal(before.pooled, after.pooled)
    np.testing.assert_array_equal(before.logit["KRAS"], after.logit["KRAS"])


def test_frozen_batch_norm_statistics_are_those_of_the_patches():
    hu, _ = rings(32, 4)
    network, _ = frozen_network(hu, SPEC, weights="none", sha256=None, seed=1, device="cpu")
    x = network_input(hu, 32)
    with torch.inference_mode():
        convolved = network.trunk.net.conv1(x)
    torch.testing.assert_close(network.trunk.net.bn1.running_mean, convolved.mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)
