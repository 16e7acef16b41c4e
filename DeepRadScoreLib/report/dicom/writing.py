"""The DICOM objects of one case: made from its profile and the CT it was read from, and written to a folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset

from DeepRadScoreLib.analysis import MolecularProfile
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import Case
from DeepRadScoreLib.imaging.dicom.datasets import quiet_pydicom
from DeepRadScoreLib.pseudonyms import Pseudonyms
from DeepRadScoreLib.report.dicom.heat_maps import heat_map
from DeepRadScoreLib.report.dicom.origin import Origin, origin_of
from DeepRadScoreLib.report.dicom.segments import regions_seg, tumour_seg
from DeepRadScoreLib.report.dicom.structured import profile_sr
from DeepRadScoreLib.report.profile import to_profile_json
from DeepRadScoreLib.writing import write_folder

FOLDER = "dicom"


def to_dicom(profile: MolecularProfile, case: Case, *, hidden: Pseudonyms | None = None) -> dict[str, bytes]:
    """The files of a profile as DICOM, by name: all of one study, all referring to the source series.

    `regions.dcm` (SEG: tumour and shell on the 1 mm lattice), `tumour.dcm` (SEG: the tumour on the CT's grid),
    `profile.dcm` (SR, TID 1500) and `gradcam_<ENDPOINT>.dcm` (parametric maps). Equal input gives equal bytes.

    Parameters
    ----------
    case: what the profile was made of, read from DICOM.
    hidden: pseudonyms in place of the source's patient, study and UIDs; None: these are repeated.

    Raises
    ------
    InputError: the CT was not read from DICOM.
    """
    if case.source is None:
        raise InputError(
            "DICOM objects can be made only for a CT that is read from DICOM",
            where=case.case_id,
            mend="read the case from the folder of the CT's DICOM files",
        )
    with _quiet():
        content = _content(profile, case.tumour)
        origin = origin_of(case.source, content, label=profile.label, hidden=hidden)
        return {name: _encoded(made) for name, made in _objects(origin, profile, case.tumour).items()}


def write_dicom(files: dict[str, bytes], folder: Path) -> list[Path]:
    """Write what `to_dicom` made, all of it or nothing; heat maps of an older result that it lacks are removed.

    Raises
    ------
    OutputError: the folder cannot be written.
    """

    def write(fresh: Path) -> None:
        for name, data in files.items():
            (fresh / name).write_bytes(data)

    return [folder / name for name in write_folder(folder, write, _outdated)]


def _objects(origin: Origin, profile: MolecularProfile, tumour: sitk.Image) -> dict[str, Dataset]:
    regions, outlined = regions_seg(origin, profile.prepared), tumour_seg(origin, tumour)
    maps = {
        f"gradcam_{key}.dcm": heat_map(origin, profile.prepared.patch, key, profile.gradcam[key], number)
        for number, key in enumerate(KEYS, start=1)
        if key in profile.gradcam
    }
    report = profile_sr(origin, profile, regions, [outlined, *maps.values()])
    return {"regions.dcm": regions, "tumour.dcm": outlined, "profile.dcm": report, **maps}


def _content(profile: MolecularProfile, tumour: sitk.Image) -> Iterator[bytes]:
    yield to_profile_json(profile).encode()
    yield f"{profile.gradcam_note} {profile.model}".encode()
    for image in (tumour, profile.prepared.tumour, profile.prepared.peritumoral, profile.prepared.patch.image):
        yield repr((image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())).encode()
        yield sitk.GetArrayViewFromImage(image).tobytes()
    for key, heat in profile.gradcam.items():
        yield key.encode()
        yield np.asarray(heat, dtype=np.float32).tobytes()


def _encoded(made: Dataset) -> bytes:
    stream = BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _outdated(target: Path, names: set[str]) -> list[str]:
    maps = (f"gradcam_{key}.dcm" for key in KEYS)
    return [name for name in maps if name not in names and (target / name).is_file()]


@contextmanager
def _quiet() -> Iterator[None]:
    """Neither warnings nor log lines, which may quote values of the patient module."""
    logger = logging.getLogger("highdicom")
    disabled, logger.disabled = logger.disabled, True
    try:
        with quiet_pydicom():
            yield
    finally:
        logger.disabled = disabled
