"""DICOM in Slicer's way, as far as a CT series goes: `slicer.dicomDatabase` and `DICOMLib.DICOMUtils`.

After Modules/Scripted/DICOMLib/DICOMUtils.py and, for what a loaded series leaves in the scene,
DICOMScalarVolumePlugin.py and DICOMLib/DICOMPlugin.py: instance UIDs as an attribute, patient and study as items of
the subject hierarchy.
"""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pydicom
import slicer
import vtk
from PySide6.QtCore import Property, QObject

from .pythonqt import unwrap, wrap

TOLERANCE_MM = 1e-3
"""DICOMScalarVolumePlugin.py: `cornerEpsilon` of AcquisitionModeling."""


class ctkDICOMDatabase(QObject):
    """The files that are known, by series."""

    def __init__(self) -> None:
        super().__init__()
        self._series: dict[str, list[str]] = {}
        self._open = True
        self._copies = tempfile.TemporaryDirectory()

    isOpen = Property(bool, lambda self: self._open)

    def _copy(self, folder: Path) -> Path:
        """The files of a folder, copied to where they stay."""
        return Path(shutil.copytree(folder, Path(self._copies.name, uuid4().hex)))

    def _register(self, folder: Path) -> None:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and pydicom.misc.is_dicom(path):
                uid = str(pydicom.dcmread(path, stop_before_pixels=True).SeriesInstanceUID)
                if str(path) not in self._series.setdefault(uid, []):
                    self._series[uid].append(str(path))

    def filesForSeries(self, uid: str, _limit: int = -1) -> list[str]:
        return list(self._series.get(uid, []))

    def seriesForFile(self, path: str) -> str:
        return next((uid for uid, files in self._series.items() if path in files), "")

    def instancesForSeries(self, uid: str, _hits: int = -1) -> list[str]:
        return [str(_header(path).SOPInstanceUID) for path in self._series.get(uid, [])]

    def studyForSeries(self, uid: str) -> str:
        return next((str(_header(path).StudyInstanceUID) for path in self._series.get(uid, [])), "")

    def seriesForStudy(self, study: str) -> list[str]:
        return [uid for uid in self._series if self.studyForSeries(uid) == study]

    def fileForInstance(self, uid: str) -> str:
        files = (path for paths in self._series.values() for path in paths)
        return next((path for path in files if str(_header(path).SOPInstanceUID) == uid), "")

    def fileValue(self, path: str, tag: str) -> str:
        group, element = (int(part, 16) for part in tag.split(","))
        data = _header(path)
        return str(data[group, element].value) if (group, element) in data else ""


def _header(path: str) -> pydicom.Dataset:
    return _header_at(path, Path(path).stat().st_mtime_ns)


@cache
def _header_at(path: str, _time: int) -> pydicom.Dataset:
    """The header of a file as it was at a time: the real database keeps what it was told, and reads no file anew."""
    return pydicom.dcmread(path, stop_before_pixels=True)


class TemporaryDICOMDatabase:
    """Within the block `slicer.dicomDatabase` is an empty one of its own."""

    def __init__(self, directory: str | None = None) -> None:
        self.temporaryDatabaseDir = directory

    def __enter__(self) -> Any:
        self._before = slicer.dicomDatabase
        slicer.dicomDatabase = wrap(ctkDICOMDatabase())
        return slicer.dicomDatabase

    def __exit__(self, *_: object) -> None:
        slicer.dicomDatabase = self._before


def importDicom(dicomDataDir: str, dicomDatabase: Any = None, copyFiles: bool = False) -> bool:
    database = unwrap(dicomDatabase or slicer.dicomDatabase)
    database._register(database._copy(Path(dicomDataDir)) if copyFiles else Path(dicomDataDir))
    return True


def allSeriesUIDsInDatabase(database: Any = None) -> list[str]:
    return list(unwrap(database or slicer.dicomDatabase)._series)


def seriesUIDsForFiles(files: list[str]) -> set[str]:
    found = (slicer.dicomDatabase.seriesForFile(file) for file in files)
    return {uid for uid in found if uid}


def loadSeriesByUID(
    seriesUIDs: list[str],
    messages: list[str] | None = None,
    progressCallback: Any = None,
    enabledPluginClassNames: list[str] | None = None,
) -> list[str]:
    """Node IDs of the CT series that are in the database; the volumes' names are made of patient's and series' data."""
    if not isinstance(seriesUIDs, list):
        raise ValueError("SeriesUIDs must contain a list")
    if len(seriesUIDs) == 0:
        raise ValueError("No series UIDs given")
    if not slicer.dicomDatabase.isOpen:
        raise OSError("DICOM module or database cannot be accessed")
    loaded = [_load(slicer.dicomDatabase.filesForSeries(uid)) for uid in seriesUIDs]
    return [node.GetID() for node in loaded if node is not None]


def _load(files: tuple[str, ...]) -> Any:
    headers = {path: _header(path) for path in files}
    if not files or any(header.Modality != "CT" for header in headers.values()):
        return None
    first = headers[files[0]]
    ordered = sorted(files, key=lambda path: float(headers[path].ImagePositionPatient[2]))
    names = vtk.vtkStringArray()
    for path in ordered:
        names.InsertNextValue(path)
    name = f"{first.get('SeriesNumber', '')}: {first.get('SeriesDescription', '')} {first.PatientName}"
    node = slicer.modules.volumes.logic().AddArchetypeVolume(ordered[0], name, 0, names)
    if node is not None:
        node.SetAttribute("DICOM.instanceUIDs", " ".join(str(headers[path].SOPInstanceUID) for path in ordered))
        _place(node, first)
        _regularize(node, [[float(part) for part in headers[path].ImagePositionPatient] for path in ordered])
    return node


def _regularize(node: Any, positions: list[list[float]]) -> None:
    """The grid transform that Slicer puts a volume under whose slices lie elsewhere than on its regular grid.

    Its displacements are left at 0 here.
    """
    steps = [[b - a for a, b in zip(one, other, strict=True)] for one, other in pairwise(positions)]
    if all(abs(part) < TOLERANCE_MM for step in steps for part in (*step[:2], step[2] - steps[0][2])):
        return
    transform = slicer.mrmlScene.AddNewNodeByClass(
        "vtkMRMLGridTransformNode", f"{node.GetName()} acquisition transform"
    )
    transform.SetAndObserveTransformToParent(slicer.vtkOrientedGridTransform())
    node.SetAndObserveTransformNodeID(transform.GetID())


def _place(node: Any, header: pydicom.Dataset) -> None:
    """The node's item under its study, the study under its patient."""
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    parent = hierarchy.GetSceneItemID()
    for uid, name, make in (
        (str(header.PatientID), str(header.PatientName), hierarchy.CreateSubjectItem),
        (str(header.StudyInstanceUID), str(header.get("StudyDescription", "Study")), hierarchy.CreateStudyItem),
    ):
        item = hierarchy.GetItemByUID(constants.GetDICOMUIDName(), uid) or make(parent, name)
        hierarchy.SetItemUID(item, constants.GetDICOMUIDName(), uid)
        parent = item
    item = hierarchy.GetItemByDataNode(node)
    hierarchy.SetItemUID(item, constants.GetDICOMUIDName(), str(header.SeriesInstanceUID))
    hierarchy.SetItemUID(item, constants.GetDICOMInstanceUIDName(), node.GetAttribute("DICOM.instanceUIDs"))
    hierarchy.SetItemParent(item, parent)


DICOM_UTILS = {
    function.__name__: function
    for function in (TemporaryDICOMDatabase, importDicom, allSeriesUIDsInDatabase, seriesUIDsForFiles, loadSeriesByUID)
}
