"""Nodes of the scene as images and as a case of the library."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
import vtk

from DeepRadScoreLib import imaging
from DeepRadScoreLib.errors import RegionError
from DeepRadScoreLib.imaging import Case, MaskContent, Segment
from DeepRadScoreLib.imaging.geometry import index_box
from DeepRadScoreLib.imaging.origin import SYNTHETIC_KEY
from DeepRadScoreSlicer.scene.ownership import SYNTHETIC
from DeepRadScoreSlicer.scene.usable import check_segmentation, check_volume, check_voxels
from DeepRadScoreSlicer.scene.voxels import BINARY, array_of, extent_around, image_hash, set_geometry

REACH_MM = 35.0
"""More than the thickest shell and the margin of the 1 mm lattice around it."""


@dataclass(frozen=True)
class Chosen:
    """Nodes by ID, "" where nothing is chosen yet, and the thickness of the shell in mm."""

    volume_id: str = ""
    segmentation_id: str = ""
    segment_id: str = ""
    shell_mm: float = 3.0

    @property
    def complete(self) -> bool:
        """Whether CT, segmentation and segment are chosen."""
        return bool(self.volume_id and self.segmentation_id and self.segment_id)

    @property
    def volume(self) -> Any | None:
        """The CT, or None where it is not in the scene any more."""
        return slicer.mrmlScene.GetNodeByID(self.volume_id) if self.volume_id else None

    @property
    def segmentation(self) -> Any | None:
        """The segmentation, or None where it is not in the scene any more."""
        return slicer.mrmlScene.GetNodeByID(self.segmentation_id) if self.segmentation_id else None


def volume_image(volume: Any) -> sitk.Image:
    """A copy of a volume node's voxels with their pixel type, geometry (LPS) and the mark of a synthetic CT.

    Raises
    ------
    InputError: no volume, no voxels, a vector or 4-D volume, or one under a transform.
    """
    check_volume(volume)
    return _image(volume)


def _image(volume: Any) -> sitk.Image:
    image = sitk.GetImageFromArray(array_of(volume.GetImageData()))
    set_geometry(image, volume, volume.GetImageData().GetExtent()[::2])
    text = _synthetic_mark(volume)
    if text:
        image.SetMetaData(SYNTHETIC_KEY, text)
    return image


def segment_image(segmentation: Any, segment_id: str) -> sitk.Image:
    """One segment as a uint8 image of 0 and 1 on the segmentation's grid, in LPS, as it would be saved.

    Raises
    ------
    InputError: no segmentation, one under a transform, one without labelmaps.
    RegionError: no such segment, or an empty one.
    """
    drawn = [one for one in _drawn(segmentation, segment_id) if one.identity == segment_id]
    content = _content(drawn, _common_grid(segmentation.GetSegmentation()))
    return content.binary(content.segments[0])


@dataclass(frozen=True)
class NodeImages:
    """CT and segments of the chosen nodes as images, converted once for an analysis.

    Attributes
    ----------
    ct: voxels and geometry (LPS) of the volume node.
    content: the tumour's segment and the others that count as tumours; see `Segment.counts_as_tumour`.
    """

    ct: sitk.Image
    content: MaskContent
    segment_id: str

    def case(self, case_id: str, lung_mask: Path | None = None) -> Case:
        """The case that reading the CT's file and the segmentation's would give.

        That is the labelmap that Slicer made segments of, or the `.seg.nrrd` that Slicer saves.

        Raises
        ------
        InputError, RegionError: as `DeepRadScoreLib.imaging.read_case`.
        """
        case = imaging.case_from_segments(self.ct, self.content, case_id=case_id, segment=self.segment_id)
        if lung_mask is None:
            return case
        return replace(case, lung=imaging.lung_on_grid(imaging.read_image(lung_mask), case.ct, lung_mask))

    def fingerprint(self) -> str:
        """Hashes of the CT and of the tumour's segment: they change with any voxel and with the geometry."""
        tumour = next(one for one in self.content.segments if one.identity == self.segment_id)
        return f"{image_hash(self.ct)} {image_hash(self.content.binary(tumour))}"


def images_of(volume: Any, segmentation: Any, segment_id: str) -> NodeImages:
    """Convert CT and segments to images. Raises InputError and RegionError as `volume_image` and `segment_image`."""
    ct, drawn = volume_image(volume), _drawn(segmentation, segment_id)
    return NodeImages(ct, _content(drawn, _common_grid(segmentation.GetSegmentation())), segment_id)


def case_from_nodes(volume: Any, segmentation: Any, segment_id: str, case_id: str) -> Case:
    """Case of a CT and a segment in the scene, see `NodeImages.case`."""
    return images_of(volume, segmentation, segment_id).case(case_id)


def masks_from_nodes(volume: Any, segmentation: Any, segment_id: str, case_id: str) -> Case:
    """The masks of a case around the tumour, as far as a peritumoral shell can reach: quicker than the whole case.

    The CT is replaced by zeros. The canonical frame does not depend on what is cut away.
    """
    check_volume(volume)
    drawn = _drawn(segmentation, segment_id)
    common = _common_grid(segmentation.GetSegmentation())
    tumour = next(one for one in drawn if one.identity == segment_id)
    extent = extent_around(tumour.box, tumour.labelmap, volume, volume.GetImageData().GetExtent(), REACH_MM)
    grid = sitk.Image([last - first + 1 for first, last in zip(extent[::2], extent[1::2], strict=True)], sitk.sitkUInt8)
    set_geometry(grid, volume, extent[::2])
    common.SetExtent(extent_around(tumour.box, tumour.labelmap, common, common.GetExtent(), REACH_MM))
    return imaging.masks_from_segments(grid, _content(drawn, common), case_id=case_id, segment=segment_id)


def anonymous_case_id(volume: Any) -> str:
    """ "case-" and twelve digits made of the CT's SeriesInstanceUID, as for a CT that the library reads from DICOM.

    Where it has none: of its instances' UIDs, else of its voxels and geometry. Never of a name. A transform that is
    still to be hardened hinders nothing here.

    Raises
    ------
    InputError: no volume, no voxels, a vector or 4-D volume.
    """
    check_voxels(volume)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = 0 if hierarchy is None else hierarchy.GetItemByDataNode(volume)
    series = hierarchy.GetItemUID(item, slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMUIDName()) if item else ""
    return imaging.anonymous_case_id(series or volume.GetAttribute("DICOM.instanceUIDs") or image_hash(_image(volume)))


@dataclass(frozen=True)
class _Drawn:
    """A segment that has voxels: its labelmap and the i, j, k box (first and last of each) that holds them."""

    identity: str
    name: str
    value: int
    labelmap: Any
    box: tuple[int, ...]


def _drawn(segmentation: Any, segment_id: str) -> list[_Drawn]:
    """The segment and the others that may count as tumours, as far as they have voxels."""
    check_segmentation(segmentation, segment_id)
    segments = segmentation.GetSegmentation()
    found = []
    for identity in segments.GetSegmentIDs():
        segment = segments.GetSegment(identity)
        name, value = segment.GetName() or identity, segment.GetLabelValue()
        counts = Segment(name, identity, 0, value).counts_as_tumour
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
    maps: list[Any] = []
    segments = []
    for one in drawn:
        if one.labelmap not in maps:
            maps.append(one.labelmap)
        segments.append(Segment(one.name, one.identity, maps.index(one.labelmap), one.value))
    layers = tuple(_on_grid(labelmap, grid) for labelmap in maps)
    return MaskContent(layers, tuple(segments), (), "the segmentation")


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
