"""A CT volume in HU from the DICOM files of one series."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.dicom.anonymised import missing_text
from DeepRadScoreLib.imaging.dicom.choosing import choose_phase, choose_series
from DeepRadScoreLib.imaging.dicom.datasets import DicomFile, tag_name, text, undisturbed
from DeepRadScoreLib.imaging.dicom.hounsfield import HounsfieldReader, pixel_notes
from DeepRadScoreLib.imaging.dicom.series import SeriesFiles, SeriesIndex, find_series
from DeepRadScoreLib.imaging.dicom.slices import Slice, slices_of
from DeepRadScoreLib.imaging.dicom.stacking import (
    MAX_SILENT_UNEVENNESS,
    Stack,
    by_position,
    main_orientation,
    phases,
    regular_stack,
    without_copies,
)
from DeepRadScoreLib.imaging.grids.geometry import image_steps, with_geometry
from DeepRadScoreLib.imaging.regions import OUTSIDE_HU
from DeepRadScoreLib.numerals import counted
from DeepRadScoreLib.progress import Progress, Stage, each_within, map_steps, run_to_end


@dataclass(frozen=True)
class CtSeries:
    """A CT as one volume, with the files and identifiers that it comes from.

    Attributes
    ----------
    image: 3-D, HU, in LPS as ITK has it: x along the rows, y along the columns, slices in order of position along
        rows x columns. int16 (or int32) where slope and intercept are whole numbers, else float64. A stack with
        gantry tilt is float32: each slice is shifted within its plane, so slice k still is `sop_uids[k]`.
    sop_uids: one per slice, in the order of the image (of a multi-frame image: repeated).
    slices: as they are stored, one for each slice of the image.
    members: its files, each once, in the order of the slices.
    patient_key: PatientID as stored, to be compared with that of a mask and never shown.
    notes: remarks on what was corrected or left out.
    missing: keywords of the UIDs that some of its files lack; others stand in for them, but for FrameOfReferenceUID.
    """

    image: sitk.Image
    series_uid: str
    study_uid: str
    frame_of_reference_uid: str
    patient_key: str = field(repr=False)
    sop_uids: tuple[str, ...] = field(repr=False)
    slices: tuple[Slice, ...] = field(repr=False)
    members: tuple[DicomFile, ...] = field(repr=False)
    notes: tuple[QualityNote, ...]
    missing: frozenset[str] = frozenset()


def read_ct(
    folder: Path | SeriesIndex,
    *,
    series: str | None = None,
    referenced: str | None = None,
    referenced_sops: Sequence[str] = (),
) -> CtSeries:
    """Read the CT in a folder (searched with all folders in it), of a multi-frame image, or of an index.

    Spacing between slices comes from (0020,0032) ImagePositionPatient along the normal, from first to last. Each
    correction has a note: copies of a slice are dropped; localizers, maps and unreadable files left out; slices up to a
    tenth of the spacing off a regular grid are put on it; a tilted gantry's slices are shifted within their planes
    (cubic B-spline; -1000 HU where a slice does not reach) onto axes at right angles, no slice is mixed with another.

    Parameters
    ----------
    series: SeriesInstanceUID, or `UID/2` for the second of several phases in one series; overrides `referenced`.
    referenced, referenced_sops: the series that a segmentation refers to, and its images, which choose the phase.

    Raises
    ------
    InputError: no CT, several and none chosen, or one that cannot be made a volume of known geometry in HU (slices
        missing, unevenly spaced or of several kinds; damaged pixels; a missing tag); names file, tag and instances.
    """
    with undisturbed():
        index = folder if isinstance(folder, SeriesIndex) else find_series(folder)
        return run_to_end(read_ct_steps(index, series=series, referenced=referenced, referenced_sops=referenced_sops))


def read_ct_steps(
    index: SeriesIndex, *, series: str | None = None, referenced: str | None = None, referenced_sops: Sequence[str] = ()
) -> Generator[Progress, None, CtSeries]:
    """`read_ct` of an index in short steps; slices of which there are copies are compared in one. Raises as that."""
    try:
        chosen, phase = choose_series(index, series=series, referenced=referenced)
        return (yield from each_within(undisturbed, _read_series(index, chosen, phase, referenced_sops)))
    except InputError as error:
        if error.path or error.field:
            raise
        raise InputError(error.what, where=index.source, mend=error.mend) from error


def _read_series(
    index: SeriesIndex, chosen: SeriesFiles, phase: int | None, sops: Sequence[str]
) -> Generator[Progress, None, CtSeries]:
    _check_one_frame_of_reference(chosen)
    found: list[Slice] = []
    for done, member in enumerate(chosen.images, start=1):
        found.extend(slices_of(member))
        yield _event(0, 20, done / len(chosen.images))
    slices, others = main_orientation(found)
    notes = [*_file_notes(index)]
    missing = frozenset[str]().union(*(member.missing for member in chosen.images))
    if missing:
        notes.append(QualityNote.info("uids_missing", missing_text(missing)))
    left_out = len(chosen.members) - len(chosen.images) + len(others)
    if left_out:
        images = f"{counted(left_out, 'image')} of the series (localizers, other orientation or size, no CT images)"
        were = "was" if left_out == 1 else "were"
        notes.append(QualityNote.info("localizer_left_out", f"{images} {were} left out."))
    reader = HounsfieldReader(slices)
    distinct = without_copies(slices, lambda first, second: _same_pixels(first, second, reader))
    copies = len(slices) - len(distinct)
    if copies:
        were = "was" if copies == 1 else "were"
        message = f"{counted(copies, 'slice')} stood twice in the series and {were} dropped."
        notes.append(QualityNote.info("doubled_slices_dropped", message))
    stacks = [distinct] if len(by_position(distinct)) == len(distinct) else phases(distinct)
    if len(stacks) > 1:
        message = f"The series holds {len(stacks)} phases of the CT; one of them was taken."
        notes.append(QualityNote.info("one_of_several_phases", message))
    single = len(stacks) == 1 and phase is None
    stack = _stack(stacks[0] if single else choose_phase(stacks, chosen.uid, phase, sops), index)
    header = stack.slices[0].file.header
    image = yield from _volume(stack, reader)
    return CtSeries(
        image=image,
        series_uid=chosen.uid,
        study_uid=text(header, "StudyInstanceUID"),
        frame_of_reference_uid=max(text(member.header, "FrameOfReferenceUID") for member in chosen.images),
        patient_key=text(header, "PatientID"),
        sop_uids=tuple(one.sop_uid for one in stack.slices),
        slices=stack.slices,
        members=tuple(dict.fromkeys(one.file for one in stack.slices)),
        notes=(*notes, *_geometry_notes(stack), *pixel_notes(stack.slices, reader)),
        missing=missing,
    )


def _stack(slices: Sequence[Slice], index: SeriesIndex) -> Stack:
    """The regular stack of the slices; an error lists the unreadable files, which may be the missing slices."""
    try:
        return regular_stack(slices)
    except InputError as error:
        unreadable = (*index.empty, *index.damaged)[:6]
        if not unreadable:
            raise
        names = [piece for path in unreadable for piece in (", ", Path(path.name))][1:]
        raise InputError(error.what, where=index.source, mend=(error.mend, "; unreadable files: ", *names)) from error


def _check_one_frame_of_reference(chosen: SeriesFiles) -> None:
    instances: dict[str, list[str]] = {}
    for member in chosen.images:
        found = text(member.header, "FrameOfReferenceUID")
        if found:
            instances.setdefault(found, []).append(member.instance)
    if len(instances) > 1:
        fewest = min(instances.values(), key=len)
        raise InputError(
            f"the images of the series {chosen.uid} have {len(instances)} different values of "
            f"{tag_name('FrameOfReferenceUID')} (instances {', '.join(fewest[:6])} against the others)",
            mend="export each scan as a series of its own",
        )


def _same_pixels(first: Slice, second: Slice, reader: HounsfieldReader) -> bool:
    return bool(np.allclose(first.position, second.position, rtol=0, atol=0.01)) and np.array_equal(
        reader.hu(first), reader.hu(second)
    )


def _volume(stack: Stack, reader: HounsfieldReader) -> Generator[Progress, None, sitk.Image]:
    first, count = stack.slices[0], len(stack.slices)
    values = yield from map_steps(reader.volume_steps(stack.slices), lambda n: _event(20, 70, n / count))
    origin = first.position
    if stack.shear.any():
        values, origin = yield from map_steps(_upright(values, stack), lambda n: _event(70, 90, n / count))
    image = yield from map_steps(image_steps(values), lambda n: _event(90, 100, n / count))
    direction = np.stack([*first.orientation, first.normal]).T
    return with_geometry(image, (*first.spacing, stack.spacing), origin.tolist(), direction)


def _event(begin: int, end: int, share: float) -> Progress:
    return Progress(Stage.READING, done=round(begin + (end - begin) * share), total=100)


def _upright(values: np.ndarray, stack: Stack) -> Generator[int, None, tuple[np.ndarray, np.ndarray]]:
    """A sheared stack on axes at right angles, each slice shifted within its plane, float32; and its origin.

    A step after each slice: how many are done. The grid is that of the first slice, enlarged by whole pixels to hold
    every slice.
    """
    first = stack.slices[0]
    shifts = np.arange(len(values))[:, None] * stack.shear / first.spacing
    low = np.floor(np.round(shifts.min(axis=0), 6))
    high = np.ceil(np.round(shifts.max(axis=0), 6))
    columns, rows = (np.array(first.size) + (high - low)).astype(int)
    out = np.empty((len(values), rows, columns), np.float32)
    for done, (plane, hu, shift) in enumerate(zip(out, values, shifts, strict=True), start=1):
        offset = (low - shift)[::-1]
        ndimage.affine_transform(
            hu, np.ones(2), offset, output=plane, output_shape=plane.shape, order=3, mode="constant", cval=OUTSIDE_HU
        )
        yield done
    return out, first.position + (low * first.spacing) @ first.orientation


def _file_notes(index: SeriesIndex) -> Iterator[QualityNote]:
    for note, code, files, kind in (
        (QualityNote.warning, "empty_files", index.empty, "empty file"),
        (QualityNote.warning, "damaged_files", index.damaged, "damaged DICOM file"),
        (QualityNote.info, "misnamed_files", index.misnamed, "falsely named .dcm file"),
        (QualityNote.info, "zip_files", index.zips, "zip archive"),
    ):
        if files:
            were = "was" if len(files) == 1 else "were"
            yield note(code, f"{counted(len(files), kind)} in the folder {were} left out.")


def _geometry_notes(stack: Stack) -> Iterator[QualityNote]:
    if stack.shear.any():
        yield QualityNote.warning(
            "gantry_tilt_resampled",
            f"The gantry was tilted by {stack.tilt:.1f} degrees: the slices were shifted within their planes onto "
            "axes at right angles (interpolated; -1000 HU where a slice does not reach).",
        )
    if stack.unevenness > MAX_SILENT_UNEVENNESS:
        yield QualityNote.warning(
            "uneven_spacing",
            f"The slices are not quite evenly spaced: they were put onto a regular grid of {stack.spacing:.4g} mm, "
            f"at most {stack.unevenness * stack.spacing:.2f} mm from where they belong.",
        )
