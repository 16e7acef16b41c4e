"""Distances of cases from the training cases by one kind of evidence, put on one scale for all kinds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from DeepRadScoreLib.likeness.distance import ShrunkDistance
from DeepRadScoreLib.likeness.evidence import Evidence
from DeepRadScoreLib.likeness.measures import VECTOR, to_vectors
from DeepRadScoreLib.likeness.thresholds import ExponentialTail

Fold = tuple[np.ndarray, np.ndarray]


class Part(StrEnum):
    """A kind of evidence: measures of image and outline, radiomics features, the networks' pooled features."""

    IMAGE = "image"
    FEATURES = "features"
    NETWORK = "network"


COMPONENTS = {Part.FEATURES: 40, Part.NETWORK: 10}


def vectors_of(part: Part, cases: Evidence) -> tuple[np.ndarray, ...]:
    """The vectors (n, p) of a part: one array, or one for each network; none where they are not known."""
    if part == Part.FEATURES:
        return (cases.features.to_numpy(float),)
    if part == Part.NETWORK:
        return cases.pooled
    return () if cases.measures is None else (to_vectors(cases.measures),)


def is_tamed(part: Part) -> bool:
    """Whether the columns of a part are tamed: those of radiomics have long tails."""
    return part == Part.FEATURES


def _estimator(part: Part) -> ShrunkDistance:
    if part == Part.IMAGE:
        return ShrunkDistance(len(VECTOR), tame=False, min_sd=np.array([measure.min_sd for measure in VECTOR]))
    return ShrunkDistance(COMPONENTS[part], tame=is_tamed(part))


@dataclass(frozen=True)
class PartLimits:
    """Distances of one part from the training cases, and their scale in training cases that were left out.

    Attributes
    ----------
    distances: one; of the networks, one for each.
    middles: for each of them, the logarithm of the median squared distance of left-out training cases.
    tail: of the logarithms above these medians.
    """

    distances: tuple[ShrunkDistance, ...]
    middles: tuple[float, ...]
    tail: ExponentialTail

    def scores(self, vectors: Sequence[np.ndarray]) -> np.ndarray:
        """(n,) -log10 of the share of training cases that would lie farther; from the mean over the networks."""
        logs = [np.log(distance.squared(x)) for distance, x in zip(self.distances, vectors, strict=True)]
        above = np.mean([log - middle for log, middle in zip(logs, self.middles, strict=True)], axis=0)
        return self.tail.scores(above)


@dataclass(frozen=True)
class FittedPart:
    """A part's limits, and the scores (n,) of the training cases, each by a fit that had left it out."""

    limits: PartLimits
    left_out: np.ndarray


def fit_part(part: Part, training: Evidence, folds: Sequence[Fold]) -> FittedPart | None:
    """Fit one part on training cases; None where they have nothing of it.

    Parameters
    ----------
    folds: (train, left out) positions; for the networks, those that each of them was trained with.
    """
    vectors = vectors_of(part, training)
    if not vectors:
        return None
    if part == Part.NETWORK and len(vectors) == len(folds) > 1:
        return _fit_fold_networks(vectors, folds)
    logs = np.empty(len(vectors[0]))
    for train, left_out in folds:
        logs[left_out] = np.log(_estimator(part).fit(vectors[0][train]).squared(vectors[0][left_out]))
    return _scaled((_estimator(part).fit(vectors[0]),), logs, (np.arange(len(logs)),))


def _fit_fold_networks(vectors: Sequence[np.ndarray], folds: Sequence[Fold]) -> FittedPart:
    """Each network with the cases that it was trained on, judged on the others."""
    logs = np.empty(len(vectors[0]))
    distances = []
    for pooled, (train, left_out) in zip(vectors, folds, strict=True):
        distance = _estimator(Part.NETWORK).fit(pooled[train])
        logs[left_out] = np.log(distance.squared(pooled[left_out]))
        distances.append(distance)
    return _scaled(tuple(distances), logs, [left_out for _, left_out in folds])


def _scaled(distances: tuple[ShrunkDistance, ...], logs: np.ndarray, groups: Sequence[np.ndarray]) -> FittedPart:
    middles = tuple(float(np.median(logs[group])) for group in groups)
    above = logs.copy()
    for group, middle in zip(groups, middles, strict=True):
        above[group] -= middle
    tail = ExponentialTail.of(above)
    return FittedPart(PartLimits(distances, middles, tail), tail.scores(above))
