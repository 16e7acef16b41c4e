"""The segments of a segmentation node that have voxels, and the same on one grid as the library reads a mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
import vtk

from DeepRadScoreLib.errors import RegionError
from DeepRadScoreLib.imaging import MaskContent, Segment
from DeepRadScoreLib.imaging.grids.geometry import index_box
from DeepRadScoreLib.imaging.grids.lps import box_slices
from DeepRadScoreLib.models import OtherLabels
from DeepRadScoreSlicer.scene.usable import check_segmentation
from DeepRadScoreSlicer.scene.voxels import BINARY, array_of, set_geometry
from DeepRadScoreSlicer.translation import tr as _


@dataclass(frozen=True)
class DrawnSegment:
    """A segment that has voxels: its labelmap and the i, j, k box (first and last of each) that holds them."""

    identity: str
    name: str
    value: int
    labelmap: Any
    box: tuple[int, ...]


@dataclass(frozen=True)
class DrawnSegments:
    """The segments that are needed, and the number of the others that have voxels."""

    segments: list[DrawnSegment]
    aside: int


def drawn_segments(segmentation: Any, segment_id: str, how: OtherLabels) -> DrawnSegments:
    """The segment and the others that may be other tumours, as far as they have voxels."""
    check_segmentation(segmentation, segment_id)
    segments = segmentation.GetSegmentation()
    found, aside = [], 0
    boxes: dict[Any, list[tuple[slice, ...] | None]] = {}
    for identity in segments.GetSegmentIDs():
        segment = segments.GetSegment(identity)
        name, value = segment.GetName() or identity, segment.GetLabelValue()
        labelmap = segment.GetRepresentation(BINARY)
        if labelmap is None or labelmap.IsEmpty():
            continue
        if labelmap not in boxes:
            boxes[labelmap] = _value_boxes(array_of(labelmap))
        box = boxes[labelmap][value - 1] if 0 < value <= len(boxes[labelmap]) else None
        if box is None:
            continue
        may_be = how == OtherLabels.TUMOURS or Segment(name, identity, 0, value).counts_as_tumour
        if identity != segment_id and (how == OtherLabels.IGNORE or not may_be):
            aside += 1
            continue
        first = labelmap.GetExtent()[::2]
        ends = [end + first[axis] for axis in range(3) for end in (box[2 - axis].start, box[2 - axis].stop - 1)]
        found.append(DrawnSegment(identity, name, value, labelmap, tuple(ends)))
    if not any(one.identity == segment_id for one in found):
        name = segments.GetSegment(segment_id).GetName()
        raise RegionError(
            _('the segment "{name}" is empty').format(name=name),
            mend=_("outline the tumour, or choose another segment"),
        )
    return DrawnSegments(found, aside)


def _value_boxes(labels: np.ndarray) -> list[tuple[slice, ...] | None]:
    """The box (z, y, x) of the voxels of each value from 1 on; None for a value that no voxel has."""
    from scipy.ndimage import find_objects

    filled = index_box(labels)
    if filled is None:
        return []
    boxes = find_objects(labels[box_slices(*filled)])
    return [
        None
        if box is None
        else tuple(
            slice(each.start + start, each.stop + start) for each, start in zip(box, filled[0].tolist(), strict=True)
        )
        for box in boxes
    ]


def on_one_grid(drawn: DrawnSegments, grid: Any) -> MaskContent:
    """The segments as layers on one grid."""
    maps: list[Any] = []
    segments = []
    for one in drawn.segments:
        if one.labelmap not in maps:
            maps.append(one.labelmap)
        segments.append(Segment(one.name, one.identity, maps.index(one.labelmap), one.value))
    layers = tuple(_on_grid(labelmap, grid) for labelmap in maps)
    return MaskContent(layers, tuple(segments), (), _("the segmentation"), aside=drawn.aside)


def common_grid(segments: Any) -> Any | None:
    """An image without voxels: the grid on which Slicer would save the segments; None where all are empty."""
    text = segments.DetermineCommonLabelmapGeometry(
        segments.EXTENT_UNION_OF_EFFECTIVE_SEGMENTS_AND_REFERENCE_GEOMETRY, vtk.vtkStringArray()
    )
    grid = slicer.vtkOrientedImageData()
    return grid if text and slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, grid, False) else None


def _on_grid(labelmap: Any, grid: Any) -> sitk.Image:
    """A labelmap in the extent of the grid, resampled by Slicer (nearest neighbour) if it lies on another one."""
    if not slicer.vtkOrientedImageDataResample.DoGeometriesMatch(labelmap, grid):
        resampled = slicer.vtkOrientedImageData()
        slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(labelmap, grid, resampled)
        labelmap = resampled
    inner, outer = labelmap.GetExtent(), grid.GetExtent()
    source = array_of(labelmap)
    values = np.zeros([outer[2 * axis + 1] - outer[2 * axis] + 1 for axis in (2, 1, 0)], dtype=source.dtype)
    here, there = [], []
    for axis in (2, 1, 0):
        low, high = max(inner[2 * axis], outer[2 * axis]), min(inner[2 * axis + 1], outer[2 * axis + 1])
        here.append(slice(low - outer[2 * axis], high + 1 - outer[2 * axis]))
        there.append(slice(low - inner[2 * axis], high + 1 - inner[2 * axis]))
    values[tuple(here)] = source[tuple(there)]
    image = sitk.GetImageFromArray(values)
    set_geometry(image, grid, outer[::2])
    return image
