"""Slicer's DICOM database: the series chosen in it, their files, the masks of their study, and whose they are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer

from DeepRadScoreLib.errors import InputError
from DeepRadScoreSlicer.cases.worklist import DicomSeries
from DeepRadScoreSlicer.translation import tr as _

MODALITY = "0008,0060"
PATIENT = ("0010,0010", "0010,0020", "0008,0020")
"""Tags of name and ID of the patient and of the study's date."""
FRAME_OF_REFERENCE = "0020,0052"
MASKS = ("SEG", "RTSTRUCT")
INSTANCES = "DICOM.instanceUIDs"
"""Attribute of a volume node that Slicer's DICOM module gives it: SOPInstanceUIDs of its slices, in their order."""
MAX_NAMES = 5


@dataclass(frozen=True)
class StudyMask:
    """A SEG or RTSTRUCT that was drawn on a series: its file, and its kind with the names of its segments."""

    path: Path
    title: str


def selected_series(browser: Any | None) -> list[DicomSeries]:
    """The series that are selected in the window of Slicer's DICOM module, in the order they have there.

    The window holds two browsers, tables and (in newer versions with a model of its own) pictures; the one that was
    not hidden by the other counts.
    """
    if browser is None:
        return []
    visual = getattr(browser, "dicomVisualBrowser", None)
    if visual is not None and not visual.isHidden():
        uids = _selected_pictures(visual)
    else:
        uids = series_of_files(files[0] for files in browser.fileLists if files)
    return [DicomSeries(uid, modality(uid)) for uid in uids]


def _selected_pictures(visual: Any) -> list[str]:
    """SeriesInstanceUIDs of the selected pictures, in Slicer 5.12 (`patientView`) and 5.10."""
    if hasattr(visual, "patientView"):
        return [str(uid) for uid in visual.patientView().selectedSeriesInstanceUIDs()]
    patient = visual.patientsTabWidget().currentWidget()
    found = []
    for study in patient.studyItemWidgetsList() if patient is not None else ():
        table = study.seriesListTableWidget()
        for item in table.selectedItems():
            found.append(str(table.cellWidget(item.row(), item.column()).seriesInstanceUID))
    return found


def series_of_files(files: Iterable[str]) -> list[str]:
    """UIDs of the series of the database that the files belong to, each once, in the order of the files."""
    uids = dict.fromkeys(opened().seriesForFile(file) for file in files)
    return [str(uid) for uid in uids if uid]


def modality(series_uid: str) -> str:
    """The modality of a series by its first file; "" where the database has none."""
    files = opened().filesForSeries(series_uid)
    return str(opened().fileValue(files[0], MODALITY)) if files else ""


def files_of(series_uid: str) -> list[Path]:
    """The files of a series.

    Raises
    ------
    InputError: the database is not open, or has no such series.
    """
    files = [Path(str(file)) for file in opened().filesForSeries(series_uid)]
    if not files:
        raise InputError(_("the series is not in Slicer's DICOM database any more"), mend=_("import it again"))
    return files


def instances_of(volume: Any) -> list[str]:
    """SOPInstanceUIDs of a volume that was loaded from DICOM; none of any other."""
    return [uid for uid in (volume.GetAttribute(INSTANCES) or "").split() if uid != "Unknown"]


def series_of(volume: Any) -> str:
    """SeriesInstanceUID of a volume whose slices are in the database; "" where they are not."""
    uids = instances_of(volume)
    file = opened().fileForInstance(uids[0]) if uids else ""
    return str(opened().seriesForFile(file)) if file else ""


def masks_of(series_uid: str) -> list[StudyMask]:
    """The SEG and RTSTRUCT objects of a series' study that refer to the series or to one of its images.

    Where none does, those in its frame of reference; a remark will say so when one of them is read.

    Raises
    ------
    InputError: the database is not open, or a mask's file is damaged.
    MissingPackageError: there are such objects, and pydicom is too old to read them (Slicer 5.10).
    """
    database, first = opened(), str(files_of(series_uid)[0])
    study = database.studyForSeries(series_uid)
    others = [str(uid) for uid in database.seriesForStudy(study)] if study else []
    files = [path for uid in others if modality(uid) in MASKS for path in files_of(uid)]
    if not files:
        return []
    from DeepRadScoreLib.imaging.dicom.structures.overview import read_overview

    overviews = [read_overview(path) for path in files]
    images = {str(uid) for uid in database.instancesForSeries(series_uid)}
    named = [
        one for one in overviews if series_uid in one.references.series or not images.isdisjoint(one.references.images)
    ]
    frame = str(database.fileValue(first, FRAME_OF_REFERENCE))
    found = named or [one for one in overviews if frame and frame in one.frames]
    return [StudyMask(one.path, _title(one)) for one in found]


def _title(overview: Any) -> str:
    names = [segment.name for segment in overview.segments]
    more = ", …" if len(names) > MAX_NAMES else ""
    kind = "RTSTRUCT" if str(overview.header.Modality) == "RTSTRUCT" else "SEG"
    return f"{kind}: {', '.join(names[:MAX_NAMES])}{more}"


def whose(volume: Any) -> tuple[str, ...]:
    """Name and ID of the patient and date of the study, as the database has them: to be shown, and kept nowhere."""
    database = getattr(slicer, "dicomDatabase", None)
    uids = instances_of(volume)
    if database is None or not database.isOpen or not uids:
        return ()
    file = database.fileForInstance(uids[0])
    return _readable(str(database.fileValue(file, tag)) for tag in PATIENT) if file else ()


def whose_file(path: Path) -> tuple[str, ...]:
    """The same of a DICOM file; nothing where it cannot be read."""
    from DeepRadScoreLib.imaging.dicom.datasets import read_text

    return _readable(read_text(path, PATIENT))


def _readable(values: Iterable[str]) -> tuple[str, ...]:
    shown = (" ".join(value.replace("^", " ").split()) for value in values if value)
    return tuple(re.sub(r"^(\d{4})(\d{2})(\d{2})$", r"\1-\2-\3", value) for value in shown)


def review_folder() -> Path:
    """The folder for status, notes and corrections of series from the database: beside Slicer's settings."""
    return Path(slicer.app.slicerUserSettingsFilePath).parent / "DeepRadScore"


def opened() -> Any:
    """The open database. Raises InputError where there is none."""
    database = getattr(slicer, "dicomDatabase", None)
    if database is None or not database.isOpen:
        raise InputError(_("Slicer's DICOM database is not open"), mend=_("open the module DICOM once, then try again"))
    return database
