"""CT, SEG and RTSTRUCT in DICOM as nodes, read by the library: nothing of the patient enters the scene.

The files are those of a folder, or those that Slicer's DICOM database names; no database is opened, filled or changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from DeepRadScoreLib.cohort.folders.by_name import holds_mask
from DeepRadScoreLib.errors import InputError, RegionError
from DeepRadScoreLib.imaging import MaskContent
from DeepRadScoreLib.imaging.files import is_dicom
from DeepRadScoreLib.imaging.segments import choose
from DeepRadScoreSlicer.cases.worklist import ListedCase
from DeepRadScoreSlicer.scene import dicom_database
from DeepRadScoreSlicer.scene.image_files import keep_notes
from DeepRadScoreSlicer.scene.viewing import LUNG, OTHER_COLOUR, TUMOUR_COLOUR, set_window
from DeepRadScoreSlicer.scene.voxels import content_to_segmentation, image_to_volume
from DeepRadScoreSlicer.translation import tr as _

if TYPE_CHECKING:
    from DeepRadScoreLib.imaging.dicom.ct import CtSeries
    from DeepRadScoreLib.imaging.dicom.rois import Roi
    from DeepRadScoreLib.imaging.dicom.series import SeriesIndex


def read_ct_and_mask(case: ListedCase, mask: Path | None) -> tuple[CtSeries, MaskContent | None]:
    """The CT of a case, and the mask where that is DICOM.

    Parameters
    ----------
    mask: None for the one in the folder of the CT, if it holds one.

    Raises
    ------
    InputError, RegionError: as `read_ct`, `read_seg`, `read_rtstruct` and `only_mask`.
    MissingPackageError: pydicom is too old (Slicer 5.10).
    """
    from DeepRadScoreLib.imaging.dicom.ct import read_ct
    from DeepRadScoreLib.imaging.dicom.pairing import only_mask, read_ct_of_mask
    from DeepRadScoreLib.imaging.dicom.series import find_series

    index = _index(case)
    if mask is None and case.ct is not None and case.ct.is_dir() and holds_mask(case.ct):
        mask = only_mask(index, case.series)
    elif mask is not None and mask.is_dir():
        mask = only_mask(find_series(mask), case.series)
    if mask is None or not is_dicom(mask):
        return read_ct(index, series=case.series), None
    ct = read_ct_of_mask(index, mask, series=case.series)
    return ct, read_mask_on(mask, ct, case.segment)


def read_mask_on(mask: Path, ct: CtSeries, segment: str | None = None) -> MaskContent:
    """The segments of a SEG, or the ROIs of an RTSTRUCT drawn on the grid of a CT.

    Parameters
    ----------
    segment: the tumour's; without it the ROIs whose names say tumour are drawn, or all where none does.

    Raises
    ------
    InputError, RegionError: as `read_seg` and `read_rtstruct`.
    """
    from DeepRadScoreLib.imaging.dicom.masks import check_mask_kind
    from DeepRadScoreLib.imaging.dicom.rtstruct import read_rois, read_rtstruct
    from DeepRadScoreLib.imaging.dicom.seg import read_seg

    if check_mask_kind(mask) == "DICOM SEG":
        return read_seg(mask, ct)
    return read_rtstruct(mask, ct, roi=segment) if segment is not None else read_rois(mask, ct, _tumours_or_all)


def ct_of(volume: Any) -> CtSeries:
    """The CT of a volume that was loaded from Slicer's DICOM database, read again from its files.

    Raises
    ------
    InputError: the volume is not from the database, or its slices make no regular volume.
    MissingPackageError: pydicom is too old.
    """
    from DeepRadScoreLib.imaging.dicom.ct import read_ct

    series = dicom_database.series_of(volume)
    if not series:
        raise InputError(_("this CT is not from Slicer's DICOM database"), mend=_("load it with Slicer's DICOM module"))
    return read_ct(
        _index(ListedCase("", None, series=series)),
        series=series,
        referenced_sops=dicom_database.instances_of(volume),
    )


def ct_node(ct: CtSeries, name: str) -> Any:
    """A volume node of a CT, in the lung window; it remembers the UIDs of its slices as Slicer's own do."""
    node = image_to_volume(ct.image, name)
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


def _index(case: ListedCase) -> SeriesIndex:
    from DeepRadScoreLib.imaging.dicom.series import find_series, index_files

    return find_series(case.ct) if case.ct is not None else index_files(dicom_database.files_of(str(case.series)))


def _tumours_or_all(rois: list[Roi]) -> list[Roi]:
    return [roi for roi in rois if roi.is_tumour] or list(rois)
