"""A CT in DICOM and its mask: the choice of the series, and of the SEG or RTSTRUCT that belongs to it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, dcmread

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.dicom.anonymised import copy_uids
from DeepRadScoreLib.imaging.dicom.ct import CtSeries, read_ct, read_ct_steps
from DeepRadScoreLib.imaging.dicom.datasets import DicomFile, text, undisturbed
from DeepRadScoreLib.imaging.dicom.series import SeriesIndex, find_series
from DeepRadScoreLib.imaging.dicom.slices import Slice
from DeepRadScoreLib.imaging.dicom.structures.masks import (
    KINDS,
    MASK_MEND,
    References,
    check_mask_kind,
    damage_named,
    mask_references,
)
from DeepRadScoreLib.imaging.dicom.structures.rtstruct import read_rtstruct
from DeepRadScoreLib.imaging.dicom.structures.seg import read_seg
from DeepRadScoreLib.imaging.formats.files import SUFFIXES
from DeepRadScoreLib.imaging.masks.segments import MaskContent
from DeepRadScoreLib.progress import Progress, run_to_end


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """The CT series that a case was read from, without its pixels: what derived objects repeat and refer to.

    Attributes
    ----------
    files: its files, in the order of the slices. mask: the file of the mask.
    first: the complete header of the first slice; it names the patient.
    headers: of each file (one per slice, a single one of a multi-frame image), in that order, the elements of
        `datasets.HEADER_KEYWORDS`.
    slices: the slices as they are stored, one for each slice of the case's CT and in its order.
    """

    files: tuple[Path, ...]
    mask: Path
    first: Dataset = field(repr=False)
    headers: tuple[Dataset, ...] = field(repr=False)
    slices: tuple[Slice, ...] = field(repr=False)


@dataclass(frozen=True)
class Pair:
    """A CT and the file of its mask; `content` is None where that file is NRRD or NIfTI and still to be read."""

    ct: CtSeries
    mask: Path
    content: MaskContent | None

    def source(self) -> SourceSeries:
        """The headers of the CT; the first one is read again, complete.

        Raises
        ------
        InputError: that header is damaged.
        """
        return source_series(self.ct.members, self.ct.slices, self.mask)


def source_series(members: Sequence[DicomFile], slices: tuple[Slice, ...], mask: Path) -> SourceSeries:
    """The headers of a CT's files, in the order of its slices; the first one is read again, complete.

    Raises
    ------
    InputError: that header is damaged.
    """
    files = tuple(member.path for member in members)
    with damage_named(files[0], "CT image"):
        first = dcmread(files[0], stop_before_pixels=True, force=True)
        copy_uids(first, members[0])
    return SourceSeries(files, mask, first, tuple(member.header for member in members), slices)


def read_pair(
    ct: Path | SeriesIndex, mask: Path | None, *, series: str | None, segment: str | None, all_rois: bool = False
) -> Pair:
    """Read a CT from DICOM, and its mask if that is DICOM too.

    Parameters
    ----------
    ct: a folder or file, as in `find_series`, or an index of series.
    mask: a file; or a folder, or None for the folder of the CT, that holds one SEG or RTSTRUCT (of several, the one
        that refers to `series`).
    series: as in `read_ct`; None: the series that the mask refers to, or the only one.
    segment, all_rois: the ROI of the tumour in an RTSTRUCT and whether all others are drawn, as in `read_rtstruct`.

    Raises
    ------
    InputError, RegionError: as `read_ct`, `read_seg` and `read_rtstruct`; no mask, or several and none chosen.
    """
    index = ct if isinstance(ct, SeriesIndex) else find_series(ct)
    if mask is None or mask.is_dir():
        mask = only_mask(index if mask is None else find_series(mask), series)
    if mask.name.lower().endswith(SUFFIXES):
        return Pair(read_ct(index, series=series), mask, None)
    kind = check_mask_kind(mask)
    with undisturbed():
        volume = run_to_end(read_ct_of_mask_steps(index, mask, series=series))
    content = (
        read_seg(mask, volume) if kind == "DICOM SEG" else read_rtstruct(mask, volume, roi=segment, all_rois=all_rois)
    )
    return Pair(volume, mask, content)


def read_ct_of_mask_steps(index: SeriesIndex, mask: Path, *, series: str | None) -> Generator[Progress, None, CtSeries]:
    """Read the CT on which a SEG or RTSTRUCT was drawn, as `read_ct_steps`; `series` overrides what that refers to."""
    references = mask_references(mask)
    return (
        yield from read_ct_steps(
            index, series=series, referenced=_referenced(index, references), referenced_sops=tuple(references.images)
        )
    )


def only_mask(index: SeriesIndex, series: str | None) -> Path:
    """The one SEG or RTSTRUCT of an index; of several, the one that refers to `series`.

    Raises
    ------
    InputError: there is none, or several and none chosen.
    """
    found = [
        member.path for one in index.values() for member in one.members if text(member.header, "SOPClassUID") in KINDS
    ]
    if series is not None and len(found) > 1:
        uid = series.partition("/")[0]
        found = [path for path in found if uid in mask_references(path).series] or found
    if not found:
        raise InputError("there is no DICOM SEG or RTSTRUCT in the folder", where=index.source, mend=MASK_MEND)
    if len(found) > 1:
        listed = ", ".join(str(path.relative_to(index.source)) for path in sorted(found)[:6])
        raise InputError(
            f"there are {len(found)} DICOM SEG or RTSTRUCT files in the folder and none was chosen",
            where=index.source,
            mend=f"give the file of one: {listed}",
        )
    return found[0]


def _referenced(index: SeriesIndex, references: References) -> str | None:
    """UID of the one CT series to which the mask refers, by series or else by images; None where there is not one."""
    images = [one for one in index.of_modality("CT") if one.images]
    by_series = [one.uid for one in images if one.uid in references.series]
    by_images = [
        one.uid
        for one in images
        if any(text(member.header, "SOPInstanceUID") in references.images for member in one.images)
    ]
    return next((found[0] for found in (by_series, by_images) if len(found) == 1), None)
