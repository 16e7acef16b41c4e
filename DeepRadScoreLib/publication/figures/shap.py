"""SHAP of Deep-RadScore's test cases: a beeswarm of each column, and the sign it works with (Figs. S3 to S5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from DeepRadScoreLib.models import Model, Protocol
from DeepRadScoreLib.publication.figures import canvas
from DeepRadScoreLib.publication.sentences import endpoint_name
from DeepRadScoreLib.report.wording import COLUMN_NAMES
from DeepRadScoreLib.study.results.study import Explanation, FoldOutcome, Study

VALUE_MAP = "cividis"
VALUE_LIMIT = 2.0
ROW_MM, LEFT_MM, SWARM_MM, BAR_MM = 9.0, 34.0, 75.0, 24.0
SWARM_BINS = 90
UNALIGNED = "Deep features (sum)"


@dataclass(frozen=True)
class ShapRow:
    """One row of the figure.

    Attributes
    ----------
    shap: (n,) of all folds' cases, as shares of the fold's mean summed |SHAP|.
    values: (n,) the column, z-scored within each fold; None for a sum of columns.
    rising, falling: in how many folds the column raises, lowers the score (Pearson's r of value and SHAP).
    """

    name: str
    shap: np.ndarray
    values: np.ndarray | None
    rising: int
    falling: int

    @property
    def size(self) -> float:
        """Mean |SHAP| over the cases."""
        return float(np.abs(self.shap).mean())


def shap_endpoints(folds: Sequence[FoldOutcome]) -> list[str]:
    """Endpoints with Shapley values of a fold with a signal."""
    return [key for key in dict.fromkeys(e.endpoint for f in folds for e in f.explanations) if _with_signal(folds, key)]


def _with_signal(folds: Sequence[FoldOutcome], key: str) -> list[Explanation]:
    """One endpoint's explanations that are not all 0, of folds whose Deep-RadScore found a signal."""
    silent = {
        fold.name
        for fold in folds
        for fit in fold.fits
        if (fit.endpoint, fit.model) == (key, Model.FUSED) and fit.no_signal
    }
    found = [e for fold in folds if fold.name not in silent for e in fold.explanations if e.endpoint == key]
    return [e for e in found if np.abs(e.shap).sum() > 0]


def shap_rows(used: Sequence[Explanation]) -> list[ShapRow]:
    """Rows of one endpoint, all folds pooled; with several folds the ten deep features are one row, their sum.

    The units of a score differ with the fold's classifier, so each fold is divided by its mean summed |SHAP|: mean
    |SHAP| of a single column is then its share.

    Raises ValueError where there is no explanation, and for one whose Shapley values are all zero.
    """
    if not used or any(np.abs(e.shap).sum() == 0 for e in used):
        raise ValueError("there are no Shapley values to show")
    shap = [e.shap / np.abs(e.shap).sum(axis=1).mean() for e in used]
    values = [_z_scored(e.columns) for e in used]
    names = used[0].names
    numbered = [name for name in names if name.startswith("deep_") and name != "deep_ct"]
    merged = len(used) > 1 and len(numbered) > 1
    rows = [
        _row(name, [s[:, j] for s in shap], [v[:, j] for v in values])
        for j, name in sorted(enumerate(names), key=lambda pair: pair[1] not in COLUMN_NAMES)
        if not (merged and name in numbered)
    ]
    if merged:
        positions = [names.index(name) for name in numbered]
        rows.append(ShapRow(UNALIGNED, np.concatenate([s[:, positions].sum(axis=1) for s in shap]), None, 0, 0))
    return rows


def _z_scored(columns: np.ndarray) -> np.ndarray:
    sd = columns.std(axis=0)
    return (columns - columns.mean(axis=0)) / np.where(sd > 0, sd, 1.0)


def _row(name: str, shap: list[np.ndarray], values: list[np.ndarray]) -> ShapRow:
    signs = [float(np.sign(np.round(v @ (s - s.mean()), 12))) for s, v in zip(shap, values, strict=True)]
    heading = COLUMN_NAMES.get(name) or ("Deep-CT logit" if name == "deep_ct" else f"Deep feature {name[5:]}")
    return ShapRow(heading, np.concatenate(shap), np.concatenate(values), signs.count(1.0), signs.count(-1.0))


def swarm(values: np.ndarray, span: float) -> np.ndarray:
    """Offsets from -1 to 1 that keep points of one row apart: those in one of 90 bins of `span` fan out in turn."""
    bins = np.floor(values / span * SWARM_BINS).astype(int)
    offsets = np.zeros(len(values))
    for number in np.unique(bins):
        inside = np.flatnonzero(bins == number)
        order = np.arange(len(inside))
        offsets[inside] = np.where(order % 2 == 1, 1, -1) * ((order + 1) // 2)
    return offsets / max(np.abs(offsets).max(), 6.0)


def shap_figure(study: Study, protocol: Protocol, key: str) -> Figure:
    """Beeswarm, mean |SHAP| and sign of every column of one endpoint's Deep-RadScore."""
    folds = study.folds[protocol]
    used = _with_signal(folds, key)
    rows = shap_rows(used)
    page = canvas.new_page(
        f"{endpoint_name(key)}: SHAP of Deep-RadScore, {canvas.PROTOCOL_TITLES[protocol]}",
        _caption(rows, used, len(folds)),
        ROW_MM * len(rows) + 10,
        label=study.label,
    )
    _draw_swarm(page.axes(LEFT_MM, 1, SWARM_MM, ROW_MM * len(rows)), rows)
    _draw_signs(page, page.axes(LEFT_MM + SWARM_MM + 5, 1, BAR_MM, ROW_MM * len(rows)), rows, len(used))
    _colour_bar(page, ROW_MM * len(rows))
    return page.figure


def _caption(rows: Sequence[ShapRow], used: Sequence[Explanation], all_folds: int) -> str:
    cases, estimated = len(rows[0].shap), sum(not each.exact for each in used)
    several = len(used) > 1
    sentences = [
        f"{cases} test cases of {len(used)} outer folds, one point each." if several else f"{cases} test cases.",
        "Shapley values of the raw score, divided by their mean summed size"
        f"{' in each fold, since the folds’ classifiers score in different units' if several else ''}; right of 0 a "
        f"column speaks for a positive case. Colour: the column's value, z-scored{' in each fold' if several else ''}. "
        "+: the score rises with the column, −: it falls (sign of Pearson's r of value and Shapley value)"
        f"{', and in how many folds' if several else ''}.",
    ]
    if len(used) < all_folds:
        sentences.append(f"Left out: {all_folds - len(used)} of {all_folds} folds, without a signal.")
    if any(row.name == UNALIGNED for row in rows):
        sentences.append(
            "Deep features of different folds' networks are not aligned: they are added up case by case, and their sum "
            "has no value of its own and no sign."
        )
    if estimated:
        sentences.append(f"In {estimated} of {len(used)} the values are estimated from random orders of the columns.")
    return " ".join(sentences)


def _draw_swarm(axes: Axes, rows: Sequence[ShapRow]) -> None:
    limit = 1.05 * max(float(np.abs(row.shap).max()) for row in rows)
    axes.axvline(0, color=canvas.GREY, linewidth=0.6, zorder=1)
    style: dict[str, Any] = {"s": 5, "linewidths": 0, "rasterized": True, "zorder": 3}
    for number, row in enumerate(rows):
        axes.axhline(number, color=canvas.PALE, linewidth=0.4, zorder=0)
        y = number + 0.4 * swarm(row.shap, 2 * limit)
        if row.values is None:
            axes.scatter(row.shap, y, color=canvas.GREY, gid=row.name, **style)
        else:
            axes.scatter(
                row.shap, y, c=row.values, cmap=VALUE_MAP, vmin=-VALUE_LIMIT, vmax=VALUE_LIMIT, gid=row.name, **style
            )
    axes.set_xlim(-limit, limit)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("SHAP value (scaled)")


def _draw_signs(page: canvas.Page, axes: Axes, rows: Sequence[ShapRow], folds: int) -> None:
    axes.set_xlim(0, 1.05 * max(row.size for row in rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_yticks([])
    axes.set_xlabel("Mean |SHAP|")
    for number, row in enumerate(rows):
        sign = int(np.sign(row.rising - row.falling))
        colour = {1: canvas.VERMILION, 0: canvas.GREY, -1: canvas.BLUE}[sign]
        axes.barh(number, row.size, height=0.5, color=colour, hatch="/////" if sign < 0 else "", edgecolor="white")
        axes.patches[-1].set_linewidth(0)
        where = 1 + ROW_MM * (number + 0.5)
        page.text(LEFT_MM + SWARM_MM + BAR_MM + 7, where, _sign_text(row, sign, folds), va="center_baseline")


def _sign_text(row: ShapRow, sign: int, folds: int) -> str:
    if row.values is None:
        return f"{row.size:.2f}"
    mark = {1: "+", 0: "±", -1: "−"}[sign]
    agreeing = max(row.rising, row.falling)
    return f"{row.size:.2f}   {mark}" + (f"  ({agreeing} of {folds})" if folds > 1 else "")


def _colour_bar(page: canvas.Page, height: float) -> None:
    from matplotlib import colormaps

    bar = page.axes(canvas.FULL_WIDTH - 13, 3, 2.2, min(height - 5, 34))
    mappable = ScalarMappable(Normalize(-VALUE_LIMIT, VALUE_LIMIT), colormaps[VALUE_MAP])
    page.figure.colorbar(mappable, cax=bar, ticks=(-2, 0, 2))
    bar.set_yticklabels(["−2 SD", "mean", "+2 SD"])
    bar.tick_params(length=2, pad=1.5)
    bar.set_title("Value", fontsize=7, pad=3)
