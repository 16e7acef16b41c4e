"""What is read back of an object, and whether that is what was written."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset, dcmread
from scipy.spatial import cKDTree

NEAR_MM = 0.01
NONE = np.zeros((0, 5))


@dataclass(frozen=True)
class Read:
    """What a program gives back of an object.

    Attributes
    ----------
    voxels: (n, 5) of those that are not 0: segment (0: of a map), position in mm (LPS: x, y, z), value.
    names: of the segments by number; None: the program gives none.
    numbers: of a report.
    refusal: what the program says of an object that it does not open.
    remark: what of the object it does not give, added to what is compared.
    """

    voxels: np.ndarray = field(default_factory=lambda: NONE, repr=False)
    names: dict[int, str] | None = None
    numbers: tuple[float, ...] = ()
    refusal: str = ""
    remark: str = ""


@dataclass(frozen=True)
class Plane:
    """Values (rows, columns) of a frame; orientation as in ImageOrientationPatient; spacing of rows, of columns."""

    values: np.ndarray
    position: Sequence[float]
    orientation: Sequence[float]
    spacing: Sequence[float]
    segment: int = 0

    def voxels(self) -> np.ndarray:
        """(n, 5) as in `Read`; each voxel of a segment has the value 1."""
        j, i = np.nonzero(self.values)
        along, down = np.reshape(np.asarray(self.orientation, float), (2, 3))
        places = np.asarray(self.position, float) + np.outer(i * float(self.spacing[1]), along)
        places += np.outer(j * float(self.spacing[0]), down)
        values = np.ones(len(i)) if self.segment else self.values[j, i]
        return np.column_stack([np.full(len(i), self.segment), places, values])


def voxels_of(planes: Iterable[Plane]) -> np.ndarray:
    """The voxels of all planes."""
    return np.concatenate([NONE, *(plane.voxels() for plane in planes)])


def volume_voxels(values: np.ndarray, origin: Sequence[float], axes: np.ndarray, segment: int = 0) -> np.ndarray:
    """The voxels of a volume (z, y, x); `axes`: columns are the steps (mm) of x, y and z."""
    index = np.argwhere(values)
    places = index[:, ::-1] @ np.asarray(axes).T + origin
    found = np.ones(len(index)) if segment else values[tuple(index.T)]
    return np.column_stack([np.full(len(index), segment), places, found])


def frame_planes(ds: Dataset, pixels: np.ndarray | None = None) -> list[Plane]:
    """The frames of a SEG or a map; `pixels` in place of those that pydicom reads."""
    shared = ds.SharedFunctionalGroupsSequence[0]
    frames = np.reshape(ds.pixel_array if pixels is None else pixels, (-1, ds.Rows, ds.Columns))
    found = []
    for frame, values in zip(ds.PerFrameFunctionalGroupsSequence, frames, strict=True):
        groups = {keyword: (frame if keyword in frame else shared)[keyword].value[0] for keyword in _PLACES}
        part = next((one.SegmentIdentificationSequence[0] for one in (frame, shared) if _SEGMENT in one), None)
        found.append(
            Plane(
                values,
                groups["PlanePositionSequence"].ImagePositionPatient,
                groups["PlaneOrientationSequence"].ImageOrientationPatient,
                groups["PixelMeasuresSequence"].PixelSpacing,
                int(part.ReferencedSegmentNumber) if part else 0,
            )
        )
    return found


def written(path: Path) -> Read:
    """What stands in a file: by pydicom, of a NRRD by SimpleITK, of a table with one row by Python's own csv."""
    if path.suffix == ".nrrd":
        return _image(path)
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            (row,) = csv.DictReader(file)
        return Read(numbers=tuple(float(value) for name, value in row.items() if name != "case_id"))
    ds = dcmread(path)
    if ds.Modality == "SR":
        return Read(numbers=tuple(sorted(_numbers(ds))))
    names = {int(one.SegmentNumber): str(one.SegmentLabel) for one in ds.get("SegmentSequence", ())}
    return Read(voxels_of(frame_planes(ds)), names or None)


def _image(path: Path) -> Read:
    image = sitk.ReadImage(path)
    values, axes = sitk.GetArrayFromImage(image), np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    names = {}
    while f"Segment{len(names)}_Name" in image.GetMetaDataKeys():
        names[len(names) + 1] = image.GetMetaData(f"Segment{len(names)}_Name")
    if not names:
        return Read(volume_voxels(values, image.GetOrigin(), axes))
    labels = {number: int(image.GetMetaData(f"Segment{number - 1}_LabelValue")) for number in names}
    parts = [volume_voxels(values == label, image.GetOrigin(), axes, number) for number, label in labels.items()]
    return Read(np.concatenate(parts), names)


def verdict(ours: Read, theirs: Read) -> str:
    """ "equal", or what differs."""
    if theirs.refusal:
        return f"not opened: {theirs.refusal}"
    found = (
        _voxels_differ(ours.voxels, theirs.voxels),
        "" if theirs.names is None or theirs.names == ours.names else f"names {theirs.names}",
        "" if _same_numbers(ours.numbers, theirs.numbers) else "other numbers",
    )
    differs = "; ".join(filter(None, found))
    return "; ".join(filter(None, (differs or "equal", theirs.remark)))


def _voxels_differ(ours: np.ndarray, theirs: np.ndarray) -> str:
    if len(ours) != len(theirs):
        return f"{len(theirs)} voxels in place of {len(ours)}"
    for segment in np.unique(ours[:, 0]) if len(ours) else ():
        first, second = (one[one[:, 0] == segment] for one in (ours, theirs))
        if len(first) != len(second):
            return f"{len(second)} voxels of segment {segment:g} in place of {len(first)}"
        apart, nearest = cKDTree(first[:, 1:4]).query(second[:, 1:4])
        if apart.max() > NEAR_MM or len(np.unique(nearest)) < len(first):
            return f"voxels up to {apart.max():.3g} mm away"
        if not np.allclose(first[nearest, 4], second[:, 4], rtol=1e-6, atol=0):
            return "other values"
    return ""


def _same_numbers(ours: Sequence[float], theirs: Sequence[float]) -> bool:
    return len(ours) == len(theirs) and np.allclose(sorted(ours), sorted(theirs), rtol=1e-9)


def _numbers(ds: Dataset) -> list[float]:
    found = []
    for item in ds.get("ContentSequence", ()):
        if item.ValueType == "NUM":
            found.append(float(item.MeasuredValueSequence[0].NumericValue))
        found += _numbers(item)
    return found


_PLACES = ("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence")
_SEGMENT = "SegmentIdentificationSequence"
