"""How numbers are written on pages and figures: None and NaN are a dash, minus signs are true ones."""

from __future__ import annotations

import math

DASH = "—"
MINUS = "\u2212"
Number = float | None
Bounds = tuple[Number, Number]


def is_missing(value: Number) -> bool:
    """Whether there is no number: None or NaN."""
    return value is None or math.isnan(value)


def decimals(value: Number, places: int = 2) -> str:
    """An AUC, a share or a slope with this many decimals; a rounded zero has no sign."""
    if value is None or math.isnan(value):
        return DASH
    text = f"{value:.{places}f}"
    return text.removeprefix("-") if float(text) == 0 else text.replace("-", MINUS)


def signed(value: Number) -> str:
    """A difference or contribution with its sign, two decimals; a rounded zero has none."""
    text = decimals(value)
    return f"+{text}" if value is not None and value > 0 and float(text) != 0 else text


def interval(bounds: Bounds | None) -> str:
    """ "[0.75, 0.90]"; a dash without both bounds."""
    if bounds is None or any(map(is_missing, bounds)):
        return DASH
    return f"[{decimals(bounds[0])}, {decimals(bounds[1])}]"


def with_interval(value: Number, bounds: Bounds | None) -> str:
    """ "0.83 [0.75, 0.90]"; without the brackets where there is no interval."""
    brackets = interval(bounds)
    return decimals(value) if is_missing(value) or brackets == DASH else f"{decimals(value)} {brackets}"


def p_value(p: Number) -> str:
    """Three decimals, "< 0.001" below that."""
    return "< 0.001" if p is not None and p < 0.001 else decimals(p, 3)


def measured(value: Number) -> str:
    """A measured value: whole numbers and those from 100 on in full, others with three significant digits."""
    if value is None or math.isnan(value):
        return DASH
    whole = float(value).is_integer() or abs(value) >= 100
    return f"{value:.0f}" if whole else f"{value:.3g}"


def percent(share: float) -> str:
    """A probability as a whole percentage; never 0 % or 100 %, which would claim certainty."""
    if share < 0.005:
        return "<1\u202f%"
    if share >= 0.995:
        return ">99\u202f%"
    return f"{100 * share:.0f}\u202f%"
