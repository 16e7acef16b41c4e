"""The files of a study, written whole or not at all."""

from __future__ import annotations

import io
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from DeepRadScoreLib.cohort.csv_text import csv_text
from DeepRadScoreLib.progress import Progress, Report, Stage, ignore
from DeepRadScoreLib.provenance import content_digest
from DeepRadScoreLib.publication.checklists import CHECKLISTS, filled
from DeepRadScoreLib.publication.html import CHECKLIST_PREFIX, to_study_html
from DeepRadScoreLib.publication.page_rows import file_name
from DeepRadScoreLib.publication.tables import study_tables
from DeepRadScoreLib.report.page import embedded
from DeepRadScoreLib.study.results.study import Study
from DeepRadScoreLib.writing import write_atomically, write_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESULTS = "results.json"
LISTING = "files.sha256"
LISTED_FOLDERS = ("tables", "figures")
PAGE_COLOURS = 256
"""Colours of a figure that the page shows as PNG."""


def write_study(study: Study, folder: Path, report: Report = ignore) -> None:
    """Write the results of a study to a folder: all of them, or the folder stays as it was.

    `results.json`, `predictions.csv`, `tables/*.csv`, `figures/*.svg` and `*.png`, `report.html`, and `files.sha256`,
    which lists them (`sha256sum -c` reads it); moved as `write_folder` does, `results.json` last. A
    table or figure that an earlier run listed and this one lacks is removed unless it was changed since; other files
    stay.

    Parameters
    ----------
    report: called after each figure; drawing takes most of the time.

    Raises
    ------
    OutputError: the folder cannot be written.
    """
    write_folder(folder, lambda new: _write_files(study, new, report), _outdated, last=(LISTING, RESULTS))


def _write_files(study: Study, folder: Path, report: Report) -> None:
    from DeepRadScoreLib.publication.figures.figure_list import figure_names, study_figures

    tables = study_tables(study)
    tables |= {CHECKLIST_PREFIX + CHECKLISTS[name]: table for name, table in filled(study).items()}
    for name, table in tables.items():
        write_atomically(folder / "tables" / f"{file_name(name)}.csv", csv_text(table))
    write_atomically(folder / "predictions.csv", csv_text(study.predictions()))
    write_atomically(folder / RESULTS, study.to_json())
    pictures = {}
    total = len(figure_names(study))
    for done, (name, figure) in enumerate(study_figures(study), start=1):
        pictures[name] = _write_figure(figure, folder / "figures", file_name(name))
        report(Progress(Stage.FIGURES, name, done, total))
    write_atomically(folder / "report.html", to_study_html(study, tables, pictures))
    write_atomically(folder / LISTING, _listing(folder))


def _write_figure(figure: Figure, folder: Path, name: str) -> str:
    """Write SVG and PNG; returns what the page shows: the SVG, or the PNG in fewer colours where that is smaller."""
    from DeepRadScoreLib.publication.figures.figure_list import to_png, to_svg

    svg, png = to_svg(figure).encode(), to_png(figure)
    write_atomically(folder / f"{name}.svg", svg)
    write_atomically(folder / f"{name}.png", png)
    small = _in_few_colours(png)
    return embedded(svg, "svg+xml") if len(svg) <= len(small) else embedded(small)


def _in_few_colours(png: bytes) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(PAGE_COLOURS, dither=Image.Dither.NONE)
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()


def _listing(folder: Path) -> str:
    """Digest and name of every file below a folder, `results.json` last."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return "".join(
        f"{content_digest(folder / name).hex()}  {name}\n" for name in sorted(names, key=lambda name: name == RESULTS)
    )


def _outdated(target: Path, names: set[str]) -> list[str]:
    """Tables and figures that an earlier run listed, this one lacks, and nobody has changed since."""
    listing = target / LISTING
    lines = listing.read_text(encoding="utf-8").splitlines() if listing.is_file() else []
    found = []
    for digest, name in (line.split("  ", 1) for line in lines if "  " in line):
        components = PurePosixPath(name).parts
        ours = len(components) == 2 and components[0] in LISTED_FOLDERS and components[1] != ".."
        if ours and name not in names and (target / name).is_file() and content_digest(target / name).hex() == digest:
            found.append(name)
    return found
