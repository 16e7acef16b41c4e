"""TRIPOD+AI, CLEAR and METRICS, filled in where the program knows the answer, else open.

Items and numbers: TRIPOD+AI, Collins et al., BMJ 2024;385:e078378 (27 items, 52 with their parts); CLEAR,
Kocak et al., Insights into Imaging 2023;14:75 (58 items); METRICS, Kocak et al., Insights into Imaging 2024;15:8
(30 items, weights of its Table 1). The wording is our own and short: the publications hold what each item asks in full.

The items are listed in `checklists/*.csv`. `facts` names functions of `facts_method` and `facts_results`; `covers` says
whether they answer the "whole" item, if all are known, or only "part" of it. `needs` (METRICS): the item applies
only to studies with hand-crafted features ("radiomics") or a network trained from image to endpoint ("end_to_end").
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

import pandas as pd

from DeepRadScoreLib.publication import facts_method, facts_results
from DeepRadScoreLib.study.results.study import Study

Fact = Callable[[Study], str | None]
CHECKLISTS: dict[str, str] = {"TRIPOD+AI": "tripod_ai", "CLEAR": "clear", "METRICS": "metrics"}
ANSWERED = "answered by the program"
OPEN = "open: for the author"
NOT_APPLICABLE = "not applicable"
COLUMNS = ["item", "section", "asked", "status", "answer"]
NEEDS: dict[str, tuple[Callable[[Study], bool | None], str]] = {
    "radiomics": (facts_method.has_radscores, "No hand-crafted features were used."),
    "end_to_end": (facts_method.trains_end_to_end, "No network was trained from the image to the endpoint."),
}


def filled(study: Study) -> dict[str, pd.DataFrame]:
    """Each checklist by its name, one row per item.

    Columns: item (text: "12a"), section, asked, status, answer; METRICS also weight. `status` is "answered by the
    program", "open: for the author" (`answer` then holds what the program knows), or "not applicable" with why.
    """
    return {name: _filled(items(name), study) for name in CHECKLISTS}


def items(name: str) -> pd.DataFrame:
    """The items of a checklist as text, see the module; `weight` as a number."""
    path = files(__package__) / "checklists" / f"{CHECKLISTS[name]}.csv"
    with path.open(encoding="utf-8") as stream:
        table = pd.read_csv(stream, dtype=str, keep_default_na=False)
    return table.astype({"weight": float}) if "weight" in table else table


def fact(name: str) -> Fact:
    """The function that a checklist's column `facts` names; KeyError for one that is not there."""
    return (vars(facts_method) | vars(facts_results))[name]


def metrics_score(table: pd.DataFrame) -> float:
    """The METRICS score from 0 to 1 that is established; it would be 1 if every open item were met as well.

    The score is the sum of the weights of the items met over that of the items that apply (Kocak et al. 2024). The item
    on fully automated segmentation, which may not apply, counts as applying and open.
    """
    of_status = table.groupby("status")["weight"].sum()
    answered, open_ = (float(of_status.get(status, 0.0)) for status in (ANSWERED, OPEN))
    return answered / (answered + open_)


def metrics_sentence(table: pd.DataFrame) -> str:
    """The METRICS score as far as it is established, in one sentence."""
    counts = table["status"].value_counts()
    return (
        f"METRICS: {100 * metrics_score(table):.1f} of 100 % are established by the program "
        f"({counts.get(ANSWERED, 0)} items); {counts.get(OPEN, 0)} items are open "
        "and not counted until the author has answered them."
    )


def _filled(table: pd.DataFrame, study: Study) -> pd.DataFrame:
    answers = [_answer(row, study) for _, row in table.iterrows()]
    result = table.assign(status=[status for status, _ in answers], answer=[text for _, text in answers])
    return result[[*COLUMNS, *(["weight"] if "weight" in table else [])]]


def _answer(row: pd.Series, study: Study) -> tuple[str, str]:
    if row.get("needs"):
        applies, why = NEEDS[row["needs"]]
        if applies(study) is False:
            return NOT_APPLICABLE, why
    answers = [fact(name)(study) for name in row["facts"].split()]
    known = " ".join(text for text in answers if text)
    whole = row["covers"] == "whole" and bool(answers) and None not in answers
    return ANSWERED if whole else OPEN, known
