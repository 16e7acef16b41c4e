"""One DICOM file: its header and the values of its elements.

No message repeats a value of the patient module; pydicom's warnings, which could, are suppressed.
"""

from __future__ import annotations

import gc
import logging
import math
import sqlite3
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import BinaryIO

from pydicom import config, dcmread
from pydicom.datadict import keyword_dict
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from DeepRadScoreLib.errors import InputError

HEADER_KEYWORDS = (
    *("SpecificCharacterSet", "ImageType", "SOPClassUID", "SOPInstanceUID", "Modality", "PatientID"),
    *("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "InstanceNumber", "NumberOfFrames"),
    *("AcquisitionNumber", "AcquisitionTime", "AcquisitionDateTime", "TemporalPositionIdentifier"),
    *("NominalPercentageOfCardiacPhase", "TriggerTime", "ConvolutionKernel", "SliceThickness"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns"),
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "PixelRepresentation"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
HEADER_TAGS = [Tag(keyword_dict[keyword]) for keyword in HEADER_KEYWORDS]
"""The same as tags: pydicom would look up keywords anew for every file."""
DAMAGED = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OSError, NotImplementedError),
    *(
        OverflowError,
        RuntimeError,
        MemoryError,
        zlib.error,
        struct.error,
        sqlite3.Error,
        BytesLengthException,
        InvalidDicomError,
    ),
)
"""What pydicom, its decoders and highdicom raise on damaged files; highdicom keeps its indices in SQLite."""


@dataclass(frozen=True, eq=False)
class DicomFile:
    """The header of a file, as far as `HEADER_KEYWORDS` go, and the offset of its pixel data element in bytes.

    `missing`: the keywords of the UIDs that the file lacks, see `anonymised.with_uids`.
    """

    path: Path
    header: Dataset
    pixel_offset: int
    missing: frozenset[str] = frozenset()

    @property
    def instance(self) -> str:
        """The instance number as stored, "?" where there is none; for messages."""
        return text(self.header, "InstanceNumber") or "?"


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Suppress warnings and log lines of pydicom, which may quote values of the patient module.

    Callers that read DICOM enter this context once; the functions of this module do not enter it for each value.
    """
    logger = logging.getLogger("pydicom")
    disabled, mode = logger.disabled, config.settings.reading_validation_mode
    logger.disabled, config.settings.reading_validation_mode = True, config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled, config.settings.reading_validation_mode = disabled, mode


@contextmanager
def undisturbed() -> Iterator[None]:
    """`quiet_pydicom` and `collection_paused` in one."""
    with quiet_pydicom(), collection_paused():
        yield


@contextmanager
def collection_paused() -> Iterator[None]:
    """Pause `gc`: a full collection passes over the tables of pydicom and highdicom and over headers in use."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def read_header(path: Path) -> DicomFile | None:
    """The header of a DICOM file, with or without the 128-byte preamble; None where the file is no DICOM.

    Raises
    ------
    InputError: it begins as DICOM and is damaged.
    """
    try:
        with path.open("rb") as stream:
            if not _looks_like_dicom(stream):
                return None
            header = dcmread(stream, stop_before_pixels=True, force=True, specific_tags=HEADER_TAGS)
            offset = stream.tell()
            list(header.file_meta)  # parses each element: a damaged one raises here
    except DAMAGED as error:
        raise InputError("the DICOM header is damaged", where=path, mend="export the file again") from error
    if "TransferSyntaxUID" not in header.file_meta:
        implicit, little = header.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    if not text(header, "SOPClassUID"):
        header.SOPClassUID = header.file_meta.get("MediaStorageSOPClassUID", "")
    return DicomFile(path, header, offset)


def read_text(path: Path, tags: Sequence[str]) -> list[str]:
    """The text of some elements of a file, "" for each that is missing; nothing where the file cannot be read.

    Parameters
    ----------
    tags: as "0010,0020".
    """
    wanted = [Tag(*(int(part, 16) for part in tag.split(","))) for tag in tags]
    with quiet_pydicom():
        try:
            header = dcmread(path, stop_before_pixels=True, force=True, specific_tags=wanted)
            return [str(header[tag].value or "") if tag in header else "" for tag in wanted]
        except DAMAGED:
            return []


def tag_name(keyword: str) -> str:
    """ "(0028,1053) RescaleSlope"."""
    tag = Tag(keyword_dict[keyword])
    return f"({tag.group:04X},{tag.element:04X}) {keyword}"


def text(dataset: Dataset, keyword: str) -> str:
    """A value as text, "" where it is missing, empty or damaged; several values joined by a backslash."""
    try:
        value = dataset.get(keyword)
    except DAMAGED:
        return ""
    if isinstance(value, MultiValue):
        return "\\".join(map(str, value))
    return "" if value is None else str(value).strip()


def items(dataset: Dataset, *sequences: str) -> Iterator[Dataset]:
    """The items of nested sequences, one keyword for each level; an absent sequence has none."""
    if not sequences:
        yield dataset
    else:
        for item in dataset.get(sequences[0]) or ():
            yield from items(item, *sequences[1:])


def dicom_date(dataset: Dataset, keyword: str) -> date | None:
    """A date (DA), None where it is missing, empty or no date."""
    try:
        return datetime.strptime(text(dataset, keyword).replace(".", "")[:8], "%Y%m%d").date()
    except ValueError:
        return None


def patient_identity(dataset: Dataset, *, issuer: str = "") -> str:
    """The patient's identifier, to be hashed and never shown: PatientID with its issuer, else the study's UID.

    Parameters
    ----------
    issuer: is assumed where the dataset names none.
    """
    patient = text(dataset, "PatientID")
    if not patient:
        return text(dataset, "StudyInstanceUID")
    issuer = text(dataset, "IssuerOfPatientID") or issuer
    return f"{patient}\0{issuer}" if issuer else patient


def numbers(dataset: Dataset, keyword: str, count: int, file: DicomFile) -> tuple[float, ...]:
    """The finite numbers of an element.

    Raises
    ------
    InputError: it is missing, or does not hold `count` finite numbers; names file, instance and tag.
    """
    try:
        value = dataset.get(keyword)
        values = value if isinstance(value, MultiValue) else [] if value is None else [value]
        found = tuple(map(float, values))
    except DAMAGED:
        found = (math.nan,)
    if len(found) == count and all(map(math.isfinite, found)):
        return found
    wrong = "is missing" if not found else f"does not hold {count} number{'s' * (count > 1)}"
    raise InputError(
        f"{tag_name(keyword)} {wrong} (instance {file.instance})",
        where=file.path,
        mend="export the series again from the scanner or the archive, as original CT images",
    )


def _looks_like_dicom(stream: BinaryIO) -> bool:
    """Whether a file has the DICOM preamble, or begins with an element of group 0002 or 0008 of sensible length."""
    start = stream.read(132)
    stream.seek(0)
    if start[128:132] == b"DICM":
        return True
    group, element = int.from_bytes(start[:2], "little"), int.from_bytes(start[2:4], "little")
    if len(start) < 132 or group not in (2, 8) or element > 0x0100:
        return False
    return start[4:6].isalpha() or int.from_bytes(start[4:8], "little") < 128
