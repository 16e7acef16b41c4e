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
from pydicom import DataElement, Dataset
from pydicom.dataelem import RawDataElement
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID, generate_uid

from DeepRadScoreLib.imaging.dicom.datasets import patient_identity, text
from DeepRadScoreLib.imaging.dicom.pairing import SourceSeries
from DeepRadScoreLib.imaging.dicom.slices import Slice
from DeepRadScoreLib.pseudonyms import Pseudonyms
from DeepRadScoreLib.report.dicom.codes import MAX_LO, scheme
from DeepRadScoreLib.report.dicom.references import check_source
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
CLOCK = (
    "InstanceCreationDate",
    "InstanceCreationTime",
    "ContributionDateTime",
    "DateOfSecondaryCapture",
    "TimeOfSecondaryCapture",
)
LOSSY_METHODS = ("ISO_10918_1", "ISO_14495_1", "ISO_15444_1")


@dataclass(frozen=True, eq=False)
class Origin:
    """Attributes shared by the objects of one run.

    Attributes
    ----------
    images: headers of the source images, reduced to UIDs and geometry.
    frames: of a multi-frame image, the frame (from 0) of each slice in order of position; None: an image is a slice.
    normal: (3,) of the slices' rows and columns. between: mm between the slices along it.
    patient: a dataset whose patient and study modules every object repeats.
    deidentification: elements that say how the identity was replaced; empty where it is the source's.
    date, time: of the content (DA, TM).
    label: "synthetic: not for patients", or None.
    fingerprint: hash of everything that the objects hold.
    """

    images: tuple[Dataset, ...] = field(repr=False)
    frames: tuple[int, ...] | None
    normal: np.ndarray
    between: float
    patient: Dataset = field(repr=False)
    deidentification: Dataset
    date: str
    time: str
    label: str | None
    fingerprint: str

    def uid(self, role: str) -> UID:
        """A UID derived from the content of the run and a role in it."""
        return generate_uid(entropy_srcs=[self.fingerprint, role])

    @property
    def pixel_measures(self) -> highdicom.PixelMeasuresSequence:
        """Pixel spacing, thickness and distance of the CT's slices."""
        holder = self.images[0]
        for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
            if self.frames is not None and holder.get(groups) and holder[groups].value[0].get("PixelMeasuresSequence"):
                holder = holder[groups].value[0].PixelMeasuresSequence[0]
                break
        thickness = holder.get("SliceThickness") or self.between
        return highdicom.PixelMeasuresSequence(holder.PixelSpacing, thickness, self.between)

    def images_of(self, numbers: Sequence[int]) -> list[Dataset]:
        """The source images that hold these slices (from 0 in order of position)."""
        return [self.images[k] for k in numbers] if self.frames is None else [self.images[0]]

    def as_stored(self, slices: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
        """Planes of these slices, (slices, rows, columns, ...), as frames of `images_of`; 0 elsewhere."""
        if self.frames is None:
            return slices
        out = np.zeros((int(self.images[0].NumberOfFrames), *slices.shape[1:]), slices.dtype)
        out[[self.frames[k] for k in numbers]] = slices
        return out

    @property
    def stored_positions(self) -> list[Sequence[float]]:
        """Position (mm, LPS) of each source image, or of each frame of the one that is multi-frame, as stored."""
        if self.frames is None:
            return [image.ImagePositionPatient for image in self.images]
        groups = self.images[0].PerFrameFunctionalGroupsSequence
        return [item.PlanePositionSequence[0].ImagePositionPatient for item in groups]

    @property
    def slice_of_frame(self) -> dict[int, int]:
        """Source image, or frame of the one that is multi-frame (from 0, as stored) -> slice in order of position."""
        stored = range(len(self.images)) if self.frames is None else self.frames
        return {frame: k for k, frame in enumerate(stored)}

    @property
    def references(self) -> Dataset:
        """The item of a Referenced Series Sequence: all source images (PS3.3 C.12.2)."""
        made = Dataset()
        made.ReferencedInstanceSequence = [_referenced(image) for image in self.images]
        made.SeriesInstanceUID = self.images[0].SeriesInstanceUID
        return made

    def source_image(self, k: int) -> highdicom.sr.SourceImageForRegion:
        """The reference of a measurement to the slice `k` in order of position."""
        image = self.images[k if self.frames is None else 0]
        frame = None if self.frames is None else [self.frames[k] + 1]
        return highdicom.sr.SourceImageForRegion(image.SOPClassUID, image.SOPInstanceUID, frame)

    def described(self, words: str) -> str:
        """A description after the label, if there is one, cut to the length of an LO."""
        return (words if self.label is None else f"{self.label}; {words}")[:MAX_LO]

    def common(self, role: str, number: int, description: str) -> dict[str, Any]:
        """The arguments that highdicom's constructors share; each object is a series of its own.

        Viewers list one entry for each series and open its first object.
        """
        return {
            "series_instance_uid": self.uid(f"series {role}"),
            "series_number": number,
            "series_description": self.described(description),
            "sop_instance_uid": self.uid(f"instance {role}"),
            "instance_number": 1,
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
        """Give an object its patient; remove clock times and replace random UIDs; nobody is named as its creator."""
        made.copy_patient_and_study_information(self.patient)
        made.update(self.deidentification)
        if "ContentLabel" in made:
            made.ContentCreatorName = ""
        for dataset in (made, *(made.get("ContributingEquipmentSequence") or ())):
            for keyword in CLOCK:
                if keyword in dataset:
                    delattr(dataset, keyword)
        dimensions = self.uid(f"dimensions {made.SOPInstanceUID}")
        for keyword in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
            for item in made.get(keyword) or ():
                item.DimensionOrganizationUID = dimensions


def _referenced(image: Dataset) -> Dataset:
    made = Dataset()
    made.ReferencedSOPClassUID, made.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return made


def origin_of(
    source: SourceSeries, content: Iterable[bytes | memoryview], *, label: str | None, pseudonyms: Pseudonyms | None
) -> Origin:
    """The origin of a run on `source`.

    Parameters
    ----------
    content: everything that will be written; the UIDs depend on it.
    pseudonyms: replace the source's identity; None: it is repeated.

    Raises
    ------
    InputError: see `check_source`.
    """
    check_source(source)
    between = _between_slices(source.slices)
    blank = Dataset()
    for keyword in EMPTY:
        setattr(blank, keyword, "")
    images = tuple(_reference(header, dict(blank.items()), between, pseudonyms) for header in source.headers)
    patient, deidentification = (
        (source.first, Dataset()) if pseudonyms is None else _pseudonymous(source.first, images[0], pseudonyms)
    )
    digest = sha256(f"{__version__} {highdicom.__version__} {pydicom.__version__} {label}".encode())
    for chunk in (_encoded([*images, patient, deidentification]), *content):
        digest.update(sha256(chunk).digest())
    date, time = _date_and_time(source.first) if pseudonyms is None else (NO_DATE, NO_TIME)
    frames = tuple(one.frame for one in source.slices) if "NumberOfFrames" in source.headers[0] else None
    return Origin(
        images,
        frames,
        source.slices[0].normal,
        between,
        patient,
        deidentification,
        date,
        time,
        label,
        digest.hexdigest(),
    )


def _reference(
    header: Dataset, blank: dict[BaseTag, DataElement | RawDataElement], between: float, pseudonyms: Pseudonyms | None
) -> Dataset:
    """A source image reduced to what the objects repeat of it, with the empty elements that highdicom wants."""
    made = Dataset(blank)
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
    return made


def _between_slices(slices: Sequence[Slice]) -> float:
    """Distance of the slices along their normal, mm, from the first to the last."""
    first, last = slices[0], slices[-1]
    return round(float((last.position - first.position) @ first.normal) / (len(slices) - 1), 6)


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
