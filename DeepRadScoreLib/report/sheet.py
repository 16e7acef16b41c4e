"""A molecular profile as pages of A4, for archives and printers that show no HTML: drawn with matplotlib."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from DeepRadScoreLib.analyses.findings import MolecularProfile
from DeepRadScoreLib.endpoints import BY_KEY
from DeepRadScoreLib.models import flags_with_chance
from DeepRadScoreLib.report import figures
from DeepRadScoreLib.report.number_text import DASH, decimals, interval, percent, with_interval
from DeepRadScoreLib.report.profile import EndpointEntry, ProfileDocument, to_document
from DeepRadScoreLib.report.trust_words import NO_LIMITS, label_set_words, likeness_sentence
from DeepRadScoreLib.report.wording import flag_sentence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

A4_INCHES = (8.27, 11.69)
MARGIN, TOP, BOTTOM = 0.07, 0.955, 0.06
"""Shares of the page's width and height."""
LINE = 0.0145
"""Height of a line of text as a share of the page's height."""
CHARACTERS = 112
"""In a line of the full width."""
COLUMNS = {"Finding": 0.0, "Probability": 0.26, "Decision": 0.37, "Compatible with": 0.52, "Validated AUC": 0.77}
"""Heads of the findings' columns and where they begin, as shares of the width between the margins."""
DPI = 120
FOOT = "Produced by software and verified by nobody. DeepRadScore is no medical device."


class _Pages:
    """Pages that are filled from top to bottom; a new one is begun where the last is full."""

    def __init__(self, label: str | None) -> None:
        self.figures: list[Figure] = []
        self._label = label
        self._begin()

    def _begin(self) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        page = Figure(figsize=A4_INCHES, dpi=DPI, facecolor="white")
        FigureCanvasAgg(page)
        self.figures.append(page)
        self._y = TOP
        foot = FOOT if self._label is None else f"{self._label}. {FOOT}"
        self._text(MARGIN, BOTTOM / 2, foot, size=7, color="#5a6270")
        if self._label is not None:
            self._text(0.5, 0.98, self._label, size=11, color="#b00020", weight="bold", ha="center")

    def _text(self, x: float, y: float, text: str, *, size: float, **style: Any) -> None:
        style = {"va": "center", "family": "DejaVu Sans", **style}
        self.figures[-1].text(x, y, text, fontsize=size, parse_math=False, **style)

    def _need(self, height: float) -> None:
        if self._y - height < BOTTOM:
            self._begin()

    def lines(self, text: str, *, size: float = 8, indent: float = 0.0, **style: Any) -> None:
        """Text over the full width, wrapped."""
        for line in textwrap.wrap(text, int(CHARACTERS * 8 / size * (1 - indent))) or [""]:
            self._need(LINE * size / 8)
            self._y -= LINE * size / 8
            self._text(MARGIN + indent * (1 - 2 * MARGIN), self._y, line, size=size, **style)

    def row(self, cells: Sequence[str], starts: Sequence[float], **style: Any) -> None:
        """Cells side by side, each wrapped to its column, in lines that stay on one page."""
        widths = np.diff([*starts, 1.0]) * CHARACTERS - 1
        wrapped = [textwrap.wrap(cell, int(width)) for cell, width in zip(cells, widths, strict=True)]
        count = max(map(len, wrapped))
        self._need(count * LINE)
        for n in range(count):
            self._y -= LINE
            for start, lines in zip(starts, wrapped, strict=True):
                if n < len(lines):
                    self._text(MARGIN + start * (1 - 2 * MARGIN), self._y, lines[n], size=8, **style)

    def space(self) -> None:
        """Half an empty line."""
        self._y -= LINE / 2

    def pictures(self, pngs: Sequence[bytes]) -> None:
        """Pictures side by side, as high as a third of the page's width allows."""
        from matplotlib.image import imread

        images = [imread(io.BytesIO(png)) for png in pngs]
        width = (1 - 2 * MARGIN) / len(images) - 0.01
        heights = [width * len(image) / image.shape[1] * A4_INCHES[0] / A4_INCHES[1] for image in images]
        self._need(max(heights))
        for n, (image, height) in enumerate(zip(images, heights, strict=True)):
            axes = self.figures[-1].add_axes((MARGIN + n * (width + 0.02), self._y - height, width, height))
            axes.imshow(image, aspect="auto")
            axes.set_axis_off()
        self._y -= max(heights) + LINE / 2


def report_pages(profile: MolecularProfile, *, named: bool = True) -> list[Figure]:
    """The pages of a profile: pictures, regions, findings with their remarks, quality, and what it is not.

    Parameters
    ----------
    named: whether the case's name stands on it.
    """
    document = to_document(profile)
    pages = _Pages(profile.label)
    title = "Molecular profile of a lung tumour from CT"
    pages.lines(f"{title}: {document.case_id}" if named else title, size=13, weight="bold")
    pages.lines(_lead(document), color="#5a6270")
    pages.space()
    pages.space()
    draw = (figures.slice_picture, figures.zoom_picture)
    pages.pictures([one(profile.prepared, label=profile.label) for one in draw])
    regions = document.regions
    shell = f"shell of {regions.peritumoral.thickness_mm:g} mm {decimals(regions.peritumoral.volume_ml)} mL"
    pages.lines(f"Tumour {decimals(regions.tumour.volume_ml)} mL, {shell}, both on the 1 mm lattice.")
    for sentence in _likeness(document):
        pages.lines(sentence)
    pages.space()
    if document.model is not None:
        _add_findings(pages, document)
    pages.lines("Quality", weight="bold")
    for note in document.quality:
        pages.lines(f"{'Warning' if note.severity == 'warning' else 'Note'}: {note.message}")
    if not document.quality:
        pages.lines("No remarks.")
    return pages.figures


def _add_findings(pages: _Pages, document: ProfileDocument) -> None:
    starts = list(COLUMNS.values())
    pages.row(list(COLUMNS), starts, weight="bold")
    for key, entry in document.endpoints.items():
        pages.row(_cells(key, entry), starts)
        for code in flags_with_chance(entry.flags, entry.validation_auc_ci):
            pages.lines(flag_sentence(code), size=7, indent=0.03, color="#5a6270")
    pages.space()


def to_pdf(pages: Sequence[Figure]) -> bytes:
    """The pages as one PDF without any time in it: equal pages give equal bytes."""
    from matplotlib.backends.backend_pdf import PdfPages

    stream = io.BytesIO()
    with PdfPages(stream, metadata={"CreationDate": None, "Creator": "DeepRadScore", "Producer": None}) as pdf:
        for page in pages:
            pdf.savefig(page)
    return stream.getvalue()


def to_pixels(pages: Sequence[Figure]) -> Iterator[np.ndarray]:
    """Each page as (rows, columns, 3), uint8, RGB."""
    for page in pages:
        page.canvas.draw()
        yield np.asarray(page.canvas.buffer_rgba())[..., :3].copy()  # type: ignore[attr-defined]


def _lead(document: ProfileDocument) -> str:
    if document.model is None:
        return "No trained model was given: regions and quality only."
    model = f"Findings by the model {document.model.name} ({document.model.sha256[:12]})."
    return f"{model} Each is a statistical estimate from the image, not a test of tissue or blood."


def _likeness(document: ProfileDocument) -> list[str]:
    if document.model is None:
        return []
    return [NO_LIMITS if document.likeness is None else likeness_sentence(document.likeness.percentile)]


def _interval(entry: EndpointEntry) -> list[str]:
    return [] if entry.interval is None else [interval(entry.interval)]


def _cells(key: str, entry: EndpointEntry) -> tuple[str, ...]:
    endpoint = BY_KEY[key]
    return (
        endpoint.name,
        DASH if entry.probability is None else " ".join((percent(entry.probability), *_interval(entry))),
        entry.decision or DASH,
        DASH if entry.label_set is None else label_set_words(endpoint, entry.label_set.labels),
        with_interval(entry.validation_auc, entry.validation_auc_ci),
    )
