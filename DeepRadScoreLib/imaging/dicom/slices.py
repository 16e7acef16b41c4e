"""The slices of a series, one for each image or frame of a multi-frame image, with position, orientation and scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.dicom.datasets import DAMAGED, DicomFile, numbers, tag_name, text

PHASE_KEYWORDS = (
    *("AcquisitionNumber", "TemporalPositionIdentifier", "TemporalPositionIndex", "NominalPercentageOfCardiacPhase"),
    *("TriggerTime", "AcquisitionDateTime", "AcquisitionTime", "FrameAcquisitionNumber", "ConvolutionKernel"),
)
"""Elements that distinguish the phases (or kernels) that some scanners store in one series, in the order tried."""


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice of a CT, before its pixels are read.

    Attributes
    ----------
    file, frame: the file of its pixels, and the frame in it from 0.
    name: "7", or "1 frame 7" in a multi-frame image; for messages.
    position: (3,) centre of its first pixel in LPS, mm.
    orientation: (2, 3) unit vectors along its rows (x of the image) and along its columns (y).
    spacing: mm between columns (x) and between rows (y).
    size: columns, rows.
    sources: the datasets of its elements: functional groups of the frame, then the header.
    """

    file: DicomFile
    frame: int
    name: str
    sop_uid: str
    position: np.ndarray
    orientation: np.ndarray
    spacing: tuple[float, float]
    size: tuple[int, int]
    slope: float
    intercept: float
    sources: tuple[Dataset, ...]

    @property
    def normal(self) -> np.ndarray:
        """(3,) unit vector, the cross product of rows and columns."""
        return np.cross(self.orientation[0], self.orientation[1])

    def value(self, keyword: str) -> str:
        """The text of an element of the frame's functional groups or of the header, "" where it is missing."""
        return text(_holder(self.sources, keyword), keyword)


def slices_of(file: DicomFile) -> list[Slice]:
    """The slice of an image, or the slices of an enhanced multi-frame image (per-frame functional groups).

    Raises
    ------
    InputError: an element that gives position, orientation or scale is missing or damaged.
    """
    if "PerFrameFunctionalGroupsSequence" not in file.header:
        return [_slice(file, 0, [file.header], file.instance)]
    try:
        shared = list(file.header.get("SharedFunctionalGroupsSequence") or [])
        frames = list(file.header.PerFrameFunctionalGroupsSequence)
        declared = int(file.header.get("NumberOfFrames") or 1)
    except DAMAGED as error:
        raise InputError(
            f"{tag_name('PerFrameFunctionalGroupsSequence')} is damaged",
            where=file.path,
            mend="export the file again",
        ) from error
    if len(frames) != declared:
        raise InputError(
            f"{tag_name('PerFrameFunctionalGroupsSequence')} describes {len(frames)} frames, "
            f"{tag_name('NumberOfFrames')} says {declared}",
            where=file.path,
            mend="export the file again",
        )
    if shared:
        shared = _groups(shared[0])
    return [
        _slice(file, n, [*_groups(frame), *shared, file.header], f"{file.instance} frame {n + 1}")
        for n, frame in enumerate(frames)
    ]


def _groups(item: Dataset) -> list[Dataset]:
    """The first item of each functional group of one frame."""
    return [element.value[0] for element in item if element.VR == "SQ" and len(element.value) > 0]


def _slice(file: DicomFile, frame: int, sources: Sequence[Dataset], name: str) -> Slice:
    def values(keyword: str, count: int) -> tuple[float, ...]:
        return numbers(_holder(sources, keyword), keyword, count, file)

    row, column = np.reshape(values("ImageOrientationPatient", 6), (2, 3))
    between_rows, between_columns = values("PixelSpacing", 2)
    slope = values("RescaleSlope", 1)[0]
    size = int(values("Columns", 1)[0]), int(values("Rows", 1)[0])
    orthonormal = max(abs(row @ row - 1), abs(column @ column - 1)) < 0.02 and abs(row @ column) < 0.001
    for good, keyword, wrong in (
        (slope != 0, "RescaleSlope", "is 0"),
        (min(between_rows, between_columns) > 0, "PixelSpacing", "is not positive"),
        (min(size) > 0, "Rows", "or Columns is 0"),
        (orthonormal, "ImageOrientationPatient", "does not hold two unit vectors at right angles"),
    ):
        if not good:
            what = f"{tag_name(keyword)} {wrong} (instance {name})"
            raise InputError(what, where=file.path, mend="export the series again")
    return Slice(
        file=file,
        frame=frame,
        name=name,
        sop_uid=text(file.header, "SOPInstanceUID"),
        position=np.array(values("ImagePositionPatient", 3)),
        orientation=_orthonormal(row, column),
        spacing=(between_columns, between_rows),
        size=size,
        slope=slope,
        intercept=values("RescaleIntercept", 1)[0],
        sources=tuple(sources),
    )


def _orthonormal(row: np.ndarray, column: np.ndarray) -> np.ndarray:
    row = row / np.linalg.norm(row)
    column = column - (column @ row) * row
    return np.stack([row, column / np.linalg.norm(column)])


def _holder(sources: Sequence[Dataset], keyword: str) -> Dataset:
    return next((source for source in sources if keyword in source), sources[-1])
