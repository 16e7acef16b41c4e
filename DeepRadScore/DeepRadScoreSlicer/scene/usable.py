"""Whether nodes of the scene can become a case: each refusal is one sentence for whoever chose them."""

from __future__ import annotations

from typing import Any

import slicer
import vtk

from DeepRadScoreLib.errors import InputError, MissingPackageError, RegionError
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreSlicer.scene.dicom_case import ct_of_volume_steps
from DeepRadScoreSlicer.scene.dicom_database import instances_of
from DeepRadScoreSlicer.scene.voxels import BINARY, GEOMETRY
from DeepRadScoreSlicer.translation import tr as _


def check_volume(volume: Any) -> None:
    """Refuse a volume that is not one 3-D scalar volume, or is under a transform.

    Raises
    ------
    InputError: no volume, no voxels, a vector or 4-D volume, or one under a transform.
    """
    check_voxels(volume)
    _check_transform(volume, _("the CT"))


def check_voxels(volume: Any) -> None:
    """Refuse a volume that is not one 3-D scalar volume, whatever transform it is under."""
    if volume is None or volume.GetScene() is None:
        raise InputError(_("no CT is chosen"), mend=_("choose the CT volume"))
    data = volume.GetImageData() if volume.IsA("vtkMRMLVolumeNode") else None
    if _is_four_dimensional(volume):
        raise InputError(_("the CT is a 4-D sequence"), mend=_("choose one 3-D volume: export one of its frames"))
    if data is None or data.GetPointData().GetScalars() is None:
        raise InputError(_("the CT has no voxels"), mend=_("load it again from its files"))
    if data.GetNumberOfScalarComponents() != 1 or not volume.IsA("vtkMRMLScalarVolumeNode"):
        raise InputError(
            _("the CT is a vector volume of {count} components (a colour image?)").format(
                count=data.GetNumberOfScalarComponents()
            ),
            mend=_("choose the CT itself, in HU"),
        )


def check_segmentation(segmentation: Any, segment_id: str) -> None:
    """Refuse a segmentation without labelmaps on a known grid, or without this segment.

    Raises
    ------
    InputError: no segmentation, one under a transform, one without labelmaps or a reference geometry.
    RegionError: no such segment.
    """
    if segmentation is None or segmentation.GetScene() is None:
        raise InputError(
            _("no segmentation is chosen"), mend=_("choose the segmentation that holds the tumour, or make one")
        )
    segments = segmentation.GetSegmentation()
    if not segment_id or segments.GetSegment(segment_id) is None:
        raise RegionError(_("no segment is chosen"), mend=_("choose the tumour's segment"))
    _check_transform(segmentation, _("the segmentation"))
    if not segments.GetConversionParameter(GEOMETRY):
        raise InputError(
            _("the segmentation has no reference geometry"),
            mend=_("in the Segment Editor choose the CT as its source volume"),
        )
    if segments.GetSourceRepresentationName() != BINARY:
        raise InputError(
            _('the segmentation is stored as "{form}"').format(form=segments.GetSourceRepresentationName()),
            mend=_('in the Segmentations module create "{form}" and make it the source').format(form=BINARY),
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
    elif node.IsA("vtkMRMLVolumeNode") and instances_of(node):
        raise _uneven(node)
    raise InputError(
        _("{what} is under a transform").format(what=what),
        mend=_("harden the transform (Transforms module) or take it off, then try again"),
    )


_explained: dict[str, InputError] = {}
"""UID of a CT's first instance -> why Slicer put it under a transform."""


def _uneven(volume: Any) -> InputError:
    """Why Slicer's DICOM module put a CT under an acquisition transform, which is never a linear one.

    It does so where slices are missing, unevenly spaced or sheared; which of these, the library finds from the files.
    """
    first = instances_of(volume)[0]
    if first not in _explained:
        _explained[first] = _explanation(volume)
    return _explained[first]


def _explanation(volume: Any) -> InputError:
    try:
        run_to_end(ct_of_volume_steps(volume))
    except MissingPackageError:
        return InputError(
            _("slices of the CT are missing or uneven, or its gantry was tilted, so that it is under a transform"),
            mend=_("export the whole series again, evenly spaced"),
        )
    except InputError as error:
        return InputError(error.what, where=_("the CT"), mend=error.mend)
    return InputError(
        _("the gantry of the CT was tilted or its slices are not quite evenly spaced, so that it is under a transform"),
        mend=_("select the series in the DICOM module and press DICOM under Cases: it is read without the transform"),
    )
