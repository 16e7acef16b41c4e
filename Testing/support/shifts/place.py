"""The mask where no tumour is, or no tumour where the mask is."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import grey_opening, label

from support.shifts import body
from support.shifts.volume import NotApplicableError, Volume

LUNG_HU = -500.0
BONE_HU, MIN_BONE_ML = 250.0, 3.0
ANGLES = np.linspace(0, 2 * np.pi, 36, endpoint=False)


def on_air(volume: Volume, rng: np.random.Generator) -> Volume:
    """The air outside the body, where it is widest."""
    wide = body.widened(volume, rng)
    k, plane, outside = body.outside_body(wide)
    air = outside & (plane < -900) & (plane > -1100)
    return _at(wide, k, body.deepest(air, wide.step[1:]))


def on_table(volume: Volume, rng: np.random.Generator) -> Volume:
    """The patient table, below the body's middle."""
    wide = body.widened(volume, rng)
    k, plane, outside = body.outside_body(wide)
    table = body.table_in(plane, outside)
    rows, columns = np.nonzero(table)
    column = columns[np.abs(columns - np.median(columns)).argmin()]
    return _at(wide, k, np.array([np.median(rows[columns == column]), column]))


def on_bone(volume: Volume, rng: np.random.Generator) -> Volume:
    """The bone nearest to the tumour: a rib."""
    centre = _nearest_bone(volume)
    return volume.with_mask(volume.mask_at(centre))


def outlined_bone(volume: Volume, rng: np.random.Generator) -> Volume:
    """The same rib, outlined within half a diameter."""
    centre = _nearest_bone(volume)
    near = _ball(volume, centre, max(volume.diameter_mm / 2, 10))
    return volume.with_mask(body.largest(_bone(volume) & near & ~volume.mask))


def on_spine(volume: Volume, rng: np.random.Generator) -> Volume:
    """The thickest bone of the slice."""
    wide = body.widened(volume, rng)
    k = body.middle_slice(wide)
    plane = body.around_tumour(wide).smooth(2.0)
    bone = plane[body.middle_slice(body.around_tumour(wide))] > 150
    return _at(wide, k, body.deepest(bone, wide.step[1:]))


def on_tissue(volume: Volume, rng: np.random.Generator, low: float, high: float) -> Volume:
    """The widest place of the slice between two HU, within the body."""
    wide = body.widened(volume, rng)
    near = body.around_tumour(wide)
    k = body.middle_slice(near)
    plane = near.smooth(2.0)[k]
    inside = ~(near.distance_mm(near.mask)[k] < 5)
    target = body.deepest((plane > low) & (plane < high) & inside, wide.step[1:])
    return _at(wide, body.middle_slice(wide), target)


def outlined_vessel(volume: Volume, rng: np.random.Generator) -> Volume:
    """The largest vessel that starts 9 mm from the tumour, outlined over half a diameter around its thickest place."""
    smooth = volume.smooth(0.7)
    size = [2 * round(n / 2) + 1 for n in volume.voxels(9.0)]
    narrow = (smooth > -300) & (grey_opening(smooth, size=size) < -500) & (volume.distance_mm(volume.mask) > 9)
    narrow &= body.inner(volume, 8.0)
    vessel = body.largest(narrow)
    near = _ball(volume, body.deepest(vessel, volume.step), max(volume.diameter_mm / 2, 6))
    return volume.with_mask(vessel & near)


def beside(volume: Volume, rng: np.random.Generator) -> Volume:
    """One diameter beside the tumour, in the direction with the most lung."""
    return volume.with_mask(volume.moved_mask(_offset_beside(volume)))


def painted_out(volume: Volume, rng: np.random.Generator) -> Volume:
    """The tumour and 5 mm around it replaced by the lung one diameter beside; the mask as it was."""
    offset = _offset_beside(volume, margin_mm=5.0)
    beside_hu = np.roll(volume.hu, -offset, axis=(0, 1, 2)).astype(np.float32)
    share = np.clip((5 - volume.distance_mm(volume.mask)) / 2, 0, 1)
    return volume.scanned(share * beside_hu + (1 - share) * volume.hu)


def mask_mirrored(volume: Volume, rng: np.random.Generator) -> Volume:
    """The mask in the other half of the field: left for right, the CT as it was."""
    part = _off_centre(volume)
    return _off_tumour(part, part.mask[:, :, ::-1])


def image_upside_down(volume: Volume, rng: np.random.Generator) -> Volume:
    """The CT with front and back exchanged, the mask as it was."""
    part = _off_centre(volume)
    _off_tumour(part, part.mask[:, ::-1])
    return part.with_values(part.hu[:, ::-1])


def image_head_to_foot(volume: Volume, rng: np.random.Generator) -> Volume:
    """The CT with its slices in the reverse order, the mask as it was."""
    part = _off_centre(volume)
    _off_tumour(part, part.mask[::-1])
    return part.with_values(part.hu[::-1])


def _off_centre(volume: Volume) -> Volume:
    """A narrow field, which is centred on its tumour, without up to 30 mm at the first end of each axis."""
    if body.is_whole(volume):
        return volume
    rest = (volume.box[0] - np.ceil(volume.voxels(5.0))).astype(int)
    return volume.cut(np.clip(rest, 0, np.array(volume.voxels(30.0)).astype(int)), np.array(volume.hu.shape))


def _off_tumour(volume: Volume, mask: np.ndarray) -> Volume:
    """Raises NotApplicableError where the turned mask still holds over half of the tumour."""
    if (mask & volume.mask).sum() > 0.5 * volume.mask.sum():
        raise NotApplicableError
    return volume.with_mask(mask.copy())


def _at(volume: Volume, k: int, pixel: np.ndarray) -> Volume:
    return volume.with_mask(volume.mask_at(np.array([k, *pixel])))


def _bone(volume: Volume) -> np.ndarray:
    return volume.smooth(1.0) > BONE_HU


def _nearest_bone(volume: Volume) -> np.ndarray:
    """Index of the middle of the bone nearest to the tumour: its deepest voxel within 8 mm of its nearest one.

    Raises
    ------
    NotApplicableError: there is no bone of 3 mL near the tumour's slices.
    """
    near = body.around_tumour(volume)
    pieces, _ = label(_bone(near) & ~near.mask)
    counts = np.bincount(pieces.ravel()) * np.prod(near.step) / 1000
    bone = (counts[pieces] > MIN_BONE_ML) & (pieces > 0)
    if not bone.any():
        raise NotApplicableError
    far = near.distance_mm(near.mask)
    nearest = np.array(np.unravel_index(np.where(bone, far, np.inf).argmin(), bone.shape))
    found = body.deepest(bone & _ball(near, nearest, 8.0), near.step)
    return found + np.array([round((near.origin[2] - volume.origin[2]) / volume.step[0]), 0, 0])


def _ball(volume: Volume, centre: np.ndarray, mm: float) -> np.ndarray:
    axes = [s * (np.arange(n) - c) for n, s, c in zip(volume.hu.shape, volume.step, centre, strict=True)]
    z, y, x = np.meshgrid(*axes, indexing="ij", sparse=True)
    return z**2 + y**2 + x**2 <= mm**2


def _offset_beside(volume: Volume, margin_mm: float = 0.0) -> np.ndarray:
    """Voxels (z, y, x) to the place one diameter (and twice a margin) beside with the lowest mean HU.

    Raises
    ------
    NotApplicableError: no such place within the field is lung.
    """
    distance = volume.diameter_mm + 2 * margin_mm
    found: list[tuple[float, np.ndarray]] = []
    for angle in ANGLES:
        step = np.array([0, np.sin(angle), np.cos(angle)]) * volume.voxels(distance)
        offset = np.rint(step).astype(int)
        try:
            found.append((float(volume.hu[volume.moved_mask(offset)].mean()), offset))
        except NotApplicableError:
            continue
    if not found or min(hu for hu, _ in found) > LUNG_HU:
        raise NotApplicableError
    return min(found, key=lambda place: place[0])[1]
