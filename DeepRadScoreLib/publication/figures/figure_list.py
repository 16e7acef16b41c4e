"""Figures of a study: one place that says which there are, and how they become SVG and PNG.

Every figure is at its printed size (88 or 180 mm wide). Equal inputs give equal bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, Any

import matplotlib.style
from matplotlib.figure import Figure

from DeepRadScoreLib.publication.figures.canvas import STYLE
from DeepRadScoreLib.publication.figures.explain import contributions, correlation
from DeepRadScoreLib.publication.figures.flow import patient_flow
from DeepRadScoreLib.publication.figures.gradcam import gradcam_pages
from DeepRadScoreLib.publication.figures.models import inner_auc, roc
from DeepRadScoreLib.publication.figures.overview import auc_overview
from DeepRadScoreLib.publication.figures.probability import calibration, decision
from DeepRadScoreLib.publication.figures.shap import shap_endpoints, shap_figure
from DeepRadScoreLib.study.results.document import ProtocolResult, Results
from DeepRadScoreLib.study.results.outcome import FoldOutcome, StudyOutcome

SVG_DPI = 300
"""Resolution of the parts of an SVG that are pixels: CT patches and the points of a beeswarm."""


def study_figures(outcome: StudyOutcome, results: Results) -> Iterator[tuple[str, Figure]]:
    """Name and figure, each drawn when it is asked for; a figure with nothing to show is left out.

    Names: `patient_flow`, `auc_overview`; for each protocol `roc_strict`, `inner_auc_strict`, `calibration_strict`,
    `decision_strict`, `correlation_strict`, `contributions_strict`, `shap_strict_<ENDPOINT>`, `gradcam_strict` (and
    `gradcam_strict_2` from the sixth endpoint on).
    """
    for name, draw in _planned(outcome, results):
        with matplotlib.style.context(STYLE, after_reset=True):
            figure = draw()
        yield name, figure


def figure_names(outcome: StudyOutcome, results: Results) -> list[str]:
    """The names of `study_figures`, without drawing."""
    return [name for name, _ in _planned(outcome, results)]


def to_svg(figure: Figure) -> str:
    """The figure as SVG text, letters as outlines."""
    stream = io.StringIO()
    _save(figure, stream, "svg", SVG_DPI, {"Date": None, "Creator": None})
    return stream.getvalue()


def to_png(figure: Figure, dpi: int = 200) -> bytes:
    """The figure as PNG."""
    stream = io.BytesIO()
    _save(figure, stream, "png", dpi, {"Software": None})
    return stream.getvalue()


def _save(figure: Figure, stream: IO[Any], form: str, dpi: int, metadata: dict[str, None]) -> None:
    with matplotlib.style.context(STYLE, after_reset=True):
        figure.savefig(stream, format=form, dpi=dpi, facecolor="white", metadata=metadata)


def _planned(outcome: StudyOutcome, results: Results) -> Iterator[tuple[str, Callable[[], Figure]]]:
    synthetic = outcome.synthetic
    yield "patient_flow", partial(patient_flow, results, synthetic)
    if any(result.endpoints for result in results.protocols.values()):
        yield "auc_overview", partial(auc_overview, results, synthetic)
    for protocol, folds in outcome.folds.items():
        if protocol in results.protocols and results.protocols[protocol].endpoints:
            for name, draw in _of_protocol(protocol, results.protocols[protocol], folds):
                yield name, partial(draw, synthetic=synthetic)


def _of_protocol(
    protocol: str, result: ProtocolResult, folds: tuple[FoldOutcome, ...]
) -> Iterator[tuple[str, Callable[..., Figure]]]:
    yield f"roc_{protocol}", partial(roc, protocol, result, folds)
    yield f"inner_auc_{protocol}", partial(inner_auc, protocol, result)
    yield f"calibration_{protocol}", partial(calibration, protocol, result, folds)
    yield f"decision_{protocol}", partial(decision, protocol, result)
    if any(explanation.correlations for fold in folds for explanation in fold.explanations):
        yield f"correlation_{protocol}", partial(correlation, protocol, result, folds)
    if any(endpoint.contributions for endpoint in result.endpoints.values()):
        yield f"contributions_{protocol}", partial(contributions, protocol, result)
    for key in shap_endpoints(folds):
        yield f"shap_{protocol}_{key}", partial(shap_figure, protocol, key, folds)
    for number, draw in enumerate(gradcam_pages(folds), start=1):
        yield f"gradcam_{protocol}" if number == 1 else f"gradcam_{protocol}_{number}", partial(draw, protocol)
