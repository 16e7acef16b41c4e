"""Deep-CT against torchvision itself, closed forms, and runs of its own that were broken off."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

from DeepRadScoreLib.deepct import training
from DeepRadScoreLib.deepct.augment import augment
from DeepRadScoreLib.deepct.backbones import BACKBONES, build_trunk, freeze
from DeepRadScoreLib.deepct.device import device_of
from DeepRadScoreLib.deepct.network import (
    DeepCT,
    NetworkSpec,
    deep_outputs,
    network_from_bytes,
    network_input,
    network_to_bytes,
)
from DeepRadScoreLib.deepct.objective import class_weights, masked_cross_entropy, mean_auc
from DeepRadScoreLib.deepct.torchvision_import import import_torchvision
from DeepRadScoreLib.deepct.training import TrainingSettings, frozen_network, train_network
from DeepRadScoreLib.errors import InputError

PUBLISHED_PARAMETERS = {
    "densenet121": 7_978_856,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "vgg19": 143_667_240,
    "inception_v3": 27_161_264,
}
AUXILIARY_HEAD = 3_326_696
TRAINED_WITH_FROZEN_BLOCKS = {
    "densenet121": {"features.transition3", "features.denseblock4", "features.norm5"},
    "resnet50": {"layer4"},
    "resnet101": {"layer4"},
    "vgg19": {"features.28", "features.30", "features.32", "features.34", "classifier.0", "classifier.3"},
    "inception_v3": {"Mixed_7a", "Mixed_7b", "Mixed_7c"},
}
CELLS_AT_160_PIXELS = {"densenet121": 5, "resnet50": 5, "resnet101": 5, "vgg19": 10, "inception_v3": 3}
SPEC = NetworkSpec("resnet50", ("EGFR", "KRAS"), pixels=32)


def full_model(name: str):
    extra = {"init_weights": False, "transform_input": True} if name == "inception_v3" else {}
    return getattr(import_torchvision().models, name)(weights=None, **extra)


def with_estimated_batch_norm(model):
    """With statistics of 0 and 1 a random network may hardly depend on its input at all (Inception: by 2e-9)."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            module.train()
    with torch.inference_mode():
        model(2 * torch.rand(4, 3, 160, 160) - 1)
    return model.eval()


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


@pytest.fixture
def weight_folder(tmp_path):
    """A folder for large files that does not outlive its test."""
    yield tmp_path
    for file in tmp_path.rglob("*.*"):
        if file.is_file():
            file.unlink()


@pytest.mark.parametrize("name", list(BACKBONES))
def test_trunk_equals_torchvision_before_the_head(name, weight_folder):
    torch.manual_seed(3)
    model = with_estimated_batch_norm(full_model(name).eval())
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == PUBLISHED_PARAMETERS[name]
    file = weight_folder / "weights.safetensors"
    save_file({key: value.contiguous() for key, value in published_layout(name, model.state_dict()).items()}, file)
    trunk, described = build_trunk(name, file)
    assert described == f"file {hashlib.sha256(file.read_bytes()).hexdigest()[:16]}"
    layer = last_layer(name, model)
    in_trunk = sum(parameter.numel() for parameter in trunk.parameters())
    auxiliary = AUXILIARY_HEAD if name == "inception_v3" else 0
    assert in_trunk == count - sum(parameter.numel() for parameter in layer.parameters()) - auxiliary
    x = torch.rand(2, 3, 160, 160)
    with torch.inference_mode():
        activation = trunk.eval().activation(x)
        pooled = trunk.pool(activation)
        expected = model(x)
        differ = float((expected[0] - expected[1]).abs().max())
        torch.testing.assert_close(layer(pooled), expected, rtol=0, atol=1e-4 * differ)
    assert activation.shape[2:] == (CELLS_AT_160_PIXELS[name],) * 2
    assert float(activation.min()) >= 0.0
    assert pooled.shape == (2, BACKBONES[name].pooled)
    freeze(trunk)
    depth = 2 if name in ("densenet121", "vgg19") else 1
    trained_keys = [key for key, parameter in trunk.net.named_parameters() if parameter.requires_grad]
    assert {".".join(key.split(".")[:depth]) for key in trained_keys} == TRAINED_WITH_FROZEN_BLOCKS[name]


@pytest.mark.parametrize("name", list(BACKBONES))
def test_least_pixels_pass_through_torchvision_and_fewer_are_refused(name):
    least = BACKBONES[name].min_pixels
    if name != "vgg19":
        with torch.inference_mode():
            full_model(name).eval()(torch.zeros(1, 3, least, least))
    with pytest.raises(InputError, match=f"choose {least} to 160"):
        NetworkSpec(name, ("EGFR",), pixels=least - 1)


def test_weights_of_another_backbone_or_hash_are_refused(weight_folder, monkeypatch):
    model = full_model("resnet50")
    pth = weight_folder / "resnet50-0676ba61.pth"
    torch.save(model.state_dict(), pth)
    with pytest.raises(InputError, match="not the file that torchvision publishes"):
        build_trunk("resnet50", pth)
    digest = hashlib.sha256(pth.read_bytes()).hexdigest()
    trunk, _ = build_trunk("resnet50", pth, sha256=digest)
    torch.testing.assert_close(trunk.net.conv1.weight, model.conv1.weight, rtol=0, atol=0)
    with pytest.raises(InputError, match=r"resnet50-0676ba61.pth.*do not fit densenet121"):
        build_trunk("densenet121", pth, sha256=digest)
    with pytest.raises(InputError, match="not the one that was given"):
        build_trunk("resnet50", pth, sha256="0" * 64)
    published = dataclasses.replace(BACKBONES["resnet50"], published=("00000000", digest[:8]))
    monkeypatch.setitem(BACKBONES, "resnet50", published)
    assert build_trunk("resnet50", pth)[1] == f"file {digest[:16]}"


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_files_that_hold_no_weights_are_refused(name, tmp_path):
    file = tmp_path / name
    file.write_text("no weights")
    digest = hashlib.sha256(b"no weights").hexdigest()
    with pytest.raises(InputError, match=f"{name}: this is not a readable weight file"):
        build_trunk("resnet50", file, sha256=digest)
    file.unlink()
    with pytest.raises(InputError, match=f"{name}: the weight file does not exist"):
        build_trunk("resnet50", file)


def test_a_pickle_that_would_run_code_is_refused_unrun(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    file = tmp_path / "weights.pth"
    torch.save({"conv1.weight": Evil()}, file)
    with pytest.raises(InputError, match="not a readable weight file"):
        build_trunk("resnet50", file, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    assert not (tmp_path / "ran").exists()


def test_imagenet_weights_come_through_torchvision_in_the_old_layout(weight_folder, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(weight_folder))
    folder = weight_folder / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    model = full_model("densenet121")
    torch.save(published_layout("densenet121", model.state_dict()), folder / "densenet121-a639ec97.pth")
    trunk, described = build_trunk("densenet121", "imagenet")
    assert described == "imagenet"
    layer = "denseblock4.denselayer16.conv2"
    torch.testing.assert_close(
        trunk.net.features.get_submodule(layer).weight, model.features.get_submodule(layer).weight, rtol=0, atol=0
    )
    (folder / "densenet121-a639ec97.pth").write_text("cut off")
    with pytest.raises(InputError, match=r"densenet121-a639ec97.pth.*damaged"):
        build_trunk("densenet121", "imagenet")

    def no_network(*_, **__):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", no_network)
    monkeypatch.setattr(torch.hub, "urlopen", no_network)
    with pytest.raises(InputError, match=r"cannot be downloaded.*--weights FILE"):
        build_trunk("resnet50", "imagenet")


def test_names_that_are_not_known_are_refused():
    with pytest.raises(InputError, match=r'"resnet18" is not known; choose one of densenet121'):
        build_trunk("resnet18")
    with pytest.raises(InputError, match='"tpu" is not known'):
        device_of("tpu")
    if not torch.cuda.is_available():
        assert device_of("auto") == torch.device("cpu")
        with pytest.raises(InputError, match="no CUDA device"):
            device_of("cuda")


def test_the_package_is_imported_without_torch():
    code = "import sys, DeepRadScoreLib.deepct; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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


def test_input_window_area_mean_and_imagenet_scale():
    hu = np.array([[[-2000.0, -1000.0], [-300.0, 3000.0]]])
    mean, sd = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    window = np.array([[0.0, 0.0], [0.5, 1.0]])
    expected = (window - mean[:, None, None]) / sd[:, None, None]
    np.testing.assert_allclose(network_input(hu, pixels=2)[0].numpy(), expected, rtol=1e-5)
    coarse = network_input(hu.repeat(3, axis=1).repeat(3, axis=2), pixels=2)
    np.testing.assert_allclose(coarse[0].numpy(), expected, rtol=1e-5)
    one = network_input(hu, pixels=1)[0, :, 0, 0].numpy()
    np.testing.assert_allclose(one, (0.375 - mean) / sd, rtol=1e-5)


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


def test_class_weights_are_the_balanced_ones_of_scikit_learn():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0, 0, 0, 0, 1, np.nan, 1, 0], dtype=np.float32)
    found = class_weights(torch.from_numpy(np.column_stack([labels, np.ones(8, dtype=np.float32)])))
    known = labels[~np.isnan(labels)]
    np.testing.assert_allclose(found[0], compute_class_weight("balanced", classes=np.array([0, 1]), y=known), rtol=1e-6)
    np.testing.assert_allclose(found[1], [0.0, 0.5])


def test_mean_auc_is_of_the_endpoints_with_both_classes():
    labels = np.array([[0, 1, 0, np.nan], [1, 1, np.nan, np.nan], [1, 1, 1, np.nan], [0, 1, 0, 1]], dtype=float)
    scores = np.array([[0.1, 0, 3, 0], [0.4, 0, 9, 0], [0.35, 0, 2, 0], [0.36, 0, 1, 0]])
    assert mean_auc(labels, scores) == pytest.approx((0.75 + 0.5) / 2)
    assert math.isnan(mean_auc(labels[:, 1:2], scores[:, 1:2]))
    assert math.isnan(mean_auc(labels, scores * np.nan))


def test_augmentation_keeps_to_its_limits_and_to_its_seed():
    n, y, x = 400, *np.mgrid[:160, :160]

    def blob(column: int) -> torch.Tensor:
        values = np.exp(-((y - 79.5) ** 2 + (x - column) ** 2) / 18.0)
        return torch.from_numpy(values).float().expand(n, 1, 160, 160)

    def centres(images: torch.Tensor) -> np.ndarray:
        weights = images[:, 0].numpy()
        total = weights.sum(axis=(1, 2))
        return np.column_stack([(weights * grid).sum(axis=(1, 2)) / total for grid in (x, y)])

    middle = centres(augment(blob(79.5), torch.Generator().manual_seed(1)))
    outer = centres(augment(blob(119.5), torch.Generator().manual_seed(1)))
    shift, arm = middle - 79.5, outer - middle
    length = np.hypot(*arm.T)
    tilt = np.degrees(np.arctan2(np.abs(arm[:, 1]), np.abs(arm[:, 0])))
    assert np.abs(shift).max() <= 8 * (math.cos(math.radians(15)) + math.sin(math.radians(15))) / 0.9
    assert np.abs(shift).max() > 7
    assert 40 / 1.1 - 0.1 <= length.min() < 37
    assert 44 < length.max() <= 40 / 0.9 + 0.1
    assert 14 < tilt.max() <= 15.1
    assert 0.4 < (arm[:, 0] > 0).mean() < 0.6
    again = augment(blob(79.5), torch.Generator().manual_seed(1))
    np.testing.assert_array_equal(centres(again), middle)


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


SETTINGS = TrainingSettings(weights="none", epochs=4, batch=16)


def trained(n: int = 64, settings: TrainingSettings = SETTINGS, seed: int = 5, **changes):
    hu, labels = rings(n, 0)
    labels[3, 0] = np.nan
    others, other_labels = rings(40, 1)
    return train_network(
        hu, labels, others, other_labels, spec=SPEC, settings=settings, seed=seed, device="cpu", **changes
    )


def test_it_learns_repeats_itself_and_goes_on_where_it_was_broken_off(tmp_path, monkeypatch):
    def with_dropout(*args, **options):
        trunk, described = build_trunk(*args, **options)
        trunk.net.maxpool = torch.nn.Sequential(trunk.net.maxpool, torch.nn.Dropout(0.2))
        return trunk, described

    monkeypatch.setattr(training, "build_trunk", with_dropout)
    torch.manual_seed(1)
    whole = trained()
    hu, labels = rings(60, 2)
    with torch.random.fork_rng():
        assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(1)))
    assert mean_auc(labels[:, :1], deep_outputs(whole.network, hu).logit["EGFR"][:, None]) > 0.8

    def stop_after_two(event):
        if event.done == 2:
            raise KeyboardInterrupt

    file = tmp_path / "run.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        trained(checkpoint=file, report=stop_after_two)
    torch.manual_seed(2)
    later = []
    resumed = trained(checkpoint=file, report=lambda event: later.append(event.done))
    file.unlink()
    assert later == [3, 4]
    assert resumed.history == whole.history
    assert network_to_bytes(resumed.network) == network_to_bytes(whole.network)


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_not_taken_up(tmp_path):
    file, one = tmp_path / "run.checkpoint", dataclasses.replace(SETTINGS, epochs=1)

    def epochs_run(**changes) -> int:
        seen = []
        trained(n=16, settings=one, checkpoint=file, report=seen.append, **changes)
        return len(seen)

    assert epochs_run(seed=1) == 1
    assert epochs_run(seed=1) == 0
    assert epochs_run(seed=2) == 1
    file.write_bytes(b"half a file")
    with pytest.raises(InputError, match=r"run.checkpoint: the checkpoint cannot be read; delete it"):
        epochs_run(seed=1)


def test_with_given_weights_the_first_blocks_and_batch_norm_stay_as_they_were(weight_folder):
    torch.manual_seed(4)
    file = weight_folder / "weights.safetensors"
    save_file({key: value.contiguous() for key, value in full_model("resnet50").state_dict().items()}, file)
    before = build_trunk("resnet50", file)[0].net.state_dict()
    after = trained(n=16, settings=dataclasses.replace(SETTINGS, epochs=1, weights=file)).network.trunk.net.state_dict()
    changed = {key for key, value in after.items() if not torch.equal(value, before[key])}
    assert {key.split(".")[0] for key in changed} == {"layer4"}
    assert not any("running" in key or "tracked" in key for key in changed)


def test_the_losses_are_those_of_a_plain_loop_over_torchvisions_network(weight_folder):
    torch.manual_seed(4)
    net = with_estimated_batch_norm(full_model("densenet121"))
    file = weight_folder / "weights.safetensors"
    save_file({key: value.contiguous() for key, value in net.state_dict().items()}, file)
    spec = NetworkSpec("densenet121", ("EGFR", "KRAS"), pixels=64)
    settings = dataclasses.replace(SETTINGS, epochs=3, batch=8, weights=file)
    hu, labels = rings(24, 0)
    labels[3, 0] = np.nan
    found = train_network(hu, labels, hu[:4], labels[:4], spec=spec, settings=settings, seed=5, device="cpu")

    heads = DeepCT(spec, build_trunk("densenet121")[0], 5).heads
    net.classifier = torch.nn.Identity()
    for key, parameter in net.named_parameters():
        parameter.requires_grad_(key.startswith(tuple(TRAINED_WITH_FROZEN_BLOCKS["densenet121"])))
    trunk = [parameter for parameter in net.parameters() if parameter.requires_grad]
    groups = [{"params": trunk, "lr": settings.lr_trunk}, {"params": heads.parameters(), "lr": settings.lr_head}]
    optimizer = torch.optim.AdamW(groups, weight_decay=settings.weight_decay)
    x, y = network_input(hu, 64), torch.from_numpy(labels.astype(np.float32))
    weights, generator = class_weights(y), torch.Generator().manual_seed(5)
    for epoch in found.history:
        losses = []
        for rows in torch.randperm(24, generator=generator).split(8):
            pooled = net(augment(x[rows], generator))
            logits = torch.stack([head(pooled)[1] for head in heads], dim=1)
            loss = masked_cross_entropy(logits, y[rows], weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert epoch.train_loss == pytest.approx(np.mean(losses), abs=1e-4)
    assert found.history[-1].train_loss < found.history[0].train_loss
    assert all(parameter.is_contiguous() for parameter in found.network.parameters())


def test_a_joint_head_learns_from_its_radscores():
    spec = dataclasses.replace(SPEC, n_radscores=2)
    labels = rings(40, 1)[1]
    radscores, others = np.zeros((16, 2, 2)), np.zeros((40, 2, 2))
    radscores[:, 0, 1] = 2 * rings(16, 0)[1][:, 0] - 1
    others[:, 0, 1] = 2 * labels[:, 0] - 1
    hu = np.full((40, 160, 160), -800.0)
    settings = dataclasses.replace(SETTINGS, epochs=2)
    parts = {"spec": spec, "settings": settings, "seed": 1, "device": "cpu"}
    found = train_network(
        hu[:16], rings(16, 0)[1], hu, labels, radscores=radscores, validation_radscores=others, **parts
    )
    begun = DeepCT(spec, build_trunk("resnet50")[0], seed=1)
    gained = [
        network.heads[0].last.weight.detach()[1] - network.heads[0].last.weight.detach()[0]
        for network in (begun, found.network)
    ]
    assert gained[1][11] > gained[0][11]
    with pytest.raises(ValueError, match="the head takes 2 RadScores"):
        train_network(hu, labels, hu, labels, **parts)


def test_bytes_give_the_same_network_to_the_last_bit():
    hu, _ = rings(4, 3)
    network, described = frozen_network(hu, SPEC, weights="none", sha256=None, seed=1, device="cpu")
    assert described == "random"
    again = network_from_bytes(network_to_bytes(network), SPEC)
    before, after = deep_outputs(network, hu), deep_outputs(again, hu)
    np.testing.assert_array_equal(before.pooled, after.pooled)
    for name, layer in (("EGFR", network.heads[0]), ("KRAS", network.heads[1])):
        weight, bias = layer.deep.weight.detach().numpy(), layer.deep.bias.detach().numpy()
        np.testing.assert_allclose(before.deep[name], before.pooled @ weight.T + bias, atol=1e-4)
        assert before.deep[name].shape == (4, 10)
    np.testing.assert_array_equal(before.logit["KRAS"], after.logit["KRAS"])


def test_frozen_batch_norm_statistics_are_those_of_the_patches():
    hu, _ = rings(32, 4)
    network, _ = frozen_network(hu, SPEC, weights="none", sha256=None, seed=1, device="cpu")
    x = network_input(hu, 32)
    with torch.inference_mode():
        convolved = network.trunk.net.conv1(x)
    torch.testing.assert_close(network.trunk.net.bn1.running_mean, convolved.mean(dim=(0, 2, 3)), rtol=1e-4, atol=1e-5)
