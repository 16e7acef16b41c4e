"""CT, SEG and RTSTRUCT in DICOM as nodes, read by the library: nothing of the patient enters the scene.

The files are those of a folder, or those that Slicer's DICOM database names; no database is opened, filled or changed.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vtk

from DeepRadScoreLib.cohort.folders.by_name import holds_mask
from DeepRadScoreLib.errors import InputError, RegionError
from DeepRadScoreLib.imaging import MaskContent
from DeepRadScoreLib.imaging.formats.files import is_dicom
from DeepRadScoreLib.imaging.masks.segments import choose
from DeepRadScoreLib.progress import Progress, Stage, as_part, map_steps
from DeepRadScoreSlicer.cases.worklist import ListedCase
from DeepRadScoreSlicer.scene import dicom_database
from DeepRadScoreSlicer.scene.display.viewing import LUNG, OTHER_COLOUR, TUMOUR_COLOUR, set_window
from DeepRadScoreSlicer.scene.image_files import keep_notes
from DeepRadScoreSlicer.scene.voxels import content_to_segmentation, data_to_volume, fill_steps
from DeepRadScoreSlicer.translation import tr as _

if TYPE_CHECKING:
    from DeepRadScoreLib.imaging.dicom.ct import CtSeries
    from DeepRadScoreLib.imaging.dicom.series import SeriesIndex
    from DeepRadScoreLib.imaging.dicom.structures.rois import Roi


def read_steps(case: ListedCase, mask: Path | None) -> Generator[Progress, None, tuple[CtSeries, MaskContent | None]]:
    """The CT of a case, and the mask where that is DICOM, in short steps.

    Parameters
    ----------
    mask: None for the one in the folder of the CT, if it holds one.

    Raises
    ------
    InputError, RegionError: as `read_ct`, `read_seg`, `read_rtstruct` and `only_mask`.
    MissingPackageError: pydicom is too old (Slicer 5.10).
    """
    yield Progress(Stage.READING, _("loading the reader of DICOM"), 0, 100)
    from DeepRadScoreLib.imaging.dicom.ct import read_ct_steps
    from DeepRadScoreLib.imaging.dicom.pairing import only_mask, read_ct_of_mask_steps
    from DeepRadScoreLib.imaging.dicom.series import find_series_steps

    index = yield from as_part(_index_steps(case), _("reading the headers of the CT"), 0, 30)
    if mask is None and case.ct is not None and case.ct.is_dir() and holds_mask(case.ct):
        mask = only_mask(index, case.series)
    elif mask is not None and mask.is_dir():
        masks = yield from as_part(find_series_steps(mask), _("looking for the mask"), 30, 30)
        mask = only_mask(masks, case.series)
    if mask is None or not is_dicom(mask):
        steps = read_ct_steps(index, series=case.series)
        return (yield from as_part(steps, _("reading the CT"), 30, 80)), None
    yield Progress(Stage.READING, _("looking for the CT of the mask"), 30, 100)
    steps = read_ct_of_mask_steps(index, mask, series=case.series)
    ct = yield from as_part(steps, _("reading the CT"), 30, 80)
    return ct, (yield from as_part(mask_steps(mask, ct, case.segment), _("reading the mask"), 80, 90))


def mask_steps(mask: Path, ct: CtSeries, segment: str | None = None) -> Generator[Progress, None, MaskContent]:
    """The segments of a SEG, or the ROIs of an RTSTRUCT drawn on the grid of a CT, in steps, one for each ROI.

    Parameters
    ----------
    segment: the tumour's; without it the ROIs whose names say tumour are drawn, or all where none does.

    Raises
    ------
    InputError, RegionError: as `read_seg` and `read_rtstruct`.
    """
    from DeepRadScoreLib.imaging.dicom.structures.masks import check_mask_kind
    from DeepRadScoreLib.imaging.dicom.structures.rtstruct import read_rois_steps, read_rtstruct_steps
    from DeepRadScoreLib.imaging.dicom.structures.seg import read_seg_steps

    if check_mask_kind(mask) == "DICOM SEG":
        return (yield from read_seg_steps(mask, ct))
    if segment is None:
        return (yield from read_rois_steps(mask, ct, _tumours_or_all))
    return (yield from read_rtstruct_steps(mask, ct, roi=segment))


def mask_of_volume_steps(mask: Path, volume: Any) -> Generator[Progress, None, MaskContent]:
    """A SEG or RTSTRUCT on a volume that was loaded from Slicer's DICOM database. Raises as `ct_of_volume_steps`."""
    ct = yield from as_part(ct_of_volume_steps(volume), _("reading the CT"), 0, 80)
    return (yield from as_part(mask_steps(mask, ct), _("reading the mask"), 80, 100))


def ct_of_volume_steps(volume: Any) -> Generator[Progress, None, CtSeries]:
    """The CT of a volume that was loaded from Slicer's DICOM database, read again from its files in short steps.

    Raises
    ------
    InputError: the volume is not from the database, or its slices make no regular volume.
    MissingPackageError: pydicom is too old.
    """
    from DeepRadScoreLib.imaging.dicom.ct import read_ct_steps

    series = dicom_database.series_of(volume)
    if not series:
        raise InputError(_("this CT is not from Slicer's DICOM database"), mend=_("load it with Slicer's DICOM module"))
    case = ListedCase("", None, series=series)
    index = yield from as_part(_index_steps(case), "", 0, 40)
    steps = read_ct_steps(index, series=series, referenced_sops=dicom_database.instances_of(volume))
    return (yield from as_part(steps, "", 40, 100))


def voxels_steps(ct: CtSeries) -> Generator[Progress, None, Any]:
    """The voxels of a CT for `ct_node`, copied in short steps."""
    count = ct.image.GetDepth()
    steps = map_steps(fill_steps(vtk.vtkImageData(), ct.image), lambda n: Progress(Stage.READING, "", n, count))
    return (yield from as_part(steps, _("putting the CT into the scene"), 90, 100))


def ct_node(ct: CtSeries, voxels: Any, name: str) -> Any:
    """A volume node of a CT, in the lung window; it remembers the UIDs of its slices as Slicer's own do."""
    node = data_to_volume(voxels, ct.image, name)
    node.SetAttribute(dicom_database.INSTANCES, " ".join(ct.sop_uids))
    set_window(node, LUNG)
    keep_notes(node, ct.notes)
    return node


def mask_node(content: MaskContent, name: str) -> Any:
    """A segmentation node with all segments of a mask."""
    colours = {one.identity: TUMOUR_COLOUR if one.counts_as_tumour else OTHER_COLOUR for one in content.segments}
    node = content_to_segmentation(content, name, colours)
    keep_notes(node, content.notes)
    return node


def chosen_id(content: MaskContent, wanted: str | None) -> str:
    """Segment ID, in `mask_node`, of the tumour; "" where none is wanted and there are several.

    Raises
    ------
    RegionError: the wanted one is not there.
    """
    try:
        return choose(content, segment=wanted, label=None).identity
    except RegionError:
        if wanted is not None:
            raise
        tumours = [one for one in content.segments if one.counts_as_tumour]
        return tumours[0].identity if len(tumours) == 1 else ""


def _index_steps(case: ListedCase) -> Generator[Progress, None, SeriesIndex]:
    from DeepRadScoreLib.imaging.dicom.series import find_series_steps, index_steps

    if case.ct is not None:
        return (yield from find_series_steps(case.ct))
    return (yield from index_steps(dicom_database.files_of(str(case.series))))


def _tumours_or_all(rois: list[Roi]) -> list[Roi]:
    return [roi for roi in rois if roi.is_tumour] or list(rois)
