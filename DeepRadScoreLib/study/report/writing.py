"""The files of a study, written whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from uuid import uuid4

import pandas as pd

from DeepRadScoreLib.errors import OutputError
from DeepRadScoreLib.report.writing import MEND, check_folder, write_atomically
from DeepRadScoreLib.study.outcome import StudyOutcome
from DeepRadScoreLib.study.report.checklists import CHECKLISTS, filled
from DeepRadScoreLib.study.report.html import CHECKLIST_PREFIX, to_study_html
from DeepRadScoreLib.study.report.page_parts import file_name
from DeepRadScoreLib.study.report.tables import study_tables
from DeepRadScoreLib.study.results import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Progress = Callable[[str, int, int], None]
RESULTS = "results.json"
LISTING = "files.sha256"
LISTED_FOLDERS = ("tables", "figures")
PAGE_COLOURS = 256
"""Colours of a figure that stands in the page as pixels."""


def write_study(
    outcome: StudyOutcome, results: Results, cohort_table: pd.DataFrame, folder: Path, progress: Progress
) -> None:
    """Leave the results of a study in a folder: all of them, or what was there before.

    `results.json`, `predictions.csv`, `tables/*.csv`, `figures/*.svg` and `*.png`, `report.html`, and `files.sha256`,
    which lists them (`sha256sum -c` reads it). All are made in a temporary folder beside `folder`, then moved in one by
    one, `results.json` last; if a move fails, those before it are undone. A table or figure that an earlier run listed
    and this one lacks is removed unless it was changed since; other files stay.

    Parameters
    ----------
    cohort_table: the cohort's table as text, one row per case.
    progress: called after each figure, the slow part, with its name.

    Raises
    ------
    OutputError: the folder cannot be written.
    """
    check_folder(folder)
    target = folder.absolute()
    place = next(parent for parent in target.parents if parent.exists())
    part = place / f".deepradscore.{uuid4().hex}.part"
    try:
        try:
            fresh = part / "new"
            fresh.mkdir(parents=True)
            _write_files(outcome, results, cohort_table, fresh, progress)
            _exchange(fresh, target, part / "old")
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"the results cannot be written ({error.strerror})", where=str(folder), mend=MEND) from error


def _write_files(
    outcome: StudyOutcome, results: Results, cohort_table: pd.DataFrame, folder: Path, progress: Progress
) -> None:
    from DeepRadScoreLib.study.report.figures import study_figures

    tables = study_tables(outcome, results, cohort_table)
    tables |= {CHECKLIST_PREFIX + CHECKLISTS[name]: table for name, table in filled(outcome, results).items()}
    for name, table in tables.items():
        write_atomically(folder / "tables" / f"{file_name(name)}.csv", _csv(table))
    write_atomically(folder / "predictions.csv", _csv(outcome.predictions()))
    write_atomically(folder / RESULTS, results.to_json())
    pictures = {}
    for name, figure in study_figures(outcome, results):
        pictures[name] = _write_figure(figure, folder / "figures", file_name(name))
        progress(f"drawing {name}", 1, 1)
    write_atomically(folder / "report.html", to_study_html(outcome, results, tables, pictures))
    write_atomically(folder / LISTING, _listing(folder))


def _csv(table: pd.DataFrame) -> str:
    """Every digit kept; missing is an empty cell."""
    return table.to_csv(index=False, lineterminator="\n")


def _write_figure(figure: Figure, folder: Path, name: str) -> str:
    """Write SVG and PNG; returns what the page shows: the SVG, or the PNG in fewer colours where that is smaller."""
    from DeepRadScoreLib.study.report.figures import to_png, to_svg

    svg, png = to_svg(figure).encode(), to_png(figure)
    write_atomically(folder / f"{name}.svg", svg)
    write_atomically(folder / f"{name}.png", png)
    small = _in_few_colours(png)
    kind, shown = ("svg+xml", svg) if len(svg) <= len(small) else ("png", small)
    return f"data:image/{kind};base64," + base64.b64encode(shown).decode("ascii")


def _in_few_colours(png: bytes) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(PAGE_COLOURS, dither=Image.Dither.NONE)
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _listing(folder: Path) -> str:
    return "".join(f"{_digest(folder / name)}  {name}\n" for name in _names(folder))


def _names(folder: Path) -> list[str]:
    """The files below a folder as POSIX paths, in the order in which they are moved: listing and results last."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted(names, key=lambda name: (name == RESULTS, name == LISTING, name))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _outdated(target: Path, names: list[str]) -> list[str]:
    """Tables and figures that an earlier run listed, this one lacks, and nobody has changed since."""
    listing = target / LISTING
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.is_file() else []
    found = []
    for digest, name in (line.split("  ", 1) for line in lines if "  " in line):
        parts = PurePosixPath(name).parts
        ours = len(parts) == 2 and parts[0] in LISTED_FOLDERS and parts[1] != ".."
        if ours and name not in names and (target / name).is_file() and _digest(target / name) == digest:
            found.append(name)
    return found


def _exchange(fresh: Path, target: Path, old: Path) -> None:
    """Move every file of `fresh` into `target`, outdated ones out of it; undone if one of the moves fails."""
    names = _names(fresh)
    outdated = _outdated(target, names)
    saved: list[str] = []
    placed: list[str] = []
    made = [place for place in (*reversed(target.parents), target) if not place.exists()]
    made += [target / name for name in LISTED_FOLDERS if not (target / name).exists()]
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
        for place in reversed(made):
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()
        raise


def _copy(source: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, destination)


def _move(source: Path, destination: Path) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    source.replace(destination)
