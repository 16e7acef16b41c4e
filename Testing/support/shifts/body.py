"""The rest of a body around the narrow field of a phantom, and where organs, air and table lie in any CT."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_fill_holes, binary_opening, distance_transform_edt, gaussian_filter, label

from DeepRadScoreLib.imaging.origin import SYNTHETIC_KEY
from support.shifts.acquisition import noise_hu
from support.shifts.volume import NotApplicableError, Volume

LAYERS_MM = (36.0, 46.0, 48.0)
MUSCLE_HU, FAT_HU, SKIN_HU, AIR_HU = 55.0, -105.0, 40.0, -1000.0
GAP_MM, TABLE_MM, BEYOND_MM = 6.0, 22.0, 16.0
SHELL_HU, FOAM_HU = -150.0, -930.0
SPINE_MM, CORTEX_MM, SPINE_HU, CORTEX_HU = 16.0, 2.0, 220.0, 600.0
LIVER_MM, LIVER_HU = 17.5, 110.0
WIDE_MM = 280.0
"""A field at least this wide in plane shows the body's outline, air and table."""


def is_whole(volume: Volume) -> bool:
    """Whether the field shows the body whole."""
    return volume.hu.shape[2] * volume.step[2] >= WIDE_MM


def widened(volume: Volume, rng: np.random.Generator) -> Volume:
    """A phantom's field with muscle, a spine, a liver, fat, skin, air and a table around it; a whole CT as it is.

    What was in the field stays as it was; so do its tumour and all features.

    Raises
    ------
    NotApplicableError: a patient's CT that does not show the body whole.
    """
    if is_whole(volume):
        return volume
    if SYNTHETIC_KEY not in volume.metadata:
        raise NotApplicableError
    reach = LAYERS_MM[-1] + GAP_MM + TABLE_MM + BEYOND_MM
    pixels = [int(np.ceil(n)) for n in volume.voxels(reach)[1:]]
    wide = volume.padded((0, *pixels))
    field = np.zeros(wide.hu.shape[1:], dtype=bool)
    field[pixels[0] : -pixels[0], pixels[1] : -pixels[1]] = True
    plane = _plane(field, volume.step[1:])
    noise = rng.standard_normal(wide.hu.shape, dtype=np.float32)
    hu = plane + noise_hu(volume) * gaussian_filter(noise, (0, 0.5, 0.5)) / 0.56
    return wide.scanned(np.where(field, wide.hu, hu))


def _plane(field: np.ndarray, step: tuple[float, float]) -> np.ndarray:
    """HU around a field (y, x), without noise."""
    outside = distance_transform_edt(~field, sampling=step)
    plane = np.select([outside <= mm for mm in LAYERS_MM], (MUSCLE_HU, FAT_HU, SKIN_HU), AIR_HU).astype(np.float32)
    y, x = (s * np.arange(n) for s, n in zip(step, field.shape, strict=True))
    rows, columns = (np.flatnonzero(field.any(axis=axis)) for axis in (1, 0))
    middle = x[columns].mean()
    spine = np.hypot(y[:, None] - (y[rows[-1]] + LAYERS_MM[0] / 2), x - middle)
    plane[spine <= SPINE_MM], plane[spine <= SPINE_MM - CORTEX_MM] = CORTEX_HU, SPINE_HU
    plane[np.hypot(y[:, None] - y[rows].mean(), x - (x[columns[0]] - LAYERS_MM[0] / 2)) <= LIVER_MM] = LIVER_HU
    depth = y - (y[rows[-1]] + LAYERS_MM[-1] + GAP_MM)
    across = np.abs(x - middle) <= (x[columns[-1]] - x[columns[0]]) / 2 + 30
    table = np.where((depth < 3) | (depth > TABLE_MM - 3), SHELL_HU, FOAM_HU)[:, None]
    on_table = ((depth >= 0) & (depth <= TABLE_MM))[:, None] & across
    return np.where(on_table & (outside > LAYERS_MM[-1]), table, plane)


def around_tumour(volume: Volume) -> Volume:
    """The slices within 15 mm of the tumour: enough to find a place in, and quick."""
    low, high = volume.box
    reach = int(np.ceil(15 / volume.step[0]))
    size = np.array(volume.hu.shape)
    first, last = max(low[0] - reach, 0), min(high[0] + reach + 1, size[0])
    return volume.cut(np.array([first, 0, 0]), np.array([last, *size[1:]]))


def middle_slice(volume: Volume) -> int:
    """The slice with the largest tumour area."""
    return int(volume.mask.sum(axis=(1, 2)).argmax())


def deepest(region: np.ndarray, step: tuple[float, ...]) -> np.ndarray:
    """Index of the voxel of a region that lies furthest from its surface, the field's ends included.

    Raises
    ------
    NotApplicableError: the region is empty.
    """
    if not region.any():
        raise NotApplicableError
    depth = distance_transform_edt(np.pad(region, 1), sampling=step)[(slice(1, -1),) * region.ndim]
    return np.array(np.unravel_index(depth.argmax(), depth.shape))


def largest(region: np.ndarray) -> np.ndarray:
    """The largest connected piece of a region."""
    pieces, count = label(region)
    if count == 0:
        raise NotApplicableError
    return pieces == np.bincount(pieces.ravel())[1:].argmax() + 1


def body_in(plane: np.ndarray, step: tuple[float, ...]) -> np.ndarray:
    """The body in one smoothed slice (y, x), lungs filled: the largest piece that an opening of 12 mm leaves."""
    radius = int(np.ceil(6 / min(step)))
    around = np.hypot(*np.mgrid[-radius : radius + 1, -radius : radius + 1]) <= radius
    solid = binary_fill_holes(plane > -400)
    return largest(binary_opening(solid, structure=around))


def outside_body(volume: Volume) -> tuple[int, np.ndarray, np.ndarray]:
    """The tumour's middle slice, its smoothed values (y, x), and what lies over 8 mm outside the body.

    Raises
    ------
    NotApplicableError: the field does not show the body whole.
    """
    if not is_whole(volume):
        raise NotApplicableError
    k = middle_slice(volume)
    plane = gaussian_filter(volume.hu[k].astype(np.float32), [1.5 / s for s in volume.step[1:]])
    body = body_in(plane, volume.step[1:])
    return k, plane, distance_transform_edt(~body, sampling=volume.step[1:]) > 8


def table_in(plane: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """The table in a slice (y, x): the widest piece denser than air outside and below the body."""
    below = outside & (plane > -850) & (np.arange(plane.shape[0])[:, None] > plane.shape[0] / 2)
    pieces, count = label(below)
    if count == 0:
        raise NotApplicableError
    widths = [np.ptp(np.nonzero(pieces == number)[1]) for number in range(1, count + 1)]
    return pieces == int(np.argmax(widths)) + 1


def inner(volume: Volume, mm: float) -> np.ndarray:
    """The voxels over `mm` from the field's sides; in a field that shows the body whole, from the body's surface."""
    sides = np.zeros(volume.hu.shape, dtype=bool)
    sides[:, 1:-1, 1:-1] = True
    if is_whole(volume):
        for k, plane in enumerate(volume.smooth(1.5, in_plane=True)):
            sides[k] &= body_in(plane, volume.step[1:])
    return np.stack([distance_transform_edt(plane, sampling=volume.step[1:]) for plane in sides]) > mm
