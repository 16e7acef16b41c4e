"""Small volumes with a known tumour for the tests of the imaging step."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk


def rotation(z_deg: float = 0.0, x_deg: float = 0.0) -> np.ndarray:
    """Rotation about x, then about z: (3, 3)."""
    z, x = np.radians([z_deg, x_deg])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    return about_z @ about_x


def image_of(array: np.ndarray, spacing=(1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0), direction=None) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([float(s) for s in spacing])
    image.SetOrigin([float(o) for o in origin])
    if direction is not None:
        image.SetDirection(np.asarray(direction, dtype=float).ravel().tolist())
    return image


def ball(size, spacing, radius, *, centre=None, stretch=(1.0, 1.0, 1.0)) -> np.ndarray:
    """uint8 (z, y, x): voxels whose centre lies within `radius` mm of `centre` (x, y, z mm from the first voxel)."""
    spacing = np.array(spacing)
    centre = spacing * (np.array(size) - 1) / 2 if centre is None else np.array(centre)
    x, y, z = np.meshgrid(*(s * np.arange(n) for s, n in zip(spacing, size, strict=True)), indexing="ij")
    d2 = sum(((p - c) / f) ** 2 for p, c, f in zip((x, y, z), centre, stretch, strict=True))
    return np.ascontiguousarray((d2 <= radius**2).astype(np.uint8).T)


def lung_ct(mask: np.ndarray, seed: int = 0) -> np.ndarray:
    """int16 HU (z, y, x): a textured tumour of about 40 HU in textured lung of about -800 HU."""
    noise = np.random.default_rng(seed).normal(0, 40, mask.shape)
    return np.round(np.where(mask > 0, 40, -800) + noise).astype(np.int16)


def tumour_case(size=(40, 40, 30), spacing=(1.0, 1.0, 1.0), radius=6.0, origin=(0, 0, 0), direction=None, **shape):
    """CT and mask images of a ball in lung."""
    mask = ball(size, spacing, radius, **shape)
    return image_of(lung_ct(mask), spacing, origin, direction), image_of(mask, spacing, origin, direction)
