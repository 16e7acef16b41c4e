"""Limits of a score set on left-out training cases, so that false alarms stay at a chosen share of cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

FALSE_ALARMS = 0.05
CONFIDENCE = 0.90
BEYOND_SHARE = 0.001
TAIL_SHARE = 0.1
MIN_TAIL = 5
MIN_START, MIN_EXCESS = 0.1, 0.05
"""Least start and mean excess of a tail: a tenth of a squared distance, by its logarithm, is not told apart. Vectors of
many independent columns are nearly all at one distance, and fits on fewer cases differ by more than their spread."""
GRID = np.arange(0.0, 100.5, 0.5)


@dataclass(frozen=True)
class ExponentialTail:
    """The upper tail of a value in left-out training cases, whose median is 0.

    Attributes
    ----------
    start: the value that `TAIL_SHARE` of the cases exceed.
    mean_excess: mean of the exponential distribution of what lies above it, from the median excess.
    """

    start: float
    mean_excess: float

    @classmethod
    def of(cls, values: np.ndarray) -> ExponentialTail:
        """From the values of left-out training cases, (n,)."""
        ordered = np.sort(np.asarray(values, dtype=float))
        tail = ordered[-min(max(int(len(ordered) * TAIL_SHARE), MIN_TAIL), len(ordered)) :]
        mean_excess = float(np.median(tail[1:] - tail[0]) / np.log(2)) if len(tail) > 1 else 0.0
        return cls(max(float(tail[0]), MIN_START), max(mean_excess, MIN_EXCESS))

    def quantile(self, share: float) -> float:
        """The value that this share of cases exceed, at most `TAIL_SHARE`."""
        return self.start + self.mean_excess * float(np.log(TAIL_SHARE / share))

    def scores(self, values: np.ndarray) -> np.ndarray:
        """-log10 of the share of cases that exceed a value, (n,); linear from 0.3 at the median to 1 at the start."""
        middle, start = -np.log10(0.5), -np.log10(TAIL_SHARE)
        inner = middle + (start - middle) * values / self.start
        outer = start + (values - self.start) / (self.mean_excess * np.log(10))
        return np.where(values < self.start, inner, outer)


@dataclass(frozen=True)
class Thresholds:
    """Limits of a score (the higher the further), and its distribution in left-out training cases.

    Attributes
    ----------
    n: number of these cases.
    warn: above it a case is far; at most `FALSE_ALARMS` of cases like those in training, with `CONFIDENCE`, are.
    beyond: above it a case is beyond the limits: `BEYOND_SHARE` of such cases by an exponential tail through the
        highest tenth, whose rate is that of their median excess; at least `warn`.
    percentiles: the scores at `GRID` percent.
    """

    n: int
    warn: float
    beyond: float
    percentiles: np.ndarray

    @classmethod
    def of(cls, scores: np.ndarray) -> Thresholds:
        """From the scores of left-out training cases, (n,)."""
        ordered = np.sort(np.asarray(scores, dtype=float))
        n = len(ordered)
        warn = float(ordered[-1 - allowed_alarms(n)])
        beyond = ExponentialTail.of(ordered).quantile(BEYOND_SHARE)
        return cls(n, warn, max(beyond, warn), np.percentile(ordered, GRID))

    def percentile(self, scores: np.ndarray) -> np.ndarray:
        """Percent of the left-out training cases that lie nearer, (n,)."""
        return np.interp(scores, self.percentiles, GRID)


def allowed_alarms(n: int) -> int:
    """How many of n cases may lie above a limit that holds for `FALSE_ALARMS` of all, with `CONFIDENCE`.

    The one-sided distribution-free tolerance limit (Wilks, Ann Math Stat 12:91, 1941); 0 where n is too small for one.
    """
    allowed = int(binom.ppf(1 - CONFIDENCE, n, FALSE_ALARMS))
    while allowed > 0 and binom.cdf(allowed, n, FALSE_ALARMS) > 1 - CONFIDENCE:
        allowed -= 1
    return allowed
