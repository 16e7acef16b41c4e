"""All figures of a study: their names, how each is drawn, and how they become SVG and PNG.

Every figure is at its printed size (88 or 180 mm wide). Equal inputs give equal bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, Any

import matplotlib.style
from matplotlib.figure import Figure

from DeepRadScoreLib.models import Protocol
from DeepRadScoreLib.publication.figures.canvas import STYLE
from DeepRadScoreLib.publication.figures.discrimination import inner_auc, roc
from DeepRadScoreLib.publication.figures.explain import contributions, correlation
from DeepRadScoreLib.publication.figures.flow import patient_flow
from DeepRadScoreLib.publication.figures.gradcam import gradcam_figure, gradcam_pages
from DeepRadScoreLib.publication.figures.overview import auc_overview
from DeepRadScoreLib.publication.figures.probability import calibration, decision
from DeepRadScoreLib.publication.figures.shap import shap_endpoints, shap_figure
from DeepRadScoreLib.study.results.study import Study

SVG_DPI = 300
"""Resolution of what is raster in an SVG: CT patches and the points of a beeswarm."""


def study_figures(study: Study) -> Iterator[tuple[str, Figure]]:
    """Name and figure, each drawn when it is asked for; a figure with nothing to show is left out.

    Names: `patient_flow`, `auc_overview`; for each protocol `roc_strict`, `inner_auc_strict`, `calibration_strict`,
    `decision_strict`, `correlation_strict`, `contributions_strict`, `shap_strict_<ENDPOINT>`, `gradcam_strict` (and
    `gradcam_strict_2` from the sixth endpoint on).
    """
    for name, draw in _planned(study):
        with matplotlib.style.context(STYLE, after_reset=True):
            figure = draw()
        yield name, figure


def figure_names(study: Study) -> list[str]:
    """The names of `study_figures`, without drawing."""
    return [name for name, _ in _planned(study)]


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


def _planned(study: Study) -> Iterator[tuple[str, Callable[[], Figure]]]:
    yield "patient_flow", partial(patient_flow, study)
    if any(study.each_endpoint()):
        yield "auc_overview", partial(auc_overview, study)
    for protocol in study.folds:
        if protocol in study.protocols and study.protocols[protocol].endpoints:
            yield from _of_protocol(study, protocol)


def _of_protocol(study: Study, protocol: Protocol) -> Iterator[tuple[str, Callable[[], Figure]]]:
    endpoints, folds = study.protocols[protocol].endpoints, study.folds[protocol]
    explained = any(explanation.correlations for fold in folds for explanation in fold.explanations)
    shared = any(endpoint.contributions for endpoint in endpoints.values())
    kinds = {"roc": roc, "inner_auc": inner_auc, "calibration": calibration, "decision": decision}
    kinds |= {"correlation": correlation} if explained else {}
    kinds |= {"contributions": contributions} if shared else {}
    for kind, draw in kinds.items():
        yield f"{kind}_{protocol}", partial(draw, study, protocol)
    for key in shap_endpoints(folds):
        yield f"shap_{protocol}_{key}", partial(shap_figure, study, protocol, key)
    for number, pairs in enumerate(gradcam_pages(folds), start=1):
        name = f"gradcam_{protocol}" if number == 1 else f"gradcam_{protocol}_{number}"
        yield name, partial(gradcam_figure, study, protocol, pairs)
