"""The DICOM objects of one case, made from its profile and its CT, and written to a folder."""

from __future__ import annotations

import logging
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset

from DeepRadScoreLib.analyses.findings import MolecularProfile
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import Case
from DeepRadScoreLib.imaging.dicom.datasets import collection_paused, quiet_pydicom
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreLib.pseudonyms import Pseudonyms
from DeepRadScoreLib.report.dicom import PageForm
from DeepRadScoreLib.report.dicom.document import page_objects
from DeepRadScoreLib.report.dicom.drawing import drawing_of
from DeepRadScoreLib.report.dicom.maps import heat_maps
from DeepRadScoreLib.report.dicom.origin import Origin, origin_of
from DeepRadScoreLib.report.dicom.segments import regions_seg, slices_seg
from DeepRadScoreLib.report.dicom.slices import regions_on_slices
from DeepRadScoreLib.report.dicom.structured import profile_sr
from DeepRadScoreLib.report.profile import to_profile_json
from DeepRadScoreLib.report.sheet import report_pages
from DeepRadScoreLib.report.writing import outdated_heat_maps
from DeepRadScoreLib.writing import write_folder

FOLDER = "dicom"


def to_dicom(profile: MolecularProfile, case: Case, *, pseudonyms: Pseudonyms | None = None) -> dict[str, bytes]:
    """A profile as DICOM files, by name: all in the CT's study, all referring to the source series.

    `tumour.dcm` (SEG: tumour and shell on the CT's slices), `regions.dcm` (SEG: the same on the 1 mm lattice),
    `profile.dcm` (SR, TID 1500), `gradcam_<ENDPOINT>.dcm` and `occlusion_<ENDPOINT>.dcm` (parametric maps on the CT's
    slices), each a series of its own. Equal input gives equal bytes.

    Parameters
    ----------
    case: the case of the profile, read from DICOM.
    pseudonyms: replace the source's patient, study and UIDs; None: these are repeated.

    Raises
    ------
    InputError: the CT was not read from DICOM, or its images cannot be referred to (see `check_source`).
    """
    return run_to_end(dicom_steps(profile, case, pseudonyms=pseudonyms))


def dicom_steps(
    profile: MolecularProfile, case: Case, *, pseudonyms: Pseudonyms | None = None
) -> Generator[str, None, dict[str, bytes]]:
    """`to_dicom` in short steps: yields the object that comes next."""
    steps = _steps(profile, case, pseudonyms)
    while True:
        with _making():
            try:
                step = next(steps)
            except StopIteration as end:
                made: dict[str, bytes] = end.value
                return made
        yield step


def to_dicom_pages(
    profile: MolecularProfile, case: Case, form: PageForm, *, pseudonyms: Pseudonyms | None = None
) -> dict[str, bytes]:
    """The pages of a profile's report as DICOM files, by name, for archives that take neither SEG nor SR.

    `page_1.dcm`... (secondary captures) or `page.dcm` (encapsulated PDF). With `pseudonyms` the pages do not name the
    case. Parameters and errors are those of `to_dicom`.
    """
    with _making():
        origin = _origin(profile, case, pseudonyms)
        made = page_objects(origin, report_pages(profile, named=pseudonyms is None), form)
        for one in made.values():
            origin.finish(one)
        return {name: _encoded(one) for name, one in made.items()}


def _origin(profile: MolecularProfile, case: Case, pseudonyms: Pseudonyms | None) -> Origin:
    if case.source is None:
        raise InputError(
            "DICOM objects can be made only for a CT that is read from DICOM",
            where=case.case_id,
            mend="read the case from the folder of the CT's DICOM files",
        )
    return origin_of(case.source, _content(profile, case.tumour), label=profile.label, pseudonyms=pseudonyms)


def write_dicom(files: dict[str, bytes], folder: Path) -> list[Path]:
    """Write such files, all or none; heat maps and pages of an older result that they lack are removed.

    Raises
    ------
    OutputError: the folder cannot be written.
    """

    def write(fresh: Path) -> None:
        for name, data in files.items():
            (fresh / name).write_bytes(data)

    return [folder / name for name in write_folder(folder, write, _outdated)]


def _outdated(folder: Path, names: set[str]) -> list[str]:
    pages = (path.name for path in folder.glob("page*.dcm") if re.fullmatch(r"page(_\d+)?\.dcm", path.name))
    return [*outdated_heat_maps(".dcm", folder, names), *(name for name in pages if name not in names)]


def _steps(
    profile: MolecularProfile, case: Case, pseudonyms: Pseudonyms | None
) -> Generator[str, None, dict[str, bytes]]:
    yield "noting what the DICOM objects repeat of the CT"
    origin = _origin(profile, case, pseudonyms)
    assert case.source is not None
    slices, prepared = case.source.slices, profile.prepared
    yield "making the segmentation on the CT's slices"
    on_slices = regions_on_slices(case.tumour, prepared.peritumoral, case.ct, slices)
    outline = slices_seg(origin, on_slices, prepared.shell_mm)
    yield "making the segmentation on the 1 mm lattice"
    regions = regions_seg(origin, prepared)
    maps: dict[str, bytes] = {}
    evidence: list[Dataset] = [outline]
    if profile.gradcam or profile.occlusion:
        yield "making the maps"
    for name, made, data in heat_maps(origin, case, profile):
        maps[f"{name}.dcm"] = data
        evidence.append(made)
        yield f"making the maps, {name} done"
    yield "making the structured report"
    drawing = drawing_of(origin, on_slices, slices[0].spacing)
    report = profile_sr(origin, profile, regions, drawing, evidence)
    files = {}
    for name, one in {"regions.dcm": regions, "tumour.dcm": outline, "profile.dcm": report}.items():
        yield f"encoding {name}"
        origin.finish(one)
        files[name] = _encoded(one)
    return files | maps


def _content(profile: MolecularProfile, tumour: sitk.Image) -> Iterator[bytes | memoryview]:
    yield to_profile_json(profile).encode()
    yield f"{profile.gradcam_note} {profile.model}".encode()
    for image in (tumour, profile.prepared.tumour, profile.prepared.peritumoral, profile.prepared.patch.image):
        yield repr((image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())).encode()
        yield sitk.GetArrayViewFromImage(image).data
    for kind, maps in (("", profile.gradcam), ("occlusion ", profile.occlusion)):
        for key, heat in maps.items():
            yield f"{kind}{key}".encode()
            yield np.asarray(heat, dtype=np.float32).tobytes()


def _encoded(made: Dataset) -> bytes:
    stream = BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


@contextmanager
def _making() -> Iterator[None]:
    """Suppress messages of pydicom and highdicom, which may quote values of the patient module; pause `gc`.

    A full collection passes over highdicom's tables of the standard, which it reads at the first object: 0.4 s in all.
    """
    logger = logging.getLogger("highdicom")
    disabled, logger.disabled = logger.disabled, True
    try:
        with quiet_pydicom(), collection_paused():
            yield
    finally:
        logger.disabled = disabled
