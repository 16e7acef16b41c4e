"""Values seen in training as quantiles, and how far outside of them a value lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

PROBABILITIES: tuple[float, ...] = (0.5, 2.5, 25.0, 50.0, 75.0, 97.5, 99.5)
"""Percent. The outermost are interpolated between the last cases: no extreme of a single patient is stored as such."""
LOW, MIDDLE, HIGH = 0, 3, 6


@dataclass(frozen=True)
class Ranges:
    """Training quantiles of named values: `quantiles` is (`PROBABILITIES`, p)."""

    names: tuple[str, ...]
    quantiles: np.ndarray

    @classmethod
    def of(cls, training: pd.DataFrame) -> Ranges:
        """From a table (n x p) without its gaps."""
        return cls(tuple(map(str, training.columns)), np.nanpercentile(training.to_numpy(float), PROBABILITIES, axis=0))

    def excess(self, values: np.ndarray) -> np.ndarray:
        """Distance from the median over that of the 0.5th or 99.5th percentile, (n, p): above 1 outside of them.

        Infinite for a value that differs where all training cases were alike.
        """
        low, middle, high = (self.quantiles[row] for row in (LOW, MIDDLE, HIGH))
        reach = np.where(values < middle, middle - low, high - middle)
        distance = np.abs(values - middle)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(distance == 0, 0.0, distance / reach)

    def bounds(self, name: str) -> tuple[float, float]:
        """The 0.5th and 99.5th percentile of a named value."""
        column = self.names.index(name)
        return float(self.quantiles[LOW, column]), float(self.quantiles[HIGH, column])

    def to_dict(self) -> dict[str, list[float]]:
        """Name -> its quantiles, to six significant digits."""
        return {
            name: [float(f"{value:.6g}") for value in self.quantiles[:, column]]
            for column, name in enumerate(self.names)
        }

    @classmethod
    def from_dict(cls, stored: dict[str, Sequence[float]]) -> Ranges:
        """The ranges that `to_dict` gave."""
        return cls(tuple(stored), np.array(list(stored.values()), dtype=float).reshape(-1, len(PROBABILITIES)).T)
