"""The five backbones of the paper as trunks, which give pooled features and the last activation of an image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from DeepRadScoreLib.deepct.densenet import DenseNet121
from DeepRadScoreLib.deepct.torchvision_import import import_torchvision
from DeepRadScoreLib.errors import InputError, Where
from DeepRadScoreLib.provenance import content_digest


@dataclass(frozen=True)
class Backbone:
    """A backbone and its published weights.

    Attributes
    ----------
    pooled: number of pooled features.
    published: how the SHA-256 of the published files begins.
    frozen: prefixes of the parameters frozen in fine-tuning: through dense block 3, or a like depth.
    min_pixels: side of the smallest input that passes through it.
    mean_pooled: its pooled features are the means of the channels of its last activation.
    from_torchvision: its layers are torchvision's.
    """

    pooled: int
    published: tuple[str, ...]
    frozen: tuple[str, ...]
    min_pixels: int = 32
    mean_pooled: bool = True
    from_torchvision: bool = True


BACKBONES: dict[str, Backbone] = {
    "densenet121": Backbone(
        1024,
        ("a639ec97",),
        tuple(
            f"features.{layer}"
            for layer in ("conv0", "norm0", "denseblock1", "transition1", "denseblock2", "transition2", "denseblock3")
        ),
        from_torchvision=False,
    ),
    "resnet50": Backbone(2048, ("0676ba61", "11ad3fa6"), ("conv1", "bn1", "layer1", "layer2", "layer3")),
    "resnet101": Backbone(2048, ("63fe2227", "cd907fc2"), ("conv1", "bn1", "layer1", "layer2", "layer3")),
    "vgg19": Backbone(4096, ("dcbb9e9d",), tuple(f"features.{i}." for i in range(28)), mean_pooled=False),
    "inception_v3": Backbone(
        2048,
        ("0cc3c7bd",),
        ("Conv2d", *(f"Mixed_{name}" for name in ["5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e"])),
        min_pixels=75,
    ),
}
INCEPTION_LAYERS = (
    "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 maxpool1 Conv2d_3b_1x1 Conv2d_4a_3x3 maxpool2 Mixed_5b Mixed_5c "
    "Mixed_5d Mixed_6a Mixed_6b Mixed_6c Mixed_6d Mixed_6e Mixed_7a Mixed_7b Mixed_7c"
)
OLD_DENSENET_KEY = re.compile(
    r"^(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_mean|running_var))$"
)
UNREADABLE = (RuntimeError, OSError, EOFError, ValueError, KeyError, UnpicklingError)


def backbone_named(name: str) -> Backbone:
    """The backbone of that name.

    Raises
    ------
    InputError: there is none.
    """
    if name not in BACKBONES:
        raise InputError(f'"{name}" is not known', where="--backbone", mend=f"choose one of {', '.join(BACKBONES)}")
    return BACKBONES[name]


class Trunk(nn.Module):
    """A backbone without its 1000-node layer."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.net: Any = _torchvision_trunk(name) if BACKBONES[name].from_torchvision else DenseNet121()

    def activation(self, x: Tensor) -> Tensor:
        """Last convolutional activation after its ReLU, (n, channels, h, w), of input (n, 3, rows, columns)."""
        if self.name == "densenet121":
            return torch.relu(self.net.features(x))
        if self.name == "vgg19":
            return self.net.features[:-1](x)
        if self.name == "inception_v3":
            return _inception_activation(self.net, x)
        for layer in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            x = getattr(self.net, layer)(x)
        return x

    def pool(self, activation: Tensor) -> Tensor:
        """Pooled features (n, p) of that activation."""
        if self.name == "vgg19":
            net = self.net
            return net.classifier(torch.flatten(net.avgpool(net.features[-1](activation)), 1))
        return torch.flatten(nn.functional.adaptive_avg_pool2d(activation, 1), 1)

    def forward(self, x: Tensor) -> Tensor:
        """Pooled features (n, p)."""
        return self.pool(self.activation(x))


def build_trunk(
    name: str, weights: str | Path = "none", *, sha256: str | None = None, seed: int = 0
) -> tuple[Trunk, str]:
    """A trunk and, for reports, where its weights come from.

    Parameters
    ----------
    weights: "none" (random, by seed), "imagenet" (torchvision's; needs the network once), or a file: safetensors, or a
        .pth whose SHA-256 begins as torchvision's published name says, or equals `sha256`.

    Raises
    ------
    InputError: an unknown backbone, a file that is missing, foreign or of another hash, or no network.
    """
    backbone_named(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trunk = Trunk(name)
    if weights == "none":
        return trunk, "random"
    if weights == "imagenet":
        _load_into(trunk, _published_state(name), "imagenet")
        return trunk, "imagenet"
    path = Path(weights)
    if not path.is_file():
        raise InputError("the weight file does not exist", where=path, mend="give a .safetensors or .pth file")
    digest = content_digest(path).hex()
    _load_into(trunk, _state_from_file(path, name, digest, sha256), path)
    return trunk, f"file {digest[:16]}"


def freeze(trunk: Trunk) -> None:
    """Freeze the parameters through dense block 3, or a like depth in another backbone."""
    for key, parameter in trunk.net.named_parameters():
        parameter.requires_grad_(not key.startswith(BACKBONES[trunk.name].frozen))


def _torchvision_trunk(name: str) -> nn.Module:
    models = import_torchvision().models
    if name == "inception_v3":
        net = models.inception_v3(weights=None, init_weights=False, aux_logits=False, transform_input=True)
    else:
        net = getattr(models, name)(weights=None)
    if name == "vgg19":
        net.classifier[-1] = nn.Identity()
    else:
        net.fc = nn.Identity()
    return net


def _inception_activation(net: Any, x: Tensor) -> Tensor:
    x = net._transform_input(x)
    for layer in INCEPTION_LAYERS.split():
        x = getattr(net, layer)(x)
    return x


def _published_state(name: str) -> dict[str, Tensor]:
    weights = import_torchvision().models.get_model_weights(name)["IMAGENET1K_V1"]
    try:
        return weights.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, HTTPException) as error:
        raise InputError(
            "the ImageNet weights cannot be downloaded",
            where="--weights imagenet",
            mend="connect to the internet once, give the downloaded file with --weights FILE, or use --weights none",
        ) from error
    except UNREADABLE as error:
        raise InputError(
            "the ImageNet weights that were downloaded are damaged",
            where=Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name,
            mend="delete that file, if it is there, and try again",
        ) from error


def _state_from_file(path: Path, name: str, digest: str, sha256: str | None) -> dict[str, Tensor]:
    if sha256 is not None and digest != sha256.lower():
        raise InputError(f"the file has the SHA-256 {digest}, not the one that was given", where=path)
    if path.suffix == ".safetensors":
        return _safetensors(path)
    if sha256 is None and not digest.startswith(BACKBONES[name].published):
        raise InputError(
            f"this is not the file that torchvision publishes for {name} (SHA-256 {digest[:8]}...)",
            where=path,
            mend="give its full SHA-256 with --weights-sha256 if you trust it",
        )
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        raise _unreadable(path) from error
    if not isinstance(state, dict):
        raise _unreadable(path)
    return state


def _safetensors(path: Path) -> dict[str, Tensor]:
    import safetensors
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise _unreadable(path) from error


def _unreadable(path: Path) -> InputError:
    return InputError("this is not a readable weight file", where=path, mend="give a .safetensors or .pth file")


def _load_into(trunk: Trunk, state: dict[str, Tensor], where: Where) -> None:
    """Load a published state; its last layer and Inception's auxiliary head are left out."""
    wanted = trunk.net.state_dict()
    renamed = {OLD_DENSENET_KEY.sub(r"\1\2", str(key)): value for key, value in state.items()}
    found = {key: value for key, value in renamed.items() if key in wanted and isinstance(value, Tensor)}
    missing = [key for key in wanted if key not in found and not key.endswith("num_batches_tracked")]
    wrong = [key for key, value in found.items() if value.shape != wanted[key].shape]
    if missing or wrong:
        raise InputError(
            f'the weights do not fit {trunk.name} (layer "{(missing or wrong)[0]}")',
            where=where,
            mend="give a weight file of that backbone",
        )
    trunk.net.load_state_dict(found, strict=False)
