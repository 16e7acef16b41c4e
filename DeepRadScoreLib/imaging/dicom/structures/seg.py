"""DICOM SEG: its frames, ordered by position, on the CT's grid where they lie on it, else on a grid of the SEG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset

from DeepRadScoreLib.errors import InputError, RegionError
from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.dicom.datasets import items, tag_name, text
from DeepRadScoreLib.imaging.dicom.structures.masks import (
    EXPORT_MEND,
    DicomSegment,
    Layers,
    damage_named,
    damaged_mask,
    public_name,
    read_mask,
    says_tumour,
)
from DeepRadScoreLib.imaging.dicom.transfer_syntaxes import check_decodable, to_native
from DeepRadScoreLib.imaging.grids.geometry import direction_of, nearest_index, with_geometry
from DeepRadScoreLib.imaging.masks.segments import MaskContent
from DeepRadScoreLib.progress import Progress, Stage, each_within, run_to_end

if TYPE_CHECKING:
    from highdicom.seg import Segmentation

    from DeepRadScoreLib.imaging.dicom.ct import CtSeries

NAME: Final = "DICOM SEG"
TYPES = ("BINARY", "FRACTIONAL", "LABELMAP")
MAX_OFF_PIXELS = 0.1
"""A frame lies on the CT's pixels if its corners lie no farther from them, in pixels."""
MAX_OFF_SLICES = 0.15
"""A frame lies on a slice if it lies no farther from it, in slices; the slices may be 0.1 off an even grid."""


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
class _FrameGrid:
    """The grid of the mask, and the x, y, z index on it of each frame's first pixel, (n, 3)."""

    grid: sitk.Image
    first: np.ndarray
    notes: tuple[QualityNote, ...] = ()


def read_seg(path: Path, ct: CtSeries) -> MaskContent:
    """Read the segments of a DICOM SEG: binary, fractional (at least half of the maximum counts) or label map.

    Frames are ordered by position, so that slices may be missing and the stored order does not matter. Frames on the
    CT's pixels give a mask on the CT's grid, others a mask on the grid of the SEG. `choose` finds a segment by
    SegmentLabel, by the meaning of its SegmentedPropertyType (where no other segment has it) or, as `label`, by
    SegmentNumber.

    Raises
    ------
    InputError: a file that cannot be read, or frames on no regular grid.
    RegionError: another patient or frame of reference, no segments, nothing but empty segments.
    """
    return run_to_end(read_seg_steps(path, ct))


def read_seg_steps(path: Path, ct: CtSeries) -> Generator[Progress, None, MaskContent]:
    """`read_seg` in short steps. Raises as that does."""
    yield _event(0)
    from highdicom.seg import Segmentation

    yield _event(5)
    mask = read_mask(path, ct, NAME)
    dataset, keyword = mask.dataset, "FrameOfReferenceUID"
    yield _event(10)
    with damage_named(path, NAME):
        mask.check_frame_of_reference(text(dataset, keyword), keyword=keyword, what="the mask")
        described = segments_in(dataset, path)
        frames = _frames(dataset, described, path)
        check_decodable(dataset.file_meta.TransferSyntaxUID, path)
    yield _event(20)
    with damage_named(path, NAME, "PixelData"):
        to_native(dataset)
    with damage_named(path, NAME):
        seg = Segmentation.from_dataset(dataset, copy=False)
    yield _event(30)
    with damage_named(path, NAME):
        found = _frame_grid(seg, frames, ct, path)
    layers = Layers()
    masks = _masks(seg, frames, found, described, path)
    yield from each_within(lambda: damage_named(path, NAME), _fill_layers(layers, masks, len(frames)))
    if not layers.layer_of:
        raise RegionError("the mask is empty", where=path, mend="outline the tumour and save the mask again")
    layer_of = layers.layer_of
    return MaskContent(
        layers=layers.images(found.grid),
        segments=tuple(replace(s, layer=layer_of[s.value]) for s in described if s.value in layer_of),
        empty=tuple(s for s in described if s.value not in layer_of),
        where=path,
        notes=(*mask.reference_notes(), *_fractional_notes(dataset), *found.notes),
    )


def segments_in(dataset: Dataset, path: Path) -> list[DicomSegment]:
    """The described segments but the background, all in layer 0 until their frames are read.

    Raises
    ------
    RegionError: there is none. InputError: two have one number.
    """
    described = [item for item in items(dataset, "SegmentSequence") if int(item.SegmentNumber) > 0]
    if not described:
        what = f"the {NAME} describes no segment: {tag_name('SegmentSequence')} is absent or empty"
        raise RegionError(what, where=path, mend=EXPORT_MEND)
    numbers = [int(item.SegmentNumber) for item in described]
    if len(set(numbers)) < len(numbers):
        raise damaged_mask(f"two segments have one {tag_name('SegmentNumber')}", path)
    labels = [text(item, "SegmentLabel") for item in described]
    types = [_type(item) for item in described]
    uses = Counter(name.casefold() for name in (*labels, *types))
    segments = []
    for number, label, kind in zip(numbers, labels, types, strict=True):
        fallback = f"segment {number}"
        identity = public_name(kind, fallback, dataset) if uses[kind.casefold()] == 1 else fallback
        name = public_name(label, fallback, dataset)
        segments.append(DicomSegment(name, identity, 0, number, says_tumour(label, kind)))
    return segments


def _type(item: Dataset) -> str:
    return text(next(items(item, "SegmentedPropertyTypeCodeSequence"), Dataset()), "CodeMeaning")


def _frames(dataset: Dataset, described: Sequence[DicomSegment], path: Path) -> list[_Frame]:
    if text(dataset, "SegmentationType") not in TYPES:
        raise damaged_mask(f"{tag_name('SegmentationType')} is none of {', '.join(TYPES)}", path)
    groups = list(dataset.PerFrameFunctionalGroupsSequence)
    if len(groups) != int(dataset.NumberOfFrames):
        raise damaged_mask(
            f"{tag_name('NumberOfFrames')} is {int(dataset.NumberOfFrames)}, "
            f"but {tag_name('PerFrameFunctionalGroupsSequence')} describes {len(groups)}",
            path,
        )
    shared = next(items(dataset, "SharedFunctionalGroupsSequence"), Dataset())
    label_map = dataset.SegmentationType == "LABELMAP"
    numbers = {segment.value for segment in described}
    frames = [_frame(n, item, shared, label_map, path) for n, item in enumerate(groups, start=1)]
    for frame in frames:
        if not label_map and frame.segment not in numbers:
            raise damaged_mask(
                f"frame {frame.number} is of the segment {frame.segment} ({tag_name('ReferencedSegmentNumber')}), "
                f"which {tag_name('SegmentSequence')} does not describe",
                path,
            )
    return frames


def _frame(number: int, item: Dataset, shared: Dataset, label_map: bool, path: Path) -> _Frame:
    def group(keyword: str) -> Dataset:
        found = item.get(keyword) or shared.get(keyword)
        if not found:
            raise damaged_mask(f"frame {number} has no {tag_name(keyword)}", path)
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
            raise damaged_mask(f"frame {number} has a damaged {tag_name(keyword)}", path)
    return _Frame(
        number=number,
        segment=0 if label_map else int(group("SegmentIdentificationSequence").ReferencedSegmentNumber),
        position=position,
        steps=orientation.T * [between_columns, between_rows],
    )


def _frame_grid(seg: Segmentation, frames: Sequence[_Frame], ct: CtSeries, path: Path) -> _FrameGrid:
    """The CT's grid where all frames lie on its pixels (sheared ones slice by slice), else that which they span."""
    exact, on_slices = _on_ct(seg, frames, ct.image)
    first = nearest_index(exact)
    if on_slices and np.abs(exact - first)[:, :2].max() <= MAX_OFF_PIXELS:
        return _FrameGrid(ct.image, first)
    if on_slices and np.ptp(exact[:, :2], axis=0).max() > MAX_OFF_PIXELS:
        note = QualityNote.info(
            "mask_shifted",
            f"The frames of the {NAME} are not stacked at right angles (gantry tilt): each was shifted within its "
            "plane to the nearest pixels of the CT.",
        )
        return _FrameGrid(ct.image, first, (note,))
    spanned = _spanned_grid(seg, frames)
    if spanned is None:
        raise InputError(
            f"its frames lie neither on the CT's slices nor on an even grid of their own, see "
            f"{tag_name('ImagePositionPatient')} and {tag_name('ImageOrientationPatient')}",
            where=path,
            mend="export the segmentation on the grid of the CT",
        )
    return spanned


def _on_ct(seg: Segmentation, frames: Sequence[_Frame], image: sitk.Image) -> tuple[np.ndarray, bool]:
    """Continuous x, y, z index on the CT of each frame's first pixel, (n, 3), and whether all frames suit its slices.

    They do if they lie on slices and within the CT, with its pixel size and directions.
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
    return exact, bool(inside and tilted[:2].max() <= MAX_OFF_PIXELS and through <= MAX_OFF_SLICES)


def _spanned_grid(seg: Segmentation, frames: Sequence[_Frame]) -> _FrameGrid | None:
    """The regular grid that the frames span, or None where they span none."""
    geometry = seg.get_volume_geometry()
    if geometry is None:
        return None
    axes = geometry.affine[:3, [2, 1, 0]]
    spacing = np.linalg.norm(axes, axis=0)
    direction = axes / spacing
    single = geometry.spatial_shape[0] == 1
    between = _shared_mm(seg, "SpacingBetweenSlices") or (_shared_mm(seg, "SliceThickness") if single else None)
    if single and between is None:
        return None
    if single:
        spacing[2] = between
    origin = geometry.affine[:3, 3]
    empty = sitk.Image([int(n) for n in geometry.spatial_shape[::-1]], sitk.sitkUInt8)
    grid = with_geometry(empty, spacing.tolist(), origin.tolist(), direction)
    exact = np.array([direction.T @ (frame.position - origin) / spacing for frame in frames])
    first = nearest_index(exact)
    if (np.abs(exact - first) > (MAX_OFF_PIXELS, MAX_OFF_PIXELS, MAX_OFF_SLICES)).any():
        return None
    if between is not None:
        return _FrameGrid(grid, first)
    note = QualityNote.warning(
        "spacing_inferred",
        f"The {NAME} lacks {tag_name('SpacingBetweenSlices')}: the smallest distance of its frames was taken, "
        f"{spacing[2]:.4g} mm.",
    )
    return _FrameGrid(grid, first, (note,))


def _shared_mm(seg: Segmentation, keyword: str) -> float | None:
    """A measure of the pixels, in mm, that all frames share."""
    value = next(items(seg, "SharedFunctionalGroupsSequence", "PixelMeasuresSequence"), Dataset()).get(keyword)
    return abs(float(value)) if value else None


def _event(percent: int) -> Progress:
    return Progress(Stage.READING, done=percent, total=100)


def _fill_layers(
    layers: Layers, masks: Iterator[tuple[int, np.ndarray] | None], frames: int
) -> Generator[Progress, None, None]:
    done = 0
    for mask in masks:
        if mask is None:
            done += 1
        else:
            layers.add(*mask)
        yield _event(30 + 60 * done // frames)


def _masks(
    seg: Segmentation, frames: Sequence[_Frame], found: _FrameGrid, described: Sequence[DicomSegment], path: Path
) -> Iterator[tuple[int, np.ndarray] | None]:
    """Number and bool array (z, y, x) of every segment; None after each frame that has been read for it."""
    shape = found.grid.GetSize()[::-1]
    if seg.SegmentationType == "LABELMAP":
        labels = np.zeros(shape, dtype=np.uint16)
        yield from _fill(labels, ((frame, _stored(seg, frame, path)) for frame in frames), found.first, path)
        for segment in described:
            yield segment.value, labels == segment.value
        return
    for segment in described:
        mask = np.zeros(shape, dtype=bool)
        members = [n for n, frame in enumerate(frames) if frame.segment == segment.value]
        contents = ((frames[n], _binary(seg, frames[n], path)) for n in members)
        yield from _fill(mask, contents, found.first[members], path)
        yield segment.value, mask


def _stored(seg: Segmentation, frame: _Frame, path: Path) -> np.ndarray:
    with damage_named(path, NAME, "PixelData"):
        return seg.get_stored_frame(frame.number)


def _binary(seg: Segmentation, frame: _Frame, path: Path) -> np.ndarray:
    stored = _stored(seg, frame, path)
    if seg.SegmentationType == "FRACTIONAL":
        return 2 * stored.astype(np.int64) >= int(seg.MaximumFractionalValue)
    return stored != 0


def _fill(
    volume: np.ndarray, contents: Iterator[tuple[_Frame, np.ndarray]], first: np.ndarray, path: Path
) -> Iterator[None]:
    """Write frames into a volume at the x, y, z indices of their first pixels; a step after each."""
    seen: dict[tuple[int, ...], int] = {}
    for (frame, pixels), (x, y, z) in zip(contents, first.tolist(), strict=True):
        plane = volume[z, y : y + pixels.shape[0], x : x + pixels.shape[1]]
        other = seen.setdefault((x, y, z), frame.number)
        if other != frame.number and not np.array_equal(plane, pixels):
            raise damaged_mask(
                f"frames {other} and {frame.number} are of one segment and one place "
                f"({tag_name('ImagePositionPatient')}) and differ",
                path,
            )
        plane[...] = pixels
        yield


def _fractional_notes(dataset: Dataset) -> Iterator[QualityNote]:
    if dataset.SegmentationType == "FRACTIONAL":
        yield QualityNote.info(
            "mask_thresholded",
            f"The {NAME} is fractional: voxels of at least half of {tag_name('MaximumFractionalValue')} "
            f"({int(dataset.MaximumFractionalValue)}) were taken.",
        )
