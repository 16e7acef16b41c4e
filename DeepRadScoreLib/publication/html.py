"""`report.html` of a study: one self-contained page for the reviewer and the physician."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment

from DeepRadScoreLib.publication import page_rows, sentences
from DeepRadScoreLib.publication.characteristics import ALL, formatted_table_one
from DeepRadScoreLib.publication.checklists import CHECKLISTS, OPEN, metrics_sentence
from DeepRadScoreLib.publication.tables import QUALITY, formatted
from DeepRadScoreLib.report.number_text import decimals, with_interval
from DeepRadScoreLib.report.page import environment
from DeepRadScoreLib.study.evaluation.backbones import ALL_FOLDS
from DeepRadScoreLib.study.results.study import Study
from DeepRadScoreLib.study.results.summary import MIN_EVENTS_PER_VARIABLE

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
class PageTable:
    """A table of the page: name of its file without ending, title, headings, rows of text."""

    name: str
    title: str
    headings: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class PageChecklist:
    """A checklist: its table, how many items have which status, and a sentence on its score if it has one."""

    table: PageTable
    counts: dict[str, int]
    remark: str


def to_study_html(study: Study, tables: Mapping[str, pd.DataFrame], figures: Mapping[str, str]) -> str:
    """The page as text: styles and pictures inside, no script, nothing fetched; equal inputs give equal texts.

    Parameters
    ----------
    tables: name of the file in `tables/` without `.csv` -> the table.
    figures: name of the file in `figures/` without ending -> the picture as a data URI (SVG or PNG).
    """
    return _environment().get_template("study.html.j2").render(**_content(study, tables, figures))


def _environment() -> Environment:
    made = environment(TEMPLATES)
    made.filters.update(
        auc=lambda card: with_interval(card.auc, card.auc_ci),
        endpoint=sentences.endpoint_name,
        model=sentences.model_name,
        sentence=sentences.sentence,
        metric=page_rows.metric_name,
        plain=_plain,
        heading=_heading,
    )
    return made


def _content(study: Study, tables: Mapping[str, pd.DataFrame], figures: Mapping[str, str]) -> dict[str, Any]:
    leading = sentences.leading_protocol(study)
    compared = _backbones(tables)
    asked = compared is not None or sentences.BACKBONES in study.models_not_run
    left_out = {name for name, there in (("optimism", study.optimism), ("backbones", asked)) if not there}
    return {
        "study": study,
        "label": study.label,
        "titles": {name: title for name, title in SECTIONS.items() if name not in left_out},
        "leading": leading,
        "summary": page_rows.summary_rows(study, None if leading is None else study.protocols[leading]),
        "characteristics": _characteristics(tables),
        "quality": _quality(tables),
        "backbones": compared,
        "backbone_sentences": [] if compared is None else sentences.backbone_sentences(study),
        "selected": page_rows.selected_groups(study),
        "few_per_variable": MIN_EVENTS_PER_VARIABLE,
        "checklists": _checklists(tables),
        "open_item": OPEN,
        "tables": list(tables),
        "figures": figures,
        "rows": page_rows,
        "sentences": sentences,
    }


def _characteristics(tables: Mapping[str, pd.DataFrame]) -> PageTable | None:
    if TABLE_1 not in tables:
        return None
    patients = int(tables[TABLE_1][f"{ALL}: count"].iloc[0])
    title = f"Table 1. Characteristics of the patients used, n = {patients}"
    return _page_table(TABLE_1, formatted_table_one(tables[TABLE_1]), title)


def _quality(tables: Mapping[str, pd.DataFrame]) -> PageTable | None:
    if QUALITY not in tables or tables[QUALITY].empty:
        return None
    return _page_table(QUALITY, formatted(tables[QUALITY]), "Quality of the cases used: what was noted of how many")


def _backbones(tables: Mapping[str, pd.DataFrame]) -> PageTable | None:
    """Table 2 over all folds, without the columns that the sentences above it repeat."""
    if TABLE_2 not in tables:
        return None
    table = tables[TABLE_2]
    table = table[table["fold"] == ALL_FOLDS].drop(columns=["endpoint", "fold", "threshold", "auc_method"])
    remarks = table.pop("auc_note").fillna("")
    title = "Table 2. Deep-CT with each backbone"
    if table["weights"].nunique() == 1:
        title += f"; starting weights: {table.pop('weights').iloc[0]}"
    texts = formatted(table).replace(", ", ",\u00a0", regex=True).rename(columns=page_rows.METRIC_NAMES)
    if remarks.any():
        title += f". †: {'; '.join(dict.fromkeys(remarks[remarks != '']))}"
        texts["AUC"] += ["†" if remark else "" for remark in remarks]
    return _page_table(TABLE_2, texts, title)


def _checklists(tables: Mapping[str, pd.DataFrame]) -> list[PageChecklist]:
    found = []
    for title, stem in CHECKLISTS.items():
        name = CHECKLIST_PREFIX + stem
        if name in tables:
            counts = tables[name]["status"].value_counts(sort=False).to_dict()
            remark = metrics_sentence(tables[name]) if "weight" in tables[name] else ""
            found.append(PageChecklist(_page_table(name, _as_text(tables[name]), title), counts, remark))
    return found


def _as_text(checklist: pd.DataFrame) -> pd.DataFrame:
    """The checklist with weights as text of three decimals."""
    if "weight" not in checklist:
        return checklist
    return checklist.assign(weight=[decimals(weight, 3) for weight in checklist["weight"]])


def _page_table(name: str, table: pd.DataFrame, title: str) -> PageTable:
    return PageTable(
        name,
        title,
        [_heading(str(column)) for column in table.columns],
        [list(row) for row in table.itertuples(index=False, name=None)],
    )


def _heading(name: str) -> str:
    """A column's or setting's name as a heading; a symbol of one letter (p) stays as it is."""
    words = name.replace("_", " ")
    return words if len(words) == 1 else words[:1].upper() + words[1:]


def _plain(value: Any) -> str:
    """A setting as text: lists and mappings as JSON."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
