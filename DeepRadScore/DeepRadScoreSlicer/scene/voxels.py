"""Images and nodes: voxels and their geometry from MRML (RAS) to SimpleITK (LPS) and back."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
import vtk
from vtk.util.numpy_support import create_vtk_array, get_vtk_array_type, numpy_to_vtk, vtk_to_numpy

from DeepRadScoreLib.imaging import MaskContent
from DeepRadScoreLib.imaging.grids.geometry import SLICES_AT_ONCE, half_up, index_box
from DeepRadScoreLib.imaging.grids.lps import box_slices
from DeepRadScoreLib.imaging.masks.segments import names_tumour
from DeepRadScoreLib.imaging.origin import SYNTHETIC_KEY, is_synthetic
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreSlicer.scene.ownership import SYNTHETIC

BINARY = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
GEOMETRY = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
"""Slicer's names of the labelmap representation, and of the parameter that holds a segmentation's grid."""
RAS_LPS = np.diag([-1.0, -1.0, 1.0])


def array_of(data: Any) -> np.ndarray:
    """The voxels of a vtkImageData, (z, y, x), not copied."""
    columns, rows, slices = data.GetDimensions()
    return vtk_to_numpy(data.GetPointData().GetScalars()).reshape(slices, rows, columns)


def fill(data: Any, image: sitk.Image) -> Any:
    """Give a vtkImageData a copy of an image's voxels; its geometry stays as it is."""
    return run_to_end(fill_steps(data, image))


def fill_steps(data: Any, image: sitk.Image) -> Generator[int, None, Any]:
    """`fill` in steps: how many slices are copied."""
    values = sitk.GetArrayViewFromImage(image)
    scalars = create_vtk_array(get_vtk_array_type(values.dtype))
    scalars.SetNumberOfTuples(values.size)
    scalars.SetName("ImageScalars")
    copy = vtk_to_numpy(scalars).reshape(values.shape)
    for begin in range(0, len(values), SLICES_AT_ONCE):
        end = begin + SLICES_AT_ONCE
        copy[begin:end] = values[begin:end]
        yield min(end, len(values))
    data.SetDimensions(*image.GetSize())
    data.GetPointData().SetScalars(scalars)
    return data


def set_geometry(image: sitk.Image, grid: Any, first: Sequence[int]) -> None:
    """Give an image the geometry (LPS) of a volume node or of Slicer's oriented image.

    Parameters
    ----------
    first: i, j, k of the image's first voxel there.
    """
    directions = vtk.vtkMatrix4x4()
    if grid.IsA("vtkMRMLVolumeNode"):
        grid.GetIJKToRASDirectionMatrix(directions)
    else:
        grid.GetDirectionMatrix(directions)
    x, y, z, _one = index_to_ras(grid) @ (*first, 1.0)
    image.SetSpacing(grid.GetSpacing())
    image.SetOrigin((-x, -y, z))
    image.SetDirection((RAS_LPS @ slicer.util.arrayFromVTKMatrix(directions)[:3, :3]).ravel().tolist())


def index_to_ras(grid: Any) -> np.ndarray:
    """The 4 x 4 matrix from i, j, k to RAS mm of a volume node or of Slicer's oriented image."""
    matrix = vtk.vtkMatrix4x4()
    if grid.IsA("vtkMRMLVolumeNode"):
        grid.GetIJKToRASMatrix(matrix)
    else:
        grid.GetImageToWorldMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def same_grid(grid: Any, volume: Any) -> bool:
    """Whether Slicer's oriented image has the extent of a volume node, and no corner over a tenth of a voxel off."""
    extent = volume.GetImageData().GetExtent()
    corners = np.array([(*corner, 1.0) for corner in product(extent[:2], extent[2:4], extent[4:])])
    gaps = (corners @ (index_to_ras(grid) - index_to_ras(volume)).T)[:, :3]
    return grid.GetExtent() == extent and np.linalg.norm(gaps, axis=1).max() < 0.1 * min(volume.GetSpacing())


def extent_around(
    box: Sequence[int], source: Any, target: Any, whole: Sequence[int], margin_mm: float
) -> tuple[int, ...]:
    """Extent, on one grid, of a box given on another one, widened by a margin.

    Parameters
    ----------
    box: first and last i, j, k on the grid of `source`.
    whole: the extent of `target`, which is not left; where nothing of it is near, its first voxel.
    """
    to_target = np.linalg.inv(index_to_ras(target)) @ index_to_ras(source)
    low, high = np.array(box[::2]) - 0.5, np.array(box[1::2]) + 0.5
    corners = np.array([np.where(corner, high, low) for corner in np.ndindex(2, 2, 2)])
    index = corners @ to_target[:3, :3].T + to_target[:3, 3]
    margin = margin_mm / np.array(target.GetSpacing()) + 1.0
    first = np.maximum(np.floor(index.min(axis=0) - margin), whole[::2]).astype(int)
    last = np.minimum(np.ceil(index.max(axis=0) + margin), whole[1::2]).astype(int)
    if (last < first).any():
        first = last = np.array(whole[::2])
    return tuple(int(end) for pair in zip(first, last, strict=True) for end in pair)


def image_to_volume(image: sitk.Image, name: str) -> Any:
    """A new scalar volume node with the voxels and the geometry (LPS) of an image; it has no automatic window."""
    return data_to_volume(fill(vtk.vtkImageData(), image), image, name)


def data_to_volume(data: Any, image: sitk.Image, name: str) -> Any:
    """`image_to_volume` of voxels that `fill` has copied."""
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    direction, origin = ras_geometry(image)
    volume.SetSpacing(image.GetSpacing())
    volume.SetOrigin(origin)
    volume.SetIJKToRASDirections(*direction.ravel())
    volume.CreateDefaultDisplayNodes()
    volume.GetDisplayNode().SetAutoWindowLevel(False)  # its histogram takes half a second on a large CT
    volume.SetAndObserveImageData(data)
    if is_synthetic(image):
        volume.SetAttribute(SYNTHETIC, image.GetMetaData(SYNTHETIC_KEY))
    return volume


def image_to_segmentation(image: sitk.Image, name: str, segment_name: str, color: Sequence[float]) -> Any:
    """A new segmentation node with one segment, the non-zero voxels of an image, on the image's grid."""
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    segmentation.CreateDefaultDisplayNodes()
    fill_segmentation(segmentation, image, segment_name, color)
    return segmentation


def fill_segmentation(segmentation: Any, image: sitk.Image, segment_name: str, color: Sequence[float]) -> None:
    """Make the non-zero voxels of an image the only segment of a segmentation node, on the image's grid."""
    labelmap = labelmap_of(image)
    content = segmentation.GetSegmentation()
    modifying = segmentation.StartModify()
    try:
        content.RemoveAllSegments()
        content.SetConversionParameter(GEOMETRY, slicer.vtkSegmentationConverter.SerializeImageGeometry(labelmap))
        segmentation.AddSegmentFromBinaryLabelmapRepresentation(labelmap, segment_name, list(color))
    finally:
        segmentation.EndModify(modifying)


def content_to_segmentation(content: MaskContent, name: str, colors: Mapping[str, Sequence[float]]) -> Any:
    """A new segmentation node with the segments of a mask, each cropped to its voxels, on the mask's grid.

    Parameters
    ----------
    colors: by a segment's identity, which becomes its ID.
    """
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    segments = node.GetSegmentation()
    grid = labelmap_grid(content.layers[0])
    modifying = node.StartModify()
    try:
        segments.SetSourceRepresentationName(BINARY)
        segments.SetConversionParameter(GEOMETRY, slicer.vtkSegmentationConverter.SerializeImageGeometry(grid))
        for one in content.segments:
            segment = slicer.vtkSegment()
            segment.SetName(one.name if names_tumour(one.name) or not one.counts_as_tumour else f"{one.name} (tumour)")
            segment.SetColor(*colors[one.identity])
            segment.AddRepresentation(BINARY, cropped_labelmap(content.layers[one.layer], one.value))
            segments.AddSegment(segment, one.identity)
    finally:
        node.EndModify(modifying)
    return node


def cropped_labelmap(layer: sitk.Image, value: int) -> Any:
    """Slicer's labelmap of one value of a layer: uint8, 1 where it is, in the extent of its voxels."""
    inside = sitk.GetArrayViewFromImage(layer) == value
    box = index_box(inside)
    labelmap = labelmap_grid(layer)
    if box is None:
        return labelmap
    labelmap.SetExtent(*[int(end[axis]) for axis in (2, 1, 0) for end in box])
    scalars = numpy_to_vtk(np.ascontiguousarray(inside[box_slices(*box)], dtype=np.uint8).ravel(), deep=True)
    scalars.SetName("ImageScalars")
    labelmap.GetPointData().SetScalars(scalars)
    return labelmap


def ras_geometry(image: sitk.Image) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Directions (3, 3) of an image's axes and position of its first voxel, in RAS."""
    x, y, z = image.GetOrigin()
    return RAS_LPS @ np.array(image.GetDirection()).reshape(3, 3), (-x, -y, z)


def labelmap_of(mask: sitk.Image) -> Any:
    """A mask as Slicer's labelmap of one segment: uint8, 1 where the mask is not 0."""
    return fill(labelmap_grid(mask), mask != 0)


def labelmap_grid(image: sitk.Image) -> Any:
    """Slicer's oriented image of an image's size and geometry, without voxels."""
    direction, origin = ras_geometry(image)
    grid = slicer.vtkOrientedImageData()
    grid.SetDimensions(*image.GetSize())
    grid.SetSpacing(image.GetSpacing())
    grid.SetOrigin(origin)
    matrix = vtk.vtkMatrix4x4()
    for row in range(3):
        for column in range(3):
            matrix.SetElement(row, column, direction[row, column])
    grid.SetDirectionMatrix(matrix)
    return grid


def image_hash(image: sitk.Image) -> str:
    """SHA-256 of an image's voxels, pixel type and geometry (to 1e-5 mm, so that saving does not change it)."""
    voxels = np.ascontiguousarray(sitk.GetArrayViewFromImage(image))
    geometry = (image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    rounded = [(half_up(values, 1e-5) + 0.0).tolist() for values in geometry]
    digest = hashlib.sha256(repr([voxels.dtype.str, image.GetSize(), rounded]).encode())
    digest.update(voxels)
    return digest.hexdigest()
