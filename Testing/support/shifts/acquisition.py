"""The same patient by another scanner or protocol: noise, kernel, slice thickness, contrast, metal, motion."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter, grey_opening, map_coordinates, shift

from support.shifts.volume import NotApplicableError, Volume

TISSUE_HU = (-150.0, 150.0)
METAL_HU = 3071.0


def noise_hu(volume: Volume) -> float:
    """Standard deviation of the noise: robust, of what a Gaussian of 2 pixels removes from soft tissue."""
    smooth = gaussian_filter(volume.hu.astype(np.float32), (0, 2, 2))
    tissue = (smooth > TISSUE_HU[0]) & (smooth < TISSUE_HU[1])
    if not tissue.any():
        raise NotApplicableError
    rest = (volume.hu - smooth)[tissue]
    return float(1.4826 * np.median(np.abs(rest - np.median(rest))))


def more_noise(volume: Volume, rng: np.random.Generator, times: float) -> Volume:
    """Noise `times` as strong as the CT's, with the ramp spectrum of filtered back-projection."""
    z, y, x = volume.hu.shape
    f = np.hypot(np.fft.fftfreq(y, volume.step[1])[:, None], np.fft.rfftfreq(x, volume.step[2]))
    amplitude = np.sqrt((f + 0.02) * np.exp(-((f * 2.4) ** 2))).astype(np.float32)
    noise = irfft2(rfft2(rng.standard_normal((z, y, x), dtype=np.float32)) * amplitude, s=(y, x))
    strength = noise_hu(volume) * np.sqrt(times**2 - 1)
    return volume.scanned(volume.hu + strength * noise / noise.std())


def sharpened(volume: Volume, rng: np.random.Generator, amount: float) -> Volume:
    """A sharper kernel: unsharp masking in plane, 1 mm."""
    return volume.scanned(volume.hu + amount * (volume.hu - volume.smooth(1.0, in_plane=True)))


def smoothed(volume: Volume, rng: np.random.Generator, mm: float) -> Volume:
    """A smoother kernel: a Gaussian in plane."""
    return volume.scanned(volume.smooth(mm, in_plane=True))


def blurred(volume: Volume, rng: np.random.Generator, mm: float) -> Volume:
    """A Gaussian in all three directions."""
    return volume.scanned(volume.smooth(mm))


def thick(volume: Volume, rng: np.random.Generator, mm: float) -> Volume:
    """Slices of `mm`, each the mean over its thickness; the mask's nearest slice."""
    count = int(volume.hu.shape[0] * volume.step[0] // mm)
    if mm <= volume.step[0] or count < 3:
        raise NotApplicableError
    per_slice = mm / volume.step[0]
    first = (volume.hu.shape[0] - count * per_slice) / 2
    total = np.concatenate([np.zeros((1, *volume.hu.shape[1:])), np.cumsum(volume.hu, axis=0, dtype=float)])
    edges = first + per_slice * np.arange(count + 1)
    below = np.minimum(edges.astype(int), len(total) - 2)
    share = (edges - below)[:, None, None]
    hu = np.diff((1 - share) * total[below] + share * total[below + 1], axis=0) / per_slice
    middles = first + per_slice * (np.arange(count) + 0.5) - 0.5
    mask = volume.mask[np.rint(middles).astype(int)]
    start = np.array(volume.origin) + volume.direction @ (0, 0, middles[0] * volume.step[0])
    thicker = replace(volume, step=(mm, *volume.step[1:]), origin=tuple(start.tolist()))
    return thicker.with_mask(mask).scanned(hu)


def coarse_pixels(volume: Volume, rng: np.random.Generator, mm: float) -> Volume:
    """A larger field of view: pixels of `mm`, after the blur that belongs to them."""
    scale = np.array([1.0, mm / volume.step[1], mm / volume.step[2]])
    size = (np.array(volume.hu.shape) // scale).astype(int)
    grid = np.meshgrid(*(np.arange(n) * s for n, s in zip(size, scale, strict=True)), indexing="ij")
    hu = map_coordinates(volume.smooth(mm / 3, in_plane=True), grid, order=1)
    mask = map_coordinates(volume.mask.astype(np.float32), grid, order=1) >= 0.5
    return replace(volume, step=(volume.step[0], mm, mm)).with_mask(mask).scanned(hu)


def enhanced(volume: Volume, rng: np.random.Generator, hu: float) -> Volume:
    """Contrast medium: tumour and vessels (soft tissue narrower than 8 mm) denser by `hu`."""
    soft = np.clip((volume.smooth(0.7) + 200) / 200, 0, 1)
    size = [2 * round(n / 2) + 1 for n in volume.voxels(8.0)]
    narrow = soft - grey_opening(soft, size=size)
    near_tumour = np.clip(1 - volume.distance_mm(volume.mask) / 2, 0, 1)
    return volume.scanned(volume.hu + hu * np.maximum(narrow, soft * near_tumour))


def streaks(volume: Volume, rng: np.random.Generator) -> Volume:
    """A metal clip 25 mm beside the tumour, over 6 mm, with the star of streaks around it."""
    z, y, x = _mm_from(volume, _beside(volume, rng, 25.0))
    radius, angle = np.hypot(y, x), np.arctan2(y, x)
    star = np.cos(11 * angle + rng.uniform(0, 6)) + 0.7 * np.cos(17 * angle + rng.uniform(0, 6))
    near = np.exp(-((z / 4.0) ** 2))
    hu = volume.hu + near * 250 * star * np.exp(-radius / 45) * (radius > 2)
    return volume.scanned(np.where((radius <= 2) & (np.abs(z) <= 3), METAL_HU, hu))


def marker(volume: Volume, rng: np.random.Generator) -> Volume:
    """A gold marker, 1.2 mm in radius and 4 mm long, in the tumour."""
    z, y, x = _mm_from(volume, volume.centre)
    inside = (np.hypot(y, x) <= 1.2) & (np.abs(z) <= 2)
    return volume.scanned(np.where(inside, METAL_HU, volume.hu))


def breathing(volume: Volume, rng: np.random.Generator, mm: float) -> Volume:
    """Two phases of the breath in one image, `mm` apart along z."""
    other = shift(volume.hu.astype(np.float32), (mm / volume.step[0], 0, 0), order=1, mode="nearest")
    return volume.scanned((volume.hu + other) / 2)


def _mm_from(volume: Volume, index: np.ndarray) -> list[np.ndarray]:
    """Distance along z, y, x in mm of each voxel from an index, for broadcasting."""
    axes = [s * (np.arange(n) - c) for n, s, c in zip(volume.hu.shape, volume.step, index, strict=True)]
    return [axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]]


def _beside(volume: Volume, rng: np.random.Generator, mm: float) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    return volume.centre + np.array([0, np.sin(angle), np.cos(angle)]) * volume.voxels(mm)
