"""Shared by all figures of a study: page with heading and caption, sizes in mm as printed, colours, line styles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

from DeepRadScoreLib.models import CONFOUNDERS, Baseline, Model, Protocol
from DeepRadScoreLib.publication.sentences import MODEL_NAMES, endpoint_name
from DeepRadScoreLib.study.results.document import ModelCard

FONT = "DejaVu Sans"
SMALL, MEDIUM, LARGE = 7.0, 8.0, 9.0
STYLE: dict[str, Any] = {
    "font.family": FONT,
    "font.size": SMALL,
    "axes.titlesize": MEDIUM,
    "axes.labelsize": SMALL,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": SMALL,
    "lines.linewidth": 1.2,
    "hatch.linewidth": 0.5,
    "text.parse_math": False,
    "text.hinting": "no_hinting",
    "svg.fonttype": "path",
    "svg.hashsalt": "deepradscore",
}
BLACK, GREY, PALE = "#000000", "#6b6b6b", "#d0d0d0"
BLUE, SKY, GREEN, ORANGE, VERMILION, PURPLE = "#0072b2", "#56b4e9", "#009e73", "#e69f00", "#d55e00", "#cc79a7"
FULL_WIDTH, HALF_WIDTH = 180.0, 88.0
"""Two columns and one column of a journal's page, mm."""
MAX_BODY = 212.0
"""Maximum height of the body with heading and caption on a page of 247 mm, mm."""
LINE_MM = 3.4
MM_PER_INCH, POINTS_PER_INCH = 25.4, 72.0


@dataclass(frozen=True)
class Look:
    """Name and drawing style of a model; line, marker and hatch distinguish it without colour."""

    name: str
    colour: str
    line: Any
    marker: str
    hatch: str
    width: float = 1.3

    def line_style(self) -> dict[str, Any]:
        return {"color": self.colour, "linestyle": self.line, "linewidth": self.width}


LOOKS: dict[str, Look] = {
    Model.RADIOMICS: Look(MODEL_NAMES[Model.RADIOMICS], BLUE, (0, (4.5, 1.6)), "s", ""),
    Model.DEEP: Look(MODEL_NAMES[Model.DEEP], GREEN, (0, (4.5, 1.4, 1, 1.4)), "^", "/////"),
    Model.FUSED: Look(MODEL_NAMES[Model.FUSED], VERMILION, "-", "o", "xxxxx", 1.7),
    Baseline.VOLUME: Look(MODEL_NAMES[Baseline.VOLUME], GREY, (0, (1, 1.3)), "D", "", 0.9),
    **{name: Look(MODEL_NAMES[name], PURPLE, (0, (1, 1)), "v", "", 0.9) for name in CONFOUNDERS},
}
PROTOCOL_TITLES: dict[str, str] = {Protocol.STRICT: "strict protocol", Protocol.PAPER: "the paper's protocol"}


@dataclass(frozen=True)
class Page:
    """A figure with heading and caption; positions are in mm from the upper left corner of the body between them."""

    figure: Figure
    width: float
    height: float
    top: float

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes of this size, their upper left corner at (x, y)."""
        bottom = 1 - (self.top + y + height) / self.height
        return self.figure.add_axes((x / self.width, bottom, width / self.width, height / self.height))

    def text(self, x: float, y: float, text: str, **style: Any) -> Artist:
        """Text hung at (x, y) by its upper left corner unless `style` says otherwise."""
        style = {"ha": "left", "va": "top", "fontsize": SMALL, **style}
        return self.figure.text(*self.fraction(x, y), text, **style)

    def fraction(self, x: float, y: float) -> tuple[float, float]:
        """A position in mm as fractions of the figure from its lower left corner, as matplotlib wants it."""
        return x / self.width, 1 - (self.top + y) / self.height


def new_page(
    title: str,
    caption: str,
    body: float,
    *,
    label: str | None,
    width: float = FULL_WIDTH,
    legend: Sequence[Artist] = (),
) -> Page:
    """A page whose body is `body` mm high; the heading holds the title, the label and the legend."""
    above = wrapped(title, width - 4, LARGE, bold=True)
    below = wrapped(caption, width - 4, SMALL)
    columns = _legend_columns(legend, width - 4)
    rows = -(-len(legend) // columns) if legend else 0
    title_end = 2 + 4.3 * len(above)
    label_end = title_end + (4.6 if label else 0)
    top = label_end + (4.2 * rows + 1 if rows else 0) + 1.5
    height = top + body + 2 + LINE_MM * len(below) + 1.5
    figure = Figure(figsize=(width / MM_PER_INCH, height / MM_PER_INCH), facecolor="white")
    page = Page(figure, width, height, top)
    page.text(2, 2 - top, "\n".join(above), fontsize=LARGE, weight="bold", linespacing=1.25)
    if label:
        page.text(2, title_end + 0.4 - top, label, fontsize=MEDIUM, weight="bold", color=VERMILION)
    if legend:
        figure.legend(
            handles=list(legend),
            loc="upper left",
            bbox_to_anchor=(1 / width, 1 - label_end / height),
            ncols=columns,
            frameon=False,
            borderaxespad=0,
            borderpad=0.3,
            handlelength=3.0,
            columnspacing=1.6,
        )
    page.text(2, body + 2, "\n".join(below), color="#303030", linespacing=1.3)
    return page


def _legend_columns(legend: Sequence[Artist], width: float) -> int:
    widths = [text_width(str(handle.get_label()), SMALL) + 15 for handle in legend]
    if sum(widths) <= width:
        return max(len(widths), 1)
    return next((n for n in range(len(widths), 1, -1) if n * max(widths) <= width), 1)


def draw_heading(page: Page, x: float, y: float, key: str, width: float) -> None:
    """Draw an endpoint's name in bold, shortened to `width` mm."""
    page.text(x, y, fitted(endpoint_name(key), width, MEDIUM, bold=True), fontsize=MEDIUM, weight="bold")


def text_width(text: str, points: float, bold: bool = False) -> float:
    """Width of one line of text as printed, without kerning, mm."""
    return sum(_advance(letter, bold) for letter in text) * points / POINTS_PER_INCH * MM_PER_INCH


@lru_cache(maxsize=4096)
def _advance(letter: str, bold: bool) -> float:
    """Width of a letter in ems."""
    font = FontProperties(family=FONT, weight="bold" if bold else "normal")
    width, _, _ = text_to_path.get_text_width_height_descent(letter, font, ismath=False)
    return float(width) / font.get_size_in_points()


def fitted(text: str, width: float, points: float, bold: bool = False) -> str:
    """The text, its middle replaced by an ellipsis if it is wider than `width` mm."""
    if text_width(text, points, bold) <= width:
        return text
    for letters in range(len(text) - 1, 1, -1):
        short = text[: -(-letters // 2)] + "…" + text[len(text) - letters // 2 :]
        if text_width(short, points, bold) <= width:
            return short
    return "…"


def wrapped(text: str, width: float, points: float, bold: bool = False) -> list[str]:
    """The text in lines no wider than `width` mm; its line breaks are preserved, a word too long is shortened."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split():
            short = fitted(word, width, points, bold)
            longer = f"{line} {short}" if line else short
            if line and text_width(longer, points, bold) > width:
                lines.append(line)
                line = short
            else:
                line = longer
        if line:
            lines.append(line)
    return lines


def model_legend(models: Iterable[str]) -> list[Artist]:
    """One legend line per model."""
    return [Line2D([], [], label=LOOKS[model].name, **LOOKS[model].line_style()) for model in models]


def dagger(card: ModelCard) -> str:
    """The mark of an AUC with a note against its interval, else ""."""
    return "†" if card.auc_note is not None and card.auc_ci is not None else ""


def interval_methods(cards: Iterable[ModelCard]) -> str:
    """The methods of the AUCs' intervals, each once."""
    return "; ".join(dict.fromkeys(card.auc_method for card in cards if card.auc_method))


def absence(card: ModelCard | None) -> str | None:
    """Why a model is not drawn, in two words; None if it can be."""
    if card is None or card.not_run is not None:
        return "not run"
    return "no AUC" if card.auc is None else None
