"""Whether a mask lies on the slices of a CT, by the positions in both headers alone."""

from __future__ import annotations

import numpy as np

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.dicom.datasets import DAMAGED, items, text
from DeepRadScoreLib.imaging.dicom.series import SeriesFiles
from DeepRadScoreLib.imaging.dicom.slices import slices_of
from DeepRadScoreLib.imaging.dicom.structures.masks import KINDS
from DeepRadScoreLib.imaging.dicom.structures.overview import MaskOverview
from DeepRadScoreLib.imaging.dicom.structures.rois import contour_numbers

TOLERANCE_MM = 0.1
"""Positions are stored rounded, and differently by different programs."""
GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


def on_slices(mask: MaskOverview, ct: SeriesFiles) -> bool:
    """Whether every plane of a mask is a slice of a CT; False where either has no positions, or damaged ones.

    Each frame of a SEG has to begin where a slice does and to be of its size, each point of an RTSTRUCT's contours to
    lie on a slice and inside of it.
    """
    try:
        slices = [one for file in ct.images for one in slices_of(file)]
        points = _points(mask)
    except (InputError, *DAMAGED):
        return False
    if not len(points):
        return False
    first = slices[0]
    axes = np.vstack([first.orientation, first.normal])
    corners = np.array([one.position for one in slices]) @ axes.T
    corners = corners[np.argsort(corners[:, 2], kind="stable")]
    found = points @ axes.T
    off = found - corners[_nearest(corners[:, 2], found[:, 2])]
    if np.abs(off[:, 2]).max() > TOLERANCE_MM:
        return False
    if _is_rtstruct(mask):
        index = off[:, :2] / first.spacing
        return bool((index >= -0.5).all() and (index <= np.array(first.size) - 0.5).all())
    size = text(mask.header, "Columns"), text(mask.header, "Rows")
    return size == tuple(map(str, first.size)) and float(np.abs(off).max()) <= TOLERANCE_MM


def _points(mask: MaskOverview) -> np.ndarray:
    """The points of all contours, or the first pixel of each frame, (n, 3), LPS in mm."""
    header = mask.header
    if _is_rtstruct(mask):
        contours = items(header, "ROIContourSequence", "ContourSequence")
        return np.concatenate([np.empty(0), *map(contour_numbers, contours)]).reshape(-1, 3)
    planes = (plane for group in GROUPS for plane in items(header, group, "PlanePositionSequence"))
    return np.array([plane.ImagePositionPatient for plane in planes], dtype=float).reshape(-1, 3)


def _is_rtstruct(mask: MaskOverview) -> bool:
    return KINDS.get(text(mask.header, "SOPClassUID")) == "RTSTRUCT"


def _nearest(ordered: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The index of the nearest of the ordered values (m,) to each wanted one (n,)."""
    above = np.clip(np.searchsorted(ordered, wanted), 1, max(len(ordered) - 1, 1))
    if len(ordered) == 1:
        return np.zeros(len(wanted), int)
    return np.where(wanted - ordered[above - 1] <= ordered[above] - wanted, above - 1, above)
