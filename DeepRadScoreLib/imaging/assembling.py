"""A case from images in memory: the chosen tumour, the other tumours and the lungs on the grid of the CT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import RegionError, Where
from DeepRadScoreLib.imaging.carriers import Case, QualityNote
from DeepRadScoreLib.imaging.checks.ct_checks import check_axes, check_ct
from DeepRadScoreLib.imaging.grids.geometry import index_map, same_grid
from DeepRadScoreLib.imaging.grids.lps import LpsImage
from DeepRadScoreLib.imaging.grids.nearest import labels_on_grid
from DeepRadScoreLib.imaging.masks.mask_grid import elsewhere_note, on_grid
from DeepRadScoreLib.imaging.masks.other_labels import other_tumours, union
from DeepRadScoreLib.imaging.masks.segments import MaskContent, Segment, choose, mask_content
from DeepRadScoreLib.models import MaskGrid, OtherLabels
from DeepRadScoreLib.numerals import share_text

MAX_SHARE_OUTSIDE = 0.001


def settings_of(others: OtherLabels, grid: MaskGrid | None = None) -> dict[str, str]:
    """See `Case.settings`."""
    asked = {"other_labels": str(others)}
    return asked if grid is None else asked | {"mask_grid": str(grid)}


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
    case = make_case(
        ct,
        content,
        case_id=case_id,
        segment=segment,
        label=label,
        others=other_labels,
        ct_name=ct_name,
        grid=mask_grid,
    )
    return replace(case, settings=settings_of(other_labels, mask_grid))


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
    case = make_case(
        ct,
        content,
        case_id=case_id,
        segment=segment,
        others=other_labels,
        notes=() if note is None else (note,),
        grid=MaskGrid.AS_STORED,
    )
    return replace(case, settings=settings_of(other_labels))


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
    case = make_case(
        grid, content, case_id=case_id, segment=segment, others=OtherLabels.TUMOURS, grid=MaskGrid.AS_STORED
    )
    return replace(case, notes=tuple(note for note in case.notes if note.code != "other_labels"))


def lung_on_grid(mask: sitk.Image, ct: sitk.Image, where: Where, *, mask_grid: MaskGrid | None = None) -> sitk.Image:
    """The non-zero voxels of a lung mask on the CT's grid: uint8, 0 and 1.

    Parameters
    ----------
    mask_grid: see `mask_grid.on_grid`.

    Raises
    ------
    RegionError: it is no mask, it lies outside the CT, or `mask_grid.on_grid` refuses it.
    """
    return lung_of(on_grid(_content(mask, where), ct, mask_grid, "the CT"), ct)


def lung_of(content: MaskContent, ct: sitk.Image) -> sitk.Image:
    """All segments of a lung mask on the CT's grid, uint8, 0 and 1. Raises RegionError where they lie outside it."""
    lung = _union(content, content.segments, ct)
    if lung is None or not sitk.GetArrayViewFromImage(lung).any():
        raise RegionError(
            "the lung mask lies outside the CT", where=content.where, mend="give the mask drawn on the CT"
        )
    return lung


def _check_layers(content: MaskContent) -> None:
    for layer in content.layers:
        check_axes(layer, where=content.where)


def _content(mask: sitk.Image, where: Where) -> MaskContent:
    check_axes(mask, where=where)
    return mask_content(mask, where=where)


def make_case(
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
    """The chosen tumour and the other tumours of a mask on the CT's grid, with remarks added to `notes`.

    Raises
    ------
    RegionError: no tumour can be chosen, it lies outside the CT, or `mask_grid.on_grid` refuses the mask.
    """
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
