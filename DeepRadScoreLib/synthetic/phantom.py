"""One synthetic case: a CT-like volume with a tumour, in which each latent cause shows in its own place only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import distance_transform_edt, label
from scipy.special import ndtr

from DeepRadScoreLib.analysis import SYNTHETIC_LABEL
from DeepRadScoreLib.imaging.origin import SYNTHETIC_KEY
from DeepRadScoreLib.synthetic.anatomy import (
    SITES,
    Grid,
    Site,
    add_vessels,
    add_wall,
    lung,
    scanned,
    texture,
    wall_depth,
)
from DeepRadScoreLib.synthetic.causes import LATENTS

FIELD_PIXELS = 176
MARGIN_MM = 18.0
MEDIAN_DIAMETER_MM, DIAMETER_LOG_SD, DIAMETER_LIMITS_MM = 15.0, 0.5, (6.0, 60.0)
SHELL_MM = 3.0
BEYOND_MM = 8.0
"""Causes beyond the shell begin this far from the tumour's outline in any slice: the wavelet filters of the shell's
features reach some voxels outwards, and so do the interpolation and the scanner's blur."""


@dataclass(frozen=True)
class TumourShape:
    """A star-shaped body: an ellipsoid whose radius is changed by lobes (waves) and spicules (narrow bumps).

    Attributes
    ----------
    to_unit: (3, 3) takes (z, y, x) in mm into the space in which the ellipsoid is the unit ball.
    waves, phases, lobe: wave vectors (n, 3), phases (n,) and common amplitude of the lobes.
    spicules, heights: unit directions (n, 3) and heights (n,) of the spicules.
    reach_mm: no point of the body lies further from its centre.
    """

    diameter_mm: float
    to_unit: np.ndarray
    waves: np.ndarray
    phases: np.ndarray
    lobe: float
    spicules: np.ndarray
    heights: np.ndarray
    reach_mm: float

    def relative_radius(self, grid: Grid) -> np.ndarray:
        """Distance from the centre as a share of the surface's in that direction, float32 (z, y, x)."""
        vectors = np.stack([np.broadcast_to(a, grid.shape).ravel() for a in (grid.z, grid.y, grid.x)]).astype(
            np.float32
        )
        unit = self.to_unit.astype(np.float32) @ vectors
        distance = np.linalg.norm(unit, axis=0)
        radius = _radius(
            unit / np.maximum(distance, 1e-6), self.waves, self.phases, self.lobe, self.spicules, self.heights
        )
        return (distance / radius).reshape(grid.shape)


def _radius(
    unit: np.ndarray, waves: np.ndarray, phases: np.ndarray, lobe: float, spicules: np.ndarray, heights: np.ndarray
) -> np.ndarray:
    """Radius of the body in the directions `unit` (3, n), where the ellipsoid's is 1."""
    radius = np.ones(unit.shape[1], dtype=np.float32)
    for wave, phase in zip(waves.astype(np.float32), phases, strict=True):
        radius += lobe / len(waves) * np.cos(wave @ unit + np.float32(phase))
    for spicule, height in zip(spicules.astype(np.float32), heights, strict=True):
        radius += height * np.exp(40 * (spicule @ unit - 1))
    return radius


def draw_shape(rng: np.random.Generator) -> TumourShape:
    """A tumour of random size and shape; `diameter_mm` is that of the ball of the same volume."""
    diameter = float(np.clip(MEDIAN_DIAMETER_MM * np.exp(rng.normal(0, DIAMETER_LOG_SD)), *DIAMETER_LIMITS_MM))
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    stretch = rng.normal(0, 0.14, 3)
    stretch = np.exp(stretch - stretch.mean())
    waves, phases = rng.normal(0, 2.2, (6, 3)), rng.uniform(0, 2 * np.pi, 6)
    spicules = _directions(rng, int(rng.integers(0, 13)))
    heights = rng.uniform(0.1, 0.3, len(spicules))
    form = (waves, phases, rng.uniform(0.1, 0.5), spicules, heights)
    radii = _radius(_directions(rng, 2000).T.astype(np.float32), *form)
    unit_mm = diameter / 2 / np.cbrt((radii.astype(float) ** 3).mean())
    return TumourShape(
        diameter,
        np.diag(1 / (stretch * unit_mm)) @ rotation,
        *form,
        reach_mm=float(unit_mm * stretch.max() * radii.max()),
    )


def _directions(rng: np.random.Generator, n: int) -> np.ndarray:
    vectors = rng.normal(size=(n, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_case(latents: Mapping[str, float], site: str, seed: int) -> tuple[sitk.Image, sitk.Image]:
    """One case; everything that is not a latent (size, shape, place, surroundings, noise) depends on the seed alone.

    Parameters
    ----------
    latents: a value for each of `LATENTS`; what shows grows with its normal quantile (0..1).
    site: key of `SITES`.

    Returns
    -------
    CT, int16, HU, LPS order, with the metadata key of a synthetic image; tumour mask, uint8, 0 and 1, same grid: the
    voxels whose centres lie in the tumour.
    """
    streams = np.random.default_rng(seed).spawn(8)
    dose = {name: float(ndtr(latents[name])) for name in LATENTS}
    shape = draw_shape(streams[0])
    grid = _grid(streams[1], SITES[site], shape.reach_mm)
    pleura_mm = min(shape.reach_mm + streams[1].uniform(17, 28), 60.0)
    depth, along, angle = wall_depth(streams[2], grid, pleura_mm)
    box, relative, mask = _tumour_extent(shape, grid)
    middle = int(np.count_nonzero(mask, axis=(1, 2)).argmax())
    hu = lung(streams[3], grid)
    add_vessels(streams[4], hu, grid, angle)
    _add_beyond(streams[5], hu, grid, mask, middle, depth, angle, dose)
    add_wall(streams[2], hu, depth, along, grid)
    _add_tumour(streams[6], hu, grid, shape, box, relative, mask, dose)
    return _images(scanned(streams[7], hu, SITES[site]), mask, SITES[site])


def _grid(rng: np.random.Generator, site: Site, reach_mm: float) -> Grid:
    """The field of view: the tumour's centre is up to 4 pixels off its middle."""
    step = site.spacing[::-1]
    slices = 2 * int(np.ceil((reach_mm + MARGIN_MM) / step[0])) + 1
    counts = (slices, FIELD_PIXELS, FIELD_PIXELS)
    shift = rng.uniform(-1, 1, 3) * (0.5, 4, 4)
    z, y, x = (s * (np.arange(n) - (n - 1) / 2 + d) for s, n, d in zip(step, counts, shift, strict=True))
    return Grid(z[:, None, None], y[None, :, None], x[None, None, :], step)


def _tumour_extent(shape: TumourShape, grid: Grid) -> tuple[tuple[slice, slice, slice], np.ndarray, np.ndarray]:
    """A box that holds tumour and shell, the relative radius in it, and the mask (bool) of the whole grid."""
    reach = np.full(3, shape.reach_mm + SHELL_MM + 3)
    box = grid.box(-reach, reach)
    relative = shape.relative_radius(grid.part(box))
    pieces, _ = label(relative <= 1, structure=np.ones((3, 3, 3)))
    mask = np.zeros(grid.shape, dtype=bool)
    mask[box] = pieces == pieces[np.unravel_index(relative.argmin(), relative.shape)]
    return box, relative, mask


def _add_tumour(
    rng: np.random.Generator,
    hu: np.ndarray,
    grid: Grid,
    shape: TumourShape,
    box: tuple[slice, slice, slice],
    relative: np.ndarray,
    mask: np.ndarray,
    dose: Mapping[str, float],
) -> None:
    """The tumour and its shell, in place: `cavity` and `grain` inside, `rim` outside."""
    view = hu[box]
    fine, soft, ground = (texture(rng, view.shape, grid.step, mm) for mm in (1.1, 2.5, 1.1))
    outside_mm = distance_transform_edt(~mask[box], sampling=grid.step)
    rim = np.clip((SHELL_MM - outside_mm) / 0.6, 0, 1) * (outside_mm > 0)
    view += dose["rim"] * rim * (420 + 60 * ground)
    core = _rise(relative, 0.85, 0.5)
    solid = rng.normal(30, 12) + 12 * soft
    solid += dose["grain"] * 130 * fine * _rise(relative, 1.0, 0.8)
    solid -= dose["cavity"] * 650 * core
    edge_mm = (1 - relative) * shape.diameter_mm / 2
    view += np.clip(0.5 + edge_mm / grid.step[2], 0, 1) * (solid - view)


def _add_beyond(
    rng: np.random.Generator,
    hu: np.ndarray,
    grid: Grid,
    mask: np.ndarray,
    middle: int,
    depth: np.ndarray,
    angle: float,
    dose: Mapping[str, float],
) -> None:
    """`halo`, `satellites` and `tag`, in place, around slice `middle` and outside the outline of all tumour slices."""
    outline_mm = distance_transform_edt(~mask.any(axis=0), sampling=grid.step[1:]).astype(np.float32)
    height = grid.z - grid.z[middle]
    half_mm = np.count_nonzero(mask.any(axis=(1, 2))) * grid.step[0] / 2
    _add_halo(rng, hu, grid, outline_mm, height, half_mm, dose["halo"])
    for y, x in _satellite_places(rng, outline_mm, depth[middle], grid):
        radius = 4.5 * dose["satellites"] * rng.uniform(0.9, 1.1)
        _add_ball(hu, grid, np.array([grid.z[middle, 0, 0], grid.y[0, y, 0], grid.x[0, 0, x]]), radius)
    _add_tag(rng, hu, grid, outline_mm, height, angle, dose["tag"])


def _add_halo(
    rng: np.random.Generator,
    hu: np.ndarray,
    grid: Grid,
    outline_mm: np.ndarray,
    height: np.ndarray,
    half_mm: float,
    dose: float,
) -> None:
    rows, columns = (np.flatnonzero((outline_mm < BEYOND_MM + 8).any(axis=axis)) for axis in (1, 0))
    slab = _rise(np.abs(height), half_mm + 6, half_mm + 2)
    slices = np.flatnonzero(slab)
    box = tuple(slice(indices[0], indices[-1] + 1) for indices in (slices, rows, columns))
    ring = _rise(outline_mm, BEYOND_MM, BEYOND_MM + 1) * _rise(outline_mm, BEYOND_MM + 8, BEYOND_MM + 6)
    view = hu[box]
    view += dose * 380 * slab[box[0]] * ring[box[1:]] * (1 + 0.2 * texture(rng, view.shape, grid.step, 1.8))


def _add_ball(hu: np.ndarray, grid: Grid, centre: np.ndarray, radius: float) -> None:
    box = grid.box(centre - radius - 2, centre + radius + 2)
    part, view = grid.part(box), hu[box]
    distance = np.sqrt((part.z - centre[0]) ** 2 + (part.y - centre[1]) ** 2 + (part.x - centre[2]) ** 2)
    view += np.clip(0.5 + (radius - distance) / grid.step[2], 0, min(2 * radius, 1)) * (30 - view)


def _add_tag(
    rng: np.random.Generator,
    hu: np.ndarray,
    grid: Grid,
    outline_mm: np.ndarray,
    height: np.ndarray,
    angle: float,
    dose: float,
) -> None:
    """A strand towards the wall, which widens on its way; it begins `BEYOND_MM` from the outline."""
    turn = angle + rng.uniform(-0.3, 0.3)
    length = (np.cos(turn) * grid.x + np.sin(turn) * grid.y)[0]
    across = (np.cos(turn) * grid.y - np.sin(turn) * grid.x)[0]
    start = length[(outline_mm < BEYOND_MM) & (np.abs(across) < 2)].max()
    wide = dose * np.clip(1 + 0.35 * (length - start), 1, 8)
    allowed = min(2 * dose, 1) * ((length > 0) & (outline_mm > BEYOND_MM))
    for k in np.flatnonzero(np.abs(height) < 11):
        strand = np.clip(0.5 + (wide - np.hypot(across, 0.8 * height[k, 0, 0])) / grid.step[2], 0, 1)
        hu[k] += strand * allowed * (30 - hu[k])


def _satellite_places(
    rng: np.random.Generator, outline_mm: np.ndarray, depth: np.ndarray, grid: Grid
) -> list[tuple[int, int]]:
    """Up to five pixels (y, x) of the slice, in the lung, far enough from the tumour, the pleura and each other."""
    free = (outline_mm > BEYOND_MM + 5.5) & (outline_mm < BEYOND_MM + 13) & (depth < -6)
    places: list[tuple[int, int]] = []
    while len(places) < 5 and free.any():
        y, x = (int(v) for v in rng.choice(np.argwhere(free)))
        places.append((y, x))
        free &= np.hypot(grid.y[0] - grid.y[0, y], grid.x[0] - grid.x[0, 0, x]) > 12
    return places


def _rise(value: np.ndarray, none: float, full: float) -> np.ndarray:
    """0 at `none`, 1 at `full`, linear in between."""
    return np.clip((value - none) / (full - none), 0, 1).astype(np.float32)


def _images(hu: np.ndarray, mask: np.ndarray, site: Site) -> tuple[sitk.Image, sitk.Image]:
    ct, tumour = sitk.GetImageFromArray(hu), sitk.GetImageFromArray(mask.astype(np.uint8))
    for image in (ct, tumour):
        image.SetSpacing(site.spacing)
        image.SetMetaData(SYNTHETIC_KEY, SYNTHETIC_LABEL)
    return ct, tumour
