"""The files of one case, written whole or not at all."""

from __future__ import annotations

import csv
import io
import os
import shutil
from pathlib import Path
from uuid import uuid4

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.analysis import MolecularProfile
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.errors import OutputError
from DeepRadScoreLib.imaging.origin import SYNTHETIC_KEY
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from DeepRadScoreLib.report.figures import patch_png
from DeepRadScoreLib.report.html import to_report_html
from DeepRadScoreLib.report.profile import profile_label, to_profile_json

MEND = "choose a folder that you may write to, with space left"


def check_folder(folder: Path) -> None:
    """Look, before the work begins, whether results can be written to a folder; creates nothing.

    Raises
    ------
    OutputError: it, or the nearest of its parents that exists, is a file or may not be written.
    """
    place = _existing(folder.absolute())
    if not place.is_dir():
        raise OutputError(
            "this is a file, not a folder", where=str(place), mend="choose another folder for the results"
        )
    if not os.access(place, os.W_OK | os.X_OK):
        raise OutputError("nothing may be written in this folder", where=str(place), mend=MEND)


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write a file under a temporary name beside it, then rename it. Text is written as UTF-8.

    Raises
    ------
    OutputError: it cannot be written; what was there before is untouched.
    """
    part = path.with_name(f".{path.name[:100]}.{uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("xb") as stream:
                stream.write(data.encode() if isinstance(data, str) else data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"the file cannot be written ({error.strerror})",
            where=str(path),
            mend="choose a place that you may write to, with space left",
        ) from error


def write_profile(profile: MolecularProfile, folder: Path) -> list[Path]:
    """Leave the results of one case in a folder: all of them, or what was there before.

    `profile.json`, `report.html`, `features.csv`, `peritumoral.nrrd`, `patch.png` and one `gradcam_<ENDPOINT>.nrrd` for
    each heat map. An older result is replaced; heat maps that the new one lacks are removed; other files stay.

    Returns
    -------
    The files' paths.

    Raises
    ------
    OutputError: the folder cannot be written.
    """
    check_folder(folder)
    target = folder.absolute()
    place = _existing(target)
    part = place / f".deepradscore.{uuid4().hex}.part"
    try:
        try:
            part.mkdir()
            fresh = part / "new"
            fresh.mkdir()
            _write_files(profile, fresh)
            names = sorted(file.name for file in fresh.iterdir())
            if target.exists():
                _exchange(fresh, target, part / "old")
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                fresh.replace(target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"the results cannot be written ({error.strerror})", where=str(folder), mend=MEND) from error
    return [folder / name for name in names]


def features_csv(case_id: str, features: dict[str, float]) -> str:
    """A feature table of one row: `case_id` and the 1702 columns, every digit kept; NaN is an empty cell."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["case_id", *FEATURE_COLUMNS])
    values = (float(features[column]) for column in FEATURE_COLUMNS)
    writer.writerow([case_id, *("" if np.isnan(value) else repr(value) for value in values)])
    return stream.getvalue()


def _write_files(profile: MolecularProfile, folder: Path) -> None:
    label = profile_label(profile)
    write_atomically(folder / "profile.json", to_profile_json(profile))
    write_atomically(folder / "report.html", to_report_html(profile))
    write_atomically(folder / "features.csv", features_csv(profile.case_id, profile.features))
    write_atomically(folder / "patch.png", patch_png(profile.prepared.patch))
    _write_image(profile.prepared.peritumoral, folder / "peritumoral.nrrd", label)
    for key, heat in profile.gradcam.items():
        image = sitk.GetImageFromArray(np.asarray(heat, dtype=np.float32)[None])
        image.CopyInformation(profile.prepared.patch.image)
        _write_image(image, folder / f"gradcam_{key}.nrrd", label)


def _write_image(image: sitk.Image, path: Path, label: str | None) -> None:
    labelled = sitk.Image(image)
    if label is not None:
        labelled.SetMetaData(SYNTHETIC_KEY, label)
    try:
        sitk.WriteImage(labelled, str(path), useCompression=True)
    except RuntimeError as error:
        raise OSError(None, "the image could not be stored", str(path)) from error


def _exchange(fresh: Path, target: Path, old: Path) -> None:
    """Move every file of `fresh` into `target`, outdated heat maps out of it; undone if one of the moves fails."""
    names = [file.name for file in fresh.iterdir()]
    outdated = {f"gradcam_{key}.nrrd" for key in KEYS} - set(names)
    old.mkdir()
    saved: list[str] = []
    placed: list[str] = []
    try:
        for name in (*names, *sorted(outdated)):
            if (target / name).is_file():
                (target / name).replace(old / name)
                saved.append(name)
        for name in names:
            (fresh / name).replace(target / name)
            placed.append(name)
    except BaseException:
        for name in placed:
            (target / name).unlink()
        for name in saved:
            (old / name).replace(target / name)
        raise


def _existing(path: Path) -> Path:
    """The path itself, or the nearest of its parents that exists."""
    return next(place for place in (path, *path.parents) if place.exists())
