"""RTSTRUCT: the contours of its ROIs as masks on the CT's grid."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError, RegionError
from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.dicom.datasets import tag_name
from DeepRadScoreLib.imaging.dicom.masks import (
    DicomMask,
    DicomSegment,
    check_frame_of_reference,
    damage_named,
    pack,
    read_mask,
    reference_notes,
    references_in,
    says_tumour,
)
from DeepRadScoreLib.imaging.dicom.polygons import (
    FAR_APART,
    ON_PLANE,
    Placement,
    exclusive_or,
    place,
    without_doubles,
)
from DeepRadScoreLib.imaging.dicom.rois import Roi, closed_contours, rois_in
from DeepRadScoreLib.imaging.geometry import direction_of

if TYPE_CHECKING:
    from DeepRadScoreLib.imaging.dicom.ct import CtSeries

FLAT_MM = 0.1


def read_rtstruct(path: Path, ct: CtSeries, *, roi: str | None) -> DicomMask:
    """Draw the ROIs of an RTSTRUCT on the CT's grid.

    A voxel belongs to an ROI when its centre lies inside an odd number of the ROI's contours on its slice (so holes and
    several contours per slice work). A contour plane between slices serves the slice nearest to it, within half
    a distance, and it is said.

    Parameters
    ----------
    roi: name of the tumour's ROI: as written, then without regard to case, then "ROI 3" for a number, then a regular
        expression found anywhere in the name without regard to case. Must lead to one ROI (of several that the
        expression finds, those without contours do not count). That ROI answers to `choose(..., segment=roi)`; the
        other ROIs whose names say tumour are drawn too. None: all ROIs are drawn, `label` is the ROI number.

    Raises
    ------
    InputError: a file that cannot be read, or contours whose numbers are damaged.
    RegionError: another patient or frame of reference, no such ROI or several, open or point contours, contours not
        parallel to the slices, nothing inside the CT.
    """
    dataset = read_mask(path, ct, "rtstruct")
    with damage_named(path, "RTSTRUCT"):
        rois = rois_in(dataset, path)
        references = references_in(dataset)
    refers = bool(references.images & set(ct.sop_uids))
    wanted = None if roi is None else _wanted(rois, roi, path)
    drawn: list[tuple[Roi, np.ndarray]] = []
    empty: list[Roi] = []
    notes = reference_notes(references, ct, what="RTSTRUCT")
    failures: list[RegionError | InputError] = []
    for one in rois:
        if wanted not in (None, one) and not says_tumour(one.true_name):
            continue
        try:
            mask, remarks = _draw(one, ct, path, refers=refers)
        except InputError as error:
            if one == wanted:
                raise
            empty.append(one)
            failures.append(error)
        else:
            drawn.append((one, mask))
            notes.extend(remarks)
    if not drawn:
        raise _nothing(rois, failures, path)
    notes.extend(
        QualityNote("roi_not_used", "warning", f"{failure.what[0].upper()}{failure.what[1:]}; it was left out.")
        for failure in failures
    )
    layers, layer_of = pack(((one.value, mask) for one, mask in drawn), ct.image)
    segments = tuple(_segment(one, layer_of[one.value], roi if one == wanted else None) for one, _ in drawn)
    return DicomMask(layers, segments, tuple(_segment(one, 0, None) for one in empty), str(path), tuple(notes))


def _segment(roi: Roi, layer: int, asked: str | None) -> DicomSegment:
    return DicomSegment(roi.name, asked or roi.identity, layer, roi.value, says_tumour(roi.true_name))


def _nothing(rois: Sequence[Roi], failures: Sequence[InputError], path: Path) -> InputError:
    if len(failures) == 1:
        return failures[0]
    return RegionError(
        f"none of its {len(rois)} ROIs can be drawn ({failures[0].what}, and so on)",
        where=path,
        mend="outline the tumour with closed contours on the CT's slices and export it again",
    )


def _wanted(rois: Sequence[Roi], asked: str, path: Path) -> Roi:
    """The one ROI that is meant."""
    listed = ", ".join(f'"{roi.name}"' for roi in rois)
    try:
        pattern = re.compile(asked, re.IGNORECASE)
    except re.error:
        pattern = re.compile(re.escape(asked), re.IGNORECASE)
    folded = asked.strip().casefold()
    for matches in (
        [r for r in rois if r.true_name == asked.strip()],
        [r for r in rois if folded in (r.true_name.casefold(), r.name.casefold())],
        [r for r in rois if folded == r.identity.casefold()],
        _drawn_first([r for r in rois if pattern.search(r.true_name)]),
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise RegionError(
                f'"{asked}" names {len(matches)} ROIs',
                where=path,
                mend="choose one of: " + ", ".join(f'"{r.name}" ({r.identity})' for r in matches),
            )
    raise RegionError(
        f'no ROI is called "{asked}" ({tag_name("ROIName")})', where=path, mend=f"choose one of: {listed}"
    )


def _drawn_first(rois: list[Roi]) -> list[Roi]:
    return [roi for roi in rois if roi.contours] or rois


def _draw(roi: Roi, ct: CtSeries, path: Path, *, refers: bool) -> tuple[np.ndarray, list[QualityNote]]:
    """The ROI as a bool array (z, y, x) on the CT's grid, and what was noticed."""
    check_frame_of_reference(
        roi.frame_of_reference, ct, path, keyword="ReferencedFrameOfReferenceUID", what=roi.shown, refers=refers
    )
    with damage_named(path, "RTSTRUCT", "ContourData"):
        points = closed_contours(roi, path)
    polygons, levels = _on_grid(points, roi, ct.image, path)
    kept = without_doubles([np.column_stack([p, np.full(len(p), k)]) for p, k in zip(polygons, levels, strict=True)])
    placement = place(levels[kept], ct.image.GetSize()[2])
    columns, rows, slices = ct.image.GetSize()
    mask = np.zeros((slices, rows, columns), dtype=bool)
    crossing = 0
    for index, members in placement.of_slice.items():
        mask[index], crosses = exclusive_or([polygons[kept[m]] for m in members], (rows, columns))
        crossing += crosses
    if not placement.of_slice or _all_aside(polygons, columns, rows):
        raise RegionError(f"{roi.shown} lies outside the CT", where=path, mend="give the RTSTRUCT of this CT")
    if not mask.any():
        raise RegionError(
            f"{roi.shown} covers no voxel centre of the CT", where=path, mend="outline it on the CT's slices"
        )
    aside = sum(bool((p < -0.5).any() or (p > [columns - 0.5, rows - 0.5]).any()) for p in polygons)
    remarks = _remarks(roi, placement, crossing, doubled=len(polygons) - len(kept), aside=aside)
    return mask, remarks


def _on_grid(
    points: Sequence[np.ndarray], roi: Roi, image: sitk.Image, path: Path
) -> tuple[list[np.ndarray], np.ndarray]:
    """Column and row of every point, (n, 2) for each contour, and the slice coordinate of each contour."""
    spacing = np.array(image.GetSpacing())
    polygons, levels = [], []
    for position, contour in enumerate(points, start=1):
        index = (contour - np.array(image.GetOrigin())) @ direction_of(image) / spacing
        depth = index[:, 2]
        if np.ptp(depth) > max(ON_PLANE, FLAT_MM / spacing[2]):
            raise RegionError(
                f"contour {position} of {roi.shown} is not parallel to the CT's slices ({tag_name('ContourData')})",
                where=path,
                mend="outline the region on the slices of this CT",
            )
        polygons.append(index[:, :2])
        levels.append(float(depth.mean()))
    return polygons, np.array(levels)


def _all_aside(polygons: Sequence[np.ndarray], columns: int, rows: int) -> bool:
    """Whether every contour lies wholly left, right, above or below of the image."""
    return all((p.max(axis=0) < -0.5).any() or (p.min(axis=0) > [columns - 0.5, rows - 0.5]).any() for p in polygons)


def _remarks(roi: Roi, placement: Placement, crossing: int, *, doubled: int, aside: int) -> list[QualityNote]:
    def note(code: str, sentence: str) -> QualityNote:
        return QualityNote(code, "warning", sentence)

    name = roi.shown[0].upper() + roi.shown[1:]
    remarks = []
    if placement.between:
        remarks.append(
            note(
                "contours_between_slices",
                f"{name} has {placement.between} contour planes between the CT's slices: every slice took the nearest "
                f"plane within half a distance, {placement.unused} planes were not used.",
            )
        )
    if placement.apart >= FAR_APART:
        remarks.append(
            note(
                "contours_far_apart",
                f"The contours of {roi.shown} are {placement.apart:.2g} slices apart: "
                "the slices between them took the nearest one.",
            )
        )
    if placement.missing:
        remarks.append(
            note(
                "contours_with_gaps", f"{name} has no contour on {placement.missing} slices between its first and last."
            )
        )
    if placement.outside or aside:
        remarks.append(
            note(
                "contours_outside_ct",
                f"{name} leaves the CT with {placement.outside + aside} contours or contour planes: "
                "what lies outside was cut off.",
            )
        )
    if crossing:
        remarks.append(
            note(
                "contours_crossing",
                f"{name} has contours that cross each other on {crossing} slices: "
                "where two of them overlap counts as outside.",
            )
        )
    if doubled:
        remarks.append(note("contours_doubled", f"{name} holds {doubled} contours twice: each was taken once."))
    return remarks
