"""DenseNet-121 against torchvision's: the same weights by seed, the same values and gradients."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from DeepRadScoreLib.deepct.densenet import DenseNet121
from DeepRadScoreLib.deepct.torchvision_import import import_torchvision


@pytest.fixture(scope="module")
def both() -> tuple[DenseNet121, torch.nn.Module]:
    torch.manual_seed(7)
    ours = DenseNet121()
    torch.manual_seed(7)
    theirs = import_torchvision().models.densenet121(weights=None)
    theirs.classifier = torch.nn.Identity()
    return ours, theirs


def test_a_seed_gives_the_same_weights(both):
    ours, theirs = (each.state_dict() for each in both)
    assert list(ours) == list(theirs)
    for key in ours:
        assert torch.equal(ours[key], theirs[key]), key


def test_values_are_equal_to_the_bit(both):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 96, 64)
    with torch.no_grad():
        ours, theirs = (each.eval()(x) for each in both)
    assert torch.equal(ours, theirs)


def test_training_is_equal_to_the_bit(both):
    """Batch statistics, gradients and running means of one step."""
    torch.manual_seed(1)
    x = torch.randn(3, 3, 64, 64)
    gradients = []
    for network in both:
        network.train()
        network(x).square().sum().backward()
        gradients.append([parameter.grad for parameter in network.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))
    for one, other in zip(*(each.buffers() for each in both), strict=True):
        assert torch.equal(one, other)


def test_a_densenet_is_built_without_torchvision():
    program = (
        "import sys; from DeepRadScoreLib.deepct.backbones import build_trunk; build_trunk('densenet121');"
        "assert 'torchvision' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
