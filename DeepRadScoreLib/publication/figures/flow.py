"""The flow of patients: who is in the cohort table, who was left out and why, who had which label."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from DeepRadScoreLib.models import CONFOUNDERS
from DeepRadScoreLib.numerals import counted
from DeepRadScoreLib.publication.figures import canvas
from DeepRadScoreLib.publication.sentences import BACKBONES, NO_TABLE_2, endpoint_name, model_name
from DeepRadScoreLib.study.results.document import FlowCard
from DeepRadScoreLib.study.results.study import Study

BOX_MM, GAP_MM, MARGIN_MM = 41.4, 2.8, 2.0
PER_ROW = 4
MAX_REASONS = 8
PAD_MM = 1.3
HEAD = 7.5
BOX_GREY = "#f4f4f4"
REFUSED = "#e4e4e4"


@dataclass(frozen=True)
class Box:
    """A box at (x, y) mm of the body: a bold head and lines below."""

    x: float
    y: float
    width: float
    head: str
    lines: tuple[str, ...]
    colour: str = BOX_GREY

    @property
    def height(self) -> float:
        return 2 * PAD_MM + 3.8 + canvas.LINE_MM * len(self.lines)

    @property
    def bottom(self) -> float:
        return self.y + self.height


def patient_flow(study: Study) -> Figure:
    """Flow diagram: the cohort table, who was left out, every endpoint, and the protocols' training and test sets."""
    table, left_out, used = _upper_boxes(study)
    rows = _endpoint_rows(study, used.bottom + 9)
    last = max((box.bottom for row in rows for box in row), default=used.bottom)
    split = _split_box(study, last + 6)
    page = canvas.new_page(
        "Flow of patients",
        "A patient without a label is left out of that endpoint alone. Grey boxes: endpoints that were not evaluated.",
        split.bottom + 1,
        label=study.label,
    )
    for box in [table, used, split, *(box for row in rows for box in row), *([left_out] if left_out else [])]:
        _draw_box(page, box)
    _arrow(page, table.x + table.width / 2, table.bottom, used.y)
    if left_out:
        middle = (table.bottom + used.y) / 2
        _line(page, table.x + table.width / 2, middle, left_out.x, middle)
        _head(page, left_out.x, middle, "right")
    _tree(page, used, rows, split)
    return page.figure


def _upper_boxes(study: Study) -> tuple[Box, Box | None, Box]:
    width, x = 62.0, MARGIN_MM
    table = Box(x, 0, width, "Cohort table", (counted(study.patients, "patient"), counted(study.cases, "case")))
    if not study.left_out:
        return table, None, _used(study, x, table.bottom + 8, width)
    out_width = canvas.FULL_WIDTH - 2 * MARGIN_MM - width - 14
    reasons = _reasons(study, out_width - 2 * PAD_MM)
    head = f"Left out: {counted(len(study.left_out), 'case')}"
    out = Box(x + width + 14, table.bottom - 4, out_width, head, reasons)
    used_y = max(table.bottom + 10, 2 * (out.y + out.height / 2) - table.bottom)
    return table, out, _used(study, x, used_y, width)


def _used(study: Study, x: float, y: float, width: float) -> Box:
    lines = [counted(study.cases - len(study.left_out), "case")]
    for model, reason in study.models_not_run.items():
        if model in CONFOUNDERS:
            continue
        text = f"{NO_TABLE_2}: {reason}" if model == BACKBONES else f"{model_name(model)} not run: {reason}"
        lines.extend(canvas.wrapped(text, width - 2 * PAD_MM, canvas.SMALL))
    return Box(x, y, width, "Used", tuple(lines))


def _reasons(study: Study, width: float) -> tuple[str, ...]:
    """Lines of reasons with their numbers of cases; the name of a case before a reason is left out."""
    counts = Counter(_reason(case, why) for case, why in study.left_out.items())
    lines: list[str] = []
    for reason, count in counts.most_common(MAX_REASONS):
        lines.extend(canvas.wrapped(f"{count} × {reason}", width, canvas.SMALL)[:2])
    more = sum(count for _, count in counts.most_common()[MAX_REASONS:])
    return (*lines, *([f"{more} × for other reasons; all are in results.json"] if more else []))


def _reason(case: str, why: str) -> str:
    before, colon, after = why.partition(": ")
    return after if colon and (case in before or "." in before) else why


def _endpoint_rows(study: Study, y: float) -> list[list[Box]]:
    items = list(study.flow.items())
    rows = []
    for start in range(0, len(items), PER_ROW):
        in_row = items[start : start + PER_ROW]
        row = [
            _endpoint_box(key, card, MARGIN_MM + (BOX_MM + GAP_MM) * number, y)
            for number, (key, card) in enumerate(in_row)
        ]
        rows.append(row)
        y = max(box.bottom for box in row) + 6
    return rows


def _endpoint_box(key: str, card: FlowCard, x: float, y: float) -> Box:
    width = BOX_MM - 2 * PAD_MM
    missing = card.patients - card.labelled
    share = f" ({100 * card.positives / card.labelled:.1f} %)" if card.labelled else ""
    lines = [f"{card.labelled} labelled, {missing} without label", f"{card.positives} positive{share}"]
    if card.not_run:
        lines.extend(canvas.wrapped(f"Not evaluated: {card.not_run}", width, canvas.SMALL))
    lines.extend(line for warning in card.warnings for line in canvas.wrapped(f"! {warning}", width, canvas.SMALL))
    return Box(
        x,
        y,
        BOX_MM,
        canvas.fitted(endpoint_name(key), width, HEAD, bold=True),
        tuple(lines),
        REFUSED if card.not_run else BOX_GREY,
    )


def _split_box(study: Study, y: float) -> Box:
    width = canvas.FULL_WIDTH - 2 * MARGIN_MM
    lines = []
    for protocol, result in study.protocols.items():
        text = f"{canvas.PROTOCOL_TITLES[protocol]}: {result.split}"
        lines.extend(canvas.wrapped(text[0].upper() + text[1:], width - 2 * PAD_MM, canvas.SMALL))
    return Box(MARGIN_MM, y, width, "Training and test, for each endpoint that was evaluated", tuple(lines))


def _draw_box(page: canvas.Page, box: Box) -> None:
    corner = page.fraction(box.x, box.bottom)
    size = (box.width / page.width, box.height / page.height)
    style: dict[str, Any] = {"facecolor": box.colour, "edgecolor": canvas.BLACK, "linewidth": 0.7}
    page.figure.add_artist(Rectangle(corner, *size, transform=page.figure.transFigure, **style))
    page.text(box.x + PAD_MM, box.y + PAD_MM, box.head, fontsize=HEAD, weight="bold")
    for number, line in enumerate(box.lines):
        page.text(box.x + PAD_MM, box.y + PAD_MM + 3.9 + canvas.LINE_MM * number, line)


def _tree(page: canvas.Page, used: Box, rows: list[list[Box]], split: Box) -> None:
    """A trunk at the left edge of the page's boxes, a branch above each row, an arrow into each box."""
    trunk = canvas.FULL_WIDTH - MARGIN_MM
    if not rows:
        _arrow(page, used.x + used.width / 2, used.bottom, split.y)
        return
    first = rows[0][0].y - 4.5
    _line(page, used.x + used.width / 2, used.bottom, used.x + used.width / 2, first)
    for number, row in enumerate(rows):
        branch = row[0].y - 4.5 if number == 0 else row[0].y - 3.5
        start = row[0].x + BOX_MM / 2
        end = trunk if len(rows) > 1 else max(row[-1].x + BOX_MM / 2, used.x + used.width / 2)
        _line(page, start, branch, end, branch)
        for box in row:
            _arrow(page, box.x + BOX_MM / 2, branch, box.y)
    if len(rows) > 1:
        _line(page, trunk, first, trunk, rows[-1][0].y - 3.5)
        return
    for box in rows[0]:
        if box.colour != REFUSED:
            _arrow(page, box.x + BOX_MM / 2, box.bottom, split.y)


def _arrow(page: canvas.Page, x: float, start: float, end: float) -> None:
    _line(page, x, start, x, end)
    _head(page, x, end, "down")


def _line(page: canvas.Page, x1: float, y1: float, x2: float, y2: float) -> None:
    xs, ys = zip(page.fraction(x1, y1), page.fraction(x2, y2), strict=True)
    page.figure.add_artist(Line2D(xs, ys, color=canvas.GREY, linewidth=0.8, transform=page.figure.transFigure))


def _head(page: canvas.Page, x: float, y: float, to: str) -> None:
    """The head of an arrow, its tip at (x, y)."""
    from matplotlib.patches import Polygon

    sides = [(-0.9, -1.8), (0.9, -1.8)] if to == "down" else [(-1.8, -0.9), (-1.8, 0.9)]
    points = [page.fraction(x + dx, y + dy) for dx, dy in ((0, 0), *sides)]
    page.figure.add_artist(Polygon(points, color=canvas.GREY, linewidth=0, transform=page.figure.transFigure))
