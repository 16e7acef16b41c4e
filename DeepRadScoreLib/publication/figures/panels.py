"""Figures with one panel per endpoint: the grid, the models to draw, the unit square, the legend with values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from DeepRadScoreLib.models import MODELS, Protocol
from DeepRadScoreLib.publication.figures import canvas
from DeepRadScoreLib.study.results.document import EndpointResult, ModelCard
from DeepRadScoreLib.study.results.study import Study

Drawn = TypeVar("Drawn")
NO_LINE: dict[str, Any] = {"color": "none", "linestyle": "none"}
"""A legend entry that is words alone."""


@dataclass(frozen=True)
class Grid:
    """Panels of equal size, one per endpoint: `columns` of them beside each other on a page `width` mm wide.

    `plot_width` and `plot_height` are of the axes, `cell_height` with title and tick labels, mm.
    """

    columns: int
    rows: int
    width: float
    plot_width: float
    plot_height: float

    LEFT, RIGHT, ABOVE, BELOW = 13.0, 3.0, 8.0, 5.6

    @classmethod
    def of(cls, count: int, height_share: float = 1.0) -> Grid:
        """The grid for so many panels; `height_share` is the height of a plot over its width."""
        columns = {1: 1, 2: 2, 4: 2}.get(count, 3)
        width = canvas.HALF_WIDTH if columns == 1 else canvas.FULL_WIDTH
        plot, rows = width / columns - cls.LEFT - cls.RIGHT, -(-count // columns)
        tallest = canvas.MAX_BODY / rows - cls.ABOVE - cls.BELOW
        return cls(columns, rows, width, plot, min(plot * height_share, tallest))

    @property
    def cell_height(self) -> float:
        return self.ABOVE + self.plot_height + self.BELOW

    @property
    def body(self) -> float:
        """Height of all panels and the axis label below, mm."""
        return self.rows * self.cell_height + 3.5

    def panels(self, page: canvas.Page, titles: Sequence[tuple[str, str]], x_label: str, y_label: str) -> list[Axes]:
        """Axes titled by endpoint and a line below; `titles` are (key, line). Outer panels have axis labels."""
        panels = []
        for number, (key, below) in enumerate(titles):
            row, column = divmod(number, self.columns)
            x, y = column * (self.width / self.columns), row * self.cell_height
            axes = page.axes(x + self.LEFT, y + self.ABOVE, self.plot_width, self.plot_height)
            available = self.plot_width + self.RIGHT
            canvas.draw_heading(page, x + self.LEFT, y + 0.8, key, available)
            page.text(x + self.LEFT, y + 4.4, canvas.fitted(below, available, canvas.SMALL), color=canvas.GREY)
            axes.set_ylabel(y_label if column == 0 else "")
            axes.yaxis.set_label_coords(-9.2 / self.plot_width, 0.5)
            axes.set_xlabel(x_label if number + self.columns >= len(titles) else "")
            panels.append(axes)
        return panels


def panel_page(
    title: str,
    caption: str,
    study: Study,
    protocol: Protocol,
    legend: Sequence[Artist],
    labels: tuple[str, str],
    height_share: float = 1.0,
) -> tuple[canvas.Page, list[Axes]]:
    """A page with one panel per endpoint of a protocol; `labels` are those of the x and the y axis."""
    endpoints = study.protocols[protocol].endpoints
    grid = Grid.of(len(endpoints), height_share)
    title = f"{title}, {canvas.PROTOCOL_TITLES[protocol]}"
    page = canvas.new_page(title, caption, grid.body, label=study.label, width=grid.width, legend=legend)
    return page, grid.panels(page, [(key, _sizes(e)) for key, e in endpoints.items()], *labels)


def _sizes(endpoint: EndpointResult) -> str:
    cards = [card for model in MODELS if (card := endpoint.models.get(model)) and card.n]
    if not cards:
        return "no model was run"
    return f"{cards[0].n} patients, {cards[0].positives} positive"


def drawn_or_reason(
    endpoint: EndpointResult, models: Iterable[str], drawn: Callable[[ModelCard], Drawn | None]
) -> Iterator[tuple[str, Drawn | str]]:
    """Each model with what `drawn` takes from its card, or with its name and why nothing is drawn of it."""
    for model in models:
        card = endpoint.models.get(model)
        reason = canvas.absence(card)
        found = None if card is None or reason else drawn(card)
        yield model, f"{canvas.LOOKS[model].name}: {reason or 'no curve'}" if found is None else found


def unit_square(axes: Axes) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_xticks(np.arange(0, 1.01, 0.2))
    axes.set_yticks(np.arange(0, 1.01, 0.2))


def value_legend(axes: Axes, handles: Sequence[Artist], corner: Literal["lower right", "upper left"]) -> None:
    legend = axes.legend(
        handles=list(handles),
        loc=corner,
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
            text.set_color(canvas.GREY)
