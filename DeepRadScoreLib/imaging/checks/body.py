"""The patient's body in a CT, where the field of view shows its outline against the air."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from DeepRadScoreLib.imaging.checks.quality import PADDING_HU
from DeepRadScoreLib.imaging.grids.lps import LpsImage
from DeepRadScoreLib.imaging.masks.morphology import filled, opened, pieces

PIXEL_MM, SLICE_MM = 6.0, 15.0
"""Every sixth millimetre of every fifteenth is looked at."""
SOLID_HU = -300.0
OPENING_MM = 25.0
"""What is thinner than twice this is no body: table, cushions, arms."""
OUTER_AIR_HU = -970.0
MAX_LUNG_SHARE = 0.2
"""Air outside the body: median of -993 to -1002 HU in whole CTs; a lung cut by the image lies over -900 HU."""
BONE_HU = (300.0, 600.0)
"""Dense contrast medium stays under the second, sternal wires do not outweigh the spine at the first."""
MIN_LUNG_IN_SLICE, MIN_SLICES, MIN_SHARE = 0.1, 6, 0.75
"""Slices with lung in which the bone of the midline is looked at; how many, and which share, must agree."""


@dataclass(frozen=True)
class Body:
    """Body and outer air of a CT, on a coarse part of its voxels.

    Attributes
    ----------
    hu, inside, outer: arrays (z, y, x): values, whether a voxel is of the body (lungs included), whether it is of the
        air, or a thing, outside.
    steps: every how many of the CT's voxels along z, y, x.
    """

    hu: np.ndarray
    inside: np.ndarray
    outer: np.ndarray
    steps: tuple[int, int, int]

    def share_outside(self, voxels: np.ndarray) -> float:
        """Share of the CT's voxels (n, 3), z, y, x indices, that lie outside the body."""
        limits = np.array(self.outer.shape) - 1
        index = np.minimum(np.round(voxels / self.steps).astype(int), limits)
        return float(self.outer[tuple(index.T)].mean())

    @property
    def upside_down(self) -> bool:
        """Whether the spine lies at the front: more than twice the bone of the midline, in most slices with lung."""
        return all(self._spine_at_front(hu) for hu in BONE_HU)

    def _spine_at_front(self, bone_hu: float) -> bool:
        bone = [_midline_bone(hu, body, bone_hu) for hu, body in zip(self.hu, self.inside, strict=True)]
        front, back = np.array([one for one in bone if one is not None] or [(0, 0)]).T
        at_front, at_back = np.count_nonzero(front > 2 * back), np.count_nonzero(back > 2 * front)
        return bool(at_front >= MIN_SLICES and at_front >= MIN_SHARE * (at_front + at_back))


def find_body(ct: LpsImage) -> Body | None:
    """The body in a CT, or None where the CT shows no outline of it."""
    spacing = np.array(ct.spacing[::-1])
    z, y, x = (max(1, int(n)) for n in np.round((SLICE_MM, PIXEL_MM, PIXEL_MM) / spacing))
    hu = ct.voxels[::z, ::y, ::x].copy()
    solid = pieces(opened(filled(hu > SOLID_HU), spacing[1:] * (y, x), OPENING_MM))
    if not solid.any():
        return None
    inside = solid == np.bincount(solid.ravel())[1:].argmax() + 1
    outer = _outer_air(hu, ~inside)
    return Body(hu, inside, outer, (z, y, x)) if outer.any() else None


def _outer_air(hu: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """The pieces of `outside` at the image's sides that are air, as far as they are seen, and hold no lung."""
    numbers = pieces(outside)
    outer = np.zeros(outside.shape, dtype=bool)
    sides = (numbers[:, 0], numbers[:, -1], numbers[:, :, 0], numbers[:, :, -1])
    for number in np.unique(np.concatenate([side.ravel() for side in sides])):
        piece = numbers == number
        seen = hu[piece & (hu > PADDING_HU)]
        if number == 0 or seen.size == 0:
            continue
        lung = np.count_nonzero((seen > -900) & (seen < -600)) / seen.size
        if np.median(seen) < OUTER_AIR_HU and lung < MAX_LUNG_SHARE:
            outer |= piece
    return outer


def _midline_bone(hu: np.ndarray, body: np.ndarray, bone_hu: float) -> tuple[int, int] | None:
    """Voxels of bone in the front and the back half of a body's middle third; None in a slice without lung."""
    rows, columns = np.nonzero(body)
    if not rows.size or np.mean((hu[body] > -950) & (hu[body] < -600)) < MIN_LUNG_IN_SLICE:
        return None
    left, right = (round(v) for v in np.quantile([columns.min(), columns.max()], (1 / 3, 2 / 3)))
    middle = int(np.percentile(rows, (1, 99)).mean())
    bone = ((hu > bone_hu) & body)[:, left : right + 1]
    return int(bone[:middle].sum()), int(bone[middle:].sum())
