"""DenseNet-121 (Huang et al., CVPR 2017) without torchvision, whose import takes longer than the network itself.

Parameters are named as in torchvision, so that weights of either fit the other, and begin alike from the
same seed.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

LAYERS = (6, 12, 24, 16)
FIRST_CHANNELS = 64
GROWTH = 32
BOTTLENECK = 4 * GROWTH
PUBLISHED_CLASSES = 1000


class DenseLayer(nn.Module):
    """BN, ReLU, 1 x 1 convolution, BN, ReLU, 3 x 3 convolution: 32 new channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, BOTTLENECK, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(BOTTLENECK)
        self.conv2 = nn.Conv2d(BOTTLENECK, GROWTH, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """New channels (n, 32, rows, columns) from all earlier ones of the block."""
        x = self.conv1(torch.relu_(self.norm1(x)))
        return self.conv2(torch.relu_(self.norm2(x)))


class DenseBlock(nn.Module):
    """Layers of which each sees the channels of all earlier ones."""

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        for number in range(layers):
            self.add_module(f"denselayer{number + 1}", DenseLayer(channels + number * GROWTH))

    def forward(self, x: Tensor) -> Tensor:
        """Channels of the input followed by those of each layer."""
        found = [x]
        for layer in self.children():
            found.append(layer(torch.cat(found, 1)))
        return torch.cat(found, 1)


class Transition(nn.Sequential):
    """BN, ReLU, 1 x 1 convolution to half the channels, mean over 2 x 2."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            OrderedDict(
                norm=nn.BatchNorm2d(channels),
                relu=nn.ReLU(inplace=True),
                conv=nn.Conv2d(channels, channels // 2, 1, bias=False),
                pool=nn.AvgPool2d(2, 2),
            )
        )


class DenseNet121(nn.Module):
    """The convolutional part, `features`: (n, 3, rows, columns) -> (n, 1024, rows / 32, columns / 32), before its ReLU.

    He-initialised by torch's generator, from which a classifier of 1000 classes is drawn too, as in torchvision, and
    dropped.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            OrderedDict(
                conv0=nn.Conv2d(3, FIRST_CHANNELS, 7, stride=2, padding=3, bias=False),
                norm0=nn.BatchNorm2d(FIRST_CHANNELS),
                relu0=nn.ReLU(inplace=True),
                pool0=nn.MaxPool2d(3, stride=2, padding=1),
            )
        )
        channels = FIRST_CHANNELS
        for number, layers in enumerate(LAYERS, start=1):
            self.features.add_module(f"denseblock{number}", DenseBlock(channels, layers))
            channels += layers * GROWTH
            if number < len(LAYERS):
                self.features.add_module(f"transition{number}", Transition(channels))
                channels //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        nn.Linear(channels, PUBLISHED_CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Pooled features (n, 1024) of input (n, 3, rows, columns)."""
        return torch.flatten(nn.functional.adaptive_avg_pool2d(torch.relu(self.features(x)), 1), 1)
