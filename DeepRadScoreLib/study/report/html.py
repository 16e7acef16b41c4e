"""`report.html` of a study: one self-contained page for the reviewer and the physician."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from DeepRadScoreLib.analysis import SYNTHETIC_LABEL
from DeepRadScoreLib.report.html import TEMPLATES as CASE_TEMPLATES
from DeepRadScoreLib.report.html import _wrappable as wrappable
from DeepRadScoreLib.study.outcome import StudyOutcome
from DeepRadScoreLib.study.report import page_parts, sentences
from DeepRadScoreLib.study.report.characteristics import formatted_table_one
from DeepRadScoreLib.study.report.checklists import CHECKLISTS, OPEN, metrics_sentence
from DeepRadScoreLib.study.report.selected import selected_features
from DeepRadScoreLib.study.report.tables import formatted
from DeepRadScoreLib.study.results import Results

TEMPLATES = Path(__file__).parent / "templates"
CHECKLIST_PREFIX = "checklist_"
TABLE_1, TABLE_2 = "table1_cohort", "table2_backbones"
SECTIONS: dict[str, str] = {
    "answer": "What came out",
    "reading": "How to read this page",
    "patients": "Patients",
    "performance": "How well the models tell patients apart",
    "baselines": "Beside the baselines",
    "optimism": "Strict against paper protocol",
    "curves": "ROC, calibration, decision curves",
    "backbones": "Five backbones",
    "features": "Selected features",
    "training": "Training-cohort metrics",
    "explanation": "What the models used",
    "warnings": "Warnings",
    "intervals": "Intervals and tests",
    "checklists": "Reporting checklists",
    "settings": "Settings, versions, hashes",
    "files": "Files beside this page",
}


@dataclass(frozen=True)
class ShownTable:
    """A table as it stands in the page: its file's name without ending, title, headings, rows of text."""

    name: str
    title: str
    headings: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class ShownChecklist:
    """A checklist: its table, how many items have which status, and a sentence on its score if it has one."""

    table: ShownTable
    counts: dict[str, int]
    remark: str


def to_study_html(
    outcome: StudyOutcome, results: Results, tables: Mapping[str, pd.DataFrame], figures: Mapping[str, str]
) -> str:
    """The page as text: styles and pictures inside, no script, nothing fetched; equal inputs give equal texts.

    Parameters
    ----------
    tables: name of the file in `tables/` without `.csv` -> the table.
    figures: name of the file in `figures/` without ending -> the picture as a data URI (SVG or PNG).
    """
    return _environment().get_template("study.html.j2").render(**_content(outcome, results, tables, figures))


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader([TEMPLATES, CASE_TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        auc=lambda card: sentences.with_interval(card.auc, card.auc_ci),
        figure=sentences.decimals,
        range=sentences.interval,
        p=sentences.p_value,
        difference=sentences.difference_text,
        endpoint=sentences.endpoint_name,
        model=sentences.model_name,
        metric=page_parts.metric_name,
        plain=_plain,
        heading=_heading,
        wrappable=wrappable,
    )
    return environment


def _content(
    outcome: StudyOutcome, results: Results, tables: Mapping[str, pd.DataFrame], figures: Mapping[str, str]
) -> dict[str, Any]:
    leading = sentences.leading_protocol(results)
    backbones = [
        _shown(name, formatted(table), "Table 2. Backbones")
        for name, table in tables.items()
        if name.startswith("table2")
    ]
    left_out = {name for name, there in (("optimism", results.optimism), ("backbones", backbones)) if not there}
    return {
        "results": results,
        "label": SYNTHETIC_LABEL if outcome.synthetic else results.label,
        "titles": {name: title for name, title in SECTIONS.items() if name not in left_out},
        "leading": leading,
        "summary": page_parts.summary_rows(results, None if leading is None else results.protocols[leading]),
        "characteristics": _characteristics(tables),
        "backbones": backbones,
        "selected": selected_features(tables.get("selected_features")),
        "checklists": _checklists(tables),
        "open_item": OPEN,
        "tables": list(tables),
        "figures": figures,
        "parts": page_parts,
        "sentences": sentences,
    }


def _characteristics(tables: Mapping[str, pd.DataFrame]) -> ShownTable | None:
    if "table1_cohort" not in tables:
        return None
    return _shown(
        "table1_cohort", formatted_table_one(tables["table1_cohort"]), "Table 1. Characteristics of the cohort"
    )


def _checklists(tables: Mapping[str, pd.DataFrame]) -> list[ShownChecklist]:
    found = []
    for title, stem in CHECKLISTS.items():
        name = CHECKLIST_PREFIX + stem
        if name in tables:
            counts = tables[name]["status"].value_counts(sort=False).to_dict()
            remark = metrics_sentence(tables[name]) if "weight" in tables[name] else ""
            found.append(ShownChecklist(_shown(name, tables[name], title), counts, remark))
    return found


def _shown(name: str, table: pd.DataFrame, title: str) -> ShownTable:
    return ShownTable(
        name,
        title,
        [_heading(str(column)) for column in table.columns],
        [[cell_text(value) for value in row] for row in table.itertuples(index=False, name=None)],
    )


def cell_text(value: Any) -> str:
    """One cell as it is shown: text as it stands, a dash where there is nothing, fractions with three decimals."""
    if value is None or value is pd.NA or (isinstance(value, Real) and math.isnan(value)):
        return sentences.DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Integral) or not isinstance(value, Real):
        return str(value)
    return sentences.decimals(float(value), 3)


def _heading(name: str) -> str:
    """A column's or setting's name as a heading; a symbol of one letter (p) stays as it is."""
    words = name.replace("_", " ")
    return words if len(words) == 1 else words[:1].upper() + words[1:]


def _plain(value: Any) -> str:
    """A setting as text: lists and mappings as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
