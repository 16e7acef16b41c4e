"""A proposal for the outline of a solid or part-solid lung tumour from one point in it.

The steps are those of Kuhnigk et al., "Morphological segmentation and partial volume analysis for volumetry of solid
pulmonary lesions in thoracic CT scans", IEEE Trans Med Imaging 2006, 25:417-434: a threshold between tumour and lung;
the chest wall cut off where a closing of the lung ends; vessels and walls cut by an erosion that is just strong enough
to part the tumour from what goes on beyond a radius; and the eroded piece grown back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import binary_dilation, binary_fill_holes, label

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.click_box import ClickBox
from DeepRadScoreLib.imaging.grids.geometry import image_like, nearest_index
from DeepRadScoreLib.imaging.origin import SYNTHETIC_KEY, is_synthetic
from DeepRadScoreLib.models import Coordinates

MIN_RADIUS_MM, MAX_RADIUS_MM = 5.0, 80.0
RADII_MM = (25.0, 50.0, MAX_RADIUS_MM)
"""Radii of the boxes in which the radius is found."""
RADIUS_CORES, RADIUS_EXTRA_MM = 3.0, 10.0
"""The radius is three times that of the largest ball in the dense tissue at the point, and 10 mm."""
TUMOUR_HU = (-600.0, 50.0)
TYPICAL_LUNG_HU, LUNG_HU = -850.0, (-1000.0, -700.0)
SHARE = 0.5
"""The threshold lies so far from the tumour's density towards the lung's; a half keeps a blurred edge in place."""
PERCENTILES, SAME_HU = (80.0, 90.0), 20.0
"""Of the tissue around the point: its density, and what must be denser than the lung; a cavity may be most of it."""
MIN_CONTRAST_HU = 150.0
"""What is not denser than the lung around it by so much is lung."""
NEAR_MM, SNAP_MM = 3.0, 4.0
"""The density is first looked for this near to the point, and a point in a gap moves to the tumour as far as that."""
BONE_HU = 300.0
AIR_HU, OUTER_AIR_HU, MIN_LUNG_MM3 = -500.0, -960.0, 500.0
CLOSING_CORES, CLOSING_EXTRA_MM = 1.5, 2.0
MIN_EROSION, MAX_EROSION, GROWN_BACK_MM = 0.35, 0.95, 1.0
"""Erosions are shares of the core's radius; what is grown back reaches a little further than what was eroded."""
VESSEL_MM, VESSEL_NECK, VESSEL_ELONGATION = 6.0, 0.75, 3.0
"""What has a smaller radius than the first is a vessel where its neck, as a share of that radius, is larger than the
second, or its elongation larger than the third."""
BROAD_MM, MIN_LUNG_CONTACT = 15.0, 0.25
"""Where a closing of the lung does not reach is a tumour only if its core is larger than the first, which the chest
wall's is not, and this share of its surface borders on lung."""
CUT_MEND = "draw the tumour, or try a smaller radius"


@dataclass(frozen=True)
class Outline:
    """A proposal for a tumour's mask: look at it, and correct it.

    Attributes
    ----------
    mask: uint8 image of 0 and 1 on the grid of the CT.
    radius_mm: how far from the point it could reach.
    threshold_hu: its tissue is denser than this, but for what it encloses.
    cut: whether it was cut from dense tissue that goes on beyond the radius (vessel, chest wall, mediastinum).

    Examples
    --------
    >>> from DeepRadScoreLib import outline
    >>> outline("ct.nrrd", (24, 24, 20), coordinates="lps").cut
    False
    """

    mask: sitk.Image = field(repr=False)
    radius_mm: float
    threshold_hu: float
    cut: bool

    @property
    def volume_ml(self) -> float:
        """Volume of the mask in mL."""
        return float(sitk.GetArrayViewFromImage(self.mask).sum() * np.prod(self.mask.GetSpacing()) / 1000)

    def __repr__(self) -> str:
        return f"Outline({self.volume_ml:.1f} mL within {self.radius_mm:.0f} mm of the point)"


@dataclass(frozen=True, eq=False)
class _Tissue:
    """A connected piece of dense tissue at the point, and the largest ball in it on the way uphill from there.

    Attributes
    ----------
    region: bool (z, y, x). depth: mm from its surface. top: index of the ball's centre. threshold: HU.
    """

    region: np.ndarray
    depth: np.ndarray
    top: tuple[int, ...]
    threshold: float

    @classmethod
    def of(cls, box: ClickBox, region: np.ndarray, start: tuple[int, ...], threshold: float) -> _Tissue:
        piece = _piece(region, start)
        depth = box.distances(np.pad(piece, 1))[1:-1, 1:-1, 1:-1]
        return cls(piece, depth, _uphill(depth, start, max(1, round(2 / box.step_mm))), threshold)

    @property
    def core_mm(self) -> float:
        """Radius of the ball."""
        return float(self.depth[self.top])


def outline_at(ct: sitk.Image, point: tuple[float, float, float], radius_mm: float | None = None) -> Outline:
    """Propose the mask of a solid or part-solid lung tumour from one point in it.

    It fails where a tumour lies broadly against the chest wall, the mediastinum or a vessel of its own width: there it
    is cut at the narrowest place, at the radius, or refused. A point in ground glass takes that in, one in a solid part
    leaves it out.

    Parameters
    ----------
    ct: in HU, as `ct_checks.check_ct` lets pass.
    point: mm, LPS.
    radius_mm: how far from the point the mask may reach, 5 to 80 mm; None: three times the radius of the largest ball
        in the dense tissue at the point, and 10 mm.

    Raises
    ------
    InputError: the radius cannot be used, or no tumour can be told at the point: it lies outside the CT or the lung, on
        air, bone or a vessel.
    """
    _check_inside(ct, point)
    box, tissue, radius = _tissue_at(ct, point, checked_radius(radius_mm))
    lung = _lung(box)
    tissue, in_lung = _without_wall(box, tissue, lung)
    if not (in_lung or (lung.any() and tissue.core_mm > BROAD_MM)):
        raise InputError("the point lies outside the lung", mend=CUT_MEND)
    neck = _neck(box, tissue, radius)
    erosion = MAX_EROSION * tissue.core_mm if neck is None else max(neck, MIN_EROSION * tissue.core_mm)
    seed = _piece(tissue.depth > erosion, tissue.top)
    grown = tissue.region & (box.distances(~seed) <= erosion + GROWN_BACK_MM) & (box.distance_mm <= radius)
    if not grown[tissue.top]:
        raise InputError("no tumour can be told at the point within this radius", mend="try another radius")
    region = _piece(grown, tissue.top)
    if _looks_like_vessel(tissue, region, neck):
        raise InputError("the point lies in a vessel, or what is there cannot be told from one", mend=CUT_MEND)
    if not in_lung and _lung_contact(box, region, lung) < MIN_LUNG_CONTACT:
        raise InputError("the point lies outside the lung, or too little lung borders on the tumour", mend=CUT_MEND)
    return Outline(_on_ct(ct, box, region, tissue.threshold), radius, tissue.threshold, neck != 0)


def checked_point(at: Sequence[float], coordinates: Coordinates) -> tuple[float, float, float]:
    """A point as a caller gives it, in LPS. Raises InputError unless it is three finite numbers."""
    try:
        x, y, z = (float(value) for value in at)
    except (TypeError, ValueError):
        x = y = z = np.nan
    if not np.isfinite([x, y, z]).all():
        raise InputError(f"{at} is no point", where="at", mend="give three numbers in mm")
    return (-x, -y, z) if coordinates == Coordinates.RAS else (x, y, z)


def checked_radius(radius_mm: float | None) -> float | None:
    """A radius as a caller gives it. Raises InputError where it is out of range."""
    if radius_mm is not None and not MIN_RADIUS_MM <= radius_mm <= MAX_RADIUS_MM:
        mend = f"give {MIN_RADIUS_MM:g} to {MAX_RADIUS_MM:g} mm, or leave it out"
        raise InputError(f"{radius_mm:g} mm cannot be used", where="radius", mend=mend)
    return radius_mm


def _check_inside(ct: sitk.Image, point: tuple[float, float, float]) -> None:
    index = nearest_index(np.array(ct.TransformPhysicalPointToContinuousIndex(point)))
    if (index < 0).any() or (index >= ct.GetSize()).any():
        raise InputError("the point lies outside the CT", mend="give a point in the tumour")


def _tissue_at(
    ct: sitk.Image, point: tuple[float, float, float], radius_mm: float | None
) -> tuple[ClickBox, _Tissue, float]:
    """The box of the radius, the dense tissue in it at the point, and the radius."""
    for reach in RADII_MM if radius_mm is None else (radius_mm,):
        box = ClickBox.around(ct, point, reach)
        tissue = _dense_tissue(box)
        radius = reach if radius_mm is not None else RADIUS_CORES * tissue.core_mm + RADIUS_EXTRA_MM
        if radius <= reach:
            break
    return box, tissue, min(radius, MAX_RADIUS_MM)


def _dense_tissue(box: ClickBox) -> _Tissue:
    """What is denser than a threshold between the tissue at the point and the lung around it, holes filled."""
    lung = box.hu[(box.hu > LUNG_HU[0]) & (box.hu < LUNG_HU[1])]
    lung_hu = float(np.median(lung)) if lung.size * box.step_mm**3 > MIN_LUNG_MM3 else TYPICAL_LUNG_HU
    near = box.hu[(box.distance_mm <= NEAR_MM) & box.inside]
    if np.median(near) > BONE_HU:
        raise InputError("the point lies on bone, contrast medium or metal", mend="give a point in the tumour")
    found: _Tissue | None = None
    density = float(np.clip(np.percentile(near, 75), *TUMOUR_HU))
    for _ in range(3):
        threshold = density + SHARE * (lung_hu - density)
        filled = binary_fill_holes((box.hu > threshold) & box.inside)
        start = _nearest(filled, box)
        if start is None:
            break
        found = _Tissue.of(box, filled, start, threshold)
        inner = found.depth > min(1.5, found.core_mm / 2)
        sample = box.hu[inner & (box.distance_mm <= max(found.core_mm, NEAR_MM))]
        usual, densest = np.percentile(sample if sample.size else near, PERCENTILES)
        before, density = density, float(np.clip(usual, *TUMOUR_HU))
        if abs(density - before) < SAME_HU:
            break
    if found is None or densest < lung_hu + MIN_CONTRAST_HU:
        raise InputError("the point lies on air or lung", mend="give a point in the tumour")
    return found


def _nearest(region: np.ndarray, box: ClickBox) -> tuple[int, ...] | None:
    """Index of the voxel of a region that is nearest to the point, if it is near enough."""
    distance = np.where(region, box.distance_mm, np.inf)
    index = tuple(int(i) for i in np.unravel_index(distance.argmin(), region.shape))
    return index if distance[index] <= SNAP_MM else None


def _uphill(depth: np.ndarray, start: tuple[int, ...], reach: int) -> tuple[int, ...]:
    """The first place, uphill from `start`, that nothing within `reach` voxels exceeds."""
    top = start
    while True:
        window = tuple(slice(max(i - reach, 0), i + reach + 1) for i in top)
        offset = np.unravel_index(depth[window].argmax(), depth[window].shape)
        higher = tuple(int(i + part.start) for i, part in zip(offset, window, strict=True))
        if depth[higher] <= depth[top]:
            return top
        top = higher


def _lung(box: ClickBox) -> np.ndarray:
    """The pieces of air in the box that are lung, and not outside of the body or in the trachea."""
    pieces, count = label((box.hu < AIR_HU) & box.inside)
    large = np.flatnonzero(np.bincount(pieces.ravel(), minlength=count + 1) * box.step_mm**3 > MIN_LUNG_MM3)
    lungs = [number for number in large if number and np.median(box.hu[pieces == number]) > OUTER_AIR_HU]
    return np.isin(pieces, lungs)


def _without_wall(box: ClickBox, tissue: _Tissue, lung: np.ndarray) -> tuple[_Tissue, bool]:
    """The tissue within a closing of the lung by a ball larger than the core, if the core is there; whether it is."""
    if not lung.any():
        return tissue, False
    reach = CLOSING_CORES * tissue.core_mm + CLOSING_EXTRA_MM
    closed = box.distances(box.distances(~lung) <= reach) > reach
    region = tissue.region & closed
    in_lung = bool(region[tissue.top])
    return _Tissue.of(box, region, tissue.top, tissue.threshold) if in_lung else tissue, in_lung


def _neck(box: ClickBox, tissue: _Tissue, radius_mm: float) -> float | None:
    """The least erosion (mm) that parts the core from what lies beyond the radius; None where none does."""
    beyond = tissue.region & (box.distance_mm > radius_mm)

    def leaks(erosion: float) -> bool:
        return bool((_piece(tissue.depth > erosion, tissue.top) & beyond).any())

    if not leaks(0.0):
        return 0.0
    low, high = 0.0, MAX_EROSION * tissue.core_mm
    if leaks(high):
        return None
    while high - low > box.step_mm / 4:
        middle = (low + high) / 2
        low, high = (middle, high) if leaks(middle) else (low, middle)
    return high


def _looks_like_vessel(tissue: _Tissue, region: np.ndarray, neck: float | None) -> bool:
    """Whether it is thin, and goes on at its own width or is long."""
    if tissue.core_mm >= VESSEL_MM:
        return False
    return neck is None or neck > VESSEL_NECK * tissue.core_mm or _elongation(region) > VESSEL_ELONGATION


def _lung_contact(box: ClickBox, region: np.ndarray, lung: np.ndarray) -> float:
    """Share of a region's surface that lies next to lung, the blur of its edge apart."""
    around = binary_dilation(region) & ~region & box.inside
    beside = around & binary_dilation(lung, iterations=2)
    return float(beside.sum()) / max(float(around.sum()), 1.0)


def _elongation(region: np.ndarray) -> float:
    """The longest axis of a region over the next one, by second moments; a voxel's own are counted in."""
    moments = np.linalg.eigvalsh(np.cov(np.argwhere(region).T) + np.eye(3) / 12) if region.sum() > 1 else np.ones(3)
    return float(np.sqrt(moments[2] / moments[1]))


def _piece(region: np.ndarray, start: tuple[int, ...]) -> np.ndarray:
    """The part of a region that is connected, face to face, with a voxel of it."""
    pieces, _ = label(region)
    return (pieces == pieces[start]) & region


def _on_ct(ct: sitk.Image, box: ClickBox, region: np.ndarray, threshold: float) -> sitk.Image:
    """The region on the voxels of the CT: cut where it is cut, else where these pass the threshold."""
    depth = box.depth_on_native(region)
    near, deep = depth >= -0.7 * box.step_mm, depth > 1.5 * box.step_mm
    dense = sitk.GetArrayViewFromImage(box.native) > threshold
    mask = np.zeros(ct.GetSize()[::-1], dtype=np.uint8)
    part = tuple(slice(first, first + size) for first, size in zip(box.first[::-1], depth.shape, strict=True))
    mask[part] = near & binary_fill_holes((near & dense) | deep)
    image = image_like(mask, ct)
    if is_synthetic(ct):
        image.SetMetaData(SYNTHETIC_KEY, ct.GetMetaData(SYNTHETIC_KEY))
    return image
