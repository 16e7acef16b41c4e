"""One case from its files or from images in memory: checked, and all masks on the grid of the CT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError, RegionError, Where
from DeepRadScoreLib.imaging.axes import check_spacing, shear_degrees, sheared
from DeepRadScoreLib.imaging.carriers import Case, QualityNote
from DeepRadScoreLib.imaging.conversion import conversion_notes
from DeepRadScoreLib.imaging.file_names import case_name
from DeepRadScoreLib.imaging.files import is_dicom, read_stored
from DeepRadScoreLib.imaging.geometry import direction_of, index_map, same_grid
from DeepRadScoreLib.imaging.label_names import label_names
from DeepRadScoreLib.imaging.lps import LpsImage
from DeepRadScoreLib.imaging.mask_grid import elsewhere_note, on_grid
from DeepRadScoreLib.imaging.nearest import labels_on_grid
from DeepRadScoreLib.imaging.other_labels import other_tumours, union
from DeepRadScoreLib.imaging.plausibility import check_values
from DeepRadScoreLib.imaging.segments import MaskContent, Segment, choose, mask_content
from DeepRadScoreLib.models import MaskGrid, OtherLabels, chosen, chosen_if_named
from DeepRadScoreLib.numerals import share_text
from DeepRadScoreLib.paths import AnyPath, as_path
from DeepRadScoreLib.pseudonyms import Pseudonyms, pseudonym_key

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
    other_labels: OtherLabels | str = OtherLabels.AUTO,
    mask_grid: MaskGrid | str | None = None,
) -> Case:
    """Read a CT (HU) and its tumour mask.

    Parameters
    ----------
    ct: a NRRD, NIfTI or MetaImage file; or DICOM: a folder, searched with all folders in it, a multi-frame image, a
        DICOMDIR.
    mask: a NRRD, NIfTI or MetaImage file, Slicer's `.seg.nrrd`; for a CT in DICOM also a DICOM SEG or RTSTRUCT, a
        folder that holds one of them, or None where the folder of the CT does.
    case_id: default: the name of the CT file, without "_ct" or the like; of a CT in DICOM, whose folders may be named
        after patients, "case-" and twelve digits made of its SeriesInstanceUID (see `anonymous_case_id`).
    segment, label: which segment (name, id, number, coded type or, of an RTSTRUCT, ROI name or regular expression) or
        which label, segment number or ROI number is the tumour; needed where the mask holds several.
    lung_mask: mask (NRRD, NIfTI or MetaImage, all that is not 0; for a CT in DICOM also a DICOM SEG or RTSTRUCT, the
        structures whose names say lung) to which the peritumoral shell is confined.
    series: SeriesInstanceUID of the CT in DICOM; needed where there are several and the mask refers to none of them.
    other_labels: which other labels of the mask become `Case.other_tumours`: "auto" (by name, shape and size, see
        `other_labels.other_tumours`), "tumours" (all) or "ignore" (none).
    mask_grid: "same" or "as-stored": where masks lie that have the CT's array size and another place by their headers;
        None: such a mask is refused. See `mask_grid.on_grid`.

    Raises
    ------
    InputError: a file that cannot be read, or a CT that is not a finite 3-D scalar image in HU.
    RegionError: a mask in which no tumour can be chosen.
    TypeError: a path that is neither text nor a `Path`.

    Examples
    --------
    >>> from DeepRadScoreLib import read_case
    >>> read_case("ct.nrrd", "tumour.nrrd")
    Case('ct': CT 48 x 48 x 40 voxels of 1 x 1 x 1 mm, notes: 0)
    """
    ct = as_path(ct, "ct")
    mask = None if mask is None else as_path(mask, "mask")
    lung_mask = None if lung_mask is None else as_path(lung_mask, "lung_mask")
    how = chosen(OtherLabels, other_labels, "other_labels")
    grid = chosen_if_named(MaskGrid, mask_grid, "mask_grid")
    dicom_lung = lung_mask is not None and lung_mask.is_file() and is_dicom(lung_mask)
    lung = None if lung_mask is None or dicom_lung else read_stored(lung_mask)
    if is_dicom(ct):
        case = _dicom_case(
            ct,
            mask,
            case_id=case_id,
            segment=segment,
            label=label,
            series=series,
            others=how,
            grid=grid,
            lung_mask=lung_mask if dicom_lung else None,
        )
    else:
        if series is not None:
            raise InputError("a series can be chosen only in DICOM", where=ct, mend="leave the series out")
        if mask is None:
            raise InputError("no mask was given", where=ct, mend="give the mask that was drawn on this CT")
        for given in (mask, lung_mask if dicom_lung else None):
            if given is not None and is_dicom(given):
                raise InputError(
                    "this is a folder or a DICOM object, which can be placed only on a CT in DICOM",
                    where=given,
                    mend="give the folder of the CT's DICOM files as the CT, or the mask as a NRRD or NIfTI file",
                )
        stored = read_stored(ct)
        check_ct(stored.image, where=ct)
        case = _case(
            stored.image,
            _read_content(mask),
            case_id=case_id or case_name(ct),
            segment=segment,
            label=label,
            others=how,
            ct_name=ct,
            notes=named_notes("CT", (*stored.notes, *conversion_notes(ct, stored.image))),
            grid=grid,
        )
    case = replace(case, settings=_settings(how, grid))
    if lung is None:
        return case
    confined = lung_on_grid(lung.image, case.ct, lung_mask or "", mask_grid=grid)
    return replace(case, lung=confined, notes=(*case.notes, *named_notes("Lung mask", lung.notes)))


def _settings(others: OtherLabels, grid: MaskGrid | None = None) -> dict[str, str]:
    """See `Case.settings`."""
    asked = {"other_labels": str(others)}
    return asked if grid is None else asked | {"mask_grid": str(grid)}


def named_notes(name: str, notes: Sequence[QualityNote]) -> tuple[QualityNote, ...]:
    """The remarks on a file, each with the name of what it holds before it."""
    return tuple(replace(note, message=f"{name}: {note.message}") for note in notes)


def _dicom_case(
    ct: Path,
    mask: Path | None,
    *,
    case_id: str,
    segment: str | None,
    label: int | None,
    series: str | None,
    others: OtherLabels,
    grid: MaskGrid | None,
    lung_mask: Path | None,
) -> Case:
    from DeepRadScoreLib.imaging.dicom.acquired import acquisition_of
    from DeepRadScoreLib.imaging.dicom.lungs import read_lungs
    from DeepRadScoreLib.imaging.dicom.pairing import read_pair

    pair = read_pair(ct, mask, series=series, segment=segment, all_rois=others == OtherLabels.TUMOURS)
    check_ct(pair.ct.image, where=ct)
    case = _case(
        pair.ct.image,
        _read_content(pair.mask) if pair.content is None else pair.content,
        case_id=case_id or anonymous_case_id(pair.ct.series_uid),
        segment=segment,
        label=label,
        others=others,
        ct_name=ct,
        notes=pair.ct.notes,
        grid=grid if pair.content is None else MaskGrid.AS_STORED,
    )
    source = pair.source()
    case = replace(case, source=source, acquisition=acquisition_of(source.first))
    if lung_mask is None:
        return case
    lungs = read_lungs(lung_mask, pair.ct)
    notes = (*case.notes, *named_notes("Lung mask", lungs.notes))
    return replace(case, lung=_lung(lungs, case.ct), notes=notes)


def case_from_images(
    ct: sitk.Image,
    mask: sitk.Image,
    *,
    case_id: str = "",
    segment: str | None = None,
    label: int | None = None,
    other_labels: OtherLabels = OtherLabels.AUTO,
    ct_name: Path | str = "the CT",
    mask_name: Path | str = "the mask",
    mask_grid: MaskGrid | None = None,
) -> Case:
    """Make a case of images in memory, see `read_case`; error messages use `ct_name` and `mask_name`."""
    check_ct(ct, where=ct_name)
    content = _content(mask, mask_name)
    case = _case(
        ct,
        content,
        case_id=case_id,
        segment=segment,
        label=label,
        others=other_labels,
        ct_name=ct_name,
        grid=mask_grid,
    )
    return replace(case, settings=_settings(other_labels, mask_grid))


def case_from_segments(
    ct: sitk.Image,
    content: MaskContent,
    *,
    case_id: str,
    segment: str,
    other_labels: OtherLabels = OtherLabels.AUTO,
) -> Case:
    """Make a case of a CT and the segments of a segmentation in memory, as read from its `.seg.nrrd`.

    Parameters
    ----------
    content: segments that are not needed may be missing.
    segment: id or name of the tumour's segment.
    other_labels: as in `read_case`.
    """
    check_ct(ct, where="the CT")
    _check_layers(content)
    note = elsewhere_note(content.layers[0], ct)
    case = _case(
        ct,
        content,
        case_id=case_id,
        segment=segment,
        others=other_labels,
        notes=() if note is None else (note,),
        grid=MaskGrid.AS_STORED,
    )
    return replace(case, settings=_settings(other_labels))


def masks_from_segments(grid: sitk.Image, content: MaskContent, *, case_id: str, segment: str) -> Case:
    """Make a case without the voxels of its CT, from the segments of a segmentation in memory.

    Parameters
    ----------
    grid: an image with the size and geometry of the CT; its voxels are not read.
    content: the tumour's segment and those of the other tumours, see `other_labels.other_tumours`; of all of them the
        part that is needed.
    segment: id or name of the tumour's segment.
    """
    _check_layers(content)
    case = _case(grid, content, case_id=case_id, segment=segment, others=OtherLabels.TUMOURS, grid=MaskGrid.AS_STORED)
    return replace(case, notes=tuple(note for note in case.notes if note.code != "other_labels"))


def anonymous_case_id(identity: str) -> str:
    """ "case-" and twelve digits made of an identifier that must not be shown, such as a SeriesInstanceUID.

    A keyed hash, which a list of UIDs does not suffice to undo; the same on one machine for one user.

    Raises
    ------
    OutputError: the key can be neither read nor made, see `pseudonyms.pseudonym_key`.
    """
    return Pseudonyms(pseudonym_key()).case(identity)


def lung_on_grid(mask: sitk.Image, ct: sitk.Image, where: Where, *, mask_grid: MaskGrid | None = None) -> sitk.Image:
    """The non-zero voxels of a lung mask on the CT's grid: uint8, 0 and 1.

    Parameters
    ----------
    mask_grid: see `mask_grid.on_grid`.

    Raises
    ------
    RegionError: it is no mask, it lies outside the CT, or `mask_grid.on_grid` refuses it.
    """
    return _lung(on_grid(_content(mask, where), ct, mask_grid, "the CT"), ct)


def _lung(content: MaskContent, ct: sitk.Image) -> sitk.Image:
    lung = _union(content, content.segments, ct)
    if lung is None or not sitk.GetArrayViewFromImage(lung).any():
        raise RegionError(
            "the lung mask lies outside the CT", where=content.where, mend="give the mask drawn on the CT"
        )
    return lung


def _check_layers(content: MaskContent) -> None:
    for layer in content.layers:
        _check_axes(layer, where=content.where)


def _read_content(mask: Path) -> MaskContent:
    stored = read_stored(mask)
    _check_axes(stored.image, where=mask)
    content = mask_content(stored.image, where=mask, names=label_names(mask))
    return replace(content, notes=(*named_notes("Mask", stored.notes), *content.notes))


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
    others: OtherLabels,
    ct_name: Path | str = "the CT",
    notes: tuple[QualityNote, ...] = (),
    grid: MaskGrid | None = None,
) -> Case:
    """The chosen tumour and the other tumours of a mask on the CT's grid, with remarks added to `notes`."""
    wanted = choose(content, segment=segment, label=label)
    content = on_grid(content, ct, grid, ct_name)
    notes = (*notes, *content.notes)
    mask = content.binary(wanted)
    outside = _share_outside(mask, ct)
    if outside == 1.0:
        raise RegionError(
            "the tumour lies outside the CT", where=content.where, mend=("give the mask that was drawn on ", ct_name)
        )
    if outside > MAX_SHARE_OUTSIDE:
        message = f"{share_text(outside).capitalize()} of the tumour mask lies outside the CT."
        notes = (*notes, QualityNote.warning("mask_outside_ct", message))
    mask_ml = None
    if not same_grid(mask, ct):
        mask_ml = LpsImage.of(mask).volume_ml
        message = "The mask is on another grid and was put onto the CT's (nearest neighbour)."
        notes = (*notes, QualityNote.info("mask_resampled", message))
    tumour = _on_ct(mask, ct)
    if not sitk.GetArrayViewFromImage(tumour).any():
        raise RegionError(
            "the tumour has no voxel on the CT's grid", where=content.where, mend=("outline it on ", ct_name)
        )
    judged = other_tumours(content, wanted, others)
    return Case(
        case_id,
        ct,
        tumour,
        other_tumours=_union(content, judged.tumours, ct),
        notes=(*notes, *judged.notes),
        mask_ml=mask_ml,
    )


def check_ct(ct: sitk.Image, *, where: Where) -> None:
    """Refuse an image that is not a finite 3-D scalar CT in HU.

    HU: air, lung and tissue lie where they belong, see `plausibility`, and no voxel leaves the range of 16 bits.

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
    if low < HU_LIMITS[0] or high > HU_LIMITS[1]:
        raise InputError(
            f"the CT is not in HU: its values run from {low:g} to {high:g}",
            where=where,
            mend="export it with rescale slope and intercept applied, without windowing",
        )
    check_values(ct, where=where)


def _check_axes(image: sitk.Image, *, where: Where) -> None:
    if image.GetDimension() != 3:
        raise InputError(
            f"the image has {image.GetDimension()} dimensions, not 3", where=where, mend="give one 3-D volume"
        )
    spacing, position = np.array(image.GetSpacing()), np.array([*image.GetOrigin(), *image.GetDirection()])
    if not (np.isfinite([*spacing, *position]).all() and (spacing > 0).all()):
        raise InputError(
            "the header says no usable voxel size or position (zero, negative or no finite number)",
            where=where,
            mend="export the image again",
        )
    direction = direction_of(image)
    if not np.allclose(direction.T @ direction, np.eye(3), atol=1e-3):
        raise sheared(where, shear_degrees(direction))
    check_spacing(image, where=where)


def _on_ct(mask: sitk.Image, ct: sitk.Image) -> sitk.Image:
    """A mask on the CT's grid; one that lies on it already gets the CT's geometry in place."""
    if not same_grid(mask, ct):
        return labels_on_grid(mask, ct)
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
    return _on_ct(union(content, segments), ct) if segments else None
