"""Opening a case of the list: its nodes loaded into the scene, and removed again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer

from DeepRadScoreLib.cohort.folders.by_name import holds_mask
from DeepRadScoreLib.errors import InputError, MissingPackageError, RegionError
from DeepRadScoreLib.imaging import Segment, read_case
from DeepRadScoreLib.imaging.label_names import label_names
from DeepRadScoreLib.imaging.segments import by_name
from DeepRadScoreLib.models import MaskGrid
from DeepRadScoreSlicer.cases.worklist import ListedCase
from DeepRadScoreSlicer.scene import dicom_database, ownership
from DeepRadScoreSlicer.scene.image_files import load_segmentation, load_volume
from DeepRadScoreSlicer.scene.voxels import BINARY, array_of, image_to_segmentation

TUMOUR_COLOUR = (0.098, 0.827, 1.0)
"""The report's colour of the tumour's outline."""
OTHER_COLOUR = (0.6, 0.6, 0.6)
FILL_2D = 0.15
KINDS = ("vtkMRMLStorableNode", "vtkMRMLDisplayNode", "vtkMRMLStorageNode", "vtkMRMLHierarchyNode")


@dataclass(frozen=True)
class OpenedCase:
    """Node IDs of an opened case; `segment_id` is "" where it is not known which segment is the tumour."""

    case: ListedCase
    volume_id: str
    segmentation_id: str
    segment_id: str
    nodes: tuple[str, ...]


def open_case(case: ListedCase, mask: Path | None) -> OpenedCase:
    """Load CT and mask with Slicer's readers.

    Parameters
    ----------
    mask: the file to be reviewed (a corrected mask where there is one); None to draw a new one, or where the mask
        lies in the DICOM folder of the CT.

    Raises
    ------
    InputError: a file that cannot be read; nothing of the case is left in the scene.
    """
    before = _node_ids()
    try:
        volume = _load_ct(case)
        volume.SetAttribute("DeepRadScore.CaseId", case.case_id)
        segmentation = _load_mask(case, mask, volume)
        segment_id = choose_segment(segmentation, case.segment)
        _show(segmentation, segment_id)
    except BaseException:
        remove_with_folders(_added(before))
        raise
    slicer.util.setSliceViewerLayers(background=volume, foreground=None, label=None, fit=True)
    return OpenedCase(case, volume.GetID(), segmentation.GetID(), segment_id, tuple(_added(before)))


def close_case(opened: OpenedCase) -> None:
    """Remove all nodes that were loaded or made for a case."""
    volume = slicer.mrmlScene.GetNodeByID(opened.volume_id)
    made = [] if volume is None else [node.GetID() for node in ownership.ours(None, volume)]
    remove_with_folders([*made, *opened.nodes])


def choose_segment(segmentation: Any, wanted: str | None) -> str:
    """ID of the segment that the library would read from the file, "" where that is ambiguous.

    Parameters
    ----------
    wanted: ID, name or number of a segment; None: the only segment, or the only one with voxels.
    """
    content = segmentation.GetSegmentation()
    segments = {one: content.GetSegment(one) for one in content.GetSegmentIDs()}
    if wanted is None:
        found = list(segments) if len(segments) == 1 else [one for one, drawn in segments.items() if _has_voxels(drawn)]
    else:
        named = [Segment(each.GetName() or one, one, 0, each.GetLabelValue()) for one, each in segments.items()]
        found = [one.identity for one in by_name(named, wanted)]
    return found[0] if len(found) == 1 else ""


def remove_with_folders(node_ids: Sequence[str]) -> None:
    """Remove nodes, and the DICOM study and patient in the subject hierarchy that are empty after it."""
    nodes = [slicer.mrmlScene.GetNodeByID(node_id) for node_id in node_ids]
    studies = {_study_of(node) for node in nodes if node is not None}
    ownership.remove_nodes(node_ids)
    for study in studies - {0}:
        _remove_empty(study)


def _load_ct(case: ListedCase) -> Any:
    where = case.ct or case.case_id
    if case.ct is not None and not case.ct.exists():
        raise InputError("the CT is not there", where=where, mend="correct the path in the list")
    try:
        if case.ct is None or case.ct.is_dir() or case.series is not None:
            volume = _load_series(case)
        else:
            volume = load_volume(case.ct, f"{case.case_id} CT")
    except OSError as error:
        raise InputError(
            "Slicer's DICOM database is not open", where=where, mend="open the module DICOM once, then try again"
        ) from error
    except RuntimeError as error:
        raise InputError("Slicer cannot read the CT", where=where, mend="give a NRRD, NIfTI or DICOM CT") from error
    if volume is None or not volume.IsA("vtkMRMLScalarVolumeNode"):
        raise InputError("this is not one 3-D CT volume", where=where, mend="choose one CT series")
    return volume


def _load_series(case: ListedCase) -> Any:
    from DICOMLib import DICOMUtils

    if case.ct is None:
        return _volume_of(DICOMUtils.loadSeriesByUID([case.series]))
    with DICOMUtils.TemporaryDICOMDatabase() as database:
        DICOMUtils.importDicom(str(case.ct), database)
        series = [case.series]
        if case.series is None:
            uids = DICOMUtils.allSeriesUIDsInDatabase(database)
            series = [uid for uid in uids if dicom_database.modality(uid, database) == "CT"]
        return _volume_of(DICOMUtils.loadSeriesByUID(series[:1])) if len(series) == 1 else None


def _volume_of(node_ids: Sequence[str] | None) -> Any | None:
    nodes = [slicer.mrmlScene.GetNodeByID(node_id) for node_id in node_ids or ()]
    volumes = [node for node in nodes if node is not None and node.IsA("vtkMRMLScalarVolumeNode")]
    return volumes[0] if len(volumes) == 1 else None


def _load_mask(case: ListedCase, mask: Path | None, volume: Any) -> Any:
    name = f"{case.case_id} tumour"
    dicom_folder = case.ct is not None and case.ct.is_dir()
    if mask is None and not dicom_folder:
        return empty_mask(name, volume)
    by_library = mask is None or mask.is_dir() or mask.suffix.lower() in {".dcm", ""}
    if by_library or (dicom_folder and mask == case.mask and case.mask_grid == MaskGrid.SAME):
        return _dicom_mask(case, mask, name, volume)
    if not mask.exists():
        raise InputError("the mask is not there", where=mask, mend="correct the path in the list")
    try:
        files = {"ct": case.ct, "mask_grid": case.mask_grid} if mask == case.mask else {}
        node = load_segmentation(mask, name, volume, **files)
    except RuntimeError as error:
        raise InputError("Slicer cannot read the mask", where=mask, mend="give a NRRD or NIfTI mask") from error
    if node is None or not node.IsA("vtkMRMLSegmentationNode"):
        raise InputError("this is not a segmentation", where=mask, mend="give a labelmap or a .seg.nrrd")
    _name_segments(node, label_names(mask))
    return node


def _name_segments(node: Any, names: Mapping[int, str]) -> None:
    """Give the segments that Slicer made of labels the names that their file or a table beside it has."""
    content = node.GetSegmentation()
    for identity in content.GetSegmentIDs():
        segment = content.GetSegment(identity)
        value = segment.GetLabelValue()
        if value in names and Segment(segment.GetName() or identity, identity, 0, value).unnamed:
            segment.SetName(names[value])


def _dicom_mask(case: ListedCase, mask: Path | None, name: str, volume: Any) -> Any:
    """DICOM SEG and RTSTRUCT by the library's reader, which needs no extension; an empty mask where there is none.

    Slicer 5.10's pydicom is too old for that reader: there a case without a mask is opened and one with a mask refused.
    """
    if case.ct is None:
        return empty_mask(name, volume)
    try:
        read = read_case(case.ct, mask, segment=case.segment, series=case.series, mask_grid=case.mask_grid)
    except (MissingPackageError, RegionError) as error:
        if mask is not None or (isinstance(error, MissingPackageError) and holds_mask(case.ct)):
            raise
        return empty_mask(name, volume)
    node = image_to_segmentation(read.tumour, name, case.segment or "tumour", TUMOUR_COLOUR)
    if read.other_tumours is not None:
        others = image_to_segmentation(read.other_tumours, name, "other tumours", OTHER_COLOUR)
        for identity in others.GetSegmentation().GetSegmentIDs():
            node.GetSegmentation().CopySegmentFromSegmentation(others.GetSegmentation(), identity)
        ownership.remove_nodes([others.GetID()])
    return node


def empty_mask(name: str, volume: Any) -> Any:
    """A segmentation node with one empty segment, the tumour's, on the grid of a CT."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    node.GetSegmentation().AddEmptySegment("tumour", "tumour", TUMOUR_COLOUR)
    return node


def _has_voxels(segment: Any) -> bool:
    labelmap = segment.GetRepresentation(BINARY)
    if labelmap is None or labelmap.IsEmpty():
        return False
    return bool((array_of(labelmap) == segment.GetLabelValue()).any())


def _show(segmentation: Any, segment_id: str) -> None:
    """Show the tumour in the report's colour, filled faintly so that the tissue stays visible."""
    segmentation.CreateDefaultDisplayNodes()
    segmentation.GetDisplayNode().SetOpacity2DFill(FILL_2D)
    if segment_id:
        segmentation.GetSegmentation().GetSegment(segment_id).SetColor(*TUMOUR_COLOUR)


def _node_ids() -> set[str]:
    return {node.GetID() for node in ownership.all_nodes()}


def _added(before: set[str]) -> list[str]:
    """IDs of the new data, display and storage nodes; singletons and views are never removed."""
    nodes = [node for node in ownership.all_nodes() if node.GetID() not in before and node.GetSingletonTag() is None]
    return sorted(node.GetID() for node in nodes if any(node.IsA(kind) for kind in KINDS))


def _study_of(node: Any) -> int:
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = 0 if tree is None else tree.GetItemByDataNode(node)
    parent = tree.GetItemParent(item) if item else 0
    return parent if parent and parent != tree.GetSceneItemID() else 0


def _remove_empty(item: int) -> None:
    """Remove a study without children, then its patient if that has none either."""
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    while tree is not None and item and item != tree.GetSceneItemID() and tree.GetNumberOfItemChildren(item) == 0:
        parent = tree.GetItemParent(item)
        tree.RemoveItem(item)
        item = parent
