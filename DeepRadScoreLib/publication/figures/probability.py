"""How good the predicted probabilities are: calibration and decision curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from DeepRadScoreLib.models import MODELS, Protocol
from DeepRadScoreLib.publication.figures.canvas import BLACK, GREY, LOOKS, PALE, model_legend
from DeepRadScoreLib.publication.figures.panels import NO_LINE, drawn_or_reason, panel_page, unit_square, value_legend
from DeepRadScoreLib.report.number_text import decimals
from DeepRadScoreLib.study.results.document import EndpointResult
from DeepRadScoreLib.study.results.study import FoldOutcome, Study

HISTOGRAM_BINS = np.linspace(0.0, 1.0, 21)
HISTOGRAM_SHARE = 0.16


def calibration(study: Study, protocol: Protocol) -> Figure:
    """Observed share against predicted probability, slope and intercept, and the spread of the probabilities."""
    page, panels = panel_page(
        "Calibration",
        "Share of positive patients against mean predicted probability, in groups of test patients; grey line: perfect "
        "calibration. Legends: slope / intercept of the logistic recalibration (perfect: 1 / 0). Below: "
        "how the predicted probabilities are spread.",
        study,
        protocol,
        model_legend(MODELS),
        ("Predicted probability", "Observed share"),
    )
    for (key, endpoint), axes in zip(study.protocols[protocol].endpoints.items(), panels, strict=True):
        axes.plot([0, 1], [0, 1], color=PALE, linewidth=0.9, zorder=1)
        handles = []
        for model, card in drawn_or_reason(endpoint, MODELS, lambda card: card.calibration):
            if isinstance(card, str):
                handles.append(Line2D([], [], label=card, **NO_LINE))
                continue
            curve = np.array([point[:2] for point in card.curve]).reshape(-1, 2)
            label = f"{decimals(card.slope)} / {decimals(card.intercept)}"
            style = LOOKS[model].line_style() | {"marker": LOOKS[model].marker, "markersize": 3.2}
            handles.append(axes.plot(curve[:, 0], curve[:, 1], label=label, gid=model, **style)[0])
            _draw_histogram(axes, study.folds[protocol], key, model)
        unit_square(axes)
        axes.set_ylim(-HISTOGRAM_SHARE - 0.04, 1.02)
        axes.set_yticks(np.arange(0, 1.01, 0.2))
        axes.axhline(-0.02, color=PALE, linewidth=0.5)
        value_legend(axes, handles, "upper left")
    return page.figure


def _draw_histogram(axes: Axes, folds: Sequence[FoldOutcome], key: str, model: str) -> None:
    tables = [fold.predictions for fold in folds]
    values = np.concatenate([t.loc[(t["endpoint"] == key) & (t["model"] == model), "probability"] for t in tables])
    counts, _ = np.histogram(values, HISTOGRAM_BINS)
    if counts.max() == 0:
        return
    bottom = -HISTOGRAM_SHARE - 0.03
    heights = bottom + counts / counts.max() * HISTOGRAM_SHARE
    style = LOOKS[model].line_style() | {"linewidth": 0.8}
    axes.stairs(heights, HISTOGRAM_BINS, baseline=bottom, **style)


def decision(study: Study, protocol: Protocol) -> Figure:
    """Net benefit of acting on each model, on all and on nobody, over the threshold probability."""
    everyone = Line2D([], [], color=BLACK, linewidth=0.8, linestyle=(0, (1, 1.2)), label="All positive")
    nobody = Line2D([], [], color=BLACK, linewidth=0.6, label="None positive")
    page, panels = panel_page(
        "Decision curves",
        "Net benefit: true positives less false positives weighted by the odds of the threshold, per patient (Vickers "
        "and Elkin 2006). A model is of use where it lies above both black lines.",
        study,
        protocol,
        [*model_legend(MODELS), everyone, nobody],
        ("Threshold probability", "Net benefit"),
        height_share=0.78,
    )
    for endpoint, axes in zip(study.protocols[protocol].endpoints.values(), panels, strict=True):
        _draw_decision(axes, endpoint)
    return page.figure


def _draw_decision(axes: Axes, endpoint: EndpointResult) -> None:
    top, missing, drawn = 0.02, [], False
    for model, curve in drawn_or_reason(endpoint, MODELS, lambda card: card.decision):
        if isinstance(curve, str):
            missing.append(curve)
            continue
        if not drawn:
            axes.plot(curve.thresholds, curve.all_positive, color=BLACK, linewidth=0.8, linestyle=(0, (1, 1.2)))
            drawn = True
        axes.plot(curve.thresholds, curve.net_benefit, gid=model, **LOOKS[model].line_style())
        top = max(top, *curve.net_benefit, *curve.all_positive)
    axes.axhline(0, color=BLACK, linewidth=0.6)
    axes.set_xlim(0, 1)
    axes.set_ylim(-0.3 * top, 1.08 * top)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    if missing:
        axes.text(0.98, 0.96, "\n".join(missing), transform=axes.transAxes, ha="right", va="top", color=GREY)
