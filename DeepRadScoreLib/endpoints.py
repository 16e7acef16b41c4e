"""The endpoints of the Deep-RadScore paper and the rules by which their labels are read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from DeepRadScoreLib.errors import CohortError, Where

Group = Literal["risk factors", "mutations", "immune"]
GROUP_TITLES: dict[Group, str] = {group: group.capitalize() for group in get_args(Group)}


@dataclass(frozen=True)
class Endpoint:
    """One endpoint: its column `key`, its `name` in full, and what 1 (`positive`) and 0 (`negative`) mean."""

    key: str
    name: str
    group: Group
    positive: str
    negative: str


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("LVI", "Lymphovascular invasion", "risk factors", "present", "absent"),
    Endpoint("PI", "Pleural invasion", "risk factors", "present", "absent"),
    Endpoint("T4", "T4 stage", "risk factors", "T4", "below T4"),
    Endpoint("EGFR", "EGFR mutation", "mutations", "mutant", "wild type"),
    Endpoint("KRAS", "KRAS mutation", "mutations", "mutant", "wild type"),
    Endpoint("ALK", "ALK mutation", "mutations", "mutant", "wild type"),
    Endpoint("TP53", "TP53 mutation", "mutations", "mutant", "wild type"),
    Endpoint("PIK3CA", "PIK3CA mutation", "mutations", "mutant", "wild type"),
    Endpoint("ROS1", "ROS1 mutation", "mutations", "mutant", "wild type"),
    Endpoint("PDL1", "PD-1/PD-L1 expression", "immune", "expressed", "not expressed"),
)
KEYS: tuple[str, ...] = tuple(endpoint.key for endpoint in ENDPOINTS)
BY_KEY: dict[str, Endpoint] = {endpoint.key: endpoint for endpoint in ENDPOINTS}

PDL1_SOURCES = ("TPS", "CD8A")
"""Columns from which PD-1/PD-L1 labels are made where they are missing; the first of them comes first."""
TPS_CUT_PERCENT = 1.0


def label_columns(key: str) -> tuple[str, ...]:
    """The columns of a cohort table from which the labels of an endpoint come."""
    return (key, *PDL1_SOURCES) if key == "PDL1" else (key,)


def parse_label(value: str, *, where: Where) -> float:
    """Read one cell of an endpoint column: 0.0, 1.0, or NaN for an empty cell.

    Raises
    ------
    CohortError: the cell holds anything else; the message names `where` (table, row and column).
    """
    text = value.strip()
    if text == "":
        return float("nan")
    if text in {"0", "0.0"}:
        return 0.0
    if text in {"1", "1.0"}:
        return 1.0
    raise CohortError(
        f'the label "{text}" is neither 0, 1 nor empty', where=where, mend="write 1, 0 or leave the cell empty"
    )


def pdl1_label(tps_percent: float, cd8a: float, cd8a_cut: float) -> tuple[float, str]:
    """PD-1/PD-L1 label of one patient and the rule that gave it (`"TPS"`, `"CD8A"` or `""`).

    TPS >= 1 % is positive; where TPS is missing (NaN), CD8A expression above `cd8a_cut` is (method: endpoints).
    """
    if not math.isnan(tps_percent):
        return float(tps_percent >= TPS_CUT_PERCENT), "TPS"
    if not math.isnan(cd8a) and not math.isnan(cd8a_cut):
        return float(cd8a > cd8a_cut), "CD8A"
    return float("nan"), ""
