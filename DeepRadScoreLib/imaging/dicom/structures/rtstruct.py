"""RTSTRUCT: the contours of its ROIs as masks on the CT's grid."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError, RegionError
from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.dicom.datasets import tag_name
from DeepRadScoreLib.imaging.dicom.structures.masks import Layers, MaskDataset, damage_named, read_mask
from DeepRadScoreLib.imaging.dicom.structures.polygons import (
    MAX_OFF_PLANE,
    MIN_FAR_DISTANCE,
    Assignment,
    assign_contours,
    exclusive_or,
    without_doubles,
)
from DeepRadScoreLib.imaging.dicom.structures.rois import INTERPOLATED, Contours, Roi, contours_of, rois_in
from DeepRadScoreLib.imaging.grids.geometry import direction_of
from DeepRadScoreLib.imaging.masks.segments import MaskContent
from DeepRadScoreLib.numerals import counted
from DeepRadScoreLib.progress import Progress, Stage, run_to_end

if TYPE_CHECKING:
    from DeepRadScoreLib.imaging.dicom.ct import CtSeries

FLAT_MM = 0.1


def read_rtstruct(path: Path, ct: CtSeries, *, roi: str | None, all_rois: bool = False) -> MaskContent:
    """Draw the ROIs of an RTSTRUCT on the CT's grid.

    A voxel belongs to an ROI when its centre lies inside an odd number of the ROI's contours on its slice (so holes and
    several contours per slice work). A contour plane between slices serves the slice nearest to it, within half
    a distance, with a note.

    Parameters
    ----------
    roi: name of the tumour's ROI: as written, then without regard to case, then "ROI 3" for a number, then a regular
        expression found anywhere in the name without regard to case. Must match one ROI (of several that the
        expression finds, those without contours do not count), which becomes that of `choose(..., segment=roi)`; the
        other ROIs whose names say tumour are drawn too. None: all ROIs are drawn, `label` is the ROI number.
    all_rois: whether the others are drawn whatever their names.

    Raises
    ------
    InputError: a file that cannot be read, or contours whose numbers are damaged.
    RegionError: another patient or frame of reference, no such ROI or several, no closed contours, contours not
        parallel to the slices, nothing inside the CT.
    """
    return run_to_end(read_rtstruct_steps(path, ct, roi=roi, all_rois=all_rois))


def read_rtstruct_steps(
    path: Path, ct: CtSeries, *, roi: str | None, all_rois: bool = False
) -> Generator[Progress, None, MaskContent]:
    """`read_rtstruct` in steps, one for each ROI. Raises as that does."""
    rtstruct, rois = _opened(path, ct)
    wanted = None if roi is None else _wanted(rois, roi, path)
    needed = [one for one in rois if all_rois or wanted in (None, one) or one.is_tumour]
    return (yield from _content(rtstruct, rois, needed, wanted, roi or ""))


def read_rois(path: Path, ct: CtSeries, choose: Callable[[Sequence[Roi]], Sequence[Roi]]) -> MaskContent:
    """Draw the ROIs that `choose` picks of those with contours; otherwise as `read_rtstruct`.

    Raises
    ------
    InputError, RegionError: as `read_rtstruct`, and what `choose` raises.
    """
    return run_to_end(read_rois_steps(path, ct, choose))


def read_rois_steps(
    path: Path, ct: CtSeries, choose: Callable[[Sequence[Roi]], Sequence[Roi]]
) -> Generator[Progress, None, MaskContent]:
    """`read_rois` in steps, one for each ROI. Raises as that does."""
    rtstruct, rois = _opened(path, ct)
    return (yield from _content(rtstruct, rois, choose([roi for roi in rois if roi.contours] or rois)))


def _opened(path: Path, ct: CtSeries) -> tuple[MaskDataset, list[Roi]]:
    rtstruct = read_mask(path, ct, "RTSTRUCT")
    with damage_named(path, "RTSTRUCT"):
        return rtstruct, rois_in(rtstruct.dataset, path)


def _content(
    rtstruct: MaskDataset, rois: Sequence[Roi], needed: Sequence[Roi], wanted: Roi | None = None, asked: str = ""
) -> Generator[Progress, None, MaskContent]:
    """The needed ROIs, drawn; `wanted`, which must be drawn, gets the identity `asked`."""
    drawn: list[tuple[Roi, np.ndarray]] = []
    failures: list[tuple[Roi, InputError]] = []
    notes = [*rtstruct.reference_notes()]
    for done, one in enumerate(needed):
        yield Progress(Stage.READING, done=done, total=len(needed))
        try:
            mask, remarks = _draw(one, rtstruct)
        except InputError as error:
            if one == wanted:
                raise
            failures.append((one, error))
        else:
            drawn.append((one, mask))
            notes.extend(remarks)
    if not drawn:
        raise _nothing_drawn(rois, [error for _, error in failures], rtstruct.path)
    notes.extend(
        QualityNote.warning("roi_not_used", f"{failure.what[0].upper()}{failure.what[1:]}; it was left out.")
        for _, failure in failures
    )
    layers = Layers()
    for one, mask in drawn:
        layers.add(one.value, mask)
    segments = tuple(one.segment(layers.layer_of[one.value], asked if one == wanted else "") for one, _ in drawn)
    return MaskContent(
        layers.images(rtstruct.ct.image),
        segments,
        tuple(one.segment() for one, _ in failures),
        str(rtstruct.path),
        notes=tuple(notes),
        aside=sum(bool(one.contours) for one in rois) - sum(bool(one.contours) for one in needed),
    )


def _nothing_drawn(rois: Sequence[Roi], failures: Sequence[InputError], path: Path) -> InputError:
    if len(failures) == 1:
        return failures[0]
    return RegionError(
        f"none of its {counted(len(rois), 'ROI')} can be drawn ({failures[0].what}, and so on)",
        where=path,
        mend="outline the tumour with closed contours on the CT's slices and export it again",
    )


def _wanted(rois: Sequence[Roi], asked: str, path: Path) -> Roi:
    """The one ROI that matches a name, number or regular expression, see `read_rtstruct`."""
    try:
        pattern = re.compile(asked, re.IGNORECASE)
    except re.error:
        pattern = re.compile(re.escape(asked), re.IGNORECASE)
    folded, found = asked.strip().casefold(), [r for r in rois if pattern.search(r.true_name)]
    for matches in (
        [r for r in rois if r.true_name == asked.strip()],
        [r for r in rois if folded in (r.true_name.casefold(), r.name.casefold())],
        [r for r in rois if folded == r.identity.casefold()],
        [r for r in found if r.contours] or found,
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise RegionError(
                f'"{asked}" names {len(matches)} ROIs',
                where=path,
                mend="choose one of: " + ", ".join(f'"{r.name}" ({r.identity})' for r in matches),
            )
    mend = "choose one of: " + ", ".join(f'"{roi.name}"' for roi in rois)
    raise RegionError(f'no ROI is called "{asked}" ({tag_name("ROIName")})', where=path, mend=mend)


def _draw(roi: Roi, rtstruct: MaskDataset) -> tuple[np.ndarray, list[QualityNote]]:
    """The ROI as a bool array (z, y, x) on the CT's grid, and remarks."""
    path, image = rtstruct.path, rtstruct.ct.image
    rtstruct.check_frame_of_reference(roi.frame_of_reference, keyword="ReferencedFrameOfReferenceUID", what=roi.quoted)
    with damage_named(path, "RTSTRUCT", "ContourData"):
        contours = contours_of(roi, path)
    polygons, levels = _on_grid(contours.closed, roi, image, path)
    distinct = without_doubles([np.insert(p, 2, level, axis=1) for p, level in zip(polygons, levels, strict=True)])
    columns, rows, slices = image.GetSize()
    assignment = assign_contours(levels[distinct], slices)
    mask = np.zeros((slices, rows, columns), dtype=bool)
    crossing = 0
    for index, members in assignment.of_slice.items():
        mask[index], crosses = exclusive_or([polygons[distinct[m]] for m in members], (rows, columns))
        crossing += crosses
    end = [columns - 0.5, rows - 0.5]
    if not assignment.of_slice or all((p.max(axis=0) < -0.5).any() or (p.min(axis=0) > end).any() for p in polygons):
        raise RegionError(f"{roi.quoted} lies outside the CT", where=path, mend="give the RTSTRUCT of this CT")
    if not mask.any():
        what = f"{roi.quoted} covers no voxel centre of the CT"
        raise RegionError(what, where=path, mend="outline it on the CT's slices")
    aside = sum(bool((p < -0.5).any() or (p > end).any()) for p in polygons)
    remarks = _remarks(roi, assignment, crossing, doubled=len(polygons) - len(distinct), aside=aside)
    return mask, [*_contour_remarks(roi, contours), *remarks]


def _on_grid(
    points: Sequence[np.ndarray], roi: Roi, image: sitk.Image, path: Path
) -> tuple[list[np.ndarray], np.ndarray]:
    """Column and row of every point, (n, 2) for each contour, and the slice coordinate of each contour."""
    spacing = np.array(image.GetSpacing())
    polygons, levels = [], []
    for number, contour in enumerate(points, start=1):
        index = (contour - np.array(image.GetOrigin())) @ direction_of(image) / spacing
        depth = index[:, 2]
        if np.ptp(depth) > max(MAX_OFF_PLANE, FLAT_MM / spacing[2]):
            raise RegionError(
                f"contour {number} of {roi.quoted} is not parallel to the CT's slices ({tag_name('ContourData')})",
                where=path,
                mend="outline the region on the slices of this CT",
            )
        polygons.append(index[:, :2])
        levels.append(float(depth.mean()))
    return polygons, np.array(levels)


def _contour_remarks(roi: Roi, contours: Contours) -> Iterator[QualityNote]:
    name = roi.quoted[0].upper() + roi.quoted[1:]
    if contours.left_out:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(contours.left_out.items()))
        yield QualityNote.warning(
            "contours_left_out", f"{name} holds contours that enclose nothing, which were left out: {kinds}."
        )
    if contours.interpolated:
        yield QualityNote.info(
            "contours_interpolated",
            f"{name} has {contours.interpolated} contours of the type {INTERPOLATED}, which no one drew: they were "
            "taken as closed ones.",
        )


def _remarks(roi: Roi, assignment: Assignment, crossing: int, *, doubled: int, aside: int) -> Iterator[QualityNote]:
    name = roi.quoted[0].upper() + roi.quoted[1:]
    if assignment.between:
        yield QualityNote.warning(
            "contours_between_slices",
            f"{name} has {counted(assignment.between, 'contour plane')} between the CT's slices: every slice took the "
            f"nearest plane within half a distance; not used: {counted(assignment.unused, 'plane')}.",
        )
    if assignment.distance >= MIN_FAR_DISTANCE:
        yield QualityNote.warning(
            "contours_far_apart",
            f"The contours of {roi.quoted} are {assignment.distance:.2g} slices apart: "
            "the slices between them took the nearest one.",
        )
    if assignment.missing:
        yield QualityNote.warning(
            "contours_with_gaps",
            f"{name} has no contour on {counted(assignment.missing, 'slice')} between its first and last.",
        )
    if assignment.outside or aside:
        yield QualityNote.warning(
            "contours_outside_ct",
            f"{name} leaves the CT with {assignment.outside + aside} contours or contour planes: "
            "what lies outside was cut off.",
        )
    if crossing:
        yield QualityNote.warning(
            "contours_crossing",
            f"{name} has contours that cross each other on {counted(crossing, 'slice')}: "
            "where two of them overlap counts as outside.",
        )
    if doubled:
        yield QualityNote.warning(
            "contours_doubled", f"{name} holds {counted(doubled, 'contour')} twice: each was taken once."
        )
