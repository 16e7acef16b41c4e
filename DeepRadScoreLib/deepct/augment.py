"""Augmentation of training patches: flips, +-15 degrees, +-8 pixels of 160, +-10 % scale, from a given generator."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

MAX_DEGREES, MAX_SHIFT_SHARE, MAX_SCALE = 15.0, 8.0 / 160.0, 0.1


def augment(x: Tensor, generator: torch.Generator) -> Tensor:
    """Transform each image of (n, channels, rows, columns) by another random similarity; its border is repeated."""
    n = len(x)

    def uniform(limit: float) -> Tensor:
        return (2.0 * torch.rand(n, generator=generator) - 1.0) * limit

    angle, scale = uniform(math.radians(MAX_DEGREES)), 1.0 + uniform(MAX_SCALE)
    shift = torch.stack([uniform(2.0 * MAX_SHIFT_SHARE), uniform(2.0 * MAX_SHIFT_SHARE)], dim=1)
    mirror = 1.0 - 2.0 * torch.randint(0, 2, (n, 2), generator=generator).float()
    cosine, sine = torch.cos(angle) * scale, torch.sin(angle) * scale
    matrix = torch.stack(
        [
            torch.stack([cosine * mirror[:, 0], -sine * mirror[:, 1], shift[:, 0]], dim=1),
            torch.stack([sine * mirror[:, 0], cosine * mirror[:, 1], shift[:, 1]], dim=1),
        ],
        dim=1,
    )
    grid = nn.functional.affine_grid(matrix, list(x.shape), align_corners=False)
    return nn.functional.grid_sample(x, grid.to(x.device), padding_mode="border", align_corners=False)
