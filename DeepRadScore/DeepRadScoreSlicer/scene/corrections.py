"""Corrections of a mask: the original as a second node, and the corrected mask as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer

from DeepRadScoreLib.errors import InputError, OutputError
from DeepRadScoreLib.imaging import read_image
from DeepRadScoreLib.models import MaskGrid
from DeepRadScoreLib.writing import replacing
from DeepRadScoreSlicer.scene import ownership
from DeepRadScoreSlicer.scene.image_files import load_segmentation
from DeepRadScoreSlicer.translation import tr as _

ROLE = "original_mask"


def keep_original(volume: Any, segmentation: Any, case_id: str) -> None:
    """Copy the segmentation into a second node, unless its copy is already there.

    It is not shown in the views and cannot be picked there; it is saved with the scene.
    """
    if original_of(volume, segmentation) is None:
        _keep(volume, segmentation, segmentation.GetSegmentation(), case_id)


def keep_original_file(
    volume: Any, segmentation: Any, case_id: str, path: Path, *, ct: Path | None, mask_grid: MaskGrid | None
) -> None:
    """Copy the original mask from its file, for a segmentation that was corrected in an earlier session.

    Parameters
    ----------
    ct, mask_grid: as in `image_files.load_segmentation`.

    Raises
    ------
    InputError: the file cannot be read.
    """
    try:
        read = load_segmentation(path, f"{case_id} original mask", volume, ct=ct, mask_grid=mask_grid)
    except RuntimeError as error:
        raise InputError(_("Slicer cannot read the original mask"), where=path, mend=_("put it back")) from error
    _keep(volume, segmentation, read.GetSegmentation(), case_id)
    ownership.remove_nodes([read.GetID()])


def _keep(volume: Any, segmentation: Any, content: Any, case_id: str) -> None:
    copy = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", f"{case_id} original mask")
    ownership.mark(copy, ROLE, case_id, volume)
    copy.SetNodeReferenceID(ownership.SEGMENTATION, segmentation.GetID())
    copy.SetSelectable(False)
    copy.CreateDefaultDisplayNodes()
    copy.GetDisplayNode().SetVisibility(False)
    copy.GetSegmentation().DeepCopy(content)
    ownership.file_with(copy, volume)


def original_of(volume: Any, segmentation: Any) -> Any | None:
    """The copy of a segmentation from before its first edit, or None."""
    for node in ownership.ours(ROLE, volume):
        if node.GetNodeReferenceID(ownership.SEGMENTATION) == segmentation.GetID():
            return node
    return None


def restore_original(volume: Any, segmentation: Any) -> None:
    """Restore the segments from before the first edit. Raises InputError where no copy is in the scene."""
    original = original_of(volume, segmentation)
    if original is None:
        raise InputError(_("the original mask is not in the scene"), mend=_("load it again from its file"))
    now, before = segmentation.GetSegmentation(), original.GetSegmentation()
    restored = []
    for segment_id in before.GetSegmentIDs():
        segment = before.GetSegment(segment_id)
        same = segment_id if now.GetSegment(segment_id) else now.GetSegmentIdBySegmentName(segment.GetName())
        if same:
            now.GetSegment(same).DeepCopy(segment)
        else:
            now.CopySegmentFromSegmentation(before, segment_id)
        restored.append(same or segment_id)
    for segment_id in set(now.GetSegmentIDs()) - set(restored):
        now.RemoveSegment(segment_id)


def save_corrected(segmentation: Any, path: Path) -> None:
    """Write the segmentation to a file, completely or not at all; the node is stored in this file from then on.

    Raises
    ------
    OutputError: it cannot be written; what was there before is untouched, and the node keeps its changes.
    """
    storage = segmentation.GetStorageNode()
    before = None if storage is None else storage.GetFileName()
    if storage is not None:
        storage.GetUserMessages().ClearMessages()  # an error that is remembered makes every later write count as failed
    stored_in = before
    try:
        with replacing(path) as unfinished:
            if not (slicer.util.saveNode(segmentation, str(unfinished)) and _is_whole(unfinished)):
                raise OSError(f"{unfinished} is not whole")
        stored_in = str(path)
    except OSError as error:
        if segmentation.GetSegmentation() is not None:
            segmentation.GetSegmentation().Modified()
        raise OutputError(
            _("the corrected mask cannot be written"),
            where=path,
            mend=_("leave space in a folder that you may write to and save again; nothing is lost yet"),
        ) from error
    finally:
        _store_in(segmentation, stored_in)


def _store_in(segmentation: Any, path: str | None) -> None:
    """Give a segmentation's storage node a path, or take the storage node away where it had none before."""
    storage = segmentation.GetStorageNode()
    if storage is not None and path is not None:
        storage.SetFileName(path)
    elif storage is not None:
        slicer.mrmlScene.RemoveNode(storage)


def write_copy(segmentation: Any, path: Path) -> None:
    """Write the segmentation to a file of its own, quickly: cropped to its segments; the node is not stored there.

    Raises
    ------
    OutputError: it cannot be written; an earlier file is untouched.
    """
    storage = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.UnRegister(None)
    storage.SetCropToMinimumExtent(True)
    try:
        with replacing(path) as unfinished:
            storage.SetFileName(str(unfinished))
            if not storage.WriteData(segmentation):
                raise OSError(f"{unfinished} is not written")
    except OSError as error:
        raise OutputError(
            _("a copy of the mask cannot be saved"),
            where=path,
            mend=_("leave space in a folder that you may write to; nothing is lost yet"),
        ) from error


def _is_whole(path: Path) -> bool:
    """Whether the file can be read: on a full disk Slicer leaves it truncated and reports success."""
    try:
        read_image(path)
    except InputError:
        return False
    return True
