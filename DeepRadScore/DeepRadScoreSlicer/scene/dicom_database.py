"""Slicer's DICOM database: the series in it, and the folder for what is written about them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import slicer

from DeepRadScoreSlicer.cases.worklist import DicomSeries

MODALITY = "0008,0060"


def series_of_files(files: Iterable[str]) -> list[DicomSeries]:
    """The series of the user's database that the files belong to, each once, in the order of the files."""
    uids = dict.fromkeys(slicer.dicomDatabase.seriesForFile(file) for file in files)
    return [DicomSeries(uid, modality(uid, slicer.dicomDatabase)) for uid in uids if uid]


def modality(series_uid: str, database: Any) -> str:
    """The modality of a series by its first file; "" where the database has none."""
    files = database.filesForSeries(series_uid)
    return str(database.fileValue(files[0], MODALITY)) if files else ""


def review_folder() -> Path:
    """The folder for status, notes and corrections of series from the database: beside Slicer's settings."""
    return Path(slicer.app.slicerUserSettingsFilePath).parent / "DeepRadScore"
