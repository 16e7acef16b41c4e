"""Images of the library as nodes of the scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import SimpleITK as sitk
import slicer
import vtk

from DeepRadScoreLib.imaging.origin import SYNTHETIC_KEY, is_synthetic
from DeepRadScoreSlicer.scene.ownership import SYNTHETIC
from DeepRadScoreSlicer.scene.voxels import GEOMETRY, fill, labelmap_of, ras_geometry


def image_to_volume(image: sitk.Image, name: str) -> Any:
    """A new scalar volume node with the voxels and the geometry (LPS) of an image."""
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    direction, origin = ras_geometry(image)
    volume.SetSpacing(image.GetSpacing())
    volume.SetOrigin(origin)
    volume.SetIJKToRASDirections(*direction.ravel())
    volume.SetAndObserveImageData(fill(vtk.vtkImageData(), image))
    if is_synthetic(image):
        volume.SetAttribute(SYNTHETIC, image.GetMetaData(SYNTHETIC_KEY))
    volume.CreateDefaultDisplayNodes()
    return volume


def image_to_segmentation(image: sitk.Image, name: str, segment_name: str, color: Sequence[float]) -> Any:
    """A new segmentation node with one segment: what is not 0 in an image, on the image's own grid."""
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    segmentation.CreateDefaultDisplayNodes()
    fill_segmentation(segmentation, image, segment_name, color)
    return segmentation


def fill_segmentation(segmentation: Any, image: sitk.Image, segment_name: str, color: Sequence[float]) -> None:
    """Make what is not 0 in an image the only segment of a segmentation node, which takes over the image's grid."""
    labelmap = labelmap_of(image)
    content = segmentation.GetSegmentation()
    modifying = segmentation.StartModify()
    try:
        content.RemoveAllSegments()
        content.SetConversionParameter(GEOMETRY, slicer.vtkSegmentationConverter.SerializeImageGeometry(labelmap))
        segmentation.AddSegmentFromBinaryLabelmapRepresentation(labelmap, segment_name, list(color))
    finally:
        segmentation.EndModify(modifying)
