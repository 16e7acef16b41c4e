"""How the numbers of a table, NaN where there is none, are written on a page."""

from __future__ import annotations

import math

from DeepRadScoreLib.study.report.sentences import decimals, p_value


def figure_text(value: float) -> str:
    """An AUC, a share, a slope: two decimals; a dash for NaN."""
    return decimals(_known(value), 2)


def p_text(value: float) -> str:
    """A p value; a dash for NaN."""
    return p_value(_known(value))


def interval_text(value: float, low: float, high: float) -> str:
    """ "0.83 [0.75, 0.90]"; without the brackets where there is no interval."""
    if any(map(math.isnan, (value, low, high))):
        return figure_text(value)
    return f"{figure_text(value)} [{figure_text(low)}, {figure_text(high)}]"


def number_text(value: float) -> str:
    """A measured value: whole numbers and those from 100 on in full, others with three significant digits."""
    if math.isnan(value):
        return decimals(None)
    whole = float(value).is_integer() or abs(value) >= 100
    return f"{value:.0f}" if whole else f"{value:.3g}"


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
