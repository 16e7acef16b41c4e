"""What all objects of one run share: the images they refer to, the patient, UIDs and dates.

Equal input gives equal bytes. UIDs are hashes of the source's UIDs and of all content, so that an archive recognises
a repeated run and never sees two contents under one UID. No clock is read: content is dated as the source image, and
the report says so; under pseudonyms it is dated 1900-01-01.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import highdicom
import numpy as np
import pydicom
from highdicom.base import SOPClass
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, generate_uid

from DeepRadScoreLib.imaging.dicom.datasets import patient_identity, text
from DeepRadScoreLib.imaging.dicom.pairing import SourceSeries
from DeepRadScoreLib.pseudonyms import Pseudonyms
from DeepRadScoreLib.report.dicom.vocabulary import LONG, scheme
from DeepRadScoreLib.version import __version__

NAME = "DeepRadScore"
NO_DATE = ("19000101", "000000")
DATED_BY = ("Acquisition", "Content", "Series", "Study", "InstanceCreation")
"""Whose date and time are taken, in this order."""
EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"),
    *("AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator"),
)
NUMBERS = ("Rows", "Columns", "PixelSpacing", "SliceThickness", "ImagePositionPatient", "ImageOrientationPatient")
PLACING = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
}
UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
CLOCK = ("InstanceCreationDate", "InstanceCreationTime", "ContributionDateTime")
METHODS = ("ISO_10918_1", "ISO_14495_1", "ISO_15444_1")


@dataclass(frozen=True, eq=False)
class Origin:
    """The common ground of the objects of one run.

    Attributes
    ----------
    images: header of each source image: UIDs and geometry, nothing else.
    patient: a dataset whose patient and study modules every object repeats.
    marks: elements that say what was done to the identity; none where it is the source's own.
    dated: date and time (DA, TM) of the content.
    label: "synthetic: not for patients", or None.
    """

    images: tuple[Dataset, ...] = field(repr=False)
    patient: Dataset = field(repr=False)
    marks: Dataset
    dated: tuple[str, str]
    label: str | None
    fingerprint: str

    def uid(self, role: str) -> UID:
        """The UID of a part, by its role."""
        return generate_uid(entropy_srcs=[self.fingerprint, role])

    def described(self, words: str) -> str:
        """A description with the label before it, as long as an LO may be."""
        return (words if self.label is None else f"{self.label}; {words}")[:LONG]

    def common(self, role: str, series: str, number: int, description: str, *, instance: int = 1) -> dict[str, Any]:
        """The arguments that highdicom's constructors share; objects with one `series` lie in one series."""
        return {
            "series_instance_uid": self.uid(f"series {series}"),
            "series_number": number,
            "series_description": self.described(description),
            "sop_instance_uid": self.uid(f"instance {role}"),
            "instance_number": instance,
            "manufacturer": NAME,
            "manufacturer_model_name": NAME,
            "software_versions": __version__,
            "device_serial_number": __version__,
            "content_date": self.dated[0],
            "content_time": self.dated[1],
            "specific_character_set": "ISO_IR 192",
            "coding_schemes": [scheme()],
        }

    def finish(self, made: SOPClass) -> None:
        """Give an object its patient and take out what a clock or chance put into it."""
        made.copy_patient_and_study_information(self.patient)
        made.update(self.marks)
        for where in (made, *(made.get("ContributingEquipmentSequence") or ())):
            for keyword in CLOCK:
                if keyword in where:
                    delattr(where, keyword)
        dimensions = self.uid(f"dimensions {made.SOPInstanceUID}")
        for keyword in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
            for item in made.get(keyword) or ():
                item.DimensionOrganizationUID = dimensions


def origin_of(
    source: SourceSeries, content: Iterable[bytes], *, label: str | None, hidden: Pseudonyms | None
) -> Origin:
    """The origin of a run on `source`.

    Parameters
    ----------
    content: all that will be written; goes into the UIDs.
    hidden: what to put in place of the source's identity; None: it is repeated.
    """
    between = _between_slices(source.headers)
    images = tuple(_reference(header, between, hidden) for header in source.headers)
    patient, marks = (source.first, Dataset()) if hidden is None else _pseudonymous(source.first, images[0], hidden)
    digest = sha256(f"{__version__} {highdicom.__version__} {pydicom.__version__} {label}".encode())
    for part in (_encoded([*images, patient, marks]), *content):
        digest.update(sha256(part).digest())
    dated = _dated(source.first) if hidden is None else NO_DATE
    return Origin(images, patient, marks, dated, label, digest.hexdigest())


def _reference(header: Dataset, between: float | None, hidden: Pseudonyms | None) -> Dataset:
    made = Dataset()
    made.SOPClassUID, made.Modality = header.SOPClassUID, "CT"
    for keyword in UIDS:
        value = text(header, keyword) or generate_uid(entropy_srcs=[text(header, "SeriesInstanceUID"), keyword])
        setattr(made, keyword, value if hidden is None else hidden.uid(value))
    made.SliceThickness = between
    _copy(header, made, NUMBERS)
    if "NumberOfFrames" in header:
        made.NumberOfFrames = int(header.NumberOfFrames)
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        if header.get(keyword):
            setattr(made, keyword, [_placing(item) for item in header[keyword].value])
    if text(header, "LossyImageCompression") == "01":
        made.LossyImageCompression = "01"
        _copy(header, made, ("LossyImageCompressionRatio",))
        methods = [one for one in text(header, "LossyImageCompressionMethod").split("\\") if one in METHODS]
        if methods:
            made.LossyImageCompressionMethod = methods
    for keyword in EMPTY:
        setattr(made, keyword, "")
    return made


def _between_slices(headers: Sequence[Dataset]) -> float | None:
    """The distance of the first two slices in mm: what stands for a thickness that is not stated."""
    if len(headers) < 2:
        return None
    first, second = (np.array(header.ImagePositionPatient, dtype=float) for header in headers[:2])
    return round(float(np.linalg.norm(second - first)), 6)


def _copy(header: Dataset, made: Dataset, keywords: Sequence[str]) -> None:
    for keyword in keywords:
        if header.get(keyword) is not None:
            setattr(made, keyword, header[keyword].value)


def _placing(item: Dataset) -> Dataset:
    """Of a functional group what places its frame."""
    made = Dataset()
    for sequence, keywords in PLACING.items():
        if item.get(sequence):
            inner = Dataset()
            _copy(item[sequence].value[0], inner, keywords)
            setattr(made, sequence, [inner])
    return made


def _pseudonymous(first: Dataset, image: Dataset, hidden: Pseudonyms) -> tuple[Dataset, Dataset]:
    patient, marks = Dataset(), Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"):
        setattr(patient, keyword, image.get(keyword))
    patient.PatientID = hidden.patient(patient_identity(first))
    patient.PatientName = patient.PatientID.replace("-", "^")
    marks.PatientIdentityRemoved = "YES"
    marks.DeidentificationMethod = "Written anew by DeepRadScore: names and UIDs by keyed hash"
    marks.LongitudinalTemporalInformationModified = "REMOVED"
    return patient, marks


def _dated(header: Dataset) -> tuple[str, str]:
    for name in DATED_BY:
        date, time = text(header, f"{name}Date"), text(header, f"{name}Time")
        if re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", date):
            sound = re.fullmatch(r"([01]\d|2[0-3])[0-5]\d[0-5]\d(\.\d{1,6})?", time)
            return date, time if sound else NO_DATE[1]
    return NO_DATE


def _encoded(datasets: Iterable[Dataset]) -> bytes:
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = False, True
    for dataset in datasets:
        write_dataset(stream, dataset)
    return stream.getvalue()
