"""What the headers of the training CTs told of their acquisition, summed up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from DeepRadScoreLib.imaging.acquisition import Acquisition

PROBABILITIES = (0.5, 50.0, 99.5)


@dataclass(frozen=True)
class Scans:
    """Counts of training cases by what their headers told; a header that did not tell counts in none.

    Attributes
    ----------
    kernel, manufacturer, contrast: value ("yes" or "no" for contrast) -> number of cases.
    tube_voltage_kv, slice_thickness_mm: 0.5th, 50th and 99.5th percentile, or None where no header tells.
    """

    n: int
    kernel: dict[str, int]
    manufacturer: dict[str, int]
    contrast: dict[str, int]
    tube_voltage_kv: tuple[float, float, float] | None
    slice_thickness_mm: tuple[float, float, float] | None

    @classmethod
    def of(cls, acquisitions: Sequence[Acquisition]) -> Scans:
        """Sum up the training cases."""
        contrast = [_yes_or_no(one.contrast) for one in acquisitions]
        return cls(
            len(acquisitions),
            _counts([one.kernel for one in acquisitions]),
            _counts([one.manufacturer for one in acquisitions]),
            _counts(contrast),
            _quantiles([one.tube_voltage_kv for one in acquisitions]),
            _quantiles([one.slice_thickness_mm for one in acquisitions]),
        )

    def to_dict(self) -> dict[str, Any]:
        """As values that JSON has."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Scans:
        """The counts that `to_dict` gave."""
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
        return cls(**fields)

    def unseen(self, case: Acquisition) -> tuple[str, ...]:
        """Fields that the case's header tells and in which it is like no training case, if these told them."""
        contrast = _yes_or_no(case.contrast)
        named = {"kernel": (case.kernel, self.kernel), "manufacturer": (case.manufacturer, self.manufacturer)}
        named["contrast"] = (contrast, self.contrast)
        found = [name for name, (value, seen) in named.items() if value is not None and seen and value not in seen]
        for name in ("tube_voltage_kv", "slice_thickness_mm"):
            value, seen = getattr(case, name), getattr(self, name)
            if value is not None and seen is not None and not seen[0] <= value <= seen[-1]:
                found.append(name)
        return tuple(found)


def _yes_or_no(contrast: bool | None) -> str | None:
    return None if contrast is None else "yes" if contrast else "no"


def _counts(values: Sequence[str | None]) -> dict[str, int]:
    return dict(sorted(Counter(value for value in values if value is not None).items()))


def _quantiles(values: Sequence[float | None]) -> tuple[float, float, float] | None:
    told = [value for value in values if value is not None]
    if not told:
        return None
    low, middle, high = np.percentile(told, PROBABILITIES)
    return float(low), float(middle), float(high)
