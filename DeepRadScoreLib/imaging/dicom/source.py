"""The headers of the CT that a case was read from: what objects derived from it repeat and refer to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, dcmread

from DeepRadScoreLib.imaging.dicom.masks import damage_named
from DeepRadScoreLib.imaging.dicom.pairing import read_pair

GEOMETRY_KEYWORDS = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"),
    *("Rows", "Columns", "PixelSpacing", "SliceThickness", "ImagePositionPatient", "ImageOrientationPatient"),
    *("NumberOfFrames", "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """What is known of the CT series that a case was read from, its pixels aside.

    Attributes
    ----------
    files: its files, in the order of the slices; mask: the file of the mask.
    first: all of the first slice's header; it names the patient.
    headers: of each file (one per slice, a single one of a multi-frame image), in that order, the elements
        of `GEOMETRY_KEYWORDS`.
    """

    files: tuple[Path, ...]
    mask: Path
    first: Dataset = field(repr=False)
    headers: tuple[Dataset, ...] = field(repr=False)


def read_source(
    ct: Path, mask: Path | None = None, *, series: str | None = None, segment: str | None = None
) -> SourceSeries:
    """The series that `read_case` takes when it is given the same paths and choices.

    Raises
    ------
    InputError, RegionError: as `read_pair`.
    """
    pair = read_pair(Path(ct), None if mask is None else Path(mask), series=series, segment=segment)
    paths = tuple(dict.fromkeys(pair.ct.files))
    headers = []
    for path in paths:
        with damage_named(path, "CT image"):
            headers.append(dcmread(path, stop_before_pixels=True, force=True, specific_tags=list(GEOMETRY_KEYWORDS)))
    with damage_named(paths[0], "CT image"):
        first = dcmread(paths[0], stop_before_pixels=True, force=True)
    return SourceSeries(paths, pair.mask, first, tuple(headers))
