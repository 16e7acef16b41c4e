"""The DICOM series of a folder."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    MediaStorageDirectoryStorage,
)

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.dicom.datasets import DicomFile, quiet_pydicom, read_header, text
from DeepRadScoreLib.progress import Progress, Report, Stage, ignore

CT_CLASSES = (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
FOLDER_MEND = "give a folder with the DICOM files of one CT"


@dataclass(frozen=True, eq=False)
class SeriesFiles:
    """The files of one series, in order of their paths; `images`: the CT images among them, no localizers."""

    uid: str
    modality: str
    members: tuple[DicomFile, ...]
    images: tuple[DicomFile, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """The paths of the members."""
        return tuple(member.path for member in self.members)


class SeriesIndex(dict[str, SeriesFiles]):
    """The series of a folder by SeriesInstanceUID, of every modality, and the files that belong to none.

    Attributes
    ----------
    source: the folder or file that was searched.
    not_dicom: number of files that are not DICOM, or a DICOMDIR.
    misnamed, zips: of these, the files named `.dcm`, and the zip archives, which are not opened.
    empty, damaged: files of 0 bytes; files that begin as DICOM and cannot be read or belong to no series.
    """

    def __init__(self, source: Path) -> None:
        super().__init__()
        self.source = source
        self.not_dicom = 0
        self.misnamed: list[Path] = []
        self.zips: list[Path] = []
        self.empty: list[Path] = []
        self.damaged: list[Path] = []

    def of_modality(self, *modalities: str) -> list[SeriesFiles]:
        """The series of these modalities ("CT", "SEG", "RTSTRUCT")."""
        return [series for series in self.values() if series.modality in modalities]


def find_series(folder: Path, report: Report = ignore) -> SeriesIndex:
    """Find the series in a folder and all folders in it, whatever the files are called, or of a file or DICOMDIR.

    Parameters
    ----------
    report: called after each file.

    Raises
    ------
    InputError: the folder does not exist, or is a zip archive.
    """
    folder = Path(folder)
    if not folder.exists():
        raise InputError("the folder does not exist", where=folder, mend=FOLDER_MEND)
    if folder.is_file() and zipfile.is_zipfile(folder):
        raise InputError(
            "this is a zip archive", where=folder, mend="unpack it first and give the folder with the DICOM files"
        )
    if folder.is_file() and folder.name.upper() == "DICOMDIR":
        folder = folder.parent
    index = SeriesIndex(folder)
    found: dict[str, list[DicomFile]] = {}
    with quiet_pydicom():
        paths = list(_paths(folder))
        for done, path in enumerate(paths, start=1):
            member = _member(path, index)
            if member is not None:
                found.setdefault(text(member.header, "SeriesInstanceUID"), []).append(member)
            report(Progress(Stage.SEARCHING, done=done, total=len(paths)))
        for uid, members in sorted(found.items()):
            images = tuple(member for member in members if is_ct_image(member))
            index[uid] = SeriesFiles(uid, text(members[0].header, "Modality"), tuple(members), images)
    return index


def is_ct_image(member: DicomFile) -> bool:
    """Whether a file is a CT image (also enhanced) and no localizer."""
    header = member.header
    return text(header, "SOPClassUID") in CT_CLASSES and "LOCALIZER" not in text(header, "ImageType").upper()


def _paths(folder: Path) -> Iterator[Path]:
    if folder.is_file():
        yield folder
        return
    for where, folders, names in os.walk(folder):
        folders.sort()
        yield from (path for name in sorted(names) if (path := Path(where, name)).is_file())


def _member(path: Path, index: SeriesIndex) -> DicomFile | None:
    if path.stat().st_size == 0:
        index.empty.append(path)
        return None
    try:
        member = read_header(path)
    except InputError:
        index.damaged.append(path)
        return None
    if member is None:
        index.not_dicom += 1
        if path.suffix.lower() == ".dcm":
            index.misnamed.append(path)
        if zipfile.is_zipfile(path):
            index.zips.append(path)
        return None
    if text(member.header, "SeriesInstanceUID"):
        return member
    if member.header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        index.not_dicom += 1
    else:
        index.damaged.append(path)
    return None
