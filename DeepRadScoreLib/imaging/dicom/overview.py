"""What a DICOM mask holds and belongs to, by its header alone: for choosing among many before any is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, dcmread

from DeepRadScoreLib.imaging.dicom.datasets import text
from DeepRadScoreLib.imaging.dicom.masks import (
    KINDS,
    DicomSegment,
    References,
    damage_named,
    references_in,
    says_tumour,
)
from DeepRadScoreLib.imaging.dicom.rois import rois_in
from DeepRadScoreLib.imaging.dicom.seg import segments_in


@dataclass(frozen=True, eq=False)
class MaskOverview:
    """A SEG or RTSTRUCT that was not drawn yet.

    Attributes
    ----------
    segments: its segments; of an RTSTRUCT the ROIs that have contours. Those of a SEG may turn out to be empty.
    frames: FrameOfReferenceUIDs that it, or its ROIs, lie in.
    header: all of it but the pixels; it names the patient.
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


def overview(path: Path) -> MaskOverview:
    """Look into a DICOM SEG or RTSTRUCT.

    Raises
    ------
    InputError: it cannot be read, or two of its segments have one number. RegionError: it holds none.
    """
    with damage_named(path, "DICOM mask"):
        header = dcmread(path, force=True, stop_before_pixels=True)
        frames = {text(header, "FrameOfReferenceUID")}
        if KINDS.get(text(header, "SOPClassUID")) == "rtstruct":
            rois = rois_in(header, path)
            frames.update(roi.frame_of_reference for roi in rois)
            segments = tuple(
                DicomSegment(roi.name, roi.identity, 0, roi.value, says_tumour(roi.true_name))
                for roi in rois
                if roi.contours
            )
        else:
            segments = tuple(segments_in(header, path))
        return MaskOverview(path, segments, references_in(header), frozenset(frames - {""}), header)
