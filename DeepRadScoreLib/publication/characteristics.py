"""Table 1: characteristics of a cohort's patients, as numbers and as text for a page."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import MonteCarloMethod, chi2_contingency, fisher_exact, kruskal, mannwhitneyu
from scipy.stats.contingency import expected_freq

from DeepRadScoreLib.report.number_text import measured, p_value

ALL = "all patients"
NOT_CHARACTERISTICS = frozenset(
    ("case_id", "patient_id", "ct", "mask", "segment", "repeat_mask", "lung_mask", "series", "split")
)
MAX_ORDINAL_LEVELS = 6
MAX_LEVELS = 20
MIN_EXPECTED = 5.0
MONTE_CARLO_TABLES = 9999
RXC_FISHER = "method" in inspect.signature(fisher_exact).parameters
"""SciPy has Fisher's test for more than 2 x 2 cells from 1.15 on."""

Row = dict[str, Any]
FIGURES = ("n", "missing", "count", "percent", "median", "q1", "q3")


def table_one(
    table: pd.DataFrame, groups: pd.Series | None, columns: Sequence[str] | None, patients: pd.Series
) -> pd.DataFrame:
    """Characteristics per patient (the first row of each), overall and by group.

    The first row counts the patients. A column whose cells are all finite numbers with more than 6 different values is
    "continuous" (one row: median and quartiles, linear interpolation); with 3 to 6 values "ordinal"; any other is a
    "category" (one row per level: count, and percent of the patients whose cell is known). Numbers that are codes
    without an order are read as ordinal. A category of more than 20 levels is "text": its missing cells alone
    are counted.

    Tests between the groups, on patients with a known cell, in the first row of each column: Mann-Whitney U (two
    groups) or Kruskal-Wallis (more) for continuous and ordinal columns; for categories Fisher's exact test in a 2 x 2
    table, Fisher's test by Monte Carlo (9999 tables, fixed seed, SciPy >= 1.15) where an expected count is under 5,
    chi-squared elsewhere.

    Parameters
    ----------
    table: one row per case, text cells; empty (or NaN) is missing.
    groups: group of each row, same index; an empty one is counted in "all patients" alone. None: no groups.
    columns: which to describe; None takes `default_columns`.
    patients: patient of each row, same index.

    Returns
    -------
    variable, level, kind, then for "all patients" and each group G "G: n" (known), "G: missing", "G: count",
    "G: percent", "G: median", "G: q1", "G: q3", then p and test; NaN where a figure has no meaning.
    """
    first = ~patients.duplicated()
    chosen = default_columns(table, groups) if columns is None else list(columns)
    cells = table.loc[first, chosen].fillna("").astype(str).apply(lambda column: column.str.strip())
    members = {ALL: pd.Series(True, index=cells.index)}
    if groups is not None:
        of_patient = groups[first].fillna("").astype(str)
        members |= {name: of_patient == name for name in sorted(set(of_patient) - {""})}
    rows: list[Row] = [{"variable": "patients", "level": "", "kind": "count"} | _counted(members)]
    for name in chosen:
        rows += _describe(name, cells[name], members)
    header = ["variable", "level", "kind", *(f"{group}: {name}" for group in members for name in FIGURES), "p", "test"]
    result = pd.DataFrame(rows).reindex(columns=header)
    return result.assign(test=result["test"].fillna(""))


def default_columns(table: pd.DataFrame, groups: pd.Series | None) -> list[str]:
    """All columns but identifiers, files, the split, and the one that makes the groups."""
    grouping = None if groups is None else groups.name
    return [name for name in table if name not in NOT_CHARACTERISTICS and name != grouping]


def _counted(members: dict[str, pd.Series]) -> Row:
    return {f"{group}: {name}": int(rows.sum()) for group, rows in members.items() for name in ("n", "count")}


def _describe(name: str, cells: pd.Series, members: dict[str, pd.Series]) -> list[Row]:
    known = cells != ""
    numbers = pd.to_numeric(cells.where(known), errors="coerce")
    all_numbers = bool(known.any()) and bool(np.isfinite(numbers[known]).all())
    levels = _levels(cells[known], all_numbers)
    shared: Row = {"variable": name}
    for group, rows in members.items():
        shared |= {f"{group}: n": int((known & rows).sum()), f"{group}: missing": int((~known & rows).sum())}
    if not all_numbers and len(levels) > MAX_LEVELS:
        return [shared | {"level": f"{len(levels)} different entries", "kind": "text"}]
    ranked = all_numbers and len(levels) > 2
    samples = [(numbers if ranked else cells)[known & rows] for group, rows in members.items() if group != ALL]
    samples = [sample for sample in samples if len(sample)]
    p, test = _rank_test(samples) if ranked else _count_test(samples)
    if ranked and len(levels) > MAX_ORDINAL_LEVELS:
        row = shared | {"level": "", "kind": "continuous", "p": p, "test": test}
        for group, rows in members.items():
            for quartile, share in (("median", 0.5), ("q1", 0.25), ("q3", 0.75)):
                row[f"{group}: {quartile}"] = float(numbers[known & rows].quantile(share))
        return [row]
    result = []
    for level in levels:
        row = shared | {"level": level, "kind": "ordinal" if ranked else "category"}
        for group, rows in members.items():
            count = int(((cells == level) & rows).sum())
            row |= {f"{group}: count": count, f"{group}: percent": 100.0 * count / (row[f"{group}: n"] or np.nan)}
        result.append(row)
    if not result:
        result = [shared | {"level": "", "kind": "empty"}]
    result[0] |= {"p": p, "test": test}
    return result


def _levels(known: pd.Series, all_numbers: bool) -> list[str]:
    return sorted(set(known), key=float) if all_numbers else sorted(set(known))


def _rank_test(samples: list[pd.Series]) -> tuple[float, str]:
    if len(samples) < 2:
        return float("nan"), ""
    if len(samples) == 2:
        return float(mannwhitneyu(*samples).pvalue), "Mann-Whitney U"
    return float(kruskal(*samples).pvalue), "Kruskal-Wallis"


def _count_test(samples: list[pd.Series]) -> tuple[float, str]:
    levels = sorted({level for sample in samples for level in sample})
    if len(samples) < 2 or len(levels) < 2:
        return float("nan"), ""
    counts = np.array([[int((sample == level).sum()) for sample in samples] for level in levels])
    if counts.shape == (2, 2):
        return float(fisher_exact(counts).pvalue), "Fisher's exact"
    if RXC_FISHER and expected_freq(counts).min() < MIN_EXPECTED:
        method = MonteCarloMethod(n_resamples=MONTE_CARLO_TABLES, rng=np.random.default_rng(0))
        return float(fisher_exact(counts, method=method).pvalue), "Fisher's (Monte Carlo)"
    return float(chi2_contingency(counts).pvalue), "chi-squared"


def formatted_table_one(table: pd.DataFrame) -> pd.DataFrame:
    """Table 1 as text: variable, level, a column per group ("63 [55, 70]", "12 (30.0 %)"), missing, p, method."""
    groups = [name.removesuffix(": median") for name in table if name.endswith(": median")]
    result = table[["variable", "level"]].copy()
    result["variable"] = result["variable"].where(~result["variable"].duplicated(), "")
    for group in groups:
        result[group] = [_cell(row, group) for _, row in table.iterrows()]
    missing = zip(table[f"{ALL}: missing"], result["variable"], strict=True)
    result["missing"] = [f"{value:.0f}" if name and not pd.isna(value) else "" for value, name in missing]
    result["p"] = [p_value(p) if test else "" for p, test in zip(table["p"], table["test"], strict=True)]
    return result.assign(method=table["test"])


def _cell(row: pd.Series, group: str) -> str:
    n, _, count, percent, median, q1, q3 = (row[f"{group}: {name}"] for name in FIGURES)
    if row["kind"] == "count":
        return f"{count:.0f}"
    if row["kind"] == "continuous":
        return f"{measured(median)} [{measured(q1)}, {measured(q3)}]" if n else ""
    return f"{count:.0f} ({percent:.1f} %)" if n and row["kind"] in ("ordinal", "category") else ""
