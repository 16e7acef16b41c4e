"""Why the fitted models say what they say of a fold's test cases (method: explanation)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from DeepRadScoreLib.deepct.outputs import NetworkOutputs
from DeepRadScoreLib.fusion.explain import correlation, explain
from DeepRadScoreLib.fusion.model import FusionModel
from DeepRadScoreLib.models import Model
from DeepRadScoreLib.study.data import StudyData
from DeepRadScoreLib.study.results.study import CamExample, Explanation
from DeepRadScoreLib.study.training.fitting import FittedPart
from DeepRadScoreLib.study.training.networks import Networks
from DeepRadScoreLib.study.training.protocols import EndpointStage

MOST_CASES = 40


def explanation_task(
    stage: EndpointStage,
    fusion: FusionModel,
    cases: StudyData,
    columns: np.ndarray,
    outputs: Sequence[NetworkOutputs],
) -> dict:
    """The arguments of `explain_cases` for one endpoint: at most 40 test cases, evenly spaced, and all correlations."""
    if stage.regions is None or stage.deep is None:
        raise ValueError("Deep-RadScore needs radiomics and images")
    chosen = np.unique(np.linspace(0, len(columns) - 1, min(MOST_CASES, len(columns))).round().astype(int))
    radscores = stage.regions.raw(cases.features)
    pca = stage.deep.kind == "pca"
    deep = [stage.deep.columns(outputs, stage.key)] if pca else [each.deep[stage.key] for each in outputs]
    return {
        "endpoint": stage.key,
        "names": (*stage.deep.names, *stage.regions.names),
        "fusion": fusion,
        "background": stage.columns[Model.FUSED],
        "columns": columns[chosen],
        "case_ids": tuple(str(case_id) for case_id in cases.features.index[chosen]),
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
    """Shapley values of Deep-RadScore's columns (n, d) against the training part's (m, d)."""
    shap = explain(fusion, background, columns)
    return Explanation(endpoint, case_ids, names, columns, shap.values, correlations, shap.exact)


def cam_examples(
    part: FittedPart, stage: EndpointStage, cases: StudyData, labels: np.ndarray, probability: np.ndarray
) -> tuple[CamExample, ...]:
    """Grad-CAM of the cases whose probability lies furthest from the threshold and nearest to it.

    `labels` and `probability` are those of the `cases` (n,), from Deep-RadScore; none where it found no signal.
    """
    from DeepRadScoreLib.deepct.gradcam import cells, grad_cams

    fusion = part.fusions[stage.key][Model.FUSED]
    networks = _networks_of(part.stages.networks, stage.key)
    if fusion.no_signal_ or cases.patches is None or stage.deep is None:
        return ()
    distance = np.abs(probability - fusion.threshold_)
    readouts = None if stage.deep.readout is None else {stage.key: stage.deep.readout}
    rows, columns = (int(side) for side in cells(networks[0]).split(" x "))
    examples = []
    for kind, row in (("most certain", int(distance.argmax())), ("least certain", int(distance.argmin()))):
        patch = cases.patches[row]
        heat = grad_cams(networks, patch, (stage.key,), readouts=readouts)[stage.key]
        examples.append(
            CamExample(
                stage.key,
                str(cases.features.index[row]),
                kind,  # type: ignore[arg-type]
                int(labels[row]),
                float(probability[row]),
                patch,
                heat,
                (rows, columns),
            )
        )
    return tuple(examples)


def _networks_of(networks: Networks | None, key: str) -> list:
    """The network of every fold that knows the endpoint."""
    members = () if networks is None else networks.members
    return [network for member in members for network in member.values() if key in network.spec.endpoints]
