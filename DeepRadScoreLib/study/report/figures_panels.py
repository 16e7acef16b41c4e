"""What figures with one panel per endpoint share: the page, the unit square, the legend with values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from DeepRadScoreLib.study.outcome import MODELS
from DeepRadScoreLib.study.report.figures_page import GREY, Grid, Page, new_page
from DeepRadScoreLib.study.results import EndpointResult, ProtocolResult

NO_LINE: dict[str, Any] = {"color": "none", "linestyle": "none"}
"""A legend entry that is words alone."""


def panel_page(
    title: str,
    caption: str,
    result: ProtocolResult,
    synthetic: bool,
    legend: Sequence[Artist],
    labels: tuple[str, str],
    height_share: float = 1.0,
) -> tuple[Page, list[Axes]]:
    grid = Grid.of(len(result.endpoints), height_share)
    page = new_page(title, caption, grid.body, synthetic=synthetic, width=grid.width, legend=legend)
    return page, grid.panels(page, [(key, _sizes(e)) for key, e in result.endpoints.items()], *labels)


def _sizes(endpoint: EndpointResult) -> str:
    cards = [card for model in MODELS if (card := endpoint.models.get(model)) and card.n]
    if not cards:
        return "no model was run"
    return f"n = {cards[0].n}, {cards[0].positives} positive"


def unit_square(axes: Axes) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xticks(np.arange(0, 1.01, 0.2))
    axes.set_yticks(np.arange(0, 1.01, 0.2))


def value_legend(axes: Axes, handles: Sequence[Artist], place: Literal["lower right", "upper left"]) -> None:
    legend = axes.legend(
        handles=list(handles),
        loc=place,
        borderaxespad=0.1,
        borderpad=0.2,
        labelspacing=0.22,
        handlelength=2.3,
        handletextpad=0.5,
        frameon=True,
        framealpha=0.75,
        edgecolor="none",
    )
    for handle, text in zip(handles, legend.get_texts(), strict=True):
        if ": " in str(handle.get_label()):
            text.set_color(GREY)
