"""A chest in HU: body with fat, muscle, ribs, spine, lungs and heart on a table, in air; and masks on its parts."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.imaging import Case

SPACING = (2.0, 2.0, 5.0)
SIZE = (190, 150, 20)
LESION = (-70.0, 5.0, 50.0)
"""x, y, z in mm from the middle of the first slice: right lung, x to the left, y to the back."""
AIR, TABLE, RIB, PLAIN_LUNG, FAT = (
    (-150.0, -110.0, 50.0),
    (0.0, 122.0, 50.0),
    (-134.0, 12.0, 50.0),
    (70.0, 5.0, 50.0),
    (0.0, 88.0, 10.0),
)


def points() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions z (n, 1, 1), y (1, n, 1), x (1, 1, n) of the voxel centres in mm."""
    x, y = (s * (np.arange(n) - (n - 1) / 2) for s, n in zip(SPACING[:2], SIZE[:2], strict=True))
    z = SPACING[2] * np.arange(SIZE[2], dtype=float)
    return z[:, None, None], y[None, :, None], x[None, None, :]


def ball(centre: tuple[float, float, float] = LESION, radius: float = 12.0) -> np.ndarray:
    """Bool (z, y, x)."""
    z, y, x = points()
    return (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2 <= radius**2


def chest(*, lesion_hu: float = 40.0, heart_hu: float = 45.0, right_lung_hu: float = -850.0) -> np.ndarray:
    """HU, float (z, y, x), with noise."""
    z, y, x = points()
    hu = np.full(SIZE[::-1], -1000.0)

    def oval(centre_x: float, centre_y: float, half_x: float, half_y: float) -> np.ndarray:
        return np.broadcast_to(((x - centre_x) / half_x) ** 2 + ((y - centre_y) / half_y) ** 2 <= 1, hu.shape)

    hu[np.broadcast_to((abs(y - 112) < 4) & (abs(x) < 160), hu.shape)] = -150
    hu[np.broadcast_to((abs(y - 130) < 3) & (abs(x) < 160), hu.shape)] = -100
    hu[oval(0, 0, 155, 105)] = -100
    hu[oval(0, 0, 140, 92)] = 50
    ribs = oval(0, 0, 139, 91) & ~oval(0, 0, 127, 80) & ((z + 0.3 * y) % 25 < 12) & (abs(x) > 60)
    hu[ribs] = 500
    for centre_x, lung_hu in ((-65, right_lung_hu), (65, -850.0)):
        hu[oval(centre_x, 0, 58, 74)] = lung_hu
    hu[oval(10, -25, 45, 40)] = heart_hu
    hu[oval(0, 62, 22, 22)] = 700
    hu[oval(0, 62, 17, 17)] = 250
    hu[oval(0, -82, 16, 5)] = 400
    hu[ball()] = lesion_hu
    return hu + np.random.default_rng(0).normal(0, 15, hu.shape)


def image(array: np.ndarray) -> sitk.Image:
    made = sitk.GetImageFromArray(array)
    made.SetSpacing(SPACING)
    return made


def chest_case(hu: np.ndarray, mask: np.ndarray) -> Case:
    """A case of an array in HU and a bool mask, both (z, y, x)."""
    return Case("chest", image(np.round(hu).astype(np.int16)), image(mask.astype(np.uint8)))
