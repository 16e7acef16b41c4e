"""DICOM SEG: its frames placed by their positions, on the CT's grid where they lie on it, else on their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset

from DeepRadScoreLib.errors import InputError, RegionError
from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.dicom.datasets import tag_name, text
from DeepRadScoreLib.imaging.dicom.masks import (
    EXPORT_MEND,
    DicomMask,
    DicomSegment,
    check_frame_of_reference,
    damage_named,
    pack,
    public_name,
    read_mask,
    reference_notes,
    references_in,
    says_tumour,
)
from DeepRadScoreLib.imaging.geometry import direction_of, nearest_index

if TYPE_CHECKING:
    from highdicom.seg import Segmentation

    from DeepRadScoreLib.imaging.dicom.ct import CtSeries

NAME = "DICOM SEG"
TYPES = ("BINARY", "FRACTIONAL", "LABELMAP")
IN_PLANE = 0.1
"""In pixels: a frame whose corners lie no further from the CT's pixels lies on them."""
ON_SLICE = 0.15
"""In slices, likewise; slices that the CT itself moved onto an even grid are up to 0.1 off."""


@dataclass(frozen=True)
class _Frame:
    """One frame: its number in the file from 1, its segment (0 in a label map, which holds all) and its geometry.

    `position` is the first pixel's centre (3,), `steps` (3, 2) leads to the next column and the next row; LPS, mm.
    """

    number: int
    segment: int
    position: np.ndarray
    steps: np.ndarray


@dataclass(frozen=True)
class _Placed:
    """The grid that the mask gets, and for each frame the x, y, z index of its first pixel there, (n, 3)."""

    grid: sitk.Image
    first: np.ndarray
    notes: tuple[QualityNote, ...] = ()


def read_seg(path: Path, ct: CtSeries) -> DicomMask:
    """Take a DICOM SEG apart: binary, fractional (at least half of the maximum counts) or label map.

    Frames are placed by position, so that empty slices may be left out and their order does not matter. Frames on the
    CT's own pixels give a mask on the CT's grid, others a mask on the grid of the SEG. `choose` finds a segment by
    SegmentLabel, by the meaning of its SegmentedPropertyType (where no other segment has it) or, as `label`, by
    SegmentNumber.

    Raises
    ------
    InputError: a file that cannot be read, or frames that cannot be placed.
    RegionError: another patient or frame of reference, no segments, nothing but empty segments.
    """
    from highdicom.seg import Segmentation

    dataset = read_mask(path, ct, "seg")
    with damage_named(path, NAME):
        references = references_in(dataset)
        check_frame_of_reference(
            text(dataset, "FrameOfReferenceUID"),
            ct,
            path,
            keyword="FrameOfReferenceUID",
            what="the mask",
            refers=bool(references.images & set(ct.sop_uids)),
        )
        described = segments_in(dataset, path)
        frames = _frames(dataset, described, path)
        seg = Segmentation.from_dataset(dataset, copy=False)
        placed = _placed(seg, frames, ct, path)
        layers, layer_of = pack(_masks(seg, frames, placed, described, path), placed.grid)
    if not layers:
        raise RegionError("the mask is empty", where=path, mend="outline the tumour and save the mask again")
    return DicomMask(
        layers=layers,
        segments=tuple(replace(s, layer=layer_of[s.value]) for s in described if s.value in layer_of),
        empty=tuple(s for s in described if s.value not in layer_of),
        where=path,
        notes=(*reference_notes(references, ct, what=NAME), *_fractional_notes(dataset), *placed.notes),
    )


def segments_in(dataset: Dataset, path: Path) -> list[DicomSegment]:
    """The segments, background aside; those whose frames are not looked at yet stand in layer 0."""
    items = [item for item in dataset.get("SegmentSequence") or () if int(item.SegmentNumber) > 0]
    if not items:
        raise RegionError(
            f"the {NAME} describes no segment: {tag_name('SegmentSequence')} is absent or empty",
            where=path,
            mend=EXPORT_MEND,
        )
    numbers = [int(item.SegmentNumber) for item in items]
    if len(set(numbers)) < len(numbers):
        raise InputError(f"two segments have one {tag_name('SegmentNumber')}", where=path, mend=EXPORT_MEND)
    labels = [text(item, "SegmentLabel") for item in items]
    types = [_type(item) for item in items]
    taken = Counter(one.casefold() for one in (*labels, *types))
    segments = []
    for number, label, kind in zip(numbers, labels, types, strict=True):
        fallback = f"segment {number}"
        identity = public_name(kind, fallback, dataset) if taken[kind.casefold()] == 1 else fallback
        name = public_name(label, fallback, dataset)
        segments.append(DicomSegment(name, identity, 0, number, says_tumour(label, kind)))
    return segments


def _type(item: Dataset) -> str:
    codes = item.get("SegmentedPropertyTypeCodeSequence")
    return text(codes[0], "CodeMeaning") if codes else ""


def _frames(dataset: Dataset, described: Sequence[DicomSegment], path: Path) -> list[_Frame]:
    if text(dataset, "SegmentationType") not in TYPES:
        raise InputError(f"{tag_name('SegmentationType')} is none of {', '.join(TYPES)}", where=path, mend=EXPORT_MEND)
    items = list(dataset.PerFrameFunctionalGroupsSequence)
    if len(items) != int(dataset.NumberOfFrames):
        raise InputError(
            f"{tag_name('NumberOfFrames')} is {int(dataset.NumberOfFrames)}, "
            f"but {tag_name('PerFrameFunctionalGroupsSequence')} describes {len(items)}",
            where=path,
            mend=EXPORT_MEND,
        )
    shared = dataset.SharedFunctionalGroupsSequence[0] if dataset.get("SharedFunctionalGroupsSequence") else Dataset()
    label_map = dataset.SegmentationType == "LABELMAP"
    numbers = {segment.value for segment in described}
    frames = [_frame(n, item, shared, label_map, path) for n, item in enumerate(items, start=1)]
    for frame in frames:
        if not label_map and frame.segment not in numbers:
            raise InputError(
                f"frame {frame.number} is of the segment {frame.segment} ({tag_name('ReferencedSegmentNumber')}), "
                f"which {tag_name('SegmentSequence')} does not describe",
                where=path,
                mend=EXPORT_MEND,
            )
    return frames


def _frame(number: int, item: Dataset, shared: Dataset, label_map: bool, path: Path) -> _Frame:
    def group(keyword: str) -> Dataset:
        found = item.get(keyword) or shared.get(keyword)
        if not found:
            raise InputError(f"frame {number} has no {tag_name(keyword)}", where=path, mend=EXPORT_MEND)
        return found[0]

    position = np.array(group("PlanePositionSequence").ImagePositionPatient, dtype=float)
    orientation = np.array(group("PlaneOrientationSequence").ImageOrientationPatient, dtype=float).reshape(2, 3)
    between_rows, between_columns = np.array(group("PixelMeasuresSequence").PixelSpacing, dtype=float)
    for keyword, good in (
        ("ImagePositionPatient", position.shape == (3,) and bool(np.isfinite(position).all())),
        ("ImageOrientationPatient", bool(np.allclose(orientation @ orientation.T, np.eye(2), atol=1e-3))),
        ("PixelSpacing", bool(0 < between_rows < np.inf and 0 < between_columns < np.inf)),
    ):
        if not good:
            raise InputError(f"frame {number} has a damaged {tag_name(keyword)}", where=path, mend=EXPORT_MEND)
    return _Frame(
        number=number,
        segment=0 if label_map else int(group("SegmentIdentificationSequence").ReferencedSegmentNumber),
        position=position,
        steps=orientation.T * [between_columns, between_rows],
    )


def _placed(seg: Segmentation, frames: Sequence[_Frame], ct: CtSeries, path: Path) -> _Placed:
    """On the CT's grid where all frames lie on its pixels, else on their own; sheared stacks slice by slice."""
    exact, on_slices = _on_ct(seg, frames, ct.image)
    first = nearest_index(exact)
    if on_slices and np.abs(exact - first)[:, :2].max() <= IN_PLANE:
        return _Placed(ct.image, first)
    if on_slices and np.ptp(exact[:, :2], axis=0).max() > IN_PLANE:
        note = QualityNote(
            "mask_shifted",
            "info",
            f"The frames of the {NAME} are not stacked at right angles (gantry tilt): each was shifted within its "
            "plane to the nearest pixels of the CT.",
        )
        return _Placed(ct.image, first, (note,))
    own = _on_own_grid(seg, frames)
    if own is None:
        raise InputError(
            f"its frames lie neither on the CT's slices nor on an even grid of their own, see "
            f"{tag_name('ImagePositionPatient')} and {tag_name('ImageOrientationPatient')}",
            where=path,
            mend="export the segmentation on the grid of the CT",
        )
    return own


def _on_ct(seg: Segmentation, frames: Sequence[_Frame], image: sitk.Image) -> tuple[np.ndarray, bool]:
    """Continuous x, y, z index on the CT of each frame's first pixel, (n, 3), and whether all frames suit its slices.

    They do when they lie on them, with the CT's pixel size and directions, and within it.
    """
    size = np.array([seg.Columns, seg.Rows])
    to_index = direction_of(image).T / np.array(image.GetSpacing())[:, None]
    exact = np.array([to_index @ (frame.position - image.GetOrigin()) for frame in frames])
    steps = np.array([to_index @ frame.steps for frame in frames])
    first = nearest_index(exact)
    drift = (steps - np.eye(3, 2)) @ np.array([[size[0], 0], [0, size[1]], size]).T
    inside = (first >= 0).all() and (first + np.array([*size, 1]) <= image.GetSize()).all()
    tilted = np.abs(drift).max(axis=(0, 2))
    through = np.abs((exact - first)[:, 2]).max() + tilted[2]
    on_slices = bool(inside and tilted[:2].max() <= IN_PLANE and through <= ON_SLICE)
    return exact, on_slices


def _on_own_grid(seg: Segmentation, frames: Sequence[_Frame]) -> _Placed | None:
    """The frames on the even grid that they span, or None where they span none."""
    geometry = seg.get_volume_geometry()
    if geometry is None:
        return None
    axes = geometry.affine[:3, [2, 1, 0]]
    spacing = np.linalg.norm(axes, axis=0)
    direction = axes / spacing
    single = geometry.spatial_shape[0] == 1
    between = _stated(seg, "SpacingBetweenSlices") or (_stated(seg, "SliceThickness") if single else None)
    if single:
        if between is None:
            return None
        spacing[2] = between
    grid = sitk.Image([int(n) for n in geometry.spatial_shape[::-1]], sitk.sitkUInt8)
    grid.SetSpacing(spacing.tolist())
    grid.SetOrigin(geometry.affine[:3, 3].tolist())
    grid.SetDirection(direction.ravel().tolist())
    exact = np.array([direction.T @ (frame.position - geometry.affine[:3, 3]) / spacing for frame in frames])
    first = nearest_index(exact)
    if (np.abs(exact - first) > (IN_PLANE, IN_PLANE, ON_SLICE)).any():
        return None
    if between is not None:
        return _Placed(grid, first)
    note = QualityNote(
        "spacing_inferred",
        "warning",
        f"The {NAME} lacks {tag_name('SpacingBetweenSlices')}: the smallest distance of its frames was taken, "
        f"{spacing[2]:.4g} mm.",
    )
    return _Placed(grid, first, (note,))


def _stated(seg: Segmentation, keyword: str) -> float | None:
    """A measure of the pixels, in mm, that is stated for all frames together."""
    groups = seg.get("SharedFunctionalGroupsSequence")
    measures = groups[0].get("PixelMeasuresSequence") if groups else None
    value = measures[0].get(keyword) if measures else None
    return abs(float(value)) if value else None


def _masks(
    seg: Segmentation, frames: Sequence[_Frame], placed: _Placed, described: Sequence[DicomSegment], path: Path
) -> Iterator[tuple[int, np.ndarray]]:
    """Number and bool array (z, y, x) of every segment, one after the other."""
    shape = placed.grid.GetSize()[::-1]
    if seg.SegmentationType == "LABELMAP":
        labels = np.zeros(shape, dtype=np.uint16)
        _fill(labels, [(frame, _stored(seg, frame, path)) for frame in frames], placed.first, path)
        for segment in described:
            yield segment.value, labels == segment.value
        return
    for segment in described:
        mask = np.zeros(shape, dtype=bool)
        own = [n for n, frame in enumerate(frames) if frame.segment == segment.value]
        _fill(mask, [(frames[n], _binary(seg, frames[n], path)) for n in own], placed.first[own], path)
        yield segment.value, mask


def _stored(seg: Segmentation, frame: _Frame, path: Path) -> np.ndarray:
    with damage_named(path, NAME, "PixelData"):
        return seg.get_stored_frame(frame.number)


def _binary(seg: Segmentation, frame: _Frame, path: Path) -> np.ndarray:
    stored = _stored(seg, frame, path)
    if seg.SegmentationType == "FRACTIONAL":
        return 2 * stored.astype(np.int64) >= int(seg.MaximumFractionalValue)
    return stored != 0


def _fill(volume: np.ndarray, contents: Sequence[tuple[_Frame, np.ndarray]], first: np.ndarray, path: Path) -> None:
    """Write frames into a volume at the x, y, z indices of their first pixels."""
    seen: dict[tuple[int, ...], int] = {}
    for (frame, pixels), (x, y, z) in zip(contents, first.tolist(), strict=True):
        plane = volume[z, y : y + pixels.shape[0], x : x + pixels.shape[1]]
        other = seen.setdefault((x, y, z), frame.number)
        if other != frame.number and not np.array_equal(plane, pixels):
            raise InputError(
                f"frames {other} and {frame.number} are of one segment and one place "
                f"({tag_name('ImagePositionPatient')}) and differ",
                where=path,
                mend=EXPORT_MEND,
            )
        plane[...] = pixels


def _fractional_notes(dataset: Dataset) -> list[QualityNote]:
    if dataset.SegmentationType != "FRACTIONAL":
        return []
    return [
        QualityNote(
            "mask_thresholded",
            "info",
            f"The {NAME} is fractional: voxels of at least half of {tag_name('MaximumFractionalValue')} "
            f"({int(dataset.MaximumFractionalValue)}) were taken.",
        )
    ]
