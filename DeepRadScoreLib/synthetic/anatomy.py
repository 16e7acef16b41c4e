"""The surroundings of a phantom tumour: lung, vessels, chest wall, and what the scanner adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter

LUNG_HU, VESSEL_HU, THINNEST_VESSEL_MM = -860.0, 40.0, 0.5
WALL_DEPTH_MM = (-0.6, 0.4, 1.4, 2.4, 3.6, 4.8, 11.5, 13.0, 15.5, 17.0, 27.0, 28.5, 50.0)
WALL_HU = (-860.0, 30.0, 30.0, -100.0, -100.0, 50.0, 50.0, -100.0, -100.0, 60.0, 60.0, -105.0, -105.0)
"""Pleura, extrapleural fat, intercostal muscle, fat, outer muscle, subcutaneous fat: HU by depth behind the lung."""
RIB_DEPTH_MM, RIB_HALF_AXES_MM, RIB_PERIOD_MM = 7.8, (3.6, 12.0), 52.0
CORTEX_HU, MARROW_HU = 650.0, 220.0


@dataclass(frozen=True)
class Site:
    """One scanner: voxel size (x, y, z mm), blur (standard deviation in mm, in plane and along z), noise (HU)."""

    spacing: tuple[float, float, float]
    blur_mm: tuple[float, float]
    noise_hu: float


SITES: dict[str, Site] = {
    "A": Site((0.8, 0.8, 1.5), (0.5, 0.5), 28.0),
    "B": Site((1.0, 1.0, 2.5), (0.8, 0.8), 16.0),
}


@dataclass(frozen=True)
class Grid:
    """Voxel centres in mm from the tumour's centre: z (n, 1, 1), y (1, n, 1), x (1, 1, n); `step` is (z, y, x) mm."""

    z: np.ndarray
    y: np.ndarray
    x: np.ndarray
    step: tuple[float, float, float]

    @property
    def shape(self) -> tuple[int, int, int]:
        return (self.z.size, self.y.size, self.x.size)

    def box(self, low: np.ndarray, high: np.ndarray) -> tuple[slice, slice, slice]:
        """The voxels between two corners (z, y, x mm), cut at the grid's ends."""
        axes = (self.z.ravel(), self.y.ravel(), self.x.ravel())
        z, y, x = (slice(*np.searchsorted(axis, (a, b))) for axis, a, b in zip(axes, low, high, strict=True))
        return z, y, x

    def part(self, box: tuple[slice, slice, slice]) -> Grid:
        """The same coordinates within a box."""
        return Grid(self.z[box[0]], self.y[:, box[1]], self.x[:, :, box[2]], self.step)


def texture(rng: np.random.Generator, shape: tuple[int, ...], step: tuple[float, ...], grain_mm: float) -> np.ndarray:
    """Gaussian noise of unit standard deviation, float32, smoothed by a Gaussian of `grain_mm`."""
    sigma = [grain_mm / s for s in step]
    field = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, mode="wrap", truncate=3)
    return (field - field.mean()) / field.std()


def slow_texture(
    rng: np.random.Generator, shape: tuple[int, int, int], step: tuple[float, ...], grain_mm: float
) -> np.ndarray:
    """The like for a coarse grain, quickly: a sum of products of smooth noise along each axis."""
    z, y, x = (
        np.stack([texture(rng, (n + 40,), (s,), grain_mm)[:n] for _ in range(12)])
        for n, s in zip(shape, step, strict=True)
    )
    field = ((z[:, :, None] * y[:, None, :]).reshape(12, -1).T @ x).reshape(shape)
    return (field - field.mean()) / field.std()


def lung(rng: np.random.Generator, grid: Grid) -> np.ndarray:
    """Parenchyma in HU, float32 (z, y, x): its own inflation, fine texture and slow changes."""
    hu = 35 * texture(rng, grid.shape, grid.step, 1.2)
    hu += 20 * slow_texture(rng, grid.shape, grid.step, 8.0)
    hu += np.float32(LUNG_HU + rng.normal(0, 15))
    return hu


@dataclass(frozen=True)
class Wall:
    """The chest wall, a cylinder, with ribs.

    Attributes
    ----------
    depth: mm behind the pleura, negative in the lung, float32 (z, y, x).
    along: mm along the wall, float32 (1, y, x).
    angle: the direction from the tumour to the wall, in the plane, radians from x towards y.
    ribs: slope (mm along the wall per mm of z) and start (mm).
    """

    depth: np.ndarray
    along: np.ndarray
    angle: float
    ribs: tuple[float, float]

    @classmethod
    def drawn(cls, rng: np.random.Generator, grid: Grid, distance_mm: float) -> Wall:
        """A wall `distance_mm` from the tumour's centre, up to 50 degrees off the left or right."""
        angle = rng.uniform(-0.87, 0.87) + np.pi * rng.integers(2)
        radius, lean = rng.uniform(75, 120), rng.uniform(-0.12, 0.12)
        towards = (np.cos(angle) * grid.x + np.sin(angle) * grid.y).astype(np.float32)
        across = (np.cos(angle) * grid.y - np.sin(angle) * grid.x).astype(np.float32)
        axial = towards + (radius - distance_mm)
        along = radius * np.arctan2(across, axial)
        ripple = 0.6 * np.sin(along / rng.uniform(9, 14) + rng.uniform(0, 6))
        depth = np.sqrt(axial**2 + across**2) - radius + ripple + lean * grid.z.astype(np.float32)
        ribs = (rng.uniform(1.5, 2.5) * rng.choice((-1, 1)), rng.uniform(0, RIB_PERIOD_MM))
        return cls(depth, along, float(angle), ribs)

    def add(self, hu: np.ndarray, grid: Grid) -> None:
        """Write it into `hu`, in place."""
        inside = self.depth > WALL_DEPTH_MM[0]
        deep = self.depth[inside]
        fresh = np.interp(deep, WALL_DEPTH_MM, WALL_HU).astype(np.float32)
        slope, start = self.ribs
        place = (self.along + (slope * grid.z + start).astype(np.float32))[inside] % RIB_PERIOD_MM - RIB_PERIOD_MM / 2
        rib = np.hypot((deep - RIB_DEPTH_MM) / RIB_HALF_AXES_MM[0], place / RIB_HALF_AXES_MM[1])
        fresh[rib < 1], fresh[rib < 0.7] = CORTEX_HU, MARROW_HU
        share = np.clip((deep - WALL_DEPTH_MM[0]) / (WALL_DEPTH_MM[1] - WALL_DEPTH_MM[0]), 0, 1)
        hu[inside] += share * (fresh - hu[inside])


def add_vessels(rng: np.random.Generator, hu: np.ndarray, grid: Grid, angle: float) -> None:
    """Write branching vessels into `hu`, in place; they run towards the wall, which lies in the direction `angle`."""
    reach = np.abs(grid.z).max()
    towards = np.array([0, np.sin(angle), np.cos(angle)])
    across = np.array([0, np.cos(angle), -np.sin(angle)])
    for _ in range(5):
        root = -rng.uniform(50, 68) * towards + rng.uniform(-60, 60) * across
        root[0] = rng.uniform(-0.7, 0.7) * reach
        _grow(rng, hu, grid, root, direction=towards, radius=rng.uniform(1.6, 2.6))


def _grow(
    rng: np.random.Generator, hu: np.ndarray, grid: Grid, start: np.ndarray, *, direction: np.ndarray, radius: float
) -> None:
    """One vessel from `start` (z, y, x mm) and all its branches."""
    if radius < THINNEST_VESSEL_MM:
        return
    direction = direction + rng.normal(0, 0.15, 3) * (0.7, 1, 1)
    direction /= np.linalg.norm(direction)
    end = start + direction * rng.uniform(11, 20)
    _add_tube(hu, grid, start, end, radius)
    for side in (1, -1)[: 2 if rng.random() < 0.8 else 1]:
        turned = direction + side * rng.uniform(0.15, 0.5) * np.cross(direction, rng.normal(size=3))
        _grow(rng, hu, grid, end, direction=turned, radius=radius * rng.uniform(0.62, 0.82))


def _add_tube(hu: np.ndarray, grid: Grid, start: np.ndarray, end: np.ndarray, radius: float) -> None:
    margin = radius + 2
    box = grid.box(np.minimum(start, end) - margin, np.maximum(start, end) + margin)
    part = grid.part(box)
    if 0 in part.shape:
        return
    axis = end - start
    dz, dy, dx = part.z - start[0], part.y - start[1], part.x - start[2]
    t = np.clip((dz * axis[0] + dy * axis[1] + dx * axis[2]) / (axis @ axis), 0, 1)
    distance = np.sqrt((dz - t * axis[0]) ** 2 + (dy - t * axis[1]) ** 2 + (dx - t * axis[2]) ** 2)
    share = np.clip(0.5 + (radius - distance) / grid.step[2], 0, 1)
    view = hu[box]
    view += share * np.maximum(VESSEL_HU - view, 0)


def scanned(rng: np.random.Generator, hu: np.ndarray, site: Site) -> np.ndarray:
    """What the scanner of a site makes of the true HU: blurred, with the noise of filtered back-projection; int16.

    The noise power spectrum in plane is a ramp with a Gaussian apodisation, as that of filtered back-projection; slices
    are nearly independent.
    """
    sigma = [site.blur_mm[1] / site.spacing[2]] + [site.blur_mm[0] / site.spacing[0]] * 2
    image = gaussian_filter(hu, sigma, mode="nearest", truncate=3)
    image += site.noise_hu * _scanner_noise(rng, hu.shape, site)
    return np.clip(np.rint(image), -1024, 3071).astype(np.int16)


def _scanner_noise(rng: np.random.Generator, shape: tuple[int, int, int], site: Site) -> np.ndarray:
    fy, fx = np.fft.fftfreq(shape[1], site.spacing[1])[:, None], np.fft.rfftfreq(shape[2], site.spacing[0])
    f = np.hypot(fy, fx)
    amplitude = np.sqrt((f + 0.02) * np.exp(-((f * 4 * site.blur_mm[0]) ** 2))).astype(np.float32)
    noise = irfft2(rfft2(rng.standard_normal(shape, dtype=np.float32)) * amplitude, s=shape[1:])
    return noise / noise.std()
