"""Grad-CAM of the most and the least certain test case of each endpoint (Fig. S6)."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from DeepRadScoreLib.models import Model, Protocol
from DeepRadScoreLib.publication.figures import canvas
from DeepRadScoreLib.report.figures import HEAT_MAP, HEAT_TICKS, MIN_HEAT, NETWORK_WINDOW, heat_colours
from DeepRadScoreLib.study.results.study import CamExample, FoldOutcome, Study

PER_PAGE = 5
IMAGE_MM, GAP_MM, PAIR_GAP_MM = 35.0, 1.0, 10.0
TITLE_MM = 8.4
KINDS = ("most certain", "least certain")
Pair = tuple[CamExample | None, CamExample | None]


def cam_pairs(folds: Sequence[FoldOutcome]) -> dict[str, Pair]:
    """Endpoint -> its most and its least certain example over all folds.

    Certain is a probability far from its fold's threshold of Deep-RadScore, as within a fold.
    """
    pairs: dict[str, Pair] = {}
    for key in dict.fromkeys(cam.endpoint for fold in folds for cam in fold.cams):
        found = [(_distance(fold, cam), cam) for fold in folds for cam in fold.cams if cam.endpoint == key]
        most, least = ([each for each in found if each[1].kind == kind] for kind in KINDS)
        pairs[key] = (
            max(most, key=itemgetter(0))[1] if most else None,
            min(least, key=itemgetter(0))[1] if least else None,
        )
    return pairs


def _distance(fold: FoldOutcome, cam: CamExample) -> float:
    thresholds = (fit.threshold for fit in fold.fits if (fit.endpoint, fit.model) == (cam.endpoint, Model.FUSED))
    return abs(cam.probability - next(thresholds))


def gradcam_pages(folds: Sequence[FoldOutcome]) -> list[dict[str, Pair]]:
    """The pairs of every five endpoints; none without examples."""
    pairs = list(cam_pairs(folds).items())
    return [dict(pairs[start : start + PER_PAGE]) for start in range(0, len(pairs), PER_PAGE)]


def gradcam_figure(study: Study, protocol: Protocol, pairs: dict[str, Pair]) -> Figure:
    """A row per endpoint of one page: patch, and patch with map, of the most and of the least certain case."""
    row = TITLE_MM + IMAGE_MM + 1
    page = canvas.new_page(
        f"Grad-CAM of the most and the least certain case, {canvas.PROTOCOL_TITLES[protocol]}",
        _caption(pairs, several=len(study.folds[protocol]) > 1),
        row * len(pairs),
        label=study.label,
    )
    for number, (key, pair) in enumerate(pairs.items()):
        y = row * number
        canvas.draw_heading(page, 2, y + 0.6, key, 2 * IMAGE_MM)
        for side, example in enumerate(pair):
            x = 2 + side * (2 * IMAGE_MM + GAP_MM + PAIR_GAP_MM)
            if example is None:
                page.text(x, y + 4.6, f"{KINDS[side].capitalize()}: no example", color=canvas.GREY)
                continue
            page.text(x, y + 4.8, _words(example))
            _draw_patch(page.axes(x, y + TITLE_MM, IMAGE_MM, IMAGE_MM), example, with_map=False)
            _draw_patch(page.axes(x + IMAGE_MM + GAP_MM, y + TITLE_MM, IMAGE_MM, IMAGE_MM), example, with_map=True)
    _colour_bar(page)
    return page.figure


def _words(example: CamExample) -> str:
    numbers = f": label {example.label}, probability {example.probability:.2f}, "
    width = 2 * IMAGE_MM + GAP_MM - 52
    return f"{example.kind.capitalize()}{numbers}{canvas.fitted(example.case_id, width, canvas.SMALL)}"


def _caption(pairs: dict[str, Pair], *, several: bool) -> str:
    cells = dict.fromkeys(e.cells for pair in pairs.values() for e in pair if e is not None)
    low, high = NETWORK_WINDOW
    return (
        "Test cases whose probability (Deep-RadScore) lies farthest from and nearest to the threshold of its part"
        f"{', over all outer folds, each with its own fold’s networks' if several else ''}. Left of each pair: the "
        f"deep patch, −{-low:.0f} to {high:.0f} HU; right: with the map of the positive finding from "
        f"{MIN_HEAT} of its maximum on. The map has {' or '.join(f'{a} × {b}' for a, b in cells)} cells and is no "
        "finer than that. The left of a picture is the patient's right."
    )


def _draw_patch(axes: Axes, example: CamExample, *, with_map: bool) -> None:
    low, high = NETWORK_WINDOW
    axes.imshow(example.patch, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    if with_map:
        alpha = np.where(example.heat >= MIN_HEAT, 0.5, 0.0)
        axes.imshow(
            example.heat, cmap=HEAT_MAP, vmin=0, vmax=1, alpha=alpha, interpolation="nearest", gid=example.case_id
        )
    axes.set_axis_off()


def _colour_bar(page: canvas.Page) -> None:
    bar = page.axes(canvas.FULL_WIDTH - 12, TITLE_MM + 4, 2.4, IMAGE_MM - 6)
    page.figure.colorbar(heat_colours(), cax=bar, ticks=HEAT_TICKS)
    bar.tick_params(length=2, pad=1.5)
