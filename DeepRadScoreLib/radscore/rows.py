"""Rows of a feature table as plain numbers: one case's columns are looked up in microseconds, by pandas in 0.5 ms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS


@dataclass(frozen=True)
class FeatureRows:
    """Features of n cases, `values` (n, 1702) in the order of `FEATURE_COLUMNS`."""

    values: np.ndarray

    @classmethod
    def of_case(cls, features: Mapping[str, float]) -> FeatureRows:
        """The row of one case. Raises KeyError where a feature is missing."""
        return cls(np.array([[features[name] for name in FEATURE_COLUMNS]], dtype=np.float64))

    def __len__(self) -> int:
        return len(self.values)

    def table(self) -> pd.DataFrame:
        """The rows as a table, n x 1702."""
        return pd.DataFrame(self.values, columns=column_index(FEATURE_COLUMNS))


Features = pd.DataFrame | FeatureRows
"""A feature table whose columns are found by name, or the rows of one."""


def positions(names: Sequence[str]) -> np.ndarray:
    """Where named features stand in `FEATURE_COLUMNS`, (k,). Raises KeyError for any other name."""
    return np.array([_POSITION[name] for name in names], dtype=np.intp)


@cache
def column_index(names: tuple[str, ...]) -> pd.Index:
    """Names of columns as pandas' index, made once."""
    return pd.Index(names)


_POSITION = {name: number for number, name in enumerate(FEATURE_COLUMNS)}
