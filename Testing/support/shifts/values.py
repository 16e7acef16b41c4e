"""Voxel values that are not the HU that they are taken for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter

from support.shifts.volume import Volume

AIR_HU = -1024.0
WINDOW_HU = (-1000.0, 400.0)
MR_AT_HU = (-1024, -850, -500, -120, -60, 20, 60, 200, 700, 3071)
MR_SIGNAL = (5, 40, 120, 700, 650, 320, 380, 250, 40, 20)
"""Signal of a T1-weighted image by HU: fat bright, muscle medium, air and cortical bone dark."""


def offset(volume: Volume, rng: np.random.Generator, hu: float) -> Volume:
    """All values moved: +1024 is the intercept left out, -1024 the intercept applied twice."""
    return volume.with_values(volume.hu.astype(np.float32) + hu)


def slope(volume: Volume, rng: np.random.Generator, factor: float) -> Volume:
    """Another rescale slope, air at -1024 HU."""
    return volume.with_values((volume.hu - AIR_HU) * factor + AIR_HU)


def times(volume: Volume, rng: np.random.Generator, factor: float) -> Volume:
    """All values multiplied; -1 inverts the signs."""
    return volume.with_values(volume.hu.astype(np.float32) * factor)


def negative(volume: Volume, rng: np.random.Generator) -> Volume:
    """Black for white within the CT's own range."""
    return volume.with_values(float(volume.hu.min()) + float(volume.hu.max()) - volume.hu.astype(np.float32))


def eight_bits(volume: Volume, rng: np.random.Generator) -> Volume:
    """A lung window as grey levels 0..255."""
    low, high = WINDOW_HU
    return volume.with_values(np.rint(255 * np.clip((volume.hu - low) / (high - low), 0, 1)))


def eight_bits_signed(volume: Volume, rng: np.random.Generator) -> Volume:
    """The same less 1024, as a reader does that adds an intercept of its own."""
    return offset(eight_bits(volume, rng), rng, AIR_HU)


def eight_bits_stretched(volume: Volume, rng: np.random.Generator) -> Volume:
    """The 256 grey levels stretched over the whole range of a CT, -1024 to 3071."""
    return volume.with_values(eight_bits(volume, rng).hu.astype(np.float32) * (4095 / 255) + AIR_HU)


def soft_window(volume: Volume, rng: np.random.Generator) -> Volume:
    """256 grey levels of a mediastinal window (-160 to 240 HU) stretched over -1000 to 1000."""
    grey = np.rint(255 * np.clip((volume.hu + 160.0) / 400, 0, 1))
    return volume.with_values(grey * (2000 / 255) - 1000)


def fractions(volume: Volume, rng: np.random.Generator) -> Volume:
    """Values divided by 1000, as floating-point numbers."""
    return replace(volume, hu=(volume.hu / 1000).astype(np.float32))


def mr(volume: Volume, rng: np.random.Generator) -> Volume:
    """An image like T1-weighted MR: its contrast, a bias field, Rician noise; no value below 0."""
    signal = np.interp(volume.hu, MR_AT_HU, MR_SIGNAL).astype(np.float32)
    bias = gaussian_filter(rng.standard_normal(volume.hu.shape, dtype=np.float32), [n / 6 for n in volume.hu.shape])
    signal *= 1 + 0.3 * bias / np.abs(bias).max()
    first, second = (20 * rng.standard_normal(volume.hu.shape, dtype=np.float32) for _ in range(2))
    return volume.with_values(np.hypot(signal + first, second))


def mr_normalised(volume: Volume, rng: np.random.Generator) -> Volume:
    """The same with its mean at 0 and a standard deviation of 400."""
    signal = mr(volume, rng).hu.astype(np.float32)
    return volume.with_values(400 * (signal - signal.mean()) / signal.std())
