"""One case from its files: image files, or DICOM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.assembling import lung_of, lung_on_grid, make_case, settings_of
from DeepRadScoreLib.imaging.carriers import Case, QualityNote
from DeepRadScoreLib.imaging.checks.ct_checks import check_axes, check_ct
from DeepRadScoreLib.imaging.formats.conversion import conversion_notes
from DeepRadScoreLib.imaging.formats.file_names import case_name
from DeepRadScoreLib.imaging.formats.files import is_dicom, read_stored
from DeepRadScoreLib.imaging.formats.label_names import label_names
from DeepRadScoreLib.imaging.masks.segments import MaskContent, mask_content
from DeepRadScoreLib.models import MaskGrid, OtherLabels, chosen, chosen_if_named
from DeepRadScoreLib.paths import AnyPath, as_path
from DeepRadScoreLib.pseudonyms import Pseudonyms, pseudonym_key


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
        case = make_case(
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
    case = replace(case, settings=settings_of(how, grid))
    if lung is None:
        return case
    confined = lung_on_grid(lung.image, case.ct, lung_mask or "", mask_grid=grid)
    return replace(case, lung=confined, notes=(*case.notes, *named_notes("Lung mask", lung.notes)))


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
    from DeepRadScoreLib.imaging.dicom.pairing import read_pair
    from DeepRadScoreLib.imaging.dicom.structures.lungs import read_lungs

    pair = read_pair(ct, mask, series=series, segment=segment, all_rois=others == OtherLabels.TUMOURS)
    check_ct(pair.ct.image, where=ct)
    case = make_case(
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
    return replace(case, lung=lung_of(lungs, case.ct), notes=notes)


def anonymous_case_id(identity: str) -> str:
    """ "case-" and twelve digits made of an identifier that must not be shown, such as a SeriesInstanceUID.

    A keyed hash, which a list of UIDs does not suffice to undo; the same on one machine for one user.

    Raises
    ------
    OutputError: the key can be neither read nor made, see `pseudonyms.pseudonym_key`.
    """
    return Pseudonyms(pseudonym_key()).case(identity)


def _read_content(mask: Path) -> MaskContent:
    stored = read_stored(mask)
    check_axes(stored.image, where=mask)
    content = mask_content(stored.image, where=mask, names=label_names(mask))
    return replace(content, notes=(*named_notes("Mask", stored.notes), *content.notes))
