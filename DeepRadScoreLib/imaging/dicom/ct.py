"""A CT volume in HU from the DICOM files of one series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from DeepRadScoreLib.errors import InputError, Where
from DeepRadScoreLib.imaging.carriers import QualityNote, Severity
from DeepRadScoreLib.imaging.dicom.choosing import choose_phase, choose_series
from DeepRadScoreLib.imaging.dicom.datasets import DicomFile, quiet_pydicom, tag_name, text
from DeepRadScoreLib.imaging.dicom.hounsfield import HounsfieldReader, pixel_notes
from DeepRadScoreLib.imaging.dicom.series import SeriesFiles, SeriesIndex, find_series
from DeepRadScoreLib.imaging.dicom.slices import Slice, slices_of
from DeepRadScoreLib.imaging.dicom.stacking import (
    SILENT_SHARE,
    Stack,
    main_orientation,
    phases,
    places,
    regular_stack,
    without_copies,
)

OUTSIDE_HU = -1000.0


@dataclass(frozen=True)
class CtSeries:
    """One CT as a volume.

    Attributes
    ----------
    image: 3-D, HU, in LPS as ITK has it: x along the rows, y along the columns, slices in order of position along
        rows x columns. int16 (or int32) where slope and intercept are whole numbers, else float64. A stack with
        gantry tilt is float32: each slice keeps its plane and is shifted within it, so slice k still is `sop_uids[k]`.
    sop_uids: one per slice, in the order of the image (of a multi-frame image: repeated).
    members: its files, each once, in the order of the slices.
    patient_key: PatientID as stored, to be compared with that of a mask and never shown.
    notes: what was mended or left out.
    """

    image: sitk.Image
    series_uid: str
    study_uid: str
    frame_of_reference_uid: str
    patient_key: str = field(repr=False)
    sop_uids: tuple[str, ...] = field(repr=False)
    members: tuple[DicomFile, ...] = field(repr=False)
    notes: tuple[QualityNote, ...]


def read_ct(
    folder: Path | SeriesIndex,
    *,
    series: str | None = None,
    referenced: str | None = None,
    referenced_sops: Sequence[str] = (),
) -> CtSeries:
    """Read the CT in a folder (searched with all folders in it), or a multi-frame image; or of an index made before.

    Spacing between slices comes from (0020,0032) ImagePositionPatient along the normal, from first to last. What is
    mended, each with a note: copies of a slice are dropped; localizers and unreadable files left out; slices up to a
    tenth of the spacing off a regular grid are put on it; a tilted gantry's slices are shifted within their planes
    (cubic B-spline; -1000 HU where a slice does not reach) onto axes at right angles, no slice is mixed with another.

    Parameters
    ----------
    series: SeriesInstanceUID, or `UID/2` for the second of several phases in one series; goes before `referenced`.
    referenced, referenced_sops: the series that a segmentation refers to, and its images, which choose the phase.

    Raises
    ------
    InputError: no CT, several and none chosen, or one that cannot be made a volume of known geometry in HU (slices
        missing, unevenly spaced or of several kinds; damaged pixels; a missing tag); names file, tag and instances.
    """
    with quiet_pydicom():
        index = folder if isinstance(folder, SeriesIndex) else find_series(folder)
        chosen, phase = choose_series(index, series=series, referenced=referenced)
        return _read_series(index, chosen, phase, referenced_sops)


def _read_series(index: SeriesIndex, chosen: SeriesFiles, phase: int | None, sops: Sequence[str]) -> CtSeries:
    where = index.source
    notes = _file_notes(index)
    _one_value(chosen, "FrameOfReferenceUID", where)
    slices, others = main_orientation([one for member in chosen.images for one in slices_of(member)], where)
    left_out = len(chosen.members) - len(chosen.images) + len(others)
    if left_out:
        notes.append(
            _note(
                "localizer_left_out",
                "info",
                f"{left_out} images of the series (localizers, other orientation or size, no CT images) were left out.",
            )
        )
    reader = HounsfieldReader(slices)
    single, found = _one_phase(slices, reader, chosen.uid, phase, sops, where)
    stack = _stack(single, index)
    header = stack.slices[0].file.header
    return CtSeries(
        image=_volume(stack, reader),
        series_uid=chosen.uid,
        study_uid=text(header, "StudyInstanceUID"),
        frame_of_reference_uid=text(header, "FrameOfReferenceUID"),
        patient_key=text(header, "PatientID"),
        sop_uids=tuple(one.sop_uid for one in stack.slices),
        members=tuple(dict.fromkeys(one.file for one in stack.slices)),
        notes=(*notes, *found, *_geometry_notes(stack), *pixel_notes(stack.slices, reader)),
    )


def _stack(slices: Sequence[Slice], index: SeriesIndex) -> Stack:
    try:
        return regular_stack(slices, index.source)
    except InputError as error:
        unreadable = (*index.empty, *index.damaged)[:6]
        if not unreadable:
            raise
        names = [piece for path in unreadable for piece in (", ", Path(path.name))][1:]
        raise InputError(error.what, where=index.source, mend=(error.mend, "; unreadable files: ", *names)) from error


def _one_value(chosen: SeriesFiles, keyword: str, where: Where) -> None:
    by_value: dict[str, list[str]] = {}
    for member in chosen.images:
        by_value.setdefault(text(member.header, keyword), []).append(member.instance)
    if len(by_value) > 1:
        fewest = min(by_value.values(), key=len)
        raise InputError(
            f"the images of the series {chosen.uid} have {len(by_value)} different values of {tag_name(keyword)} "
            f"(instances {', '.join(fewest[:6])} against the others)",
            where=where,
            mend="export each scan as a series of its own",
        )


def _one_phase(
    slices: Sequence[Slice],
    reader: HounsfieldReader,
    uid: str,
    phase: int | None,
    sops: Sequence[str],
    where: Where,
) -> tuple[Sequence[Slice], list[QualityNote]]:
    """One slice per place: copies dropped, one of several phases chosen."""
    notes = []
    if len(places(slices)) < len(slices):
        single = without_copies(slices, lambda first, second: _same_pixels(first, second, reader))
        dropped = len(slices) - len(single)
        slices = single
        if dropped:
            notes.append(
                _note("doubled_slices_dropped", "info", f"{dropped} slices stood twice in the series and were dropped.")
            )
    parts = [slices] if len(places(slices)) == len(slices) else phases(slices, where)
    if len(parts) == 1 and phase in (None, 1):
        return parts[0], notes
    notes.append(
        _note(
            "one_of_several_phases", "info", f"The series holds {len(parts)} phases of the CT; one of them was taken."
        )
    )
    return choose_phase(parts, uid, phase, sops, where), notes


def _same_pixels(first: Slice, second: Slice, reader: HounsfieldReader) -> bool:
    return bool(np.allclose(first.position, second.position, rtol=0, atol=0.01)) and np.array_equal(
        reader.hu(first), reader.hu(second)
    )


def _volume(stack: Stack, reader: HounsfieldReader) -> sitk.Image:
    first = stack.slices[0]
    values = reader.volume(stack.slices)
    origin = first.position
    if stack.shear.any():
        values, origin = _upright(values, stack)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((*first.spacing, stack.spacing))
    image.SetOrigin(origin.tolist())
    image.SetDirection(np.stack([*first.orientation, first.normal]).T.ravel().tolist())
    return image


def _upright(values: np.ndarray, stack: Stack) -> tuple[np.ndarray, np.ndarray]:
    """A sheared stack on axes at right angles: each slice shifted within its plane, float32; and the new origin.

    The grid is the first slice's, made larger by whole pixels until it holds every slice.
    """
    first = stack.slices[0]
    shifts = np.arange(len(values))[:, None] * stack.shear / first.spacing
    low = np.floor(np.round(shifts.min(axis=0), 6))
    high = np.ceil(np.round(shifts.max(axis=0), 6))
    columns, rows = (np.array(first.size) + (high - low)).astype(int)
    out = np.empty((len(values), rows, columns), np.float32)
    for plane, hu, shift in zip(out, values, shifts, strict=True):
        offset = (low - shift)[::-1]
        ndimage.affine_transform(
            hu, np.ones(2), offset, output=plane, output_shape=plane.shape, order=3, mode="constant", cval=OUTSIDE_HU
        )
    return out, first.position + (low * first.spacing) @ first.orientation


def _file_notes(index: SeriesIndex) -> list[QualityNote]:
    kinds: tuple[tuple[str, Severity, list[Path], str], ...] = (
        ("empty_files", "warning", index.empty, "files of 0 bytes"),
        ("damaged_files", "warning", index.damaged, "damaged DICOM files"),
        ("misnamed_files", "info", index.misnamed, "files named .dcm that are no DICOM"),
        ("zip_files", "info", index.zips, "zip archives"),
    )
    return [
        _note(code, severity, f"{len(files)} {what} in the folder {'was' if len(files) == 1 else 'were'} left out.")
        for code, severity, files, what in kinds
        if files
    ]


def _geometry_notes(stack: Stack) -> list[QualityNote]:
    notes = []
    if stack.shear.any():
        notes.append(
            _note(
                "gantry_tilt_resampled",
                "warning",
                f"The gantry was tilted by {stack.tilt:.1f} degrees: the slices were shifted within their planes onto "
                "axes at right angles (interpolated; -1000 HU where a slice does not reach).",
            )
        )
    if stack.unevenness > SILENT_SHARE:
        notes.append(
            _note(
                "uneven_spacing",
                "warning",
                f"The slices are not quite evenly spaced: they were put onto a regular grid of {stack.spacing:.4g} mm, "
                f"at most {stack.unevenness * stack.spacing:.2f} mm from where they belong.",
            )
        )
    return notes


def _note(code: str, severity: Severity, message: str) -> QualityNote:
    return QualityNote(code, severity, message)
