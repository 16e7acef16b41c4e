"""How well the models do, endpoint by endpoint: ROC and inner AUCs (Figs. 2 and 3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import roc_curve

from DeepRadScoreLib.fusion.classifiers import CLASSIFIERS
from DeepRadScoreLib.models import MODELS, Baseline, Model, Protocol
from DeepRadScoreLib.publication.figures import canvas
from DeepRadScoreLib.publication.figures.panels import NO_LINE, drawn_or_reason, panel_page, unit_square, value_legend
from DeepRadScoreLib.report.number_text import with_interval
from DeepRadScoreLib.study.results.document import EndpointResult, ModelCard
from DeepRadScoreLib.study.results.study import FoldOutcome, Study

SPECIFICITY_GRID = np.linspace(0.0, 1.0, 201)


def average_roc(folds: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """ROC curves of several folds averaged vertically (Fawcett 2006, algorithm 3).

    Parameters
    ----------
    folds: (labels, scores) of each fold; a fold with one class has no curve and is left out.

    Returns
    -------
    false positive rate (201,), mean and SD (over folds, divisor n) of the true positive rate (201,), curves averaged.
    """
    curves = []
    for labels, scores in folds:
        if len(np.unique(labels)) < 2:
            continue
        false_positive, true_positive, _ = roc_curve(labels, scores)
        curve = np.interp(SPECIFICITY_GRID, false_positive, true_positive)
        curve[0] = 0.0
        curves.append(curve)
    if not curves:
        return SPECIFICITY_GRID, np.full(201, np.nan), np.full(201, np.nan), 0
    return SPECIFICITY_GRID, np.mean(curves, axis=0), np.std(curves, axis=0), len(curves)


def roc(study: Study, protocol: Protocol) -> Figure:
    """ROC per endpoint: the three models and tumour volume, folds averaged vertically with a band of 1 SD."""
    result, folds = study.protocols[protocol], study.folds[protocol]
    models = (*MODELS, Baseline.VOLUME)
    several = len(folds) > 1
    methods = canvas.interval_methods(c for e in result.endpoints.values() for c in e.models.values())
    how = (
        f"ROC curves of the {len(folds)} test parts averaged vertically; bands: ± 1 SD over the test parts. "
        "Legends: mean AUC over the test parts (95 % interval). "
        if several
        else "ROC curves of the held-out part. Legends: AUC (95 % interval). "
    )
    has_dagger = any(canvas.dagger(c) for e in result.endpoints.values() for m, c in e.models.items() if m in models)
    note = " †: this interval is not to be relied on; the table of AUCs says why." if has_dagger else ""
    page, panels = panel_page(
        "ROC",
        f"{how}{f'Method of the interval: {methods}. ' if methods else ''}Split: {result.split}.{note}",
        study,
        protocol,
        canvas.model_legend(models),
        ("1 − specificity", "Sensitivity"),
    )
    for (key, endpoint), axes in zip(result.endpoints.items(), panels, strict=True):
        axes.plot([0, 1], [0, 1], color=canvas.PALE, linewidth=0.7, zorder=1)
        handles = []
        for model, card in drawn_or_reason(endpoint, models, lambda card: card):
            if isinstance(card, str):
                handles.append(Line2D([], [], label=card, **NO_LINE))
            else:
                handles.append(_draw_roc(axes, key, model, card, folds, several))
        unit_square(axes)
        value_legend(axes, handles, "lower right")
    return page.figure


def _draw_roc(axes: Axes, key: str, model: str, card: ModelCard, folds: Sequence[FoldOutcome], several: bool) -> Line2D:
    tested = [_labels_and_scores(fold, key, model) for fold in folds]
    label = with_interval(card.auc, card.auc_ci) + canvas.dagger(card)
    style, order = canvas.LOOKS[model].line_style(), 3 if model == Model.FUSED else 2
    if several:
        x, mean, sd, _ = average_roc(tested)
        if model in MODELS:
            low, high = np.clip(mean - sd, 0, 1), np.clip(mean + sd, 0, 1)
            axes.fill_between(x, low, high, color=canvas.LOOKS[model].colour, alpha=0.13, linewidth=0)
    else:
        x, mean, _ = roc_curve(*tested[0])
    return axes.plot(x, mean, label=label, zorder=order, gid=model, **style)[0]


def _labels_and_scores(fold: FoldOutcome, key: str, model: str) -> tuple[np.ndarray, np.ndarray]:
    table = fold.predictions
    rows = table[(table["endpoint"] == key) & (table["model"] == model)]
    return rows["label"].to_numpy(), rows["score"].to_numpy()


def inner_auc(study: Study, protocol: Protocol) -> Figure:
    """Inner cross-validated AUCs of the classifiers of each model; how often each was chosen (Fig. 3b-d)."""
    legend: list[Artist] = [
        Patch(
            facecolor=_tint(canvas.LOOKS[m].colour),
            edgecolor=canvas.LOOKS[m].colour,
            hatch=canvas.LOOKS[m].hatch,
            label=canvas.LOOKS[m].name,
        )
        for m in MODELS
    ]
    result = study.protocols[protocol]
    several = len(result.folds) > 1
    mark = (
        f"The figure above a box: in how many of the {len(result.folds)} training parts this classifier was chosen."
        if several
        else "★: the chosen classifier."
    )
    page, panels = panel_page(
        "AUC of the inner cross-validation",
        "AUC of every inner fold of every repeat, for all classifiers that were compared; left to right within a group "
        "as in the legend. Box: quartiles and median; whiskers: 5th and 95th percentile. Filled boxes were chosen "
        f"(best mean), hollow ones were not. {mark} Inner AUCs compare classifiers; they do not validate a model.",
        study,
        protocol,
        legend,
        ("", "Inner AUC"),
        height_share=0.78,
    )
    for endpoint, axes in zip(result.endpoints.values(), panels, strict=True):
        _draw_inner(axes, endpoint, several)
    return page.figure


def _draw_inner(axes: Axes, endpoint: EndpointResult, several: bool) -> None:
    names = [n for n in CLASSIFIERS if any(n in c.inner_aucs for m, c in endpoint.models.items() if m in MODELS)]
    lowest, highest, missing = 0.5, 0.6, []
    for position, model in enumerate(MODELS):
        card = endpoint.models.get(model)
        if card is None or card.not_run is not None or not card.inner_aucs:
            missing.append(f"{canvas.LOOKS[model].name}: not run")
            continue
        chosen = Counter(card.classifier.values())
        for number, name in enumerate(names):
            values = card.inner_aucs.get(name)
            if not values:
                continue
            x = number + (position - 1) * 0.29
            _draw_box(axes, x, values, model, name in chosen)
            whiskers = np.percentile(values, (5, 95))
            lowest, highest = min(lowest, float(whiskers[0])), max(highest, float(whiskers[1]))
            if name in chosen:
                mark = str(chosen[name]) if several else "★"
                style: dict[str, Any] = {
                    "ha": "center",
                    "va": "top",
                    "color": canvas.LOOKS[model].colour,
                    "weight": "bold",
                }
                axes.text(x, 0.995 if position == 1 else 0.925, mark, transform=axes.get_xaxis_transform(), **style)
    axes.axhline(0.5, color=canvas.PALE, linewidth=0.7, zorder=0)
    axes.set_xlim(-0.6, max(len(names), 1) - 0.4)
    span = highest - lowest
    axes.set_ylim(lowest - (0.04 + 0.08 * len(missing)) * span, highest + 0.19 * span)
    axes.set_xticks(range(len(names)), names)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.tick_params(axis="x", length=0, pad=2)
    if missing:
        axes.text(0.02, 0.02, "\n".join(missing), transform=axes.transAxes, va="bottom", color=canvas.GREY)


def _draw_box(axes: Axes, x: float, values: list[float], model: str, chosen: bool) -> None:
    look = canvas.LOOKS[model]
    drawn = axes.boxplot(
        [values],
        positions=[x],
        widths=0.24,
        whis=(5, 95),
        showfliers=False,
        patch_artist=True,
        manage_ticks=False,
        boxprops={"facecolor": _tint(look.colour) if chosen else "white", "edgecolor": look.colour, "linewidth": 0.7},
        medianprops={"color": canvas.BLACK, "linewidth": 1.0},
        whiskerprops={"color": look.colour, "linewidth": 0.7},
        capprops={"color": look.colour, "linewidth": 0.7},
    )
    drawn["boxes"][0].set_hatch(look.hatch if chosen else "")
    drawn["medians"][0].set_gid(model)


def _tint(colour: str) -> tuple[float, float, float]:
    from matplotlib.colors import to_rgb

    red, green, blue = (0.55 + 0.45 * channel for channel in to_rgb(colour))
    return red, green, blue
