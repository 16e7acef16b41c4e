"""All AUCs in one figure: a forest plot of every endpoint, model and protocol, with the optimism gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from DeepRadScoreLib.models import MODELS, Baseline, Protocol
from DeepRadScoreLib.publication.figures import canvas
from DeepRadScoreLib.report.number_text import decimals, signed, with_interval
from DeepRadScoreLib.study.results.document import ModelCard
from DeepRadScoreLib.study.results.study import Study

ROWS = (*MODELS, Baseline.VOLUME)
NAMES_MM, PLOT_MM = 32.0, 76.0
HEAD_MM, TITLE_MM, GAP_MM, FOOT_MM = 7.0, 4.4, 1.2, 9.0
MIN_ROW_MM, MAX_ROW_MM, MAX_BODY_MM = 2.55, 3.5, 212.5
"""Rows are lower where there are so many endpoints that the figure would be higher than a page."""
GAP_COLOUR = "#a0a0a0"


def auc_overview(study: Study) -> Figure:
    """Test AUC with interval of each endpoint and model; with both protocols also inner AUC and the optimism gap."""
    protocols = [name for name in Protocol if name in study.protocols]
    keys = [k for k in study.flow if any(k in study.protocols[p].endpoints for p in protocols)]
    rows = {key: _rows(study, protocols, key) for key in keys}
    total = max(sum(map(len, rows.values())), 1)
    row = (MAX_BODY_MM - HEAD_MM - FOOT_MM - len(keys) * (TITLE_MM + GAP_MM)) / total
    row = min(max(row, MIN_ROW_MM), MAX_ROW_MM)
    body = HEAD_MM + len(keys) * (TITLE_MM + GAP_MM) + total * row + FOOT_MM
    page = canvas.new_page(
        "AUC of every endpoint and model",
        _caption(study, protocols),
        body,
        label=study.label,
        legend=_legend(protocols),
    )
    axes = _axes(page, body, _lowest(study, protocols))
    columns = _columns(protocols)
    forest = _Forest(study, protocols, page, axes, [x for x, _ in columns])
    for x, words in columns:
        page.text(x, 0.3, words, weight="bold", linespacing=1.15)
    y = HEAD_MM
    for key in keys:
        left, right = -NAMES_MM / PLOT_MM, (canvas.FULL_WIDTH - NAMES_MM) / PLOT_MM
        axes.axhspan(y, y + TITLE_MM, left, right, color="#f1f1f1", linewidth=0, zorder=0, clip_on=False)
        canvas.draw_heading(page, 2, y + 0.7, key, canvas.FULL_WIDTH - 4)
        y += TITLE_MM
        for model in rows[key]:
            forest.draw_row(key, model, y + row / 2)
            y += row
        y += GAP_MM
    return page.figure


def _rows(study: Study, protocols: Sequence[Protocol], key: str) -> tuple[str, ...]:
    """The models of an endpoint's rows; the last one is what it follows most of site, scanner, slices and date."""
    endpoints = [study.protocols[p].endpoints[key] for p in protocols if key in study.protocols[p].endpoints]
    followed = [name for e in endpoints for name in e.follows if e.models[name].auc is not None]
    return (*ROWS, *followed[:1])


def _lowest(study: Study, protocols: Sequence[Protocol]) -> float:
    """Lower limit of the AUC axis: a multiple of 0.1 below all that is drawn, 0.4 at most."""
    endpoints = [e for p in protocols for e in study.protocols[p].endpoints.values()]
    cards = [card for e in endpoints for model in (*ROWS, *e.follows) if (card := e.models.get(model))]
    drawn = [c.auc_ci[0] for c in cards if c.auc_ci] + [a for c in cards for a in (c.auc, c.inner_auc) if a is not None]
    return max(floor(10 * min(drawn, default=0.4)) / 10, 0.0) if min(drawn, default=1.0) < 0.4 else 0.4


def _axes(page: canvas.Page, body: float, lowest: float) -> Axes:
    """Axes whose y are mm of the body, as those of the texts beside them."""
    axes = page.axes(NAMES_MM, HEAD_MM, PLOT_MM, body - HEAD_MM - 8)
    axes.set_ylim(body - 8, HEAD_MM)
    axes.set_xlim(lowest, 1.0)
    axes.set_xlabel("AUC")
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.axvline(0.5, color=canvas.GREY, linewidth=0.7, zorder=1)
    axes.grid(axis="x", color="#ececec", linewidth=0.5, zorder=0)
    axes.set_axisbelow(True)
    return axes


def _columns(protocols: Sequence[Protocol]) -> list[tuple[float, str]]:
    x = NAMES_MM + PLOT_MM + 2
    if len(protocols) == 1:
        return [(x, f"{protocols[0].capitalize()}\nAUC (95 % interval)"), (x + 36, "Patients,\npositive")]
    return [
        (x, "Strict\nAUC (95 % interval)"),
        (x + 31.5, "Paper\ntest"),
        (x + 43, "Paper\ninner"),
        (x + 54.5, "Optimism\ngap"),
    ]


@dataclass(frozen=True)
class _Forest:
    """The plot while it is drawn: texts on `page`, markers on `axes`; y in mm of the body, `columns` are x in mm."""

    study: Study
    protocols: Sequence[Protocol]
    page: canvas.Page
    axes: Axes
    columns: Sequence[float]

    def draw_row(self, key: str, model: str, y: float) -> None:
        """Name, markers and figures of one endpoint's model."""
        colour, several = canvas.LOOKS[model].colour, len(self.protocols) > 1
        self._write(4, y, canvas.LOOKS[model].name, color="black" if model in MODELS else canvas.GREY)
        main = self._card(self.protocols[0], key, model)
        reason = canvas.absence(main)
        if main is None or reason:
            self._write(self.columns[0], y, reason or "", color=canvas.GREY)
        else:
            _marker(self.axes, main, y - (0.5 if several else 0), {"marker": "o", **_filled(colour)}, 1.2)
            self._write(self.columns[0], y, with_interval(main.auc, main.auc_ci) + canvas.dagger(main))
            if not several:
                self._write(self.columns[1], y, f"{main.n}, {main.positives}")
        if several:
            self._draw_paper(key, model, y)
            self._draw_gap(key, model, y)

    def _draw_paper(self, key: str, model: str, y: float) -> None:
        card = self._card(Protocol.PAPER, key, model)
        if card is not None and card.auc is not None:
            _marker(self.axes, card, y + 0.6, {"marker": "s", **_hollow(canvas.LOOKS[model].colour)}, 0.7)
            self._write(self.columns[1], y, decimals(card.auc) + canvas.dagger(card))

    def _draw_gap(self, key: str, model: str, y: float) -> None:
        gap = self.study.optimism.get(key, {}).get(model)
        if gap is None or gap.paper_inner_auc is None:
            return
        self._write(self.columns[2], y, decimals(gap.paper_inner_auc))
        inner, middle = gap.paper_inner_auc, y - 0.5
        if gap.strict_auc is not None:
            style: dict[str, Any] = {"color": GAP_COLOUR, "linewidth": 3.2, "alpha": 0.45, "zorder": 1}
            self.axes.plot([gap.strict_auc, inner], [middle, middle], gid=f"gap {model}", **style)
        self.axes.plot([inner], [middle], marker="x", markersize=4, color="black", markeredgewidth=0.9, zorder=4)
        if gap.optimism_gap is not None:
            self._write(self.columns[3], y, signed(gap.optimism_gap))

    def _card(self, protocol: Protocol, key: str, model: str) -> ModelCard | None:
        endpoint = self.study.protocols[protocol].endpoints.get(key)
        return None if endpoint is None else endpoint.models.get(model)

    def _write(self, x: float, y: float, text: str, **style: Any) -> None:
        self.page.text(x, y, text, va="center_baseline", **style)


def _marker(axes: Axes, card: ModelCard, y: float, style: dict[str, Any], width: float) -> None:
    colour = style["markeredgecolor"]
    if card.auc_ci is not None:
        line = "-" if style["marker"] == "o" else (0, (2, 1))
        axes.plot(card.auc_ci, [y, y], color=colour, linewidth=width, linestyle=line, zorder=2, solid_capstyle="butt")
    if card.auc is not None:
        axes.plot([card.auc], [y], linestyle="none", markersize=3.4, zorder=3, **style)


def _filled(colour: str) -> dict[str, Any]:
    return {"markerfacecolor": colour, "markeredgecolor": colour, "markeredgewidth": 0.8}


def _hollow(colour: str) -> dict[str, Any]:
    return _filled(colour) | {"markerfacecolor": "white"}


def _legend(protocols: Sequence[Protocol]) -> list[Artist]:
    size: dict[str, Any] = {"markersize": 3.8}
    strict = Line2D(
        [], [], marker="o", color=canvas.GREY, linewidth=1.2, label=f"{protocols[0].capitalize()} test", **size
    )
    if len(protocols) == 1:
        return [strict]
    dashed: dict[str, Any] = {
        "linestyle": (0, (2, 1)),
        "linewidth": 0.8,
        "color": canvas.GREY,
        "markerfacecolor": "white",
    }
    return [
        strict,
        Line2D([], [], marker="s", label="Paper test", **dashed, **size),
        Line2D([], [], marker="x", color="black", linestyle="none", label="Paper inner", **size),
        Line2D([], [], color=GAP_COLOUR, alpha=0.45, linewidth=3.2, label="Optimism gap (inner − strict)"),
    ]


def _caption(study: Study, protocols: Sequence[Protocol]) -> str:
    endpoints = [e for p in protocols for e in study.protocols[p].endpoints.values()]
    cards = [e.models[model] for e in endpoints for model in (*ROWS, *e.follows) if model in e.models]
    methods = canvas.interval_methods(cards)
    sentences = ["AUC with its 95 % interval; the grey upright line is chance."]
    if methods:
        sentences.append(f"Methods of the intervals: {methods}.")
    if len(protocols) > 1:
        sentences.append(
            "Optimism gap: what the paper protocol's inner cross-validation promises less what the strict one finds."
        )
    if any(map(canvas.dagger, cards)):
        sentences.append("†: this interval is not to be relied on; the table of AUCs says why.")
    sentences.extend(f"{p.capitalize()}: {study.protocols[p].split}." for p in protocols)
    return " ".join(sentences)
