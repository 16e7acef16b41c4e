"""The files of one case."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd
import SimpleITK as sitk

from DeepRadScoreLib.analyses.findings import MolecularProfile
from DeepRadScoreLib.cohort.case_notes import CaseNotes
from DeepRadScoreLib.cohort.csv_text import csv_text
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.imaging.formats.files import write_image
from DeepRadScoreLib.imaging.origin import SYNTHETIC_KEY
from DeepRadScoreLib.paths import AnyPath, as_path
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from DeepRadScoreLib.report.figures import patch_png
from DeepRadScoreLib.report.html import to_report_html
from DeepRadScoreLib.report.profile import to_profile_json
from DeepRadScoreLib.report.regions_file import regions_segmentation
from DeepRadScoreLib.writing import write_atomically, write_folder


def write_profile(profile: MolecularProfile, folder: AnyPath) -> list[Path]:
    """Write the results of one case to a folder: all of them, or the folder stays as it was.

    `profile.json`, `report.html`, `features.csv`, `features.notes.csv`, `regions.seg.nrrd`, `peritumoral.nrrd`,
    `patch.png` and one `gradcam_<ENDPOINT>.nrrd` or `occlusion_<ENDPOINT>.nrrd` for each heat map. An older result is
    replaced, heat maps that the new one lacks are removed, other files stay.

    Returns
    -------
    The files' paths.

    Raises
    ------
    OutputError: the folder cannot be written.
    TypeError: it is neither text nor a `Path`.
    """
    folder = as_path(folder, "the folder of the results")
    names = write_folder(folder, partial(_write_files, profile), partial(outdated_heat_maps, ".nrrd"))
    return [folder / name for name in names]


def features_csv(case_id: str, features: dict[str, float]) -> str:
    """A feature table of one row: `case_id` and the 1702 columns, with every digit; NaN is an empty cell."""
    table = pd.DataFrame([features], columns=FEATURE_COLUMNS)
    table.insert(0, "case_id", case_id)
    return csv_text(table)


def notes_csv(profile: MolecularProfile) -> str:
    """The notes file of that feature table: whether the case is synthetic, and its quality codes."""
    return CaseNotes.of([profile.case_id], [profile.synthetic_case], [profile.quality], profile.engine).to_csv()


def outdated_heat_maps(ending: str, folder: Path, names: set[str]) -> list[str]:
    """Heat maps, as files with this ending, that an older result left in a folder and the new `names` lack."""
    maps = (f"{kind}_{key}{ending}" for kind in ("gradcam", "occlusion") for key in KEYS)
    return [name for name in maps if name not in names and (folder / name).is_file()]


def _write_files(profile: MolecularProfile, folder: Path) -> None:
    label = profile.label
    write_atomically(folder / "profile.json", to_profile_json(profile))
    write_atomically(folder / "report.html", to_report_html(profile))
    write_atomically(folder / "features.csv", features_csv(profile.case_id, profile.features))
    write_atomically(folder / "features.notes.csv", notes_csv(profile))
    write_atomically(folder / "patch.png", patch_png(profile.prepared.patch))
    write_image(regions_segmentation(profile.prepared, label), folder / "regions.seg.nrrd")
    _write_image(profile.prepared.peritumoral, folder / "peritumoral.nrrd", label)
    for key in profile.gradcam:
        _write_image(profile.heat_map(key), folder / f"gradcam_{key}.nrrd", label)
    for key in profile.occlusion:
        _write_image(profile.occlusion_map(key), folder / f"occlusion_{key}.nrrd", label)


def _write_image(image: sitk.Image, path: Path, label: str | None) -> None:
    labelled = sitk.Image(image)
    if label is not None:
        labelled.SetMetaData(SYNTHETIC_KEY, label)
    write_image(labelled, path)
