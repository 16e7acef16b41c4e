"""The headers of the CT that a case was read from: what objects derived from it repeat and refer to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, dcmread

from DeepRadScoreLib.imaging.dicom.masks import damage_named
from DeepRadScoreLib.imaging.dicom.pairing import Pair


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """The CT series that a case was read from, without its pixels.

    Attributes
    ----------
    files: its files, in the order of the slices; mask: the file of the mask.
    first: the complete header of the first slice; it names the patient.
    headers: of each file (one per slice, a single one of a multi-frame image), in that order, the elements of
        `datasets.HEADER_KEYWORDS`.
    """

    files: tuple[Path, ...]
    mask: Path
    first: Dataset = field(repr=False)
    headers: tuple[Dataset, ...] = field(repr=False)


def source_of(pair: Pair) -> SourceSeries:
    """The source of a pair that was read; only the first header is completed from its file.

    Raises
    ------
    InputError: that header is damaged.
    """
    files = tuple(member.path for member in pair.ct.members)
    with damage_named(files[0], "CT image"):
        first = dcmread(files[0], stop_before_pixels=True, force=True)
    return SourceSeries(files, pair.mask, first, tuple(member.header for member in pair.ct.members))
