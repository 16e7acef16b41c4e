"""The schema of the limits in a bundle: `limits.json`, and the arrays of `limits.safetensors`."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Self

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    TypeAdapter,
    model_validator,
)

from DeepRadScoreLib.archive import MEND, refused_field
from DeepRadScoreLib.errors import BundleError
from DeepRadScoreLib.json_text import checked_values
from DeepRadScoreLib.likeness.measures import MEASURES, VECTOR
from DeepRadScoreLib.likeness.parts import Part
from DeepRadScoreLib.likeness.ranges import PROBABILITIES
from DeepRadScoreLib.likeness.thresholds import GRID
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS

FEATURES = "features/quantiles"
MAX_NETWORKS = 1000


def _ascending(values: list[float]) -> list[float]:
    if any(first > second for first, second in itertools.pairwise(values)):
        raise ValueError("its values do not ascend")
    return values


Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Quantiles = Annotated[
    list[float], Field(min_length=len(PROBABILITIES), max_length=len(PROBABILITIES)), AfterValidator(_ascending)
]
Three = Annotated[list[float], Field(min_length=3, max_length=3), AfterValidator(_ascending)]
Counts = dict[str, NonNegativeInt]


class _Stored(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_max_length=1000)


class StoredRules(_Stored):
    """Limits of the score, and by which shares they were set."""

    warning_above: float
    no_finding_above: float
    false_alarms: Share
    confidence: Share
    no_finding_share: Share

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.no_finding_above < self.warning_above:
            raise ValueError("no_finding_above is below warning_above")
        return self


class StoredTail(_Stored):
    """See `ExponentialTail`."""

    start: Positive
    mean_excess: Positive


class StoredPart(_Stored):
    """See `PartLimits`."""

    middles: list[float] = Field(min_length=1, max_length=MAX_NETWORKS)
    tail: StoredTail


class StoredScans(_Stored):
    """See `Scans`."""

    n: PositiveInt
    kernel: Counts
    manufacturer: Counts
    contrast: Counts
    tube_voltage_kv: Three | None
    slice_thickness_mm: Three | None


class StoredLimits(_Stored):
    """`limits.json`."""

    cases: PositiveInt
    rules: StoredRules
    parts: dict[Part, StoredPart] = Field(min_length=1)
    score_percentiles: Annotated[
        list[float], Field(min_length=len(GRID), max_length=len(GRID)), AfterValidator(_ascending)
    ]
    quantiles_percent: list[float]
    measures: dict[str, Quantiles] | None
    columns: dict[str, dict[str, Quantiles]]
    scans: StoredScans | None
    missing: list[str]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.quantiles_percent != list(PROBABILITIES):
            raise ValueError(f"quantiles_percent are not {', '.join(f'{value:g}' for value in PROBABILITIES)}")
        if self.measures is not None:
            _check_names("measures", self.measures, {measure.name for measure in VECTOR}, set(MEASURES))
        if self.measures is None and Part.IMAGE in self.parts:
            raise ValueError('the part "image" needs measures')
        for part, found in self.parts.items():
            if part != Part.NETWORK and len(found.middles) != 1:
                raise ValueError(f'the part "{part}" has {len(found.middles)} distances, not one')
        return self


def _check_names(field: str, names: Iterable[str], needed: set[str], allowed: set[str]) -> None:
    found = set(names)
    for name in sorted(found - allowed):
        raise ValueError(f'{field}: "{name[:60]}" is not known')
    for name in sorted(needed - found):
        raise ValueError(f'{field}: "{name}" is missing')


LIMITS = TypeAdapter(StoredLimits)


def read_limits(data: bytes, name: str) -> dict[str, Any]:
    """The values of `limits.json`, checked.

    Raises
    ------
    BundleError: a field is missing, not known, of another type or range, or does not fit another.
    """
    return checked_values(LIMITS, data, name)


def read_arrays(data: bytes, name: str, text: dict[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of `limits.safetensors`, checked against the values of `limits.json`.

    Raises
    ------
    BundleError: the file is damaged; an array is missing, not known, or of another type, shape or range.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(data)
    except (SafetensorError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise BundleError(f"the arrays cannot be read ({error})", where=name, mend=MEND) from error
    wanted = dict(_wanted(text, arrays))
    for key in sorted(set(arrays) ^ set(wanted)):
        what = "it is not known" if key in arrays else "it is missing"
        raise refused_field(name, key[:100], what)
    for key, (dtype, shape, low) in wanted.items():
        _check(arrays[key], dtype, shape, low, name, key)
    return arrays | {FEATURES: _ordered_quantiles(arrays[FEATURES], name)}


def _ordered_quantiles(stored: np.ndarray, name: str) -> np.ndarray:
    """Ascending quantiles (`PROBABILITIES`, p); bundles of before November 2026 may hold them feature by feature.

    safetensors 0.8 writes the memory of an array as it lies, also where the array is not C-contiguous.
    """
    for quantiles in (stored, stored.reshape(stored.shape[::-1]).T):
        if not (np.diff(quantiles, axis=0) < 0).any():
            return quantiles
    raise refused_field(name, FEATURES, "its values do not ascend")


Wanted = tuple[type, tuple[int, ...], float | None]


def _wanted(text: dict[str, Any], arrays: dict[str, np.ndarray]) -> Iterator[tuple[str, Wanted]]:
    """Name of each array, its type and shape, and the value above which it has to lie."""
    yield FEATURES, (np.float32, (len(PROBABILITIES), len(FEATURE_COLUMNS)), None)
    lengths = {Part.FEATURES: len(FEATURE_COLUMNS), Part.IMAGE: len(VECTOR)}
    for part, stored in text["parts"].items():
        for number in range(len(stored["middles"])):
            prefix = f"{part}/{number}/"
            centre, variances = (
                np.atleast_1d(arrays.get(prefix + one, np.zeros(0))) for one in ("centre", "variances")
            )
            columns, axes = lengths.get(Part(part), centre.size), variances.size
            for one, above in (("centre", None), ("mean", None), ("scale", 0.0), ("sd", 0.0)):
                yield prefix + one, (np.float64, (columns,), above)
            yield prefix + "axes", (np.float32, (axes, columns), None)
            yield prefix + "variances", (np.float64, (axes,), 0.0)
            yield prefix + "rest", (np.float64, (1,), 0.0)


def _check(array: np.ndarray, dtype: type, shape: tuple[int, ...], low: float | None, name: str, key: str) -> None:
    if array.dtype != np.dtype(dtype) or array.shape != shape:
        found, wanted = (" x ".join(map(str, each)) for each in (array.shape, shape))
        raise refused_field(name, key, f"it is {array.dtype} of {found}, not {np.dtype(dtype)} of {wanted}")
    endless = key.endswith("/sd")
    finite = not np.isnan(array).any() if endless else np.isfinite(array).all()
    if not finite or (low is not None and not (array > low).all()):
        raise refused_field(name, key, "its values are not finite" + ("" if low is None else f" and above {low:g}"))
