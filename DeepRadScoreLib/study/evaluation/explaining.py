"""Shapley values and Grad-CAM of a fold's test cases (method: explanation)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from DeepRadScoreLib.deepct.outputs import NetworkOutputs
from DeepRadScoreLib.fusion.explain import correlation, explain_mean_steps
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.models import Model
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreLib.study.data import StudyData
from DeepRadScoreLib.study.results.study import CamExample, Explanation
from DeepRadScoreLib.study.training.fitted import EndpointStage, FittedModels

MAX_CASES = 40


def explanation_task(
    stage: EndpointStage,
    fusion: FusionModel,
    cases: StudyData,
    columns: np.ndarray,
    outputs: Sequence[NetworkOutputs],
) -> dict:
    """The arguments of `explain_cases` for one endpoint: at most 40 test cases, evenly spaced, and all correlations.

    `columns`: (members, n, d) of the cases.
    """
    if stage.regions is None or stage.deep is None:
        raise ValueError("Deep-RadScore needs radiomics and images")
    n = columns.shape[1]
    chosen = np.unique(np.linspace(0, n - 1, min(MAX_CASES, n)).round().astype(int))
    radscores = stage.regions.raw(cases.features)
    pca = stage.deep.kind == "pca"
    deep = [stage.deep.columns(outputs, stage.key)] if pca else [each.deep[stage.key] for each in outputs]
    return {
        "endpoint": stage.key,
        "names": (*stage.deep.names, *stage.regions.names),
        "fusion": fusion,
        "background": stage.columns[Model.FUSED],
        "columns": columns[:, chosen],
        "case_ids": tuple(str(case_id) for case_id in cases.case_ids[chosen]),
        "correlations": tuple(correlation(radscores, values) for values in deep),
    }


def explain_cases(
    endpoint: str,
    names: tuple[str, ...],
    fusion: FusionModel,
    background: np.ndarray,
    columns: np.ndarray,
    case_ids: tuple[str, ...],
    correlations: tuple[np.ndarray, ...],
) -> Explanation:
    """Shapley values of Deep-RadScore's columns (members, n, d), whose means are shown, against the training set's."""
    shap = run_to_end(explain_mean_steps(fusion, background, columns))
    return Explanation(endpoint, case_ids, names, columns.mean(axis=0), shap.values, correlations, shap.exact)


def cam_examples(
    models: FittedModels, stage: EndpointStage, cases: StudyData, columns: np.ndarray
) -> tuple[CamExample, ...]:
    """Grad-CAM of the labelled cases whose probability lies furthest from the threshold and nearest to it.

    `columns` (members, n, d) are Deep-RadScore's of the `cases`. No example where it found no signal, where there are
    no images, or with one labelled case.
    """
    from DeepRadScoreLib.deepct.gradcam import cells, grad_cams

    key, fusion, fitted = stage.key, models.fusions[stage.key][Model.FUSED], models.networks
    known = cases.labelled(key).rows
    cases, columns = cases.subset(known), columns[:, known]
    if known.sum() < 2 or fusion.no_signal_ or cases.patches is None or stage.deep is None or fitted is None:
        return ()
    networks = [net for member in fitted.members for net in member.values() if key in net.spec.endpoints]
    probability = fusion.calibrated(fusion.member_scores(columns).mean(axis=0))
    distance = np.abs(probability - fusion.threshold_)
    readouts = None if stage.deep.readout is None else {key: stage.deep.readout}
    cells_along = tuple(int(side) for side in cells(networks[0]).split(" x "))
    examples = []
    for kind, row in (("most certain", int(distance.argmax())), ("least certain", int(distance.argmin()))):
        patch = cases.patches[row]
        examples.append(
            CamExample(
                endpoint=key,
                case_id=str(cases.case_ids[row]),
                kind=kind,  # type: ignore[arg-type]
                label=int(cases.labels[key].iloc[row]),
                probability=float(probability[row]),
                patch=patch,
                heat=grad_cams(networks, patch, (key,), readouts=readouts)[key],
                cells=cells_along,  # type: ignore[arg-type]
            )
        )
    return tuple(examples)
