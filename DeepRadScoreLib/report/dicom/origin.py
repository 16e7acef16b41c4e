"""Attributes shared by the DICOM objects of one run: referenced images, patient, UIDs and dates.

Equal input gives equal bytes. UIDs are hashes of the source's UIDs and of all content: an archive recognises a repeated
run and never gets two contents under one UID. No clock is read: content has the date of the source image, and the
report says so; under pseudonyms the date is 1900-01-01.
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
from DeepRadScoreLib.report.dicom.codes import MAX_LO, scheme
from DeepRadScoreLib.version import __version__

NAME = "DeepRadScore"
NO_DATE, NO_TIME = "19000101", "000000"
DATES = ("Acquisition", "Content", "Series", "Study", "InstanceCreation")
"""Where a date and time are looked for, in this order."""
EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "StudyDate", "StudyTime"),
    *("AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator"),
)
GEOMETRY = ("Rows", "Columns", "PixelSpacing", "SliceThickness", "ImagePositionPatient", "ImageOrientationPatient")
PLANE_GROUPS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
}
UIDS = ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID")
CLOCK = ("InstanceCreationDate", "InstanceCreationTime", "ContributionDateTime")
LOSSY_METHODS = ("ISO_10918_1", "ISO_14495_1", "ISO_15444_1")


@dataclass(frozen=True, eq=False)
class Origin:
    """Attributes shared by the objects of one run.

    Attributes
    ----------
    images: headers of the source images, reduced to UIDs and geometry.
    patient: a dataset whose patient and study modules every object repeats.
    deidentification: elements that say how the identity was replaced; empty where it is the source's.
    date, time: of the content (DA, TM).
    label: "synthetic: not for patients", or None.
    fingerprint: hash of everything that the objects hold.
    """

    images: tuple[Dataset, ...] = field(repr=False)
    patient: Dataset = field(repr=False)
    deidentification: Dataset
    date: str
    time: str
    label: str | None
    fingerprint: str

    def uid(self, role: str) -> UID:
        """A UID derived from the content of the run and a role in it."""
        return generate_uid(entropy_srcs=[self.fingerprint, role])

    def described(self, words: str) -> str:
        """A description after the label, if there is one, cut to the length of an LO."""
        return (words if self.label is None else f"{self.label}; {words}")[:MAX_LO]

    def common(self, role: str, series: str, number: int, description: str, *, instance: int = 1) -> dict[str, Any]:
        """The arguments that highdicom's constructors share; objects with the same `series` are in one series."""
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
            "content_date": self.date,
            "content_time": self.time,
            "specific_character_set": "ISO_IR 192",
            "coding_schemes": [scheme()],
        }

    def finish(self, made: SOPClass) -> None:
        """Give an object its patient; remove clock times and replace random UIDs."""
        made.copy_patient_and_study_information(self.patient)
        made.update(self.deidentification)
        for dataset in (made, *(made.get("ContributingEquipmentSequence") or ())):
            for keyword in CLOCK:
                if keyword in dataset:
                    delattr(dataset, keyword)
        dimensions = self.uid(f"dimensions {made.SOPInstanceUID}")
        for keyword in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
            for item in made.get(keyword) or ():
                item.DimensionOrganizationUID = dimensions


def origin_of(
    source: SourceSeries, content: Iterable[bytes], *, label: str | None, pseudonyms: Pseudonyms | None
) -> Origin:
    """The origin of a run on `source`.

    Parameters
    ----------
    content: everything that will be written; the UIDs depend on it.
    pseudonyms: replace the source's identity; None: it is repeated.
    """
    between = _between_slices(source.headers)
    images = tuple(_reference(header, between, pseudonyms) for header in source.headers)
    patient, deidentification = (
        (source.first, Dataset()) if pseudonyms is None else _pseudonymous(source.first, images[0], pseudonyms)
    )
    digest = sha256(f"{__version__} {highdicom.__version__} {pydicom.__version__} {label}".encode())
    for chunk in (_encoded([*images, patient, deidentification]), *content):
        digest.update(sha256(chunk).digest())
    date, time = _date_and_time(source.first) if pseudonyms is None else (NO_DATE, NO_TIME)
    return Origin(images, patient, deidentification, date, time, label, digest.hexdigest())


def _reference(header: Dataset, between: float | None, pseudonyms: Pseudonyms | None) -> Dataset:
    made = Dataset()
    made.SOPClassUID, made.Modality = header.SOPClassUID, "CT"
    for keyword in UIDS:
        value = text(header, keyword) or generate_uid(entropy_srcs=[text(header, "SeriesInstanceUID"), keyword])
        setattr(made, keyword, value if pseudonyms is None else pseudonyms.uid(value))
    made.SliceThickness = between
    _copy(header, made, GEOMETRY)
    if "NumberOfFrames" in header:
        made.NumberOfFrames = int(header.NumberOfFrames)
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        if header.get(keyword):
            setattr(made, keyword, [_plane_groups(item) for item in header[keyword].value])
    if text(header, "LossyImageCompression") == "01":
        made.LossyImageCompression = "01"
        _copy(header, made, ("LossyImageCompressionRatio",))
        methods = [name for name in text(header, "LossyImageCompressionMethod").split("\\") if name in LOSSY_METHODS]
        if methods:
            made.LossyImageCompressionMethod = methods
    for keyword in EMPTY:
        setattr(made, keyword, "")
    return made


def _between_slices(headers: Sequence[Dataset]) -> float | None:
    """Distance of the first two slices in mm, used as thickness where none is stated."""
    if len(headers) < 2:
        return None
    first, second = (np.array(header.ImagePositionPatient, dtype=float) for header in headers[:2])
    return round(float(np.linalg.norm(second - first)), 6)


def _copy(header: Dataset, made: Dataset, keywords: Sequence[str]) -> None:
    for keyword in keywords:
        if header.get(keyword) is not None:
            setattr(made, keyword, header[keyword].value)


def _plane_groups(item: Dataset) -> Dataset:
    """The plane position, orientation and pixel measures of a functional group."""
    made = Dataset()
    for sequence, keywords in PLANE_GROUPS.items():
        if item.get(sequence):
            inner = Dataset()
            _copy(item[sequence].value[0], inner, keywords)
            setattr(made, sequence, [inner])
    return made


def _pseudonymous(first: Dataset, image: Dataset, pseudonyms: Pseudonyms) -> tuple[Dataset, Dataset]:
    patient, deidentification = Dataset(), Dataset()
    for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID"):
        setattr(patient, keyword, image.get(keyword))
    patient.PatientID = pseudonyms.patient(patient_identity(first))
    patient.PatientName = patient.PatientID.replace("-", "^")
    deidentification.PatientIdentityRemoved = "YES"
    deidentification.DeidentificationMethod = "Written anew by DeepRadScore: names and UIDs by keyed hash"
    deidentification.LongitudinalTemporalInformationModified = "REMOVED"
    return patient, deidentification


def _date_and_time(header: Dataset) -> tuple[str, str]:
    for name in DATES:
        date, time = text(header, f"{name}Date"), text(header, f"{name}Time")
        if re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", date):
            valid = re.fullmatch(r"([01]\d|2[0-3])[0-5]\d[0-5]\d(\.\d{1,6})?", time)
            return date, time if valid else NO_TIME
    return NO_DATE, NO_TIME


def _encoded(datasets: Iterable[Dataset]) -> bytes:
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = False, True
    for dataset in datasets:
        write_dataset(stream, dataset)
    return stream.getvalue()
