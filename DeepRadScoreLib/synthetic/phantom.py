"""One synthetic case: a CT-like volume with a tumour, in which each latent cause shows in its own place only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import distance_transform_edt, label
from scipy.special import ndtr

from DeepRadScoreLib.imaging.origin import SYNTHETIC_KEY, SYNTHETIC_LABEL
from DeepRadScoreLib.synthetic.anatomy import SITES, Grid, Site, Wall, add_vessels, lung, scanned, texture
from DeepRadScoreLib.synthetic.causes import LATENTS
from DeepRadScoreLib.synthetic.tumour import TumourShape, draw_shape

FIELD_PIXELS = 176
MARGIN_MM = 18.0
PLEURA_MM, PLEURA_LIMIT_MM = (24.0, 32.0), 62.0
SHELL_MM = 3.0
BEYOND_MM = 11.0
"""Causes beyond the shell begin this far, in plane, from the outline of all tumour slices together: the shell's wavelet
features reach some voxels outwards, and so do interpolation and the scanner's blur. From here on no feature changes."""
SOLID_HU = 30.0


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
    streams = iter(np.random.default_rng(seed).spawn(8))
    dose = {name: float(ndtr(latents[name])) for name in LATENTS}
    shape = draw_shape(next(streams))
    rng = next(streams)
    grid = _grid(rng, SITES[site], shape.reach_mm)
    wall = Wall.drawn(next(streams), grid, min(shape.reach_mm + rng.uniform(*PLEURA_MM), PLEURA_LIMIT_MM))
    tumour = _Tumour.on(grid, shape)
    hu = lung(next(streams), grid)
    add_vessels(next(streams), hu, grid, wall.angle)
    _add_beyond(next(streams), hu, grid, tumour, wall, dose)
    wall.add(hu, grid)
    _add_tumour(next(streams), hu, grid, tumour, dose)
    return _images(scanned(next(streams), hu, SITES[site]), tumour.mask, SITES[site])


@dataclass(frozen=True)
class _Tumour:
    """A shape on a grid: a box that holds it and its shell, the relative radius there, the mask of the whole grid."""

    shape: TumourShape
    box: tuple[slice, slice, slice]
    relative: np.ndarray
    mask: np.ndarray

    @classmethod
    def on(cls, grid: Grid, shape: TumourShape) -> _Tumour:
        """The mask holds the voxel centres inside, less specks that spicules leave between voxels."""
        reach = np.full(3, shape.reach_mm + SHELL_MM + 3)
        box = grid.box(-reach, reach)
        relative = shape.relative_radius(grid.part(box))
        pieces, _ = label(relative <= 1, structure=np.ones((3, 3, 3)))
        mask = np.zeros(grid.shape, dtype=bool)
        mask[box] = pieces == pieces[np.unravel_index(relative.argmin(), relative.shape)]
        return cls(shape, box, relative, mask)

    @property
    def middle(self) -> int:
        """The slice with the largest area, the first one at a tie: the deep patch's."""
        return int(np.count_nonzero(self.mask, axis=(1, 2)).argmax())


def _grid(rng: np.random.Generator, site: Site, reach_mm: float) -> Grid:
    """The field of view: the tumour's centre is up to 4 pixels off its middle."""
    step = site.spacing[::-1]
    slices = 2 * int(np.ceil((reach_mm + MARGIN_MM) / step[0])) + 1
    counts = (slices, FIELD_PIXELS, FIELD_PIXELS)
    shift = rng.uniform(-1, 1, 3) * (0.5, 4, 4)
    z, y, x = (s * (np.arange(n) - (n - 1) / 2 + d) for s, n, d in zip(step, counts, shift, strict=True))
    return Grid(z[:, None, None], y[None, :, None], x[None, None, :], step)


def _add_tumour(
    rng: np.random.Generator, hu: np.ndarray, grid: Grid, tumour: _Tumour, dose: Mapping[str, float]
) -> None:
    """The tumour and its shell, in place: `cavity` and `grain` inside, `rim` outside."""
    view, relative = hu[tumour.box], tumour.relative
    fine, soft, ground = (texture(rng, view.shape, grid.step, mm) for mm in (2.0, 2.5, 1.1))
    outside_mm = distance_transform_edt(~tumour.mask[tumour.box], sampling=grid.step)
    rim = _rise(outside_mm, SHELL_MM, SHELL_MM - 0.6) * (outside_mm > 0)
    view += dose["rim"] * rim * (1150 + 80 * ground)
    solid = rng.normal(SOLID_HU, 12) + 12 * soft
    solid += dose["grain"] * 200 * fine * _rise(relative, 1.0, 0.8)
    solid -= dose["cavity"] * 820 * _rise(relative, 0.95, 0.65)
    edge_mm = (1 - relative) * tumour.shape.diameter_mm / 2
    view += np.clip(0.5 + edge_mm / grid.step[2], 0, 1) * (solid - view)


def _add_beyond(
    rng: np.random.Generator, hu: np.ndarray, grid: Grid, tumour: _Tumour, wall: Wall, dose: Mapping[str, float]
) -> None:
    """`halo`, `satellites` and `tag`, in place, around the tumour's middle slice."""
    k = tumour.middle
    outline_mm = distance_transform_edt(~tumour.mask.any(axis=0), sampling=grid.step[1:]).astype(np.float32)
    half_mm = np.count_nonzero(tumour.mask.any(axis=(1, 2))) * grid.step[0] / 2
    slab = _rise(np.abs(grid.z - grid.z[k]), half_mm + 6, half_mm + 2)
    _add_halo(rng, hu, grid, slab * _ring(outline_mm), dose["halo"])
    for y, x in _satellite_places(rng, outline_mm, wall.depth[k], grid):
        centre = np.array([grid.z[k, 0, 0], grid.y[0, y, 0], grid.x[0, 0, x]])
        _add_ball(hu, grid, centre, 4.5 * dose["satellites"] * rng.uniform(0.9, 1.1))
    _add_tag(hu, grid, outline_mm, middle=k, angle=wall.angle + rng.uniform(-0.3, 0.3), dose=dose["tag"])


def _ring(outline_mm: np.ndarray) -> np.ndarray:
    return _rise(outline_mm, BEYOND_MM, BEYOND_MM + 1) * _rise(outline_mm, BEYOND_MM + 8, BEYOND_MM + 6)


def _add_halo(rng: np.random.Generator, hu: np.ndarray, grid: Grid, share: np.ndarray, dose: float) -> None:
    """Uneven ground glass where `share` (z, y, x) is above 0."""
    filled = (np.flatnonzero(share.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    box = tuple(slice(indices[0], indices[-1] + 1) for indices in filled)
    view = hu[box]
    view += dose * 420 * share[box] * (1 + 0.2 * texture(rng, view.shape, grid.step, 1.8))


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


def _add_ball(hu: np.ndarray, grid: Grid, centre: np.ndarray, radius: float) -> None:
    """A solid ball around `centre` (z, y, x mm); one too small for a voxel fades away."""
    box = grid.box(centre - radius - 2, centre + radius + 2)
    part, view = grid.part(box), hu[box]
    distance = np.sqrt((part.z - centre[0]) ** 2 + (part.y - centre[1]) ** 2 + (part.x - centre[2]) ** 2)
    view += np.clip(0.5 + (radius - distance) / grid.step[2], 0, min(2 * radius, 1)) * (SOLID_HU - view)


def _add_tag(hu: np.ndarray, grid: Grid, outline_mm: np.ndarray, *, middle: int, angle: float, dose: float) -> None:
    """A strand in the direction `angle` of the plane, towards the wall, which widens on its way."""
    along = (np.cos(angle) * grid.x + np.sin(angle) * grid.y)[0]
    across = (np.cos(angle) * grid.y - np.sin(angle) * grid.x)[0]
    beyond = outline_mm > BEYOND_MM
    start = along[~beyond & (np.abs(across) < 2)].max()
    half_width = dose * np.clip(1.5 + 0.35 * (along - start), 1.5, 8)
    strength = min(2 * dose, 1) * ((along > 0) & beyond)
    heights = (grid.z - grid.z[middle]).ravel()
    for k in np.flatnonzero(np.abs(heights) < 11):
        strand = np.clip(0.5 + (half_width - np.hypot(across, 0.8 * heights[k])) / grid.step[2], 0, 1)
        hu[k] += strength * strand * (SOLID_HU - hu[k])


def _rise(value: np.ndarray, none: float, full: float) -> np.ndarray:
    """0 at `none`, 1 at `full`, linear in between."""
    return np.clip((value - none) / (full - none), 0, 1).astype(np.float32)


def _images(hu: np.ndarray, mask: np.ndarray, site: Site) -> tuple[sitk.Image, sitk.Image]:
    ct, tumour = sitk.GetImageFromArray(hu), sitk.GetImageFromArray(mask.astype(np.uint8))
    for image in (ct, tumour):
        image.SetSpacing(site.spacing)
        image.SetMetaData(SYNTHETIC_KEY, SYNTHETIC_LABEL)
    return ct, tumour
