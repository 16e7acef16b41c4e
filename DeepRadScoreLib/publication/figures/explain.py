"""Inputs of the fused models: RadScores against deep features (Fig. 4a) and their shares (Fig. 4b)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from DeepRadScoreLib.models import Protocol
from DeepRadScoreLib.publication.figures import canvas
from DeepRadScoreLib.publication.sentences import endpoint_name
from DeepRadScoreLib.report.wording import COLUMN_NAMES
from DeepRadScoreLib.study.results.document import CorrelationCard, EndpointResult
from DeepRadScoreLib.study.results.study import Explanation, FoldOutcome, Study

SOURCES: dict[str, tuple[str, str, str]] = {
    "radscore_tumour": (COLUMN_NAMES["radscore_tumour"], canvas.BLUE, ""),
    "radscore_peritumoral": (COLUMN_NAMES["radscore_peritumoral"], canvas.SKY, "/////"),
    "deep": ("Deep features", canvas.ORANGE, ""),
}
"""Where a column comes from: name, colour, hatch."""
HEADS = ("Tumour", "Peritumoral", "Deep")


def source_of(column: str) -> str:
    """The source of a fused column: itself for a RadScore, "deep" for whatever came from a network."""
    return column if column in COLUMN_NAMES else "deep"


def mean_absolute(correlations: Sequence[np.ndarray]) -> np.ndarray:
    """Mean |r| over networks, (regions, d); NaN where a column is constant in every network."""
    sizes = np.abs(np.stack(correlations))
    known = ~np.isnan(sizes)
    count = known.sum(axis=0)
    total = np.where(known, sizes, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def correlation(study: Study, protocol: Protocol) -> Figure:
    """Heat map per endpoint: |r| of each RadScore with each deep feature, averaged over networks."""
    result = study.protocols[protocol]
    found = {key: _explanations(study.folds[protocol], key) for key in result.endpoints}
    found = {key: [e for e in each if e.correlations] for key, each in found.items()}
    height, row, gap, left, plot = 0.0, 4.8, 7.0, 34.0, 92.0
    heights = {key: row * (each[0].correlations[0].shape[0] if each else 1) for key, each in found.items()}
    body = sum(heights.values()) + gap * len(heights) + 7.5
    page = canvas.new_page(
        f"Correlation of RadScores with deep features, {canvas.PROTOCOL_TITLES[protocol]}",
        "|Pearson's r| in the test cases, averaged over networks. Deep features of different networks are not aligned: "
        "a column is the k-th feature of each, and its mean says how strong correlations are, not of which feature. "
        "Right: largest and mean ± SD of |r| over all RadScores, features and networks.",
        body,
        label=study.label,
    )
    image = None
    for key, each in found.items():
        canvas.draw_heading(page, 2, height + 1.6, key, left + plot)
        axes = page.axes(left, height + gap - 1.2, plot, heights[key])
        height += gap + heights[key]
        if not each:
            _note(axes, "no deep features, or no RadScores, in this endpoint's model")
            continue
        networks = [r for e in each for r in e.correlations]
        names = [SOURCES[name][0] for name in each[0].names if name in COLUMN_NAMES]
        image = _heat_map(axes, mean_absolute(networks), names, last=key == list(found)[-1])
        _print_summary(page, left + plot + 3, height - heights[key] - 1.2, result.endpoints[key].correlation)
    if image is not None:
        bar = page.axes(canvas.FULL_WIDTH - 42, -4, 28, 2.2)
        page.figure.colorbar(image, cax=bar, orientation="horizontal", ticks=(0, 0.5, 1))
        bar.tick_params(pad=1.5)
        page.text(canvas.FULL_WIDTH - 44, -4.3, "|r|", ha="right")
    return page.figure


def _heat_map(axes: Axes, values: np.ndarray, names: Sequence[str], last: bool) -> AxesImage:
    image = axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    for (i, j), value in np.ndenumerate(values):
        text = "–" if np.isnan(value) else f"{value:.2f}"
        axes.text(j, i, text, ha="center", va="center_baseline", color="white" if value > 0.55 else "black")
    axes.set_yticks(range(len(names)), names)
    axes.set_xticks(range(values.shape[1]), [str(k + 1) for k in range(values.shape[1])] if last else [])
    axes.set_xlabel("Deep feature" if last else "")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image


def _print_summary(page: canvas.Page, x: float, y: float, card: CorrelationCard | None) -> None:
    if card is None or card.largest is None or card.mean is None or card.sd is None:
        page.text(x, y + 0.9, "|r| not estimated", color=canvas.GREY)
        return
    networks = "1 network" if card.networks == 1 else f"{card.networks} networks"
    text = f"max {card.largest:.2f}, mean {card.mean:.2f} ± {card.sd:.2f}\n{networks}"
    page.text(x, y + 0.9, text, linespacing=1.6)


def contributions(study: Study, protocol: Protocol) -> Figure:
    """Share of each source in Deep-RadScore's mean |SHAP|, one bar per endpoint (Fig. 4b)."""
    result = study.protocols[protocol]
    row, left, top, plot = 5.6, 38.0, 4.0, 93.0
    body = top + row * len(result.endpoints) + 5
    page = canvas.new_page(
        f"Contributions to Deep-RadScore, {canvas.PROTOCOL_TITLES[protocol]}",
        "Share of each column in the mean |Shapley value| of the test cases, columns of one source added up, averaged "
        "over the outer folds in which it found a signal. A share says what the score rests on, not whether the score "
        "is any good.",
        body,
        label=study.label,
        legend=[Patch(facecolor=c, edgecolor="white", hatch=h, label=n) for n, c, h in SOURCES.values()],
    )
    axes = page.axes(left, top, plot, row * len(result.endpoints))
    columns = [left + plot + offset for offset in (12.0, 32.0, 43.5)]
    for x, head in zip(columns, HEADS, strict=True):
        page.text(x, 0.3, head, ha="right", weight="bold")
    for number, (key, endpoint) in enumerate(result.endpoints.items()):
        y = top + row * (number + 0.5)
        page.text(
            left - 2, y, canvas.fitted(endpoint_name(key), left - 4, canvas.SMALL), ha="right", va="center_baseline"
        )
        for x, share in zip(columns, _stacked_bar(axes, number, endpoint), strict=False):
            page.text(x, y, f"{100 * share:.0f} %", ha="right", va="center_baseline")
    axes.set_xlim(0, 1)
    axes.set_ylim(len(result.endpoints) - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xticks(np.arange(0, 1.01, 0.2), [f"{100 * x:.0f} %" for x in np.arange(0, 1.01, 0.2)])
    return page.figure


def _stacked_bar(axes: Axes, y: int, endpoint: EndpointResult) -> list[float]:
    """Draw one endpoint's bar; the shares in the order of `SOURCES`, none if there is nothing to share."""
    shares = dict.fromkeys(SOURCES, 0.0)
    for column, share in endpoint.contributions.items():
        shares[source_of(column)] += share
    if sum(shares.values()) == 0:
        axes.text(0.01, y, "Deep-RadScore: not run, or without a signal in any fold", va="center", color=canvas.GREY)
        return []
    start = 0.0
    for source, share in shares.items():
        _, colour, hatch = SOURCES[source]
        style: dict[str, Any] = {"color": colour, "edgecolor": "white", "hatch": hatch, "linewidth": 0.6}
        axes.barh(y, share, left=start, height=0.72, gid=source, **style)
        start += share
    return list(shares.values())


def _note(axes: Axes, text: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.text(0, 0.5, text, transform=axes.transAxes, va="center", color=canvas.GREY)
    axes.axhline(0.02, color=canvas.PALE, linewidth=0.4)


def _explanations(folds: Sequence[FoldOutcome], key: str) -> list[Explanation]:
    return [e for fold in folds for e in fold.explanations if e.endpoint == key]
