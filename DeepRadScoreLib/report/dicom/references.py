"""Whether the images of a CT can be referred to: no object refers to an image that nobody has."""

from __future__ import annotations

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.dicom.datasets import tag_name, text
from DeepRadScoreLib.imaging.dicom.pairing import SourceSeries

REFERENCED = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
MEND = "give the CT as it stands in the archive, or leave the DICOM output out"


def check_source(source: SourceSeries) -> None:
    """Check that the CT's images can be referred to.

    Raises
    ------
    InputError: an image without a UID that references need, images that share theirs or are of several studies, or
        several multi-frame images.
    """
    for file in (one.file for one in source.slices):
        for keyword in REFERENCED:
            if keyword in file.missing:
                what = f"DICOM objects cannot refer to an image without {tag_name(keyword)}"
                raise InputError(what, where=file.path, mend=MEND)
    uids = {keyword: [text(header, keyword) for header in source.headers] for keyword in REFERENCED}
    several_frames = len(source.headers) > 1 and any("NumberOfFrames" in header for header in source.headers)
    for wrong, how in (
        (len(set(uids["SOPInstanceUID"])) < len(source.headers), f"share their {tag_name('SOPInstanceUID')}"),
        (len(set(uids["StudyInstanceUID"])) > 1, f"differ in {tag_name('StudyInstanceUID')}"),
        (several_frames, "are several multi-frame images"),
    ):
        if wrong:
            what = f"DICOM objects cannot refer to the CT: its images {how}"
            raise InputError(what, where=source.files[0].parent, mend=MEND)
