"""Results of the case under review, filed: as DICOM objects of the CT's study, PDF, plain text, and page in a browser.

DICOM objects and PDF are made of the analysis that was done last, the others of what the scene holds.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK as sitk
import slicer

from DeepRadScoreLib.errors import InputError, MissingPackageError, OutputError
from DeepRadScoreLib.imaging import Case
from DeepRadScoreLib.progress import Progress, Stage, at_most_every, in_stage, map_steps
from DeepRadScoreLib.writing import write_atomically
from DeepRadScoreSlicer.scene import dicom_database
from DeepRadScoreSlicer.scene.from_nodes import Chosen, segment_image
from DeepRadScoreSlicer.scene.results import Lesion, text_of
from DeepRadScoreSlicer.scene.voxels import set_geometry
from DeepRadScoreSlicer.translation import tr as _

if TYPE_CHECKING:
    from DeepRadScoreLib.analyses.findings import MolecularProfile

SAME_MM = 0.05
LOOK_S = 0.05


def objects_steps(
    chosen: Chosen, profile: MolecularProfile, folder: Path | None
) -> Generator[Progress, None, dict[str, bytes]]:
    """The DICOM objects of a profile by file name, in short steps; the scene stays as it is.

    Parameters
    ----------
    profile: made of `chosen`.
    folder: where the CT's files are looked for that the DICOM database lacks.

    Raises
    ------
    InputError: the CT was not loaded from DICOM, its files are not there, or it is not on their slices any more.
    MissingPackageError: pydicom or highdicom is missing or too old.
    """
    volume = chosen.volume
    instances = [] if volume is None else dicom_database.instances_of(volume)
    if not instances:
        raise InputError(
            _("the CT was not loaded from DICOM: there is no study to file DICOM objects in"),
            mend=_("load it with the module DICOM, or open a case whose CT is a DICOM folder"),
        )
    yield Progress(Stage.FILING, _("loading the library of DICOM objects"))
    try:
        from DeepRadScoreLib.imaging.dicom.source_files import source_steps
        from DeepRadScoreLib.report.dicom.writing import dicom_steps
    except ImportError as error:
        raise MissingPackageError(
            _("DICOM objects cannot be made here ({error})").format(error=error),
            where="pydicom, highdicom",
            mend=_("use Slicer 5.12 or newer, which brings both"),
        ) from error
    looking = at_most_every(LOOK_S, _files_steps(instances, folder))
    files = yield from in_stage(looking, Stage.FILING, 0, 20, len(instances) // 50 + 2)
    source, grid = yield from in_stage(source_steps(files), Stage.FILING, 20, 40, len(files) // 25 + 1)
    _check_on_slices(volume, grid)
    tumour = segment_image(chosen.segmentation, chosen.segment_id)
    case = Case(profile.case_id, grid, tumour, source=source)
    expected = len(profile.gradcam) + len(profile.occlusion) + 8
    return (yield from in_stage(dicom_steps(profile, case), Stage.FILING, 40, 95, expected))


def write_steps(
    steps: Generator[Progress, None, dict[str, bytes]], folder: Path
) -> Generator[Progress, None, list[Path]]:
    """Make DICOM objects and write them into a folder, all or none. Raises OutputError."""
    made = yield from steps
    yield Progress(Stage.FILING, _("writing the files"), 95, 100)
    from DeepRadScoreLib.report.dicom.writing import write_dicom

    return write_dicom(made, folder)


def database_steps(
    steps: Generator[Progress, None, dict[str, bytes]],
) -> Generator[Progress, None, list[str]]:
    """Make DICOM objects and put copies into Slicer's DICOM database; the value is the files' names.

    Raises
    ------
    InputError: it is not open.
    OutputError: it did not take them.
    """
    database = dicom_database.opened()
    made = yield from steps
    yield Progress(Stage.FILING, _("adding to the DICOM database"), 95, 100)
    from DICOMLib import DICOMUtils
    from pydicom import dcmread

    with tempfile.TemporaryDirectory() as scratch:
        paths = [Path(scratch, name) for name in made]
        for path, data in zip(paths, made.values(), strict=True):
            path.write_bytes(data)
        DICOMUtils.importDicom(scratch, database, copyFiles=True)
        uids = [str(dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID) for path in paths]
    lost = [name for name, uid in zip(made, uids, strict=True) if not database.fileForInstance(uid)]
    if lost:
        raise OutputError(
            _("Slicer's DICOM database did not take {files}").format(files=", ".join(lost)),
            mend=_("write them into a folder instead"),
        )
    return list(made)


def pdf_steps(profile: MolecularProfile, path: Path) -> Generator[Progress, None, Path]:
    """Write the report's pages as a PDF, in short steps. Raises OutputError."""
    yield Progress(Stage.FILING, _("loading the drawing library"))
    from DeepRadScoreLib.report.sheet import report_pages, to_pdf

    yield Progress(Stage.FILING, _("drawing the pages"), 30, 100)
    pages = report_pages(profile)
    yield Progress(Stage.FILING, _("writing the PDF"), 70, 100)
    write_atomically(path, to_pdf(pages))
    return path


def plain_text(volume: Any, lesion: Lesion | None) -> str:
    """The results of a lesion as plain text. Raises InputError where there are none."""
    from DeepRadScoreLib.report.plain_text import to_plain_text
    from DeepRadScoreLib.report.profile import from_profile_json

    return to_plain_text(from_profile_json(text_of(volume, "profile_text", lesion)))


def report_file(volume: Any, lesion: Lesion | None, name: Path) -> Path:
    """The report of a lesion's results as a file in a folder of this name among Slicer's temporary files.

    Raises
    ------
    InputError: there are no results.
    OutputError: it cannot be written.
    """
    text = text_of(volume, "report_text", lesion)
    path = Path(slicer.app.temporaryPath, "DeepRadScore", name, "report.html")
    write_atomically(path, text)
    return path


def _files_steps(instances: list[str], folder: Path | None) -> Generator[str, None, list[Path]]:
    """The files of images, each once (frames of one image share a file): those of a folder, else of the database."""
    if folder is not None:
        found = yield from _in_folder_steps(folder)
    else:
        yield _("looking for the CT in the DICOM database")
        database = dicom_database.opened()
        found = {uid: str(database.fileForInstance(uid)) for uid in instances}
    paths = [Path(found.get(uid) or "") for uid in dict.fromkeys(instances)]
    if not all(path.is_file() for path in paths):
        raise InputError(
            _("DICOM files of the CT are not there any more"),
            where=folder or _("Slicer's DICOM database"),
            mend=_("import them again with the module DICOM"),
        )
    return paths


def _in_folder_steps(folder: Path) -> Generator[str, None, dict[str, str]]:
    from DeepRadScoreLib.imaging.dicom.series import find_series_steps

    words = _("looking for the CT in {name}").format(name=folder.name)
    index = yield from map_steps(find_series_steps(folder), lambda _step: words)
    members = (member for series in index.values() for member in series.members)
    return {
        str(member.header.SOPInstanceUID): str(member.path) for member in members if "SOPInstanceUID" in member.header
    }


def _check_on_slices(volume: Any, grid: sitk.Image) -> None:
    """Refuse a volume that was cropped, resampled or moved since it was loaded."""
    here = sitk.Image(volume.GetImageData().GetDimensions(), sitk.sitkUInt8)
    set_geometry(here, volume, volume.GetImageData().GetExtent()[::2])
    if not np.allclose(_corners(here), _corners(grid), rtol=0, atol=SAME_MM):
        raise InputError(
            _(
                "the CT in the scene is not on the slices of its DICOM files any more: it was cropped, "
                "resampled or moved"
            ),
            mend=_("load it again from DICOM and analyze it as it is"),
        )


def _corners(image: sitk.Image) -> np.ndarray:
    """The lowest and highest coordinates of the corner voxels' centres, and the number of voxels, sorted by axis."""
    size = image.GetSize()
    ends = [[0, n - 1] for n in size]
    points = [image.TransformIndexToPhysicalPoint((i, j, k)) for i in ends[0] for j in ends[1] for k in ends[2]]
    return np.array([np.min(points, axis=0), np.max(points, axis=0), sorted(size)])
