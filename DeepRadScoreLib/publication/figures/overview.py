"""All AUCs at one glance: a forest plot of every endpoint, model and protocol, with the optimism gap."""

from __future__ import annotations

from collections.abc import Sequence
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
MIN_ROW_MM, MAX_ROW_MM, MAX_BODY_MM = 2.6, 3.5, 212.5
"""Rows are lower where there are so many endpoints that the figure would be higher than a page."""
GAP_COLOUR = "#a0a0a0"


def auc_overview(study: Study) -> Figure:
    """Test AUC with interval of each endpoint and model; with both protocols also inner AUC and the optimism gap."""
    protocols = [name for name in Protocol if name in study.protocols]
    keys = [k for k in study.flow if any(k in study.protocols[p].endpoints for p in protocols)]
    free = (MAX_BODY_MM - HEAD_MM - FOOT_MM) / max(len(keys), 1) - TITLE_MM - GAP_MM
    row = min(max(free / len(ROWS), MIN_ROW_MM), MAX_ROW_MM)
    body = HEAD_MM + len(keys) * (TITLE_MM + len(ROWS) * row + GAP_MM) + FOOT_MM
    page = canvas.new_page(
        "AUC of every endpoint and model",
        _caption(study, protocols),
        body,
        label=study.label,
        legend=_legend(protocols),
    )
    axes = _axes(page, body, _lowest(study, protocols))
    columns = _columns(protocols)
    for x, words in columns:
        page.text(x, 0.3, words, weight="bold", linespacing=1.15)
    y = HEAD_MM
    for key in keys:
        left, right = -NAMES_MM / PLOT_MM, (canvas.FULL_WIDTH - NAMES_MM) / PLOT_MM
        axes.axhspan(y, y + TITLE_MM, left, right, color="#f1f1f1", linewidth=0, zorder=0, clip_on=False)
        canvas.draw_heading(page, 2, y + 0.7, key, canvas.FULL_WIDTH - 4)
        y += TITLE_MM
        for model in ROWS:
            _row(page, axes, study, protocols, key, model, y + row / 2, [x for x, _ in columns])
            y += row
        y += GAP_MM
    return page.figure


def _lowest(study: Study, protocols: Sequence[Protocol]) -> float:
    """Where the AUC axis begins: a tenth that lies below all that is drawn, 0.4 at most."""
    endpoints = [e for p in protocols for e in study.protocols[p].endpoints.values()]
    cards = [card for e in endpoints for model in ROWS if (card := e.models.get(model))]
    drawn = [c.auc_ci[0] for c in cards if c.auc_ci] + [a for c in cards for a in (c.auc, c.inner_auc) if a is not None]
    return max(floor(10 * min(drawn, default=0.4)) / 10, 0.0) if min(drawn, default=1.0) < 0.4 else 0.4


def _axes(page: canvas.Page, body: float, lowest: float) -> Axes:
    """Axes whose y are mm of the body, so that rows and their texts share places."""
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


def _row(
    page: canvas.Page,
    axes: Axes,
    study: Study,
    protocols: Sequence[Protocol],
    key: str,
    model: str,
    y: float,
    columns: Sequence[float],
) -> None:
    look, middle = canvas.LOOKS[model], {"va": "center_baseline"}
    page.text(4, y, look.name, color=canvas.GREY if model == Baseline.VOLUME else "black", **middle)
    cards = {p: _card(study, p, key, model) for p in protocols}
    main = cards[protocols[0]]
    missing = canvas.absence(model, main)
    if missing or main is None:
        page.text(columns[0], y, missing.split(": ")[1] if missing else "", color=canvas.GREY, **middle)
    else:
        _marker(axes, main, y - (0.5 if len(protocols) > 1 else 0), {"marker": "o", **_filled(look.colour)}, 1.2)
        text = with_interval(main.auc, main.auc_ci) + canvas.dagger(main)
        page.text(columns[0], y, text, **middle)
    if len(protocols) == 1:
        if main is not None and not missing:
            page.text(columns[1], y, f"{main.n}, {main.positives}", **middle)
        return
    paper = cards[Protocol.PAPER]
    if paper is not None and paper.auc is not None:
        _marker(axes, paper, y + 0.6, {"marker": "s", **_hollow(look.colour)}, 0.7)
        page.text(columns[1], y, decimals(paper.auc) + canvas.dagger(paper), **middle)
    _gap(page, axes, study, key, model, y, columns)


def _gap(page: canvas.Page, axes: Axes, study: Study, key: str, model: str, y: float, columns: Sequence[float]) -> None:
    gap = study.optimism.get(key, {}).get(model)
    if gap is None or gap.paper_inner_auc is None:
        return
    page.text(columns[2], y, decimals(gap.paper_inner_auc), va="center_baseline")
    if gap.strict_auc is not None:
        ends = [gap.strict_auc, gap.paper_inner_auc]
        axes.plot(ends, [y - 0.5, y - 0.5], color=GAP_COLOUR, linewidth=3.2, alpha=0.45, zorder=1, gid=f"gap {model}")
    axes.plot([gap.paper_inner_auc], [y - 0.5], marker="x", markersize=4, color="black", markeredgewidth=0.9, zorder=4)
    if gap.optimism_gap is not None:
        page.text(columns[3], y, signed(gap.optimism_gap), va="center_baseline")


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


def _card(study: Study, protocol: Protocol, key: str, model: str) -> ModelCard | None:
    endpoint = study.protocols[protocol].endpoints.get(key)
    return None if endpoint is None else endpoint.models.get(model)


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
    cards = [e.models[model] for e in endpoints for model in ROWS if model in e.models]
    methods = canvas.interval_methods(cards)
    parts = ["AUC with its 95 % interval; the grey upright line is chance."]
    if methods:
        parts.append(f"Methods of the intervals: {methods}.")
    if len(protocols) > 1:
        parts.append(
            "Optimism gap: what the paper protocol's inner cross-validation promises less what the strict one finds."
        )
    if any(map(canvas.dagger, cards)):
        parts.append("†: this interval is not to be relied on; the table of AUCs says why.")
    parts.extend(f"{p.capitalize()}: {study.protocols[p].split}." for p in protocols)
    return " ".join(parts)
