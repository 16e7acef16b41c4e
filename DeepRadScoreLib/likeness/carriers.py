"""How like a case is to the training patients of a model, and why."""

from __future__ import annotations

from dataclasses import dataclass

BEYOND_ALL = 99.95
"""Percentiles from here on would be rounded to 100."""


@dataclass(frozen=True)
class Reason:
    """One measure of a case that is unlike training: its machine name, its value, and the range seen in training."""

    what: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Likeness:
    """How far a case lies from the training patients.

    Attributes
    ----------
    percentile: share of the training patients that lie nearer, in percent, 0..100.
    reasons: the measures that are furthest outside their range, the furthest first; at most three.
    """

    percentile: float
    reasons: tuple[Reason, ...] = ()
