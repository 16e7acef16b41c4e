"""The DICOM series of a folder."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    MediaStorageDirectoryStorage,
)

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.dicom.anonymised import grouped, with_uids
from DeepRadScoreLib.imaging.dicom.datasets import DicomFile, items, quiet_pydicom, read_header, text
from DeepRadScoreLib.imaging.dicom.structures.masks import KINDS
from DeepRadScoreLib.progress import Progress, Report, Stage, each_within, ignore, run_to_end

CT_CLASSES = (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
MAP_KINDS = frozenset(
    (
        *("PERFUSION", "PERMEABILITY", "PARAMETRIC", "QUANTITY", "CBF", "CBV", "MTT", "TTP", "TMAX", "TTD", "TTS"),
        *("IODINE", "ZEFF", "RHO", "SPECIFIC", "FRACTIONAL", "ATOMIC", "DENSITY", "BASED"),
    )
)
"""Words of (0008,0008) ImageType of a derived image that is a map: of perfusion, or of materials (MAT_SPECIFIC,
MAT_FRACTIONAL, MAT_VALUE_BASED, EFF_ATOMIC_NUM, ELECTRON_DENSITY; PS3.3 section C.8.2.1.1.1)."""
MAP_UNITS = ("MGML", "Z_EFF", "ED", "EDW", "PCT", "S", "SEC", "MS")
"""Values of (0028,1054) RescaleType that are units of maps (PS3.3 section C.11.1.1.2), and units of time."""
FOLDER_MEND = "give a folder with the DICOM files of one CT"


@dataclass(frozen=True, eq=False)
class SeriesFiles:
    """The files of one series, in order of their paths; `images`: the CT images among them, no localizers and maps."""

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

    Files without a SeriesInstanceUID are grouped, and get one, see `anonymised`.

    Attributes
    ----------
    source: the folder or file that was searched.
    not_dicom: number of files that are not DICOM, or a DICOMDIR.
    misnamed, zips: of these, the files named `.dcm`, and the zip archives, which are not opened.
    empty, damaged: files of 0 bytes; files that begin as DICOM and cannot be read, or hold no image and no mask.
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
    return run_to_end(find_series_steps(folder), report)


def find_series_steps(folder: Path) -> Generator[Progress, None, SeriesIndex]:
    """`find_series` in steps, one after each file. Raises as that does."""
    folder = Path(folder)
    if not folder.exists():
        raise InputError("the folder does not exist", where=folder, mend=FOLDER_MEND)
    if folder.is_file() and zipfile.is_zipfile(folder):
        raise InputError(
            "this is a zip archive", where=folder, mend="unpack it first and give the folder with the DICOM files"
        )
    if folder.is_file() and folder.name.upper() == "DICOMDIR":
        folder = folder.parent
    return (yield from each_within(quiet_pydicom, _index_steps(SeriesIndex(folder), list(_paths(folder)))))


def index_steps(files: Iterable[Path]) -> Generator[Progress, None, SeriesIndex]:
    """The series of the given files, as a DICOM database names them, in steps, one after each file.

    Those that do not exist are left out.

    Raises
    ------
    InputError: none of them exists.
    """
    paths = sorted(path for path in map(Path, files) if path.is_file())
    if not paths:
        raise InputError(
            "the DICOM files of the series are not there any more", mend="import the series into the database again"
        )
    index = SeriesIndex(Path(os.path.commonpath([path.parent for path in paths])))
    return (yield from each_within(quiet_pydicom, _index_steps(index, paths)))


def _index_steps(index: SeriesIndex, paths: Sequence[Path]) -> Generator[Progress, None, SeriesIndex]:
    found: dict[str, list[DicomFile]] = {}
    for done, path in enumerate(paths, start=1):
        member = _member(path, index)
        if member is not None:
            found.setdefault(text(member.header, "SeriesInstanceUID"), []).append(member)
        yield Progress(Stage.SEARCHING, done=done, total=len(paths))
    unnamed = grouped(found.pop("", ()))
    for uid, files in sorted((found | unnamed).items()):
        members = with_uids(files, uid)
        images = tuple(member for member in members if is_ct_image(member))
        index[uid] = SeriesFiles(uid, text(members[0].header, "Modality"), members, images)
    return index


def is_ct_image(member: DicomFile) -> bool:
    """Whether a file is a CT image (also enhanced), and neither a localizer nor a map of another quantity."""
    header = member.header
    if text(header, "SOPClassUID") not in CT_CLASSES:
        return False
    kind = text(header, "ImageType").upper()
    derived = kind.startswith("DERIVED") and not MAP_KINDS.isdisjoint(re.split(r"[^A-Z0-9]+", kind))
    return "LOCALIZER" not in kind and not derived and not any(map(_is_map_unit, _units(header)))


def _units(header: Dataset) -> Iterator[str]:
    """(0028,1054) RescaleType of an image, or of the frames of an enhanced one."""
    yield text(header, "RescaleType")
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in items(header, groups, "PixelValueTransformationSequence"):
            yield text(group, "RescaleType")


def _is_map_unit(unit: str) -> bool:
    return unit.upper() in MAP_UNITS or "/" in unit or "%" in unit


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
    if any(text(member.header, keyword) for keyword in ("SeriesInstanceUID", "Rows")):
        return member
    if text(member.header, "SOPClassUID") in KINDS:
        return member
    if member.header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        index.not_dicom += 1
    else:
        index.damaged.append(path)
    return None
