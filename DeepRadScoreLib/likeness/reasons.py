"""What makes a case unlike the training cases: the values farthest outside the ranges seen in training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from DeepRadScoreLib.likeness.carriers import Likeness, Reason
from DeepRadScoreLib.likeness.evidence import Evidence
from DeepRadScoreLib.likeness.limits import Judged, TrainingLimits
from DeepRadScoreLib.likeness.measures import VECTOR
from DeepRadScoreLib.likeness.parts import Part, vectors_of
from DeepRadScoreLib.likeness.ranges import Ranges

MAX_REASONS = 3
NETWORK, NETWORK_RANGE = "network_features", (0.0, 2.3)
"""The networks' part has no single value: its score is given, 2.3 where one in 200 training cases lies farther."""
FAMILIES = ("spacing", "noise", "roughness", "edge", "tumour_hu", "tumour_share", "peritumoral", "patch")
"""Measures of one family tell much the same; one of them is named."""


def likeness_of(limits: TrainingLimits, case: Evidence, judged: Judged) -> Likeness:
    """The percentile of one case, with reasons where a warning or a missing finding needs them."""
    reasons = reasons_for(limits, case, judged) if judged.warned()[0] else ()
    return Likeness(float(judged.percentiles[0]), reasons)


def reasons_for(limits: TrainingLimits, case: Evidence, judged: Judged) -> tuple[Reason, ...]:
    """Up to three reasons for one case, the most telling first.

    Of the parts, in the order of their scores, those above the limit for a warning: measures outside their 99 % range,
    by excess, else the one with the largest part of the distance; of the radiomics features the one with the largest
    part; the networks' features as one. Before them, columns of fused models beyond their fence.
    """
    found: dict[str, Reason] = {}
    for key, outside in judged.endpoints.items():
        if outside[0]:
            ranges = limits.columns[key]
            values = case.columns[key][list(ranges.names)].to_numpy(float)[0]
            found.setdefault("column", _farthest(ranges, values, f"{key}/"))
    for part, scores in sorted(judged.parts.items(), key=lambda item: -float(item[1][0])):
        if float(scores[0]) > limits.thresholds.warn:
            found |= dict(_of_part(limits, part, case))
    return tuple(found.values())[:MAX_REASONS]


def _of_part(limits: TrainingLimits, part: Part, case: Evidence) -> Iterator[tuple[str, Reason]]:
    if part == Part.IMAGE:
        yield from _of_measures(limits, case)
    elif part == Part.FEATURES:
        share = limits.parts[part].distances[0].contributions(vectors_of(part, case)[0])[0]
        column = int(share.argmax())
        name = limits.features.names[column]
        yield name, Reason(name, float(case.features.iloc[0, column]), *limits.features.bounds(name))
    else:
        score = float(limits.parts[part].scores(case.pooled)[0])
        yield NETWORK, Reason(NETWORK, score, *NETWORK_RANGE)


def _of_measures(limits: TrainingLimits, case: Evidence) -> Iterator[tuple[str, Reason]]:
    ranges = limits.measures
    if ranges is None or case.measures is None:
        return
    names = [measure.name for measure in VECTOR]
    excess = dict(zip(ranges.names, ranges.excess(case.measures[list(ranges.names)].to_numpy(float))[0], strict=True))
    share = limits.parts[Part.IMAGE].distances[0].contributions(vectors_of(Part.IMAGE, case)[0])[0]
    outside = sorted((name for name in names if excess[name] > 1), key=lambda name: -excess[name])
    for name in outside or [names[int(share.argmax())]]:
        family = next((family for family in FAMILIES if name.startswith(family)), name)
        yield family, Reason(name, float(case.measures[name].iloc[0]), *ranges.bounds(name))


def _farthest(ranges: Ranges, values: np.ndarray, prefix: str) -> Reason:
    column = int(np.nanargmax(ranges.excess(values[None])[0]))
    name = ranges.names[column]
    return Reason(prefix + name, float(values[column]), *ranges.bounds(name))
