"""Checklists: complete, numbered as published, and answered only where the program knows."""

from __future__ import annotations

import inspect
from copy import deepcopy
from dataclasses import replace

import pandas as pd
import pytest

from DeepRadScoreLib.publication import facts_method, facts_results
from DeepRadScoreLib.publication.checklists import (
    ANSWERED,
    CHECKLISTS,
    NOT_APPLICABLE,
    OPEN,
    fact,
    filled,
    items,
    metrics_score,
    metrics_sentence,
)
from DeepRadScoreLib.study.results.document import ModelCard
from DeepRadScoreLib.study.results.study import FoldOutcome, Study
from support.made_up_study import made_up_study, summarised

SETTINGS = {
    "protocol": "both",
    "folds": 5,
    "repeats": 10,
    "seed": 7,
    "network": "frozen",
    "backbone": "densenet121",
    "weights": "imagenet",
    "preprocessing": "canonical",
    "shell_mm": 3.0,
    "engine": "pyradiomics",
    "covariates": ["age", "sex"],
    "features": None,
}
VERSIONS = {"DeepRadScore": "0.1", "pyradiomics-bhklab": "3.1.4"}
METRICS_WEIGHTS = (
    *(0.0368, 0.0735, 0.0919, 0.0438, 0.0292, 0.0438, 0.0292, 0.0337, 0.0225, 0.0112, 0.0622, 0.0311, 0.0415),
    *(0.02, 0.02, 0.03, 0.02, 0.0599, 0.03, 0.0352, 0.0234, 0.0176, 0.0117, 0.0293, 0.0176, 0.0375, 0.0749),
    *(0.0075, 0.0075, 0.0075),
)
"""Kocak et al., Insights into Imaging 2024;15:8, Table 1."""
TRIPOD_PARTS = {"3": 3, "5": 2, "6": 3, "8": 3, "9": 3, "12": 7, "18": 6, "20": 3, "23": 2, "27": 3}
"""Collins et al., BMJ 2024;385:e078378: 27 items, of which these have parts a, b, ..."""

NEVER_KNOWN = {
    "TRIPOD+AI": ["1", "2", "3a", "3b", "3c", "4", "5b", "6b", "6c", "8b", "8c", "14", "17", "18a", "18b", "19", "25"],
    "CLEAR": [
        "1",
        "2",
        "3",
        "4",
        "5",
        "6",
        "8",
        "10",
        "11",
        "14",
        "16",
        "20",
        "36",
        "49",
        "50",
        "51",
        "53",
        "54",
        "57",
    ],
    "METRICS": ["2", "5", "6", "7", "9", "10", "19", "28", "30"],
}


@pytest.fixture(scope="module")
def whole() -> Study:
    return summarised(made_up_study(), settings=SETTINGS, versions=VERSIONS)


def changed(study: Study, settings: dict | None = None, **changes) -> Study:
    """The study with other settings or folds; the protocols that are left keep their figures."""
    changed = replace(study, settings=settings or SETTINGS, **changes)
    return replace(changed, protocols={name: card for name, card in study.protocols.items() if name in changed.folds})


def row(tables: dict[str, pd.DataFrame], name: str, item: str) -> pd.Series:
    return tables[name].set_index("item").loc[item]


def test_the_items_are_those_of_the_publications() -> None:
    assert items("CLEAR")["item"].tolist() == [str(i) for i in range(1, 59)]
    metrics = items("METRICS")
    assert metrics["item"].tolist() == [str(i) for i in range(1, 31)]
    assert metrics["weight"].tolist() == list(METRICS_WEIGHTS) and metrics["weight"].sum() == pytest.approx(1.0)
    tripod = []
    for number in range(1, 28):
        parts = TRIPOD_PARTS.get(str(number), 0)
        tripod += [f"{number}{letter}" for letter in "abcdefg"[:parts]] or [str(number)]
    assert items("TRIPOD+AI")["item"].tolist() == tripod and len(tripod) == 52


def test_every_fact_of_the_items_is_there_and_every_fact_is_asked_for() -> None:
    asked = {name for checklist in CHECKLISTS for cell in items(checklist)["facts"] for name in cell.split()}
    for name in asked:
        assert callable(fact(name))
    given = {
        name
        for module in (facts_method, facts_results)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and list(inspect.signature(function).parameters) == ["study"]
        and inspect.signature(function).return_annotation == "str | None"
        and not name.startswith("_")
    }
    assert given == asked
    for checklist in CHECKLISTS:
        table = items(checklist)
        assert ((table["facts"] == "") == (table["covers"] == "")).all()
        assert set(table["covers"]) <= {"whole", "part", ""}


def test_only_what_the_program_knows_is_answered(whole: Study) -> None:
    tables = filled(whole)
    for name, never in NEVER_KNOWN.items():
        for item in never:
            assert row(tables, name, item)["status"] == OPEN, (name, item)
            assert row(tables, name, item)["answer"] == "", (name, item)
    for table in tables.values():
        assert set(table["status"]) <= {ANSWERED, OPEN, NOT_APPLICABLE}
        assert (table.loc[table["status"] == ANSWERED, "answer"] != "").all()


def test_answers_hold_the_figures_of_the_results(whole: Study) -> None:
    tables = filled(whole)
    card = whole.protocols["strict"].endpoints["EGFR"].models["deep-radscore"]
    text = f"strict, EGFR, Deep-RadScore: AUC {card.auc:.2f} [{card.auc_ci[0]:.2f}, {card.auc_ci[1]:.2f}]"
    assert text in row(tables, "CLEAR", "47")["answer"]
    assert row(tables, "CLEAR", "47")["status"] == ANSWERED
    assert "Seed 7." in row(tables, "TRIPOD+AI", "12a")["answer"]
    assert card.auc_method in row(tables, "METRICS", "21")["answer"]
    assert "pyradiomics-bhklab 3.1.4" in row(tables, "METRICS", "12")["answer"]
    assert "851 per region, 1702 per case" in row(tables, "CLEAR", "27")["answer"]
    fold = whole.folds["strict"][0]
    fit = next(fit for fit in fold.fits if fit.endpoint == "EGFR")
    test = fold.predictions.query("endpoint == 'EGFR' and model == 'volume'")
    sizes = f"{len(fit.labels)} patients ({fit.labels.sum()} positive), test {len(test)}"
    assert f"strict 1, EGFR: training and tuning {sizes}" in row(tables, "TRIPOD+AI", "21")["answer"]
    variables = row(tables, "METRICS", "16")["answer"]
    assert variables.startswith("Events per variable, per column of the classifier; 1702 features were screened.")
    assert "of Deep-RadScore's classifier" in row(tables, "CLEAR", "52")["answer"]
    assert "ALK: 130 of 150 patients labelled, 2 positive, not run" in row(tables, "TRIPOD+AI", "20a")["answer"]


def test_the_software_of_the_extraction_is_that_of_the_engine(whole: Study) -> None:
    own = replace(changed(whole, SETTINGS | {"engine": "own"}), versions={**VERSIONS, "numba": "0.68"})
    answer = row(filled(own), "METRICS", "12")["answer"]
    assert "definitions of pyradiomics" in answer and "numba 0.68" in answer and "bhklab" not in answer


def test_with_a_feature_table_from_elsewhere_nothing_is_said_of_images_and_extraction(whole: Study) -> None:
    tables = filled(changed(whole, SETTINGS | {"features": "table.csv"}))
    for item in ("19", "21", "22", "23", "24", "25", "26", "27", "28"):
        assert row(tables, "CLEAR", item)["status"] == OPEN and row(tables, "CLEAR", item)["answer"] == "", item
    for item in ("12", "18", "23"):
        assert row(tables, "METRICS", item)["status"] == OPEN, item
    known = filled(whole)
    assert all(row(known, "METRICS", item)["status"] == ANSWERED for item in ("12", "18", "23"))


@pytest.mark.parametrize(
    ("missing", "checklist", "item"),
    [
        ("seed", "CLEAR", "15"),
        ("preprocessing", "CLEAR", "22"),
        ("weights", "CLEAR", "34"),
        ("backbone", "METRICS", "13"),
        ("network", "METRICS", "20"),
    ],
)
def test_a_setting_that_is_not_there_opens_its_items(missing: str, checklist: str, item: str, whole: Study) -> None:
    assert row(filled(whole), checklist, item)["status"] == ANSWERED
    settings = {name: value for name, value in SETTINGS.items() if name != missing}
    assert row(filled(changed(whole, settings)), checklist, item)["status"] == OPEN


def test_a_network_trained_end_to_end_opens_what_it_would_need(whole: Study) -> None:
    frozen, trained = filled(whole), filled(changed(whole, SETTINGS | {"network": "shared"}))
    assert row(frozen, "METRICS", "17")["status"] == NOT_APPLICABLE
    assert row(trained, "METRICS", "17")["status"] == OPEN
    unknown = filled(changed(whole, {name: value for name, value in SETTINGS.items() if name != "network"}))
    assert row(unknown, "METRICS", "17")["status"] == OPEN
    assert row(frozen, "METRICS", "20")["status"] == ANSWERED
    assert row(trained, "METRICS", "20")["status"] == OPEN


def test_without_the_strict_protocol_or_a_held_out_part_its_items_are_open(whole: Study) -> None:
    folds = whole.folds
    paper, strict = (filled(changed(whole, folds={name: folds[name]})) for name in ("paper", "strict"))
    assert [row(paper, "METRICS", item)["status"] for item in ("18", "26")] == [OPEN, ANSWERED]
    assert [row(strict, "METRICS", item)["status"] for item in ("18", "26")] == [ANSWERED, OPEN]


def test_sites_are_known_only_where_one_was_left_out_each_time(whole: Study) -> None:
    strict = whole.folds["strict"]
    sites = tuple(replace(fold, name=f"site {fold.name}") for fold in strict)
    tables = filled(changed(whole, folds={"strict": sites}))
    assert row(tables, "METRICS", "4")["status"] == ANSWERED
    assert "5 sites: site 1, site 2" in row(tables, "METRICS", "4")["answer"]
    assert "leave-one-site-out" in row(tables, "METRICS", "27")["answer"]
    assert row(tables, "METRICS", "27")["status"] == OPEN
    assert row(filled(whole), "METRICS", "4")["status"] == OPEN


def test_without_radscores_their_items_do_not_apply(whole: Study) -> None:
    def without(fold: FoldOutcome) -> FoldOutcome:
        return replace(fold, selected=fold.selected.iloc[:0])

    folds = {name: tuple(map(without, parts)) for name, parts in whole.folds.items()}
    tables = filled(changed(whole, folds=folds))
    for item in ("12", "14", "15", "16"):
        assert row(tables, "METRICS", item)["status"] == NOT_APPLICABLE, item
    assert row(tables, "CLEAR", "33")["status"] == OPEN


def test_a_baseline_by_another_classifier_is_no_classical_model(whole: Study) -> None:
    def as_forest(card: ModelCard) -> ModelCard:
        return card.model_copy(update={"classifier": dict.fromkeys(card.classifier, "RF")})

    other = deepcopy(whole)
    for protocol in other.protocols.values():
        for endpoint in protocol.endpoints.values():
            for baseline in ("volume", "clinical"):
                endpoint.models[baseline] = as_forest(endpoint.models[baseline])
    assert row(filled(whole), "METRICS", "25")["status"] == ANSWERED
    assert row(filled(other), "METRICS", "25")["status"] == OPEN
    assert row(filled(other), "METRICS", "24")["status"] == ANSWERED


def test_a_study_without_folds_answers_nothing_of_models() -> None:
    study = Study({}, {}, {}, pd.DataFrame(), {}, {}, patients=3, cases=3, settings={})
    for name, table in filled(study).items():
        answered = table.loc[table["status"] == ANSWERED, "item"].tolist()
        assert answered == [], (name, answered)


def test_the_metrics_score_counts_what_is_established_alone(whole: Study) -> None:
    table = filled(whole)["METRICS"]
    weights = dict(zip(table["item"], METRICS_WEIGHTS, strict=True))
    answered = table.loc[table["status"] == ANSWERED, "item"]
    expected = sum(weights[item] for item in answered) / (sum(METRICS_WEIGHTS) - weights["17"])
    assert metrics_score(table) == pytest.approx(expected)
    assert f"{100 * expected:.1f} of 100 %" in metrics_sentence(table)
    nothing = table.assign(status=OPEN)
    assert metrics_score(nothing) == 0.0


def test_items_come_back_from_csv(whole: Study, tmp_path) -> None:
    for name, table in filled(whole).items():
        path = tmp_path / f"{CHECKLISTS[name]}.csv"
        table.to_csv(path, index=False)
        back = pd.read_csv(path, dtype=dict.fromkeys(table.columns.drop("weight", errors="ignore"), str)).fillna("")
        pd.testing.assert_frame_equal(back, table, check_dtype=False)
