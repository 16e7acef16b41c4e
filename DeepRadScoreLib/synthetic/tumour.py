"""The shape of a phantom tumour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from DeepRadScoreLib.synthetic.anatomy import Grid

MEDIAN_DIAMETER_MM, DIAMETER_LOG_SD, DIAMETER_LIMITS_MM = 18.0, 0.35, (6.0, 30.0)
LARGE_SHARE, LARGE_LIMITS_MM = 0.06, (30.0, 60.0)
SPICULE_SHARPNESS = 40.0


@dataclass(frozen=True)
class Surface:
    """Radius of a star-shaped body over the directions: 1, changed by lobes (waves) and spicules (narrow bumps).

    Attributes
    ----------
    waves, phases, lobe: wave vectors (n, 3), phases (n,), and the largest change that all of them make together.
    spicules, heights: unit directions (n, 3) and heights (n,).
    """

    waves: np.ndarray
    phases: np.ndarray
    lobe: float
    spicules: np.ndarray
    heights: np.ndarray

    def radius(self, unit: np.ndarray) -> np.ndarray:
        """(n,) float32 for unit vectors (3, n)."""
        radius = np.ones(unit.shape[1], dtype=np.float32)
        for wave, phase in zip(self.waves.astype(np.float32), self.phases, strict=True):
            radius += self.lobe / len(self.waves) * np.cos(wave @ unit + np.float32(phase))
        for spicule, height in zip(self.spicules.astype(np.float32), self.heights, strict=True):
            radius += height * np.exp(SPICULE_SHARPNESS * (spicule @ unit - 1))
        return radius


@dataclass(frozen=True)
class TumourShape:
    """A stretched and turned `Surface`.

    Attributes
    ----------
    diameter_mm: of the ball of the same volume.
    to_unit: (3, 3) takes (z, y, x) in mm into the space of the surface.
    reach_mm: about how far the body's furthest point lies from its centre.
    """

    diameter_mm: float
    to_unit: np.ndarray
    surface: Surface
    reach_mm: float

    def relative_radius(self, grid: Grid) -> np.ndarray:
        """Distance from the centre as a share of the body's radius in that direction, float32 (z, y, x)."""
        coordinates = [np.broadcast_to(axis, grid.shape).ravel() for axis in (grid.z, grid.y, grid.x)]
        unit = self.to_unit.astype(np.float32) @ np.stack(coordinates).astype(np.float32)
        distance = np.linalg.norm(unit, axis=0)
        return (distance / self.surface.radius(unit / np.maximum(distance, 1e-6))).reshape(grid.shape)


def draw_shape(rng: np.random.Generator) -> TumourShape:
    """A tumour of random size (6 to 30 mm, a few to 60) and shape, from smooth to lobed and spiculated."""
    usual = np.clip(MEDIAN_DIAMETER_MM * np.exp(rng.normal(0, DIAMETER_LOG_SD)), *DIAMETER_LIMITS_MM)
    diameter = float(rng.uniform(*LARGE_LIMITS_MM) if rng.random() < LARGE_SHARE else usual)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    stretch = rng.normal(0, 0.14, 3)
    stretch = np.exp(stretch - stretch.mean())
    spicules = _directions(rng, int(rng.integers(0, 13)))
    surface = Surface(
        waves=rng.normal(0, 2.2, (6, 3)),
        phases=rng.uniform(0, 2 * np.pi, 6),
        lobe=rng.uniform(0.1, 0.5),
        spicules=spicules,
        heights=rng.uniform(0.1, 0.3, len(spicules)),
    )
    radii = surface.radius(_directions(rng, 4000).T.astype(np.float32)).astype(float)
    unit_mm = diameter / 2 / np.cbrt((radii**3).mean())
    to_unit = np.diag(1 / (stretch * unit_mm)) @ rotation
    return TumourShape(diameter, to_unit, surface, float(unit_mm * stretch.max() * radii.max()))


def _directions(rng: np.random.Generator, n: int) -> np.ndarray:
    vectors = rng.normal(size=(n, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
