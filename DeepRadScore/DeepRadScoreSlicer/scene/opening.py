"""Opening a case of the list: its nodes loaded into the scene, and removed again."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import SimpleITK as sitk
import slicer

from DeepRadScoreLib.errors import InputError, MissingPackageError
from DeepRadScoreLib.imaging import MaskContent, Segment
from DeepRadScoreLib.imaging.formats.files import is_dicom
from DeepRadScoreLib.imaging.formats.label_names import label_names
from DeepRadScoreLib.imaging.masks.segments import by_name
from DeepRadScoreLib.progress import Progress, Stage, run_to_end
from DeepRadScoreSlicer.cases.worklist import ListedCase
from DeepRadScoreSlicer.scene import dicom_case, dicom_database, ownership
from DeepRadScoreSlicer.scene.display.viewing import TUMOUR_COLOUR
from DeepRadScoreSlicer.scene.image_files import load_segmentation, load_volume
from DeepRadScoreSlicer.scene.voxels import BINARY, array_of, cropped_labelmap
from DeepRadScoreSlicer.translation import tr as _

if TYPE_CHECKING:
    from DeepRadScoreLib.imaging.dicom.ct import CtSeries

FILL_2D = 0.15
LESION_COLOURS = ((0.94, 0.36, 0.72), (0.55, 0.83, 0.31), (0.65, 0.47, 0.95), (0.95, 0.55, 0.25))
"""Of the second lesion of a patient and those after it."""
KINDS = ("vtkMRMLStorableNode", "vtkMRMLDisplayNode", "vtkMRMLStorageNode", "vtkMRMLHierarchyNode")


@dataclass(frozen=True)
class OpenedCase:
    """Node IDs of an opened case.

    Attributes
    ----------
    segment_id: "" where it is not known which segment is the tumour.
    first_file: of the first slice of a CT that was read from a DICOM folder.
    """

    case: ListedCase
    volume_id: str
    segmentation_id: str
    segment_id: str
    nodes: tuple[str, ...]
    first_file: Path | None = None


def open_case(case: ListedCase, mask: Path | None) -> OpenedCase:
    """Load CT and mask, and show them: `open_steps` and `show_case` in one go."""
    opened = run_to_end(open_steps(case, mask))
    show_case(opened)
    return opened


def show_case(opened: OpenedCase) -> None:
    """Show a case that was loaded in the slice views."""
    volume, segmentation = (slicer.mrmlScene.GetNodeByID(node) for node in (opened.volume_id, opened.segmentation_id))
    segmentation.GetDisplayNode().SetVisibility(True)
    slicer.util.setSliceViewerLayers(background=volume, foreground=None, label=None, fit=True)


def open_steps(case: ListedCase, mask: Path | None) -> Generator[Progress, None, OpenedCase]:
    """Load CT and mask without showing them: image files with Slicer's readers, DICOM with the library's.

    DICOM is read in short steps; each image file in one, which Slicer's readers do not divide. Closed before its end,
    nothing of the case is left in the scene.

    Parameters
    ----------
    mask: the file to be reviewed (a corrected mask where there is one); None to draw a new one, or where the mask
        lies in the DICOM folder of the CT.

    Raises
    ------
    InputError: a file that cannot be read; nothing of the case is left in the scene.
    MissingPackageError: DICOM that pydicom is too old for (Slicer 5.10); there a series of Slicer's DICOM database can
        still be opened without a mask.
    """
    if case.ct is not None and not case.ct.exists():
        raise InputError(_("the CT is not there"), where=case.ct, mend=_("correct the path in the list"))
    name, added, read = f"{case.case_id} tumour", list[str](), None
    try:
        if case.ct is None or is_dicom(case.ct):
            read = yield from _dicom_steps(case, mask)
        else:
            yield Progress(Stage.READING, _("reading the CT"), 0, 100)
        with _noting(added):
            volume = _ct_node(case, read)
            volume.SetAttribute(ownership.CASE_ID, case.case_id)
        if read is not None and read.mask is not None:
            with _noting(added):
                segmentation = dicom_case.mask_node(read.mask, name)
            segment_id = dicom_case.chosen_id(read.mask, case.segment)
        else:
            yield Progress(Stage.READING, _("reading the mask"), 70, 100)
            with _noting(added):
                segmentation = empty_mask(name, volume) if mask is None else _load_mask(case, mask, name, volume)
            segment_id = choose_segment(segmentation, case.segment)
        with _noting(added):
            _colour(segmentation, segment_id)
    except BaseException:
        remove_with_folders(added)
        raise
    first = read.ct.members[0].path if read is not None and case.ct is not None else None
    return OpenedCase(case, volume.GetID(), segmentation.GetID(), segment_id, tuple(added), first)


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


@dataclass(frozen=True)
class _Read:
    """A CT in DICOM that the library has read, its voxels as `dicom_case.voxels_steps` copied them, and its mask."""

    ct: CtSeries
    voxels: Any
    mask: MaskContent | None


def _ct_node(case: ListedCase, read: _Read | None) -> Any:
    """A volume node of a CT that was read; without, of the image file or by Slicer's own reader of DICOM."""
    where, name = case.ct or case.case_id, f"{case.case_id} CT"
    if read is not None:
        return dicom_case.ct_node(read.ct, read.voxels, name)
    try:
        volume = load_volume(case.ct, name) if case.ct is not None else _volume_of(_by_slicer(case))
    except RuntimeError as error:
        raise InputError(
            _("Slicer cannot read the CT"), where=where, mend=_("give a NRRD, NIfTI or DICOM CT")
        ) from error
    if volume is None or not volume.IsA("vtkMRMLScalarVolumeNode"):
        raise InputError(_("this is not one 3-D CT volume"), where=where, mend=_("choose one CT series"))
    volume.SetName(name)
    return volume


def _dicom_steps(case: ListedCase, mask: Path | None) -> Generator[Progress, None, _Read | None]:
    """CT and mask by the library; None where pydicom is too old for it and Slicer itself can read the CT."""
    try:
        ct, content = yield from dicom_case.read_steps(case, mask)
    except MissingPackageError:
        if case.ct is not None or mask is not None:
            raise
        return None
    except InputError as error:
        if error.path or error.field:
            raise
        raise type(error)(error.what, where=case.ct or case.case_id, mend=error.mend) from error
    return _Read(ct, (yield from dicom_case.voxels_steps(ct)), content)


def _by_slicer(case: ListedCase) -> Sequence[str]:
    from DICOMLib import DICOMUtils

    dicom_database.files_of(str(case.series))
    return list(DICOMUtils.loadSeriesByUID([case.series]) or ())


def _volume_of(node_ids: Sequence[str]) -> Any | None:
    nodes = [slicer.mrmlScene.GetNodeByID(node_id) for node_id in node_ids]
    volumes = [node for node in nodes if node is not None and node.IsA("vtkMRMLScalarVolumeNode")]
    return volumes[0] if len(volumes) == 1 else None


def _load_mask(case: ListedCase, mask: Path, name: str, volume: Any) -> Any:
    """A mask in an image file."""
    if not mask.exists():
        raise InputError(_("the mask is not there"), where=mask, mend=_("correct the path in the list"))
    try:
        grid = case.mask_grid if mask == case.mask else None
        ct = None if case.ct is None or is_dicom(case.ct) else case.ct
        node = load_segmentation(mask, name, volume, ct=ct, mask_grid=grid)
    except RuntimeError as error:
        raise InputError(_("Slicer cannot read the mask"), where=mask, mend=_("give a NRRD or NIfTI mask")) from error
    if node is None or not node.IsA("vtkMRMLSegmentationNode"):
        raise InputError(_("this is not a segmentation"), where=mask, mend=_("give a labelmap or a .seg.nrrd"))
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


def new_mask(name: str, volume: Any) -> Any:
    """A segmentation node without segments, on the grid of a CT."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return node


def empty_mask(name: str, volume: Any) -> Any:
    """A segmentation node with one empty segment, the tumour's, on the grid of a CT."""
    node = new_mask(name, volume)
    node.GetSegmentation().AddEmptySegment("tumour", "tumour", TUMOUR_COLOUR)
    return node


def add_masks(segmentation: Any, masks: Sequence[sitk.Image], name: str) -> list[str]:
    """Add masks of 0 and 1 as segments with numbered names and colours of their own; their IDs."""
    content = segmentation.GetSegmentation()
    modifying = segmentation.StartModify()
    try:
        added = []
        for number, mask in enumerate(masks, start=1):
            identity = content.GenerateUniqueSegmentID(f"{name} {number}")
            segment = slicer.vtkSegment()
            segment.SetName(identity)
            segment.SetColor(*(TUMOUR_COLOUR, *LESION_COLOURS)[(number - 1) % (1 + len(LESION_COLOURS))])
            segment.AddRepresentation(BINARY, cropped_labelmap(mask, 1))
            content.AddSegment(segment, identity)
            added.append(identity)
    finally:
        segmentation.EndModify(modifying)
    return added


def replace_mask(segmentation: Any, segment_id: str, mask: sitk.Image) -> None:
    """Give a segment the voxels of a mask of 0 and 1; it keeps its ID, name and colour."""
    content = segmentation.GetSegmentation()
    before, segment = content.GetSegment(segment_id), slicer.vtkSegment()
    segment.SetName(before.GetName())
    segment.SetColor(*before.GetColor())
    segment.AddRepresentation(BINARY, cropped_labelmap(mask, 1))
    modifying = segmentation.StartModify()
    try:
        content.RemoveSegment(segment_id)
        content.AddSegment(segment, segment_id)
    finally:
        segmentation.EndModify(modifying)


def drawn_digest(segmentation: Any, segment_id: str) -> bytes:
    """Hash of the labelmap of a segment and its extent; b"" where it has no voxel."""
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    if segment is None or not _has_voxels(segment):
        return b""
    labelmap = segment.GetRepresentation(BINARY)
    return hashlib.sha256(repr(labelmap.GetExtent()).encode() + array_of(labelmap).tobytes()).digest()


def add_lesion(segmentation: Any) -> str:
    """Add an empty segment for another lesion, with a name and a colour of its own; its ID."""
    content = segmentation.GetSegmentation()
    number = content.GetNumberOfSegments() + 1
    identity = content.GenerateUniqueSegmentID(f"tumour {number}")
    colour = LESION_COLOURS[(number - 2) % len(LESION_COLOURS)]
    return str(content.AddEmptySegment(identity, identity, colour))


def is_empty(segmentation: Any, segment_id: str) -> bool:
    """Whether a segment is there and has no voxel."""
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    return segment is not None and not _has_voxels(segment)


def has_voxels(segmentation: Any) -> bool:
    """Whether any segment of a segmentation has a voxel."""
    content = segmentation.GetSegmentation()
    return any(_has_voxels(content.GetSegment(one)) for one in content.GetSegmentIDs())


def _has_voxels(segment: Any) -> bool:
    labelmap = segment.GetRepresentation(BINARY)
    if labelmap is None or labelmap.IsEmpty():
        return False
    return bool((array_of(labelmap) == segment.GetLabelValue()).any())


def _colour(segmentation: Any, segment_id: str) -> None:
    """Give the tumour the report's colour, filled faintly so that the tissue stays visible; it is not shown yet."""
    segmentation.CreateDefaultDisplayNodes()
    segmentation.GetDisplayNode().SetVisibility(False)
    segmentation.GetDisplayNode().SetOpacity2DFill(FILL_2D)
    if segment_id:
        segmentation.GetSegmentation().GetSegment(segment_id).SetColor(*TUMOUR_COLOUR)


@contextmanager
def _noting(added: list[str]) -> Iterator[None]:
    """Add the IDs of new data, display and storage nodes to a list; singletons and views are never removed."""
    before = {node.GetID() for node in ownership.all_nodes()}
    try:
        yield
    finally:
        nodes = [node for node in ownership.all_nodes() if node.GetID() not in before]
        kinds = [node for node in nodes if node.GetSingletonTag() is None and any(map(node.IsA, KINDS))]
        added.extend(sorted(node.GetID() for node in kinds))


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
