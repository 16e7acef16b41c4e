"""Files whose UIDs were removed: their series by folder and geometry, and UIDs that stand in for those missing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from hashlib import sha256

from pydicom import Dataset
from pydicom.uid import generate_uid

from DeepRadScoreLib.imaging.dicom.datasets import DicomFile, tag_name, text

STOOD_IN = ("SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID")
MISSED = (*STOOD_IN, "FrameOfReferenceUID")
GROUPED_BY = ("Modality", "SOPClassUID", "StudyInstanceUID", "FrameOfReferenceUID", "Rows", "Columns")
POSITION = ("ImagePositionPatient", "InstanceNumber", "AcquisitionNumber", "AcquisitionTime")


def grouped(files: Sequence[DicomFile]) -> dict[str, list[DicomFile]]:
    """Files without SeriesInstanceUID by a UID for each folder, kind and geometry.

    The UID is a hash of the content of the file of the lowest position: it does not depend on names of files, and two
    scans of one geometry have two.
    """
    groups: dict[tuple[object, ...], list[DicomFile]] = {}
    for file in files:
        key = (file.path.parent, *(text(file.header, one) for one in GROUPED_BY), *_geometry(file.header))
        groups.setdefault(key, []).append(file)
    found: dict[str, list[DicomFile]] = {}
    for members in groups.values():
        first = min(members, key=lambda member: (_place(member), str(member.path)))
        digest = sha256(first.path.read_bytes()).hexdigest()
        found.setdefault(generate_uid(entropy_srcs=[digest, *_place(first)]), []).extend(members)
    return found


def with_uids(files: Sequence[DicomFile], series: str) -> tuple[DicomFile, ...]:
    """Files of a series with UIDs in the place of missing ones (in `header`), and the keywords of those (`missing`)."""
    return tuple(_with_uids(file, series) for file in files)


def copy_uids(header: Dataset, file: DicomFile) -> None:
    """Fill the missing UIDs of the complete header of a file with those that stand in for them, in place."""
    for keyword in file.missing.intersection(STOOD_IN):
        setattr(header, keyword, file.header[keyword].value)


def missing_text(missing: Collection[str]) -> str:
    """What is said of missing UIDs in a note."""
    names = [tag_name(keyword) for keyword in MISSED if keyword in missing]
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    treated = ": they were grouped by folder and geometry" if "SeriesInstanceUID" in missing else ""
    return f"The files have no {listed}{treated}."


def _with_uids(file: DicomFile, series: str) -> DicomFile:
    missing = frozenset(keyword for keyword in MISSED if not text(file.header, keyword))
    if not missing:
        return file
    entropy = {
        "SeriesInstanceUID": None,
        "StudyInstanceUID": [series, "study"],
        "SOPInstanceUID": [series, *_place(file)],
    }
    for keyword in missing.intersection(STOOD_IN):
        sources = entropy[keyword]
        setattr(file.header, keyword, series if sources is None else generate_uid(entropy_srcs=sources))
    return replace(file, missing=missing)


def _place(file: DicomFile) -> list[str]:
    return [text(file.header, keyword) for keyword in POSITION]


def _geometry(header: Dataset) -> tuple[float, ...]:
    """Orientation and pixel spacing, rounded; empty where they are missing or no numbers."""
    stored = (text(header, keyword).split("\\") for keyword in ("ImageOrientationPatient", "PixelSpacing"))
    try:
        return tuple(round(float(value), 3) + 0.0 for values in stored for value in values)
    except ValueError:
        return ()
