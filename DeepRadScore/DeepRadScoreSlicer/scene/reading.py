"""CTs and plain labelmaps read by Slicer's storage nodes, without what takes seconds on a large CT.

Left out are the automatic window, whose histogram of the whole CT is discarded at once for a preset, and the search of
the whole grid for each segment: a labelmap is cropped to its labels as soon as it is read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from DeepRadScoreLib.imaging.grids.geometry import index_box
from DeepRadScoreLib.imaging.grids.lps import box_slices
from DeepRadScoreSlicer.scene.display.viewing import Window
from DeepRadScoreSlicer.scene.voxels import BINARY, GEOMETRY, array_of

MAX_LABEL = 65535


def read_volume(path: Path, name: str, window: Window) -> Any | None:
    """A scalar volume node of an image file, drawn in a window; None where the file is no scalar volume."""
    scene = slicer.mrmlScene
    read = _read(path)
    if read is None:
        return None
    volume, storage = read
    display = _node("vtkMRMLScalarVolumeDisplayNode")
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(window.low, window.high)
    display.SetDefaultColorMap()
    volume.SetName(name)
    for node in (display, storage, volume):
        scene.AddNode(node)
    volume.SetAndObserveDisplayNodeID(display.GetID())
    volume.SetAndObserveStorageNodeID(storage.GetID())
    return volume


def read_labelmap(path: Path, name: str) -> Any | None:
    """A segmentation node of a plain labelmap, as Slicer makes it: a segment `Segment_N` for each label N.

    None where Slicer's own reader of segmentations has to read the file: a `.seg.nrrd`, one without labels, one whose
    values are no labels.
    """
    read = None if ".seg." in path.name.lower() else _read(path)
    if read is None:
        return None
    volume, data = read[0], read[0].GetImageData()
    labels = array_of(data)
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() > MAX_LABEL:
        return None
    filled = index_box(labels)
    if filled is None:
        return None
    labels = labels[box_slices(*filled)]
    grid = _oriented(volume, data.GetExtent())
    labelmap = _oriented(volume, [end for axis in (2, 1, 0) for end in (int(filled[0][axis]), int(filled[1][axis]))])
    scalars = numpy_to_vtk(np.ascontiguousarray(labels).ravel(), deep=True)
    scalars.SetName("ImageScalars")
    labelmap.GetPointData().SetScalars(scalars)
    present = np.flatnonzero(np.bincount(labels.ravel()))
    return _segmentation(name, labelmap, grid, present[present > 0].tolist())


def _read(path: Path) -> tuple[Any, Any] | None:
    """A scalar volume node and its storage node, neither in the scene yet; None where the file is none."""
    volume, storage = _node("vtkMRMLScalarVolumeNode"), _node("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(path))
    if not storage.ReadData(volume):
        return None
    data = volume.GetImageData()
    return None if data is None or data.GetNumberOfScalarComponents() != 1 else (volume, storage)


def _node(name: str) -> Any:
    node = slicer.mrmlScene.CreateNodeByClass(name)
    node.UnRegister(None)
    return node


def _oriented(volume: Any, extent: Any) -> Any:
    """An image without voxels on a volume's grid."""
    image = slicer.vtkOrientedImageData()
    image.SetExtent(*extent)
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    image.SetImageToWorldMatrix(matrix)
    return image


def _segmentation(name: str, labelmap: Any, grid: Any, values: list[int]) -> Any:
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    content = node.GetSegmentation()
    modifying = node.StartModify()
    content.SetSourceRepresentationName(BINARY)
    content.SetConversionParameter(GEOMETRY, slicer.vtkSegmentationConverter.SerializeImageGeometry(grid))
    for value in values:
        segment = slicer.vtkSegment()
        segment.SetLabelValue(value)
        segment.AddRepresentation(BINARY, labelmap)
        color = [0.0, 0.0, 0.0]
        node.GetDisplayNode().GenerateSegmentColor(color)
        segment.SetColor(*color)
        identity = content.GenerateUniqueSegmentID(f"Segment_{value}")
        segment.SetName(identity)
        content.AddSegment(segment, identity)
    node.EndModify(modifying)
    return node
