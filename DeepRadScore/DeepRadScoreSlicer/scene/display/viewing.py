"""What the views show of a case: where they look, how the CT is windowed, and the layout for reading."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer

from DeepRadScoreLib.imaging.grids.geometry import index_box
from DeepRadScoreLib.imaging.grids.lps import box_slices
from DeepRadScoreSlicer.scene.voxels import BINARY, array_of, index_to_ras

TUMOUR_COLOUR, OTHER_COLOUR = (0.098, 0.827, 1.0), (0.6, 0.6, 0.6)
"""The report's colour of the tumour's outline, and that of other structures."""
FIELD_FACTOR, MIN_FIELD_MM = 4.0, 100.0
"""Width of a slice view: the tumour's largest extent times the factor, and the least width."""
CAMERA_FACTOR = 1.6
"""Radius of what the 3-D camera sees, in halves of the tumour's largest extent."""
LAYOUT = 5310
"""Number of the reading layout; Slicer's own are below 1000."""
LAYOUT_XML = """
<layout type="horizontal" split="true">
 <item splitSize="600">
  <view class="vtkMRMLSliceNode" singletontag="Red">
   <property name="orientation" action="default">Axial</property>
   <property name="viewlabel" action="default">R</property>
   <property name="viewcolor" action="default">#F34A33</property>
  </view>
 </item>
 <item splitSize="400">
  <layout type="vertical" split="true">
   <item>
    <view class="vtkMRMLSliceNode" singletontag="Green">
     <property name="orientation" action="default">Coronal</property>
     <property name="viewlabel" action="default">G</property>
     <property name="viewcolor" action="default">#6EB04B</property>
    </view>
   </item>
   <item>
    <view class="vtkMRMLSliceNode" singletontag="Yellow">
     <property name="orientation" action="default">Sagittal</property>
     <property name="viewlabel" action="default">Y</property>
     <property name="viewcolor" action="default">#EDD54C</property>
    </view>
   </item>
   <item>
    <view class="vtkMRMLViewNode" singletontag="1">
     <property name="viewlabel" action="default">1</property>
    </view>
   </item>
  </layout>
 </item>
</layout>
"""


@dataclass(frozen=True)
class Window:
    """A range of HU that is drawn from black to white."""

    low: float
    high: float


LUNG, MEDIASTINUM, BONE = Window(-1350.0, 150.0), Window(-160.0, 240.0), Window(-500.0, 1300.0)


@dataclass(frozen=True)
class Place:
    """Where a tumour lies.

    Attributes
    ----------
    point: a voxel of the tumour (RAS mm): the one nearest to the middle of its box.
    extent_mm: the longest side of its box.
    voxels: of the tumour.
    """

    point: tuple[float, float, float]
    extent_mm: float
    voxels: int


def tumour_place(segmentation: Any | None, segment_id: str) -> Place | None:
    """Where a segment lies; None where there is none, or it is empty."""
    segment = None if segmentation is None else segmentation.GetSegmentation().GetSegment(segment_id)
    labelmap = None if segment is None else segment.GetRepresentation(BINARY)
    if labelmap is None or labelmap.IsEmpty():
        return None
    labels = array_of(labelmap)
    filled = index_box(labels)
    box = None if filled is None else index_box(_part(labels, filled) == segment.GetLabelValue())
    if filled is None or box is None:
        return None
    low, high = box[0] + filled[0], box[1] + filled[0]
    inside = _part(labels, (low, high)) == segment.GetLabelValue()
    nearest = low + _nearest_to_middle(inside)
    index = nearest[::-1] + np.array(labelmap.GetExtent()[::2])
    point = (index_to_ras(labelmap) @ (*index, 1.0))[:3]
    extent = ((high - low + 1)[::-1] * np.array(labelmap.GetSpacing())).max()
    return Place(tuple(point.tolist()), float(extent), int(inside.sum()))


def _part(array: np.ndarray, box: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return array[box_slices(*box)]


def _nearest_to_middle(inside: np.ndarray) -> np.ndarray:
    """Index (z, y, x) of the set voxel nearest, in voxels, to the middle of an array with set voxels."""
    middle = np.array(inside.shape) // 2
    if inside[tuple(middle)]:
        return middle
    indices = np.argwhere(inside)
    return indices[((indices - middle) ** 2).sum(axis=1).argmin()]


def look_at(place: Place) -> None:
    """Centre the slice views and the 3-D cameras on a tumour, which fills about a quarter of each."""
    width = max(FIELD_FACTOR * place.extent_mm, MIN_FIELD_MM)
    for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        columns, rows = view.GetDimensions()[:2]
        scale = width / max(min(columns, rows), 1)
        view.SetFieldOfView(scale * columns, scale * rows, view.GetFieldOfView()[2])
        view.JumpSliceByCentering(*place.point)
    for camera in slicer.util.getNodesByClass("vtkMRMLCameraNode"):
        _look_with(camera, np.array(place.point), CAMERA_FACTOR * place.extent_mm / 2)


def _look_with(camera: Any, point: np.ndarray, radius_mm: float) -> None:
    """Keep the direction in which a camera looks, and see a ball around a point."""
    away = np.array(camera.GetPosition()) - camera.GetFocalPoint()
    length = np.linalg.norm(away)
    away = away / length if length > 0 else np.array([0.0, 1.0, 0.0])
    distance = radius_mm / math.sin(math.radians(camera.GetViewAngle()) / 2)
    camera.SetFocalPoint(*point)
    camera.SetPosition(*(point + distance * away))
    camera.SetParallelScale(radius_mm)
    camera.ResetClippingRange()


def crosshair() -> tuple[float, float, float] | None:
    """Where the crosshair is (RAS mm); None where it was never set: it is at the origin then."""
    nodes = slicer.util.getNodesByClass("vtkMRMLCrosshairNode")
    x, y, z = nodes[0].GetCrosshairRAS() if nodes else (0.0, 0.0, 0.0)
    return (x, y, z) if x or y or z else None


def set_window(volume: Any, window: Window) -> None:
    """Draw a CT in a window instead of the automatic one."""
    volume.CreateDefaultDisplayNodes()
    display = volume.GetDisplayNode()
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(window.low, window.high)


def window_of(volume: Any | None) -> Window | None:
    """The window in which a CT is drawn now; None where it is not drawn."""
    display = None if volume is None else volume.GetDisplayNode()
    return None if display is None else Window(display.GetWindowLevelMin(), display.GetWindowLevelMax())


def show_reading_layout() -> int | None:
    """Switch to a large axial view with coronal, sagittal and 3-D view beside it.

    The value is the layout before, to be given to `restore_layout`; None where there are no views, or it was shown.
    """
    manager = slicer.app.layoutManager()
    if manager is None or manager.layout == LAYOUT:
        return None
    node = manager.layoutLogic().GetLayoutNode()
    if not node.IsLayoutDescription(LAYOUT):
        node.AddLayoutDescription(LAYOUT, LAYOUT_XML)
    before = int(manager.layout)
    manager.setLayout(LAYOUT)
    return before


def restore_layout(before: int | None) -> None:
    """Go back to an earlier layout, unless the user has chosen another one than the reading layout since."""
    manager = slicer.app.layoutManager()
    if before is not None and manager is not None and manager.layout == LAYOUT:
        manager.setLayout(before)
