"""Folders and files written whole or not at all, and the files of one case."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
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
from DeepRadScoreLib.unfinished import in_one_go, unfinished

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
    """Write a file as `written_atomically` does. Text is written as UTF-8.

    Raises
    ------
    OutputError: it cannot be written; what was there before is untouched.
    """
    with written_atomically(path) as stream:
        stream.write(data.encode() if isinstance(data, str) else data)


@contextmanager
def written_atomically(path: Path) -> Iterator[BinaryIO]:
    """A file to write into, under a temporary name beside `path`; it gets its name at the end.

    Raises
    ------
    OutputError: it cannot be written; what was there before is untouched.
    """
    part = path.with_name(f".{path.name[:100]}.{uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("xb") as stream:
                yield stream
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"the file cannot be written ({error.strerror})",
            where=str(path),
            mend="choose a place that you may write to, with space left",
        ) from error


def write_folder(
    folder: Path,
    write: Callable[[Path], None],
    outdated: Callable[[Path, set[str]], Iterable[str]],
    last: Sequence[str] = (),
) -> list[str]:
    """Leave what `write` writes in a folder: all of it, or what was there before.

    All is made in a temporary folder beside it (or in it, if it is there). A new folder then comes with one move; into
    an old one the files are moved one by one, undone if one of the moves fails. Files with other names stay.

    Parameters
    ----------
    write: fills the empty folder that it is given.
    outdated: (old folder, names of the new files) -> names of the files to be removed from it.
    last: names of files that are moved last, in this order.

    Returns
    -------
    The files' names, as POSIX paths below the folder, in the order in which they are moved.

    Raises
    ------
    OutputError: the folder cannot be written.
    """
    check_folder(folder)
    target = folder.absolute()
    part = _existing(target) / f".deepradscore.{uuid4().hex}.part"
    try:
        with unfinished(part):
            fresh = part / "new"
            fresh.mkdir(parents=True)
            write(fresh)
            found = [path.relative_to(fresh).as_posix() for path in fresh.rglob("*") if path.is_file()]
            names = [*sorted(set(found) - set(last)), *(name for name in last if name in found)]
            with in_one_go():
                if target.exists():
                    _exchange(fresh, target, part / "old", names, list(outdated(target, set(names))))
                else:
                    _place(fresh, target)
    except OSError as error:
        raise OutputError(f"the results cannot be written ({error.strerror})", where=str(folder), mend=MEND) from error
    return names


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
    names = write_folder(folder, lambda fresh: _write_files(profile, fresh), _outdated)
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
    for key in profile.gradcam:
        _write_image(profile.heat_map(key), folder / f"gradcam_{key}.nrrd", label)


def _write_image(image: sitk.Image, path: Path, label: str | None) -> None:
    labelled = sitk.Image(image)
    if label is not None:
        labelled.SetMetaData(SYNTHETIC_KEY, label)
    try:
        sitk.WriteImage(labelled, str(path), useCompression=True)
    except RuntimeError as error:
        raise OSError(None, "the image could not be stored", str(path)) from error


def _outdated(target: Path, names: set[str]) -> list[str]:
    """Heat maps of an older result that the new one lacks."""
    maps = (f"gradcam_{key}.nrrd" for key in KEYS)
    return [name for name in maps if name not in names and (target / name).is_file()]


def _place(fresh: Path, target: Path) -> None:
    """Make `fresh` the folder `target`, which is not there; parents made for it go again if that fails."""
    made = [place for place in reversed(target.parents) if not place.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.replace(target)
    except BaseException:
        _remove_empty(made)
        raise


def _exchange(fresh: Path, target: Path, old: Path, names: list[str], outdated: list[str]) -> None:
    """Move every file of `fresh` into `target`, outdated ones out of it; undone if one of the moves fails."""
    saved: list[str] = []
    placed: list[str] = []
    made = [place for place in dict.fromkeys((target / name).parent for name in names) if not place.exists()]
    try:
        for name in outdated:
            _move(target / name, old / name)
            saved.append(name)
        for name in names:
            if (target / name).is_file():
                _copy(target / name, old / name)
                saved.append(name)
            _move(fresh / name, target / name)
            placed.append(name)
    except BaseException:
        for name in saved:
            _move(old / name, target / name)
        for name in placed:
            if name not in saved:
                (target / name).unlink()
        _remove_empty(made)
        raise


def _copy(source: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, destination)


def _move(source: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    source.replace(destination)


def _remove_empty(places: list[Path]) -> None:
    """Remove those of these folders that are there and empty, the last one first."""
    for place in reversed(places):
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()


def _existing(path: Path) -> Path:
    """The path itself, or the nearest of its parents that exists."""
    return next(place for place in (path, *path.parents) if place.exists())
