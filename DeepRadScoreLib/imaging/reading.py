"""One case from its files or from images in memory: checked, and all masks on the grid of the CT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError, RegionError, Where
from DeepRadScoreLib.imaging.carriers import Case, QualityNote
from DeepRadScoreLib.imaging.files import file_stem, is_dicom, read_image, sheared
from DeepRadScoreLib.imaging.geometry import direction_of, index_map, labels_on_grid, same_grid
from DeepRadScoreLib.imaging.segments import MaskContent, Segment, choose, mask_content
from DeepRadScoreLib.paths import AnyPath, as_path
from DeepRadScoreLib.pseudonyms import Pseudonyms, pseudonym_key

AIR_HU = -200.0
HU_LIMITS = (-32768.0, 32767.0)
MAX_SHARE_OUTSIDE = 0.001


def read_case(
    ct: AnyPath,
    mask: AnyPath | None = None,
    *,
    case_id: str = "",
    segment: str | None = None,
    label: int | None = None,
    lung_mask: AnyPath | None = None,
    series: str | None = None,
) -> Case:
    """Read a CT (HU) and its tumour mask.

    Parameters
    ----------
    ct: a NRRD or NIfTI file; or DICOM: a folder, searched with all folders in it, a multi-frame image, a DICOMDIR.
    mask: a NRRD or NIfTI file, Slicer's `.seg.nrrd`; for a CT in DICOM also a DICOM SEG or RTSTRUCT, a folder that
        holds one of them, or None where the folder of the CT does.
    case_id: default: the name of the CT file; of a CT in DICOM, whose folders may be named after patients, "case-" and
        twelve digits made of its SeriesInstanceUID (see `anonymous_case_id`).
    segment, label: which segment (name, id, number, coded type or, of an RTSTRUCT, ROI name or regular expression) or
        which label, segment number or ROI number is the tumour; needed where the mask holds several. The other labels
        of a labelmap (also as the segments "Segment_1", "Segment_2" that Slicer makes of them), and the other segments
        whose names say tumour, tumor, GTV, lesion or nodule, become `Case.other_tumours`.
    lung_mask: mask (NRRD or NIfTI, all that is not 0) to which the peritumoral shell is confined.
    series: SeriesInstanceUID of the CT in DICOM; needed where there are several and the mask refers to none of them.

    Raises
    ------
    InputError: a file that cannot be read, or a CT that is not a finite 3-D scalar image in HU.
    RegionError: a mask in which no tumour can be chosen.
    TypeError: a path that is neither text nor a `Path`.
    """
    ct = as_path(ct, "ct")
    mask = None if mask is None else as_path(mask, "mask")
    lung_mask = None if lung_mask is None else as_path(lung_mask, "lung_mask")
    lung = None if lung_mask is None else read_image(lung_mask)
    if is_dicom(ct):
        case = _dicom_case(ct, mask, case_id=case_id, segment=segment, label=label, series=series)
    else:
        if series is not None:
            raise InputError("a series can be chosen only in DICOM", where=ct, mend="leave the series out")
        if mask is None:
            raise InputError("no mask was given", where=ct, mend="give the mask that was drawn on this CT")
        if is_dicom(mask):
            raise InputError(
                "this is a folder or a DICOM object, which can be placed only on a CT in DICOM",
                where=mask,
                mend="give the folder of the CT's DICOM files as the CT, or the mask as a NRRD or NIfTI file",
            )
        case = case_from_images(
            read_image(ct),
            read_image(mask),
            case_id=case_id or file_stem(ct),
            segment=segment,
            label=label,
            ct_name=ct,
            mask_name=mask,
        )
    return case if lung is None else replace(case, lung=lung_on_grid(lung, case.ct, lung_mask or ""))


def _dicom_case(
    ct: Path, mask: Path | None, *, case_id: str, segment: str | None, label: int | None, series: str | None
) -> Case:
    from DeepRadScoreLib.imaging.dicom.pairing import read_pair

    pair = read_pair(ct, mask, series=series, segment=segment)
    check_ct(pair.ct.image, where=ct)
    case = _case(
        pair.ct.image,
        _content(read_image(pair.mask), pair.mask) if pair.content is None else pair.content,
        case_id=case_id or anonymous_case_id(pair.ct.series_uid),
        segment=segment,
        label=label,
        ct_name=ct,
        notes=pair.notes,
    )
    return replace(case, source=pair.source())


def case_from_images(
    ct: sitk.Image,
    mask: sitk.Image,
    *,
    case_id: str = "",
    segment: str | None = None,
    label: int | None = None,
    ct_name: Path | str = "the CT",
    mask_name: Path | str = "the mask",
) -> Case:
    """Make a case of images in memory, see `read_case`; error messages use `ct_name` and `mask_name`."""
    check_ct(ct, where=ct_name)
    return _case(ct, _content(mask, mask_name), case_id=case_id, segment=segment, label=label, ct_name=ct_name)


def case_from_segments(ct: sitk.Image, content: MaskContent, *, case_id: str, segment: str) -> Case:
    """Make a case of a CT and the segments of a segmentation in memory, as read from its `.seg.nrrd`.

    Parameters
    ----------
    content: segments that are not needed may be missing.
    segment: id or name of the tumour's segment.
    """
    check_ct(ct, where="the CT")
    return masks_from_segments(ct, content, case_id=case_id, segment=segment)


def masks_from_segments(grid: sitk.Image, content: MaskContent, *, case_id: str, segment: str) -> Case:
    """Make a case without the voxels of its CT, from the segments of a segmentation in memory.

    Parameters
    ----------
    grid: an image with the size and geometry of the CT; its voxels are not read.
    content, segment: as in `case_from_segments`.
    """
    for layer in content.layers:
        _check_axes(layer, where=content.where)
    return _case(grid, content, case_id=case_id, segment=segment)


def anonymous_case_id(identity: str) -> str:
    """ "case-" and twelve digits made of an identifier that must not be shown, such as a SeriesInstanceUID.

    A keyed hash, which a list of UIDs does not suffice to undo; the same on one machine for one user.

    Raises
    ------
    OutputError: the key can be neither read nor made, see `pseudonyms.pseudonym_key`.
    """
    return Pseudonyms(pseudonym_key()).case(identity)


def lung_on_grid(mask: sitk.Image, ct: sitk.Image, where: Where) -> sitk.Image:
    """The non-zero voxels of a lung mask on the CT's grid: uint8, 0 and 1.

    Raises
    ------
    RegionError: it lies outside the CT.
    """
    content = _content(mask, where)
    lung = _union(content, content.segments, ct)
    if lung is None or not sitk.GetArrayViewFromImage(lung).any():
        raise RegionError("the lung mask lies outside the CT", where=where, mend="give the mask drawn on the CT")
    return lung


def _content(mask: sitk.Image, where: Where) -> MaskContent:
    _check_axes(mask, where=where)
    return mask_content(mask, where=where)


def _case(
    ct: sitk.Image,
    content: MaskContent,
    *,
    case_id: str,
    segment: str | None,
    label: int | None = None,
    ct_name: Path | str = "the CT",
    notes: tuple[QualityNote, ...] = (),
) -> Case:
    """The chosen tumour and the other tumours of a mask on the CT's grid, with remarks added to `notes`."""
    chosen = choose(content, segment=segment, label=label)
    outside = _share_outside(content.binary(chosen), ct)
    if outside == 1.0:
        raise RegionError(
            "the tumour lies outside the CT", where=content.where, mend=("give the mask that was drawn on ", ct_name)
        )
    if outside > MAX_SHARE_OUTSIDE:
        message = f"{outside:.0%} of the tumour mask lies outside the CT."
        notes = (*notes, QualityNote.warning("mask_outside_ct", message))
    if not same_grid(content.layers[chosen.layer], ct):
        message = "The mask is on another grid and was put onto the CT's (nearest neighbour)."
        notes = (*notes, QualityNote.info("mask_resampled", message))
    tumour = _on_ct(content.binary(chosen), ct)
    if not sitk.GetArrayViewFromImage(tumour).any():
        raise RegionError(
            "the tumour has no voxel on the CT's grid", where=content.where, mend=("outline it on ", ct_name)
        )
    others = [s for s in content.segments if s != chosen and s.counts_as_tumour]
    return Case(case_id, ct, tumour, other_tumours=_union(content, others, ct), notes=notes)


def check_ct(ct: sitk.Image, *, where: Where) -> None:
    """Refuse an image that is not a finite 3-D scalar CT in HU.

    HU: a chest CT holds air and tissue, so some voxels lie under -200 HU and some above; a CT stored with an offset of
    1000, rescaled to 0..255 or to 0..1 has none under -200. No voxel may leave the range of 16-bit HU (-32768..32767).

    Raises
    ------
    InputError: the image is no such CT.
    """
    if ct.GetNumberOfComponentsPerPixel() != 1 or "vector" in ct.GetPixelIDTypeAsString():
        raise InputError(
            f"the CT has {ct.GetNumberOfComponentsPerPixel()} components per voxel, not 1 (a colour image?)",
            where=where,
            mend="export the CT itself, in HU",
        )
    _check_axes(ct, where=where)
    values = sitk.GetArrayViewFromImage(ct)
    if np.iscomplexobj(values):
        raise InputError("the CT has complex numbers", where=where, mend="export the CT itself, in HU")
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise InputError("the CT has voxels that are not finite numbers (NaN)", where=where, mend="export it again")
    if not (low < AIR_HU < high) or low < HU_LIMITS[0] or high > HU_LIMITS[1]:
        raise InputError(
            f"the CT is not in HU: its values run from {low:g} to {high:g}, "
            f"a chest CT has air under {AIR_HU:g} HU and tissue above",
            where=where,
            mend="export it with rescale slope and intercept applied, without windowing",
        )


def _check_axes(image: sitk.Image, *, where: Where) -> None:
    if image.GetDimension() != 3:
        raise InputError(
            f"the image has {image.GetDimension()} dimensions, not 3", where=where, mend="give one 3-D volume"
        )
    direction = direction_of(image)
    if not np.allclose(direction.T @ direction, np.eye(3), atol=1e-3):
        raise sheared(where)


def _on_ct(mask: sitk.Image, ct: sitk.Image) -> sitk.Image:
    if not same_grid(mask, ct):
        return labels_on_grid(mask, ct)
    mask = sitk.Image(mask)
    mask.CopyInformation(ct)
    return mask


def _share_outside(mask: sitk.Image, ct: sitk.Image) -> float:
    """Share of the mask's voxels whose centres lie outside the CT's voxels."""
    if same_grid(mask, ct):
        return 0.0
    matrix, offset = index_map(mask, ct)
    index = np.argwhere(sitk.GetArrayViewFromImage(mask))[:, ::-1] @ matrix.T + offset
    inside = ((index >= -0.5) & (index <= np.array(ct.GetSize()) - 0.5)).all(axis=1)
    return 1.0 - float(inside.mean())


def _union(content: MaskContent, segments: Sequence[Segment], ct: sitk.Image) -> sitk.Image | None:
    if not segments:
        return None
    return _on_ct(reduce(sitk.Or, map(content.binary, segments)), ct)
