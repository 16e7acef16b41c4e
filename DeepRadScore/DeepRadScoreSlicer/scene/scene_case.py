"""Nodes of the scene as a case of the library, and images of the library as nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
import slicer
import vtk

from DeepRadScoreSlicer.scene.voxels import (
    array_of,
    extent_around,
    fill,
    image_hash,
    labelmap_of,
    ras_geometry,
    set_geometry,
)

if TYPE_CHECKING:
    from DeepRadScoreLib.imaging import Case, MaskContent

BINARY = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
GEOMETRY = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
REACH_MM = 35.0
"""More than the thickest shell and the margin of the 1 mm lattice around it."""
SYNTHETIC = "DeepRadScore.Synthetic"
"""Attribute of a CT's node that is the synthetic cohort's: its text is the file's mark."""


def volume_image(volume: Any) -> sitk.Image:
    """The voxels of a volume node, copied: pixel type kept, geometry in LPS, mark of a synthetic CT kept.

    Raises
    ------
    InputError: no volume, no voxels, a vector or 4-D volume, or one under a transform.
    """
    _check_volume(volume)
    return _image(volume)


def _image(volume: Any) -> sitk.Image:
    image = sitk.GetImageFromArray(array_of(volume.GetImageData()))
    set_geometry(image, volume, volume.GetImageData().GetExtent()[::2])
    text = _synthetic_mark(volume)
    if text:
        from DeepRadScoreLib.imaging.origin import SYNTHETIC_KEY

        image.SetMetaData(SYNTHETIC_KEY, text)
    return image


def segment_image(segmentation: Any, segment_id: str) -> sitk.Image:
    """One segment as a uint8 image of 0 and 1 on the segmentation's own grid, in LPS, as it would be saved.

    Raises
    ------
    InputError: no segmentation, one under a transform, one without labelmaps.
    RegionError: no such segment, or an empty one.
    """
    content = _content(_drawn(segmentation, segment_id, alone=True), _common_grid(segmentation.GetSegmentation()))
    return content.binary(content.segments[0])


def case_from_nodes(volume: Any, segmentation: Any, segment_id: str, case_id: str) -> Case:
    """The case that reading the CT's file and the segmentation's would give: the labelmap that Slicer made segments of,
    or the `.seg.nrrd` that Slicer saves.

    Other segments that the library counts as tumours are its other tumours; see `Segment.counts_as_tumour`.

    Raises
    ------
    InputError, RegionError: one sentence for whoever chose the nodes (see `volume_image`, `segment_image`), or as
        `DeepRadScoreLib.imaging.read_case`.
    """
    from DeepRadScoreLib.imaging import case_from_segments

    ct, drawn = volume_image(volume), _drawn(segmentation, segment_id)
    content = _content(drawn, _common_grid(segmentation.GetSegmentation()))
    return case_from_segments(ct, content, case_id=case_id, segment=segment_id)


def masks_from_nodes(volume: Any, segmentation: Any, segment_id: str, case_id: str) -> Case:
    """The masks of the same case around the tumour, as far as a peritumoral shell can reach; quicker.

    Zeros stand for the CT. The canonical frame does not depend on what is cut away.
    """
    from DeepRadScoreLib.imaging import masks_from_segments

    _check_volume(volume)
    drawn = _drawn(segmentation, segment_id)
    common = _common_grid(segmentation.GetSegmentation())
    tumour = next(one for one in drawn if one.identity == segment_id)
    extent = extent_around(tumour.box, tumour.labelmap, volume, volume.GetImageData().GetExtent(), REACH_MM)
    grid = sitk.Image([last - first + 1 for first, last in zip(extent[::2], extent[1::2], strict=True)], sitk.sitkUInt8)
    set_geometry(grid, volume, extent[::2])
    common.SetExtent(extent_around(tumour.box, tumour.labelmap, common, common.GetExtent(), REACH_MM))
    return masks_from_segments(grid, _content(drawn, common), case_id=case_id, segment=segment_id)


def anonymous_case_id(volume: Any) -> str:
    """ "case-" and twelve digits made of the CT's SeriesInstanceUID, as for a CT that the library reads from DICOM.

    Where it has none: of its instances' UIDs, else of its voxels and their place. Never of a name. A transform that is
    still to be hardened hinders nothing here.

    Raises
    ------
    InputError: no volume, no voxels, a vector or 4-D volume.
    """
    from DeepRadScoreLib import imaging

    _check_voxels(volume)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = 0 if hierarchy is None else hierarchy.GetItemByDataNode(volume)
    series = hierarchy.GetItemUID(item, slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMUIDName()) if item else ""
    return imaging.anonymous_case_id(series or volume.GetAttribute("DICOM.instanceUIDs") or image_hash(_image(volume)))


def image_to_volume(image: sitk.Image, name: str) -> Any:
    """A new scalar volume node with the voxels and the geometry (LPS) of an image."""
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    direction, origin = ras_geometry(image)
    volume.SetSpacing(image.GetSpacing())
    volume.SetOrigin(origin)
    volume.SetIJKToRASDirections(*direction.ravel())
    volume.SetAndObserveImageData(fill(vtk.vtkImageData(), image))
    from DeepRadScoreLib.imaging.origin import SYNTHETIC_KEY, is_synthetic

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


def _check_volume(volume: Any) -> None:
    _check_voxels(volume)
    _check_transform(volume, "the CT")


def _check_voxels(volume: Any) -> None:
    from DeepRadScoreLib.errors import InputError

    if volume is None or volume.GetScene() is None:
        raise InputError("no CT is chosen", mend="choose the CT volume")
    data = volume.GetImageData() if volume.IsA("vtkMRMLVolumeNode") else None
    if _is_four_dimensional(volume):
        raise InputError("the CT is a 4-D sequence", mend="choose one 3-D volume: export one of its frames")
    if data is None or data.GetPointData().GetScalars() is None:
        raise InputError("the CT has no voxels", mend="load it again from its files")
    if data.GetNumberOfScalarComponents() != 1 or not volume.IsA("vtkMRMLScalarVolumeNode"):
        raise InputError(
            f"the CT is a vector volume of {data.GetNumberOfScalarComponents()} components (a colour image?)",
            mend="choose the CT itself, in HU",
        )


def _is_four_dimensional(volume: Any) -> bool:
    if volume.IsA("vtkMRMLSequenceNode") or volume.IsA("vtkMRMLMultiVolumeNode"):
        return True
    browsers = slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode")
    return any(browser.IsProxyNodeID(volume.GetID()) for browser in browsers)


def _check_transform(node: Any, what: str) -> None:
    transform = node.GetParentTransformNode()
    if transform is None:
        return
    matrix = vtk.vtkMatrix4x4()
    if transform.IsTransformToWorldLinear():
        transform.GetMatrixTransformToWorld(matrix)
        if matrix.IsIdentity():
            return
    from DeepRadScoreLib.errors import InputError

    raise InputError(
        f"{what} is under a transform", mend="harden the transform (Transforms module) or take it off, then try again"
    )


@dataclass(frozen=True)
class _Drawn:
    """A segment that has voxels: its labelmap and the i, j, k box (first and last of each) that holds them."""

    identity: str
    name: str
    value: int
    labelmap: Any
    box: tuple[int, ...]


def _drawn(segmentation: Any, segment_id: str, *, alone: bool = False) -> list[_Drawn]:
    """The segment and, unless `alone`, the others that may count as tumours, as far as they have voxels."""
    from DeepRadScoreLib.errors import RegionError
    from DeepRadScoreLib.imaging.geometry import index_box
    from DeepRadScoreLib.imaging.segments import Segment

    _check_segmentation(segmentation, segment_id)
    segments = segmentation.GetSegmentation()
    found = []
    for identity in segments.GetSegmentIDs():
        segment = segments.GetSegment(identity)
        name, value = segment.GetName() or identity, segment.GetLabelValue()
        counts = Segment(name, identity, 0, value).counts_as_tumour and not alone
        labelmap = segment.GetRepresentation(BINARY)
        if labelmap is None or labelmap.IsEmpty() or not (counts or identity == segment_id):
            continue
        box = index_box(array_of(labelmap) == value)
        if box is not None:
            first = labelmap.GetExtent()[::2]
            ends = [(int(box[e][2 - axis]) + first[axis]) for axis in range(3) for e in (0, 1)]
            found.append(_Drawn(identity, name, value, labelmap, tuple(ends)))
    if not any(one.identity == segment_id for one in found):
        name = segments.GetSegment(segment_id).GetName()
        raise RegionError(f'the segment "{name}" is empty', mend="outline the tumour, or choose another segment")
    return found


def _content(drawn: list[_Drawn], grid: Any) -> MaskContent:
    """The segments as layers on one grid."""
    from DeepRadScoreLib.imaging import MaskContent, Segment

    maps: list[Any] = []
    segments = []
    for one in drawn:
        if one.labelmap not in maps:
            maps.append(one.labelmap)
        segments.append(Segment(one.name, one.identity, maps.index(one.labelmap), one.value))
    layers = tuple(_on_grid(labelmap, grid) for labelmap in maps)
    return MaskContent(layers, tuple(segments), (), "the segmentation")


def _check_segmentation(segmentation: Any, segment_id: str) -> None:
    from DeepRadScoreLib.errors import InputError, RegionError

    if segmentation is None or segmentation.GetScene() is None:
        raise InputError("no segmentation is chosen", mend="choose the segmentation that holds the tumour, or make one")
    segments = segmentation.GetSegmentation()
    if not segment_id or segments.GetSegment(segment_id) is None:
        raise RegionError("no segment is chosen", mend="choose the tumour's segment")
    _check_transform(segmentation, "the segmentation")
    if not segments.GetConversionParameter(GEOMETRY):
        raise InputError(
            "the segmentation has no reference geometry",
            mend="in the Segment Editor choose the CT as its source volume",
        )
    if segments.GetSourceRepresentationName() != BINARY:
        raise InputError(
            f'the segmentation is stored as "{segments.GetSourceRepresentationName()}"',
            mend=f'in the Segmentations module create "{BINARY}" and make it the source',
        )


def _common_grid(segments: Any) -> Any | None:
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


def _synthetic_mark(volume: Any) -> str:
    """The text of the synthetic cohort's mark, or "": of the node, else of the file that it was loaded from.

    Slicer does not read such marks and would lose them at the next save: the node remembers it from now on.
    """
    text = volume.GetAttribute(SYNTHETIC)
    if text:
        return text
    storage = volume.GetStorageNode()
    path = None if storage is None else storage.GetFullNameFromFileName()
    if not path or not path.lower().endswith(".nrrd"):
        return ""
    from DeepRadScoreLib.imaging.origin import SYNTHETIC_KEY

    reader = sitk.ImageFileReader()
    reader.SetFileName(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return ""
    if not reader.HasMetaDataKey(SYNTHETIC_KEY):
        return ""
    text = reader.GetMetaData(SYNTHETIC_KEY)
    volume.SetAttribute(SYNTHETIC, text)
    return text
