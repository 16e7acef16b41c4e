"""The DICOM objects of one case, made from its profile and its CT, and written to a folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
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
from DeepRadScoreLib.report.dicom.images import heat_map, regions_seg, tumour_seg
from DeepRadScoreLib.report.dicom.origin import Origin, origin_of
from DeepRadScoreLib.report.dicom.structured import profile_sr
from DeepRadScoreLib.report.profile import to_profile_json
from DeepRadScoreLib.report.writing import outdated_heat_maps
from DeepRadScoreLib.writing import write_folder

FOLDER = "dicom"


def to_dicom(profile: MolecularProfile, case: Case, *, pseudonyms: Pseudonyms | None = None) -> dict[str, bytes]:
    """A profile as DICOM files, by name: all in the CT's study, all referring to the source series.

    `regions.dcm` (SEG: tumour and shell on the 1 mm lattice), `tumour.dcm` (SEG: the tumour on the CT's grid),
    `profile.dcm` (SR, TID 1500) and `gradcam_<ENDPOINT>.dcm` (parametric maps). Equal input gives equal bytes.

    Parameters
    ----------
    case: the case of the profile, read from DICOM.
    pseudonyms: replace the source's patient, study and UIDs; None: these are repeated.

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
        origin = origin_of(case.source, content, label=profile.label, pseudonyms=pseudonyms)
        return {name: _encoded(made) for name, made in _objects(origin, profile, case.tumour).items()}


def write_dicom(files: dict[str, bytes], folder: Path) -> list[Path]:
    """Write the files of `to_dicom`, all or none; heat maps of an older result that they lack are removed.

    Raises
    ------
    OutputError: the folder cannot be written.
    """

    def write(fresh: Path) -> None:
        for name, data in files.items():
            (fresh / name).write_bytes(data)

    return [folder / name for name in write_folder(folder, write, partial(outdated_heat_maps, ".dcm"))]


def _objects(origin: Origin, profile: MolecularProfile, tumour: sitk.Image) -> dict[str, Dataset]:
    regions, outline = regions_seg(origin, profile.prepared), tumour_seg(origin, tumour)
    maps = {
        f"gradcam_{key}.dcm": heat_map(origin, profile.prepared.patch, key, profile.gradcam[key], number)
        for number, key in enumerate(KEYS, start=1)
        if key in profile.gradcam
    }
    report = profile_sr(origin, profile, regions, [outline, *maps.values()])
    return {"regions.dcm": regions, "tumour.dcm": outline, "profile.dcm": report, **maps}


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


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress warnings and log lines of pydicom and highdicom, which may quote values of the patient module."""
    logger = logging.getLogger("highdicom")
    disabled, logger.disabled = logger.disabled, True
    try:
        with quiet_pydicom():
            yield
    finally:
        logger.disabled = disabled
