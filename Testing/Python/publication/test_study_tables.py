"""Tables of a study against tableone, SciPy, R and hand counts."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kruskal, mannwhitneyu

from DeepRadScoreLib.models import ALL_MODELS
from DeepRadScoreLib.publication.characteristics import ALL, formatted_table_one, table_one
from DeepRadScoreLib.publication.tables import METRICS, formatted, study_tables
from DeepRadScoreLib.study.results.study import Study
from support.made_up_study import CLASSIFIERS, made_up_study

AGE = """
56.9 64.8 58.8 67.1 55.3 57.8 64.2 71.1 73.3 51.1 58.8 - 48.1 58.8 62.1 74.3 69.2 60.1 59.7 60.7 79.7
62.1 60.3 69.2 64.9 61.2 53 62.9 - 73.5 68.9 - 72 62.9 - 66 71.3 54.4 66.1 50.8 47.7 60.3 54.9 64.5 83.2
55.5 60.4 64.8 - 61.4 64.1 69.3 70.7 56.7 65.3 - 53.5 68.3 55.3 71.7
"""
PACKS = """
35 34 25 24 42 27 42 30 34 29 28 20 30 26 33 27 25 36 32 31 27 29 32 19 34 39 37 39 13 26 24 24 41 36 32
31 37 27 22 35 23 38 31 32 33 27 24 32 28 29 22 23 36 28 25 27 21 31 23 23
"""
SEX = """
male male male female male female male male female male male female female female female male - female
female male female female male male female male male male male male - female male female female male male
male male female female female male male female - male male male - male female female male female male
female male female male
"""
HISTOLOGY = """
other other squamous adenocarcinoma squamous adenocarcinoma squamous squamous squamous adenocarcinoma
adenocarcinoma adenocarcinoma adenocarcinoma other squamous adenocarcinoma squamous squamous
adenocarcinoma other other adenocarcinoma adenocarcinoma squamous other adenocarcinoma squamous other
other adenocarcinoma adenocarcinoma other adenocarcinoma adenocarcinoma squamous adenocarcinoma squamous
adenocarcinoma other adenocarcinoma squamous adenocarcinoma adenocarcinoma adenocarcinoma adenocarcinoma
adenocarcinoma squamous adenocarcinoma adenocarcinoma other other other adenocarcinoma adenocarcinoma
adenocarcinoma adenocarcinoma adenocarcinoma squamous adenocarcinoma adenocarcinoma
"""
PART = """
train train train test test train test train train train test test test train train train train train
train train test test train test test train train train train train train test test test train test test
test train test test train train train train train test train train train test train test test test test
train test train train
"""
SITE = """
C A A A A C C B A A A B B B A A C C A A B B C B B B B B A C C C C A A B B C C A C A A C C A A A A C B B A
B A C B A A C
"""
CELLS = {"age": AGE, "packs": PACKS, "sex": SEX, "histology": HISTOLOGY, "part": PART, "site": SITE}
"""Made up by seed: 60 patients, "-" is a missing cell."""

# tableone 0.9.6 (SciPy 1.17.1) on CELLS with "-" read as missing:
# TableOne(d, columns=["age", "packs", "sex", "histology"], categorical=["sex", "histology"],
#          nonnormal=["age", "packs"], groupby=by, pval=True, include_null=False, decimals=4, pval_digits=8,
#          htest_name=True).tableone
MEDIANS = {
    "part": {
        "age": {ALL: (62.5, 58.05, 68.75), "test": (64.15, 57.225, 68.0), "train": (61.3, 58.55, 68.975)},
        "packs": {ALL: (29.0, 25.0, 34.0), "test": (28.0, 24.0, 35.0), "train": (30.0, 25.5, 33.0)},
    },
    "site": {
        "age": {"A": (60.55, 56.325, 65.175), "B": (63.5, 58.275, 69.225), "C": (64.35, 59.525, 69.825)},
        "packs": {"A": (31.0, 27.0, 34.0), "B": (29.0, 23.0, 34.0), "C": (27.0, 24.25, 32.75)},
    },
}
COUNTS = {
    ("sex", "female"): {ALL: (24, 42.8571), "test": (12, 48.0), "train": (12, 38.7097)},
    ("sex", "male"): {ALL: (32, 57.1429), "test": (13, 52.0), "train": (19, 61.2903)},
    ("histology", "adenocarcinoma"): {ALL: (32, 53.3333), "test": (14, 56.0), "train": (18, 51.4286)},
    ("histology", "other"): {ALL: (13, 21.6667), "test": (4, 16.0), "train": (9, 25.7143)},
    ("histology", "squamous"): {ALL: (15, 25.0), "test": (7, 28.0), "train": (8, 22.8571)},
}
WAVELET = "endpoint == 'EGFR' and region == 'tumour' and feature == 'wavelet-HLH_glcm_Imc2'"
MISSING = {"age": 6, "packs": 0, "sex": 4, "histology": 0}
KRUSKAL_BY_SITE = {"age": 0.53255468, "packs": 0.66590571}
CHI_SQUARED_BY_SITE = {"sex": 0.68218454}
CHI_SQUARED_BY_PART = {"histology": 0.65488430}


@pytest.fixture(scope="module")
def cells() -> pd.DataFrame:
    table = pd.DataFrame({name: text.split() for name, text in CELLS.items()}).replace("-", "")
    ids = [f"p{i:02d}" for i in range(len(table))]
    return table.assign(case_id=ids, patient_id=ids)


def by(cells: pd.DataFrame, group: str) -> pd.DataFrame:
    return table_one(cells, cells[group], list(MISSING), cells["patient_id"])


def rows_of(table: pd.DataFrame, variable: str) -> pd.DataFrame:
    return table[table["variable"] == variable]


@pytest.mark.parametrize("group", ["part", "site"])
def test_medians_and_quartiles_equal_tableone(cells: pd.DataFrame, group: str) -> None:
    table = by(cells, group)
    for variable, of_groups in MEDIANS[group].items():
        (row,) = rows_of(table, variable).to_dict("records")
        assert row["kind"] == "continuous"
        for name, expected in of_groups.items():
            assert [row[f"{name}: {part}"] for part in ("median", "q1", "q3")] == pytest.approx(expected, abs=5e-5)


def test_counts_percents_and_missing_equal_tableone(cells: pd.DataFrame) -> None:
    table = by(cells, "part")
    for (variable, level), of_groups in COUNTS.items():
        (row,) = rows_of(table, variable).set_index("level").loc[[level]].to_dict("records")
        for name, (count, percent) in of_groups.items():
            assert row[f"{name}: count"] == count
            assert row[f"{name}: percent"] == pytest.approx(percent, abs=5e-5)
    assert rows_of(table, "sex")["level"].tolist() == ["female", "male"]
    for variable, missing in MISSING.items():
        assert set(rows_of(table, variable)[f"{ALL}: missing"]) == {missing}
    (patients,) = rows_of(table, "patients").to_dict("records")
    assert [patients[f"{name}: count"] for name in (ALL, "test", "train")] == [60, 25, 35]


def test_p_values_equal_tableone_and_scipy(cells: pd.DataFrame) -> None:
    part, site = by(cells, "part"), by(cells, "site")
    for variable, expected in KRUSKAL_BY_SITE.items():
        row = rows_of(site, variable).iloc[0]
        assert row["test"] == "Kruskal-Wallis" and row["p"] == pytest.approx(expected, abs=5e-9)
    for table, expected_of in ((site, CHI_SQUARED_BY_SITE), (part, CHI_SQUARED_BY_PART)):
        for variable, expected in expected_of.items():
            rows = rows_of(table, variable)
            assert rows["test"].iloc[0] == "chi-squared" and rows["p"].iloc[0] == pytest.approx(expected, abs=5e-9)
            assert rows["p"].iloc[1:].isna().all()
    known = cells[cells["age"] != ""]
    groups = [known.loc[known["part"] == name, "age"].astype(float) for name in ("test", "train")]
    row = rows_of(part, "age").iloc[0]
    assert row["test"] == "Mann-Whitney U" and row["p"] == pytest.approx(mannwhitneyu(*groups).pvalue, rel=1e-12)


def test_fisher_gives_the_published_p_of_the_tea_tasting_and_of_job_satisfaction() -> None:
    """R's documentation of fisher.test: p = 0.4857 (Fisher's tea taster), p = 0.7827 (Agresti's 4 x 4 Job table)."""
    tea = spread([[3, 1], [1, 3]])
    row = rows_of(table_one(tea, tea["group"], ["answer"], tea["id"]), "answer").iloc[0]
    assert row["test"] == "Fisher's exact" and row["p"] == pytest.approx(0.4857, abs=5e-5)
    job = spread([[1, 3, 10, 6], [2, 3, 10, 7], [1, 6, 14, 12], [0, 1, 9, 11]])
    table = table_one(job, job["group"], ["answer"], job["id"])
    row = rows_of(table, "answer").iloc[0]
    assert row["test"] == "Fisher's (Monte Carlo)" and row["p"] == pytest.approx(0.7827, abs=0.017)
    assert table.equals(table_one(job, job["group"], ["answer"], job["id"]))


def spread(counts: list[list[int]]) -> pd.DataFrame:
    """One row per patient of a table of counts (groups x answers)."""
    rows = [
        (f"group {i}", f"answer {j}")
        for i, row in enumerate(counts)
        for j, count in enumerate(row)
        for _ in range(count)
    ]
    return pd.DataFrame(rows, columns=["group", "answer"]).assign(id=lambda t: [f"p{i}" for i in t.index])


def test_a_column_of_a_few_numbers_is_ordinal_and_tested_by_ranks() -> None:
    stage = ["1", "2", "2", "3", "4", "4", "3", "1", "2", "4", "10", "10"]
    table = pd.DataFrame({"stage": stage, "g": ["a", "b", "c"] * 4, "id": list("abcdefghijkl")})
    rows = rows_of(table_one(table, table["g"], ["stage"], table["id"]), "stage")
    assert rows["level"].tolist() == ["1", "2", "3", "4", "10"] and set(rows["kind"]) == {"ordinal"}
    parts = [part.astype(float) for _, part in table.groupby("g")["stage"]]
    assert rows["test"].iloc[0] == "Kruskal-Wallis" and rows["p"].iloc[0] == pytest.approx(kruskal(*parts).pvalue)


def test_a_patient_counts_once_and_by_the_first_row() -> None:
    table = pd.DataFrame({"patient_id": ["a", "a", "b"], "sex": ["f", "m", "m"], "site": ["x", "x", ""]})
    result = table_one(table, table["site"], None, table["patient_id"])
    assert result["variable"].tolist() == ["patients", "sex", "sex"]
    assert result[f"{ALL}: count"].tolist() == [2, 1, 1]
    assert result["x: count"].tolist() == [1, 1, 0]
    assert set(result["test"]) == {""}


def test_identifiers_files_and_the_grouping_column_are_no_characteristics(cells: pd.DataFrame) -> None:
    table = cells.assign(
        ct="a.nrrd", mask="b.nrrd", segment="s", series="1", split="train", repeat_mask="", lung_mask=""
    )
    found = table_one(table, table["part"], None, table["patient_id"])["variable"].unique().tolist()
    assert found == ["patients", "age", "packs", "sex", "histology", "site"]


def test_free_text_and_empty_columns_are_counted_not_listed() -> None:
    table = pd.DataFrame(
        {"id": [f"p{i}" for i in range(30)], "note": [f"n{i}" if i else "" for i in range(30)], "e": ""}
    )
    result = table_one(table, None, ["note", "e"], table["id"])
    assert result[["level", "kind"]].to_numpy().tolist() == [
        ["", "count"],
        ["29 different entries", "text"],
        ["", "empty"],
    ]
    assert result[f"{ALL}: missing"].tolist()[1:] == [1, 30]
    assert formatted_table_one(result)[ALL].tolist() == ["30", "", ""]


def test_table_one_as_text(cells: pd.DataFrame) -> None:
    text = formatted_table_one(by(cells, "part"))
    assert text.columns.tolist() == ["variable", "level", ALL, "test", "train", "missing", "p", "method"]
    assert text.loc[1, [ALL, "train", "missing"]].tolist() == ["62.5 [58, 68.8]", "61.3 [58.5, 69]", "6"]
    assert text.loc[3, ["variable", "level", "test"]].tolist() == ["sex", "female", "12 (48.0 %)"]
    assert text.loc[4, ["variable", "missing", "p"]].tolist() == ["", "", ""]


@pytest.fixture(scope="module")
def study() -> Study:
    ids = range(150)
    rng = np.random.default_rng(5)
    cohort = pd.DataFrame(
        {
            "case_id": [f"case-{i:03d}" for i in ids],
            "patient_id": [f"p{i:03d}" for i in ids],
            "site": ["A", "B"] * 75,
            "age": [f"{value:.0f}" for value in rng.normal(63, 9, 150)],
        }
    )
    return replace(made_up_study(), cohort_table=cohort)


@pytest.fixture(scope="module")
def tables(study) -> dict[str, pd.DataFrame]:
    return study_tables(study)


def test_the_held_out_part_is_what_the_paper_protocol_predicted(study, tables) -> None:
    patients = rows_of(tables["table1_cohort"], "patients").iloc[0]
    held_out = study.folds["paper"][0].predictions["patient_id"].nunique()
    assert [patients["held out: count"], patients["not held out: count"]] == [held_out, 150 - held_out]


def test_held_out_patients_without_a_label_are_not_called_not_held_out(study) -> None:
    labelled = [f"p{i:03d}" for i in range(150)]
    cohort = pd.DataFrame({"patient_id": [*labelled, "unlabelled"], "split": ["train"] * 100 + ["test"] * 51})
    cohort["case_id"] = cohort["patient_id"]
    held_out = study.folds["paper"][0].predictions["patient_id"].nunique()

    def groups(**changes) -> dict[str, int]:
        table = study_tables(replace(study, cohort_table=cohort, **changes))["table1_cohort"]
        row = rows_of(table, "patients").iloc[0]
        return {name.removesuffix(": count"): row[name] for name in table if name.endswith(": count")}

    paper = {"paper": study.folds["paper"]}
    assert groups() == {ALL: 151, "held out": held_out, "not held out": 150 - held_out}
    assert groups(folds=paper) == {
        ALL: 151,
        "held out": held_out,
        "not held out, or without a label": 151 - held_out,
    }
    by_column = study.settings | {"split": "column"}
    assert groups(folds=paper, settings=by_column) == {ALL: 151, "held out": 51, "not held out": 100}


def test_columns_left_out_are_a_table_where_there_are_any(study, tables) -> None:
    left_out = replace(study, columns_left_out={"tumour_x": "it has gaps."})
    found = study_tables(left_out)["columns_left_out"]
    assert found.to_dict("records") == [{"column": "tumour_x", "why": "it has gaps."}]
    assert "columns_left_out" not in tables


def test_why_backbones_were_not_compared_is_no_models_row(study) -> None:
    changed = replace(study, models_not_run={"backbones": "why", "volume": "no volume"})
    assert study_tables(changed)["models_not_run"]["model"].tolist() == ["volume"]


def test_without_a_held_out_part_the_sites_are_the_groups(study) -> None:
    cohort = pd.DataFrame(
        {"case_id": ["a", "b", "c"], "patient_id": ["a", "b", "c"], "site": ["A", "B", "A"], "x": "1"}
    )
    only_strict = replace(study, folds={"strict": study.folds["strict"]}, cohort_table=cohort)
    table = study_tables(only_strict)["table1_cohort"]
    assert rows_of(table, "patients")[["A: count", "B: count"]].to_numpy().tolist() == [[2, 1]]
    one_site = replace(only_strict, cohort_table=cohort.assign(site="A"))
    assert "A: count" not in study_tables(one_site)["table1_cohort"]


def test_table3_holds_every_model_with_the_results_figures(study, tables) -> None:
    table = tables["table3_models"]
    assert len(table) == 2 * 2 * len(ALL_MODELS)
    row = table.query("protocol == 'paper' and endpoint == 'LVI' and model == 'deep-ct'").iloc[0]
    result = study.protocols["paper"].endpoints["LVI"]
    card = result.models["deep-ct"]
    assert [row["auc"], row["auc_low"], row["auc_high"]] == [card.auc, *card.auc_ci]
    assert [row["auc_bootstrap_low"], row["auc_bootstrap_high"]] == list(card.auc_bootstrap_ci)
    for name in METRICS:
        assert row[name] == card.metrics[name].value, name
        assert [row[f"{name}_low"], row[f"{name}_high"]] == list(card.metrics[name].ci), name
    comparison = result.delong["deep-ct"]
    assert [row["difference"], row["p"], row["p_holm"]] == [comparison.difference, comparison.p, comparison.p_holm]
    assert row["compared_with"] == "deep-radscore"
    reference = table.query("model == 'deep-radscore'")
    assert reference["p"].isna().all() and set(reference["compared_with"]) == {""}
    assert table.query("protocol == 'strict'")["auc_bootstrap"].isna().all()


def test_training_metrics_are_those_of_the_training_parts(study, tables) -> None:
    table = tables["training_metrics"].set_index(["protocol", "endpoint", "model"])
    for (protocol, endpoint, model), row in table.iterrows():
        card = study.protocols[protocol].endpoints[endpoint].models[model]
        for name, estimate in card.training_metrics.items():
            assert row[name] == estimate.value, (protocol, endpoint, model, name)
    assert len(table) == 4 * len(ALL_MODELS)


def test_confusion_counts_give_the_metrics_back(tables) -> None:
    table = tables["table3_models"]
    tp, fp, tn, fn = (table[name] for name in ("tp", "fp", "tn", "fn"))
    assert ((tp + fp + tn + fn) == table["n"]).all() and ((tp + fn) == table["positives"]).all()
    assert np.allclose(tp / (tp + fn), table["sensitivity"]) and np.allclose(tn / (tn + fp), table["specificity"])
    assert np.allclose(tp / (tp + fp), table["ppv"]) and np.allclose(tn / (tn + fn), table["npv"])


def test_classifiers_count_the_folds(study, tables) -> None:
    table = tables["table3_models"]
    row = table.query("protocol == 'strict' and endpoint == 'EGFR' and model == 'volume'").iloc[0]
    assert row["classifiers"] == "LR x 5"
    inner = tables["inner_auc"].query("protocol == 'strict' and endpoint == 'EGFR' and model == 'deep-radscore'")
    assert inner["chosen"].sum() == 5 and len(inner) == len(CLASSIFIERS)
    fits = [
        f for fold in study.folds["strict"] for f in fold.fits if (f.endpoint, f.model) == ("EGFR", "deep-radscore")
    ]
    values = np.concatenate([fit.cv_auc["KNN"] for fit in fits])
    row = inner.set_index("classifier").loc["KNN"]
    expected = [250, values.mean(), values.std(ddof=1), *np.percentile(values, [25, 50, 75])]
    assert row[["aucs", "mean", "sd", "q1", "median", "q3"]].astype(float).tolist() == pytest.approx(expected)
    assert row["chosen"] == sum(fit.classifier == "KNN" for fit in fits)


def test_selected_features_count_folds_and_average_coefficients(study) -> None:
    strict = list(study.folds["strict"])
    gone = (strict[1].selected[["endpoint", "feature"]] == ["EGFR", "wavelet-HLH_glcm_Imc2"]).all(axis=1)
    strict[1] = replace(strict[1], selected=strict[1].selected[~gone])
    study = replace(study, folds={**study.folds, "strict": tuple(strict)})
    tables = study_tables(study)
    keys = ["protocol", "endpoint", "region", "feature"]
    row = tables["selected_features"].set_index(keys).loc[("strict", "EGFR", "tumour", "wavelet-HLH_glcm_Imc2")]
    chosen = [fold.selected.query(WAVELET)["coefficient"].tolist() for fold in strict]
    values = [value for part in chosen for value in part]
    assert chosen[1] == [] and [row["folds"], row["of_folds"]] == [4, 5]
    assert [row["coefficient_mean"], row["coefficient_sd"]] == pytest.approx([np.mean(values), np.std(values, ddof=1)])
    assert row["coefficient_fold_1"] == values[0] and np.isnan(row["coefficient_fold_2"])
    paper = tables["selected_features"].set_index(keys).loc[("paper", "EGFR", "tumour", "wavelet-HLH_glcm_Imc2")]
    single = study.folds["paper"][0].selected.query(WAVELET)
    assert [paper["of_folds"], paper["coefficient_mean"]] == [1, single["coefficient"].iloc[0]]
    assert paper["coefficient_fold_test"] == paper["coefficient_mean"]
    assert len(tables["coefficients"]) == sum(len(f.selected) for folds in study.folds.values() for f in folds)


def test_optimism_flow_and_what_was_left_out(study, tables) -> None:
    row = tables["optimism"].query("endpoint == 'LVI' and model == 'deep-radscore'").iloc[0]
    paper = study.protocols["paper"].endpoints["LVI"].models["deep-radscore"]
    strict = study.protocols["strict"].endpoints["LVI"].models["deep-radscore"]
    assert row[["paper_inner_auc", "paper_test_auc", "strict_auc"]].tolist() == [paper.inner_auc, paper.auc, strict.auc]
    assert row["optimism_gap"] == pytest.approx(paper.inner_auc - strict.auc)
    flow = tables["flow"].set_index("endpoint")
    assert flow.loc["ALK", "not_run"] == "2 patients are positive; at least 10 are needed."
    assert flow.loc["ALK", ["patients", "labelled", "positives"]].tolist() == [150, 130, 2]
    assert flow.loc["EGFR", "not_run"] == ""
    assert tables["left_out"].to_numpy().tolist() == [["case-x", "case-x.nrrd: the mask is empty; outline the tumour."]]
    shares = tables["contributions"].groupby(["protocol", "endpoint"])["share"].sum()
    assert np.allclose(shares, 1.0) and len(shares) == 4


def test_tables_come_back_from_csv(tables) -> None:
    for name, table in tables.items():
        text = table.to_csv(index=False)
        texts = [column for column in table if not pd.api.types.is_numeric_dtype(table[column])]
        back = pd.read_csv(io.StringIO(text), dtype=dict.fromkeys(texts, str)).fillna(dict.fromkeys(texts, ""))
        pd.testing.assert_frame_equal(back, table, check_dtype=False, check_exact=True, obj=name)


def test_a_study_without_any_fold_gives_tables_with_columns_and_no_rows() -> None:
    study = Study(
        folds={},
        protocols={},
        flow={},
        cohort_table=pd.DataFrame({"case_id": ["a"], "patient_id": ["a"], "x": ["1"]}),
        models_not_run={"deep-ct": "No images."},
        left_out={},
        patients=1,
        cases=1,
        settings={},
    )
    tables = study_tables(study)
    assert tables["models_not_run"].to_numpy().tolist() == [["deep-ct", "No images."]]
    for name, table in tables.items():
        assert len(table.columns), name
        if name not in ("table1_cohort", "models_not_run"):
            assert table.empty, name
        formatted(table)


def test_formatted_joins_a_figure_with_its_interval() -> None:
    table = pd.DataFrame(
        {
            "endpoint": ["EGFR", "ALK"],
            "n": [150, 20],
            "auc": [0.8312, np.nan],
            "auc_low": [0.7488, np.nan],
            "auc_high": [0.9012, np.nan],
            "p": [0.0002, np.nan],
            "tp": [3.0, np.nan],
            "difference": [-0.05, np.nan],
        }
    )
    text = formatted(table)
    assert text.columns.tolist() == ["endpoint", "n", "auc", "p", "tp", "difference"]
    assert text.iloc[0].tolist() == ["EGFR", "150", "0.83 [0.75, 0.90]", "< 0.001", "3", "\u22120.05"]
    assert text.iloc[1].tolist() == ["ALK", "20", "—", "—", "—", "—"]
    assert formatted(pd.DataFrame({"n": [67.2, 60.0], "x": [None, 0.5]})).to_numpy().tolist() == [
        ["67.2", "—"],
        ["60", "0.50"],
    ]
