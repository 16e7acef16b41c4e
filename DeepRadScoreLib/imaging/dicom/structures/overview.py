"""The segments and references of a DICOM mask, from its header alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, dcmread

from DeepRadScoreLib.imaging.dicom.datasets import text
from DeepRadScoreLib.imaging.dicom.structures.masks import KINDS, DicomSegment, References, damage_named, references_in
from DeepRadScoreLib.imaging.dicom.structures.rois import rois_in
from DeepRadScoreLib.imaging.dicom.structures.seg import segments_in


@dataclass(frozen=True, eq=False)
class MaskOverview:
    """A SEG or RTSTRUCT whose voxels have not been read or drawn.

    Attributes
    ----------
    segments: its segments, of which some of a SEG may be empty; of an RTSTRUCT the ROIs that have contours.
    frames: FrameOfReferenceUIDs of the mask or its ROIs.
    header: the dataset without its pixels; it names the patient.
    """

    path: Path
    segments: tuple[DicomSegment, ...]
    references: References
    frames: frozenset[str]
    header: Dataset = field(repr=False)

    @property
    def tumours(self) -> tuple[DicomSegment, ...]:
        """The segments whose names or coded types say tumour."""
        return tuple(one for one in self.segments if one.counts_as_tumour)


def read_overview(path: Path) -> MaskOverview:
    """Read the header of a DICOM SEG or RTSTRUCT.

    Raises
    ------
    InputError: it cannot be read, or two of its segments have one number. RegionError: it holds no segment.
    """
    with damage_named(path, "DICOM mask"):
        header = dcmread(path, force=True, stop_before_pixels=True)
        frames = {text(header, "FrameOfReferenceUID")}
        if KINDS.get(text(header, "SOPClassUID")) == "RTSTRUCT":
            rois = rois_in(header, path)
            frames.update(roi.frame_of_reference for roi in rois)
            segments = tuple(roi.segment() for roi in rois if roi.contours)
        else:
            segments = tuple(segments_in(header, path))
        return MaskOverview(path, segments, references_in(header), frozenset(frames - {""}), header)
