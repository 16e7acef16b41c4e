"""Fits that the data do not allow: what stands in their place, and how they end the fitting of an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

Fit = TypeVar("Fit")
Name = TypeVar("Name")


@dataclass(frozen=True)
class Refused:
    """What stands in place of a fit that the data do not allow: the error's sentence."""

    reason: str


class RefusedEndpoints(Exception):
    """Some endpoints cannot be fitted on a training part: endpoint -> the sentence that says why."""

    def __init__(self, reasons: dict[str, str]) -> None:
        self.reasons = reasons
        super().__init__(reasons)


def all_fitted(fits: Mapping[tuple[str, Name], Fit | Refused]) -> dict[tuple[str, Name], Fit]:
    """The fits, named by endpoint and part or model, if none was refused.

    Raises
    ------
    RefusedEndpoints: with the first sentence of each endpoint.
    """
    refused: dict[str, str] = {}
    fitted: dict[tuple[str, Name], Fit] = {}
    for (key, name), fit in fits.items():
        if isinstance(fit, Refused):
            refused.setdefault(key, fit.reason)
        else:
            fitted[key, name] = fit
    if refused:
        raise RefusedEndpoints(refused)
    return fitted
