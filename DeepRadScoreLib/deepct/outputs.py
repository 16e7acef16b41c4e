"""Outputs of the Deep-CT networks for patches; importable without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

N_DEEP = 10


@dataclass(frozen=True)
class NetworkOutputs:
    """Outputs of one network, or of several for different endpoints, for n patches.

    Attributes
    ----------
    pooled: (n, p) float32.
    deep: endpoint -> the 10 deep features, (n, 10).
    logit: endpoint -> logit of positive against negative, (n,).
    """

    pooled: np.ndarray
    deep: dict[str, np.ndarray]
    logit: dict[str, np.ndarray]


def merge_outputs(each: Sequence[NetworkOutputs]) -> NetworkOutputs:
    """Join the outputs of networks for different endpoints; pooled features are those of the first network."""
    deep = {key: values for outputs in each for key, values in outputs.deep.items()}
    logit = {key: values for outputs in each for key, values in outputs.logit.items()}
    return NetworkOutputs(each[0].pooled, deep, logit)


def join_cases(each: Sequence[NetworkOutputs]) -> NetworkOutputs:
    """Outputs of one network for all cases from those for some of them, one after another."""
    if len(each) == 1:
        return each[0]
    keys = each[0].deep
    return NetworkOutputs(
        np.concatenate([outputs.pooled for outputs in each]),
        {key: np.concatenate([outputs.deep[key] for outputs in each]) for key in keys},
        {key: np.concatenate([outputs.logit[key] for outputs in each]) for key in keys},
    )
