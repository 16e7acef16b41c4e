"""Endpoints that cannot be evaluated, and columns that are the label under another name."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency
from sklearn.metrics import roc_auc_score

from DeepRadScoreLib.cohort.covariates import covariates
from DeepRadScoreLib.cohort.table import read_cohort
from DeepRadScoreLib.study.evaluation.screening import associations, column_aucs, endpoint_problem, likely_leaks

NAN = float("nan")


def _labels(n: int, seed: int = 0, share: float = 0.3) -> np.ndarray:
    return (np.random.default_rng(seed).random(n) < share).astype(float)


def test_aucs_equal_scikit_learns_with_ties_and_gaps():
    rng = np.random.default_rng(3)
    values = np.column_stack(
        [
            rng.normal(size=90),
            rng.integers(0, 4, 90).astype(float),
            np.zeros(90),
            np.where(rng.random(90) < 0.4, NAN, rng.integers(0, 9, 90)),
        ]
    )
    y = _labels(90, share=0.4)
    y[::7] = NAN
    aucs, positives, negatives = column_aucs(pd.DataFrame(values), y).to_numpy().T
    for column, found in zip(values.T, aucs, strict=True):
        known = ~np.isnan(column) & ~np.isnan(y)
        assert found == pytest.approx(roc_auc_score(y[known], column[known]), abs=1e-12)
    np.testing.assert_array_equal(positives + negatives, (~np.isnan(values) & ~np.isnan(y)[:, None]).sum(axis=0))


def test_a_column_that_is_the_label_is_named_and_others_are_not():
    rng = np.random.default_rng(0)
    labels = pd.DataFrame({"EGFR": _labels(120, 1), "KRAS": _labels(120, 2)})
    features = pd.DataFrame(rng.normal(size=(120, 300)), columns=[f"tumour_{i}" for i in range(300)])
    features["tumour_7"] = 5.0 - labels["EGFR"]
    features["tumour_8"] += labels["EGFR"]
    found = likely_leaks(features, None, labels)
    assert found == {
        "EGFR": [
            'the column "tumour_7" alone separates EGFR with an AUC of 1.000: it is likely the label under another '
            "name; leave it out of the table or of --covariates."
        ],
        "KRAS": [],
    }


def test_the_limit_lies_at_an_auc_of_099():
    y = np.r_[np.zeros(20), np.ones(20)]
    labels = pd.DataFrame({"T4": y})
    for inversions, named in ((3, 1), (4, 0)):
        values = y * 100 + np.arange(40)
        values[20] = 20 - inversions - 0.5  # this positive lies below so many negatives
        assert roc_auc_score(y, values) == pytest.approx(1 - inversions / 400)
        assert len(likely_leaks(pd.DataFrame({"x": values}), None, labels)["T4"]) == named


def test_under_five_of_a_class_no_auc_is_judged():
    values = pd.DataFrame({"x": np.arange(200.0)})
    for positives, named in ((4, 0), (5, 1)):
        labels = pd.DataFrame({"ALK": (np.arange(200) < positives).astype(float)})
        assert len(likely_leaks(values, None, labels)["ALK"]) == named
        assert len(likely_leaks(None, values, labels)["ALK"]) == named


def test_a_gap_in_the_leaking_column_does_not_hide_it():
    labels = pd.DataFrame({"EGFR": _labels(100)})
    features = pd.DataFrame({"x": labels["EGFR"].where(np.arange(100) % 3 > 0)})
    assert len(likely_leaks(features, None, labels)["EGFR"]) == 1
    assert len(likely_leaks(None, features, labels)["EGFR"]) == 1


def test_many_leaks_are_counted_not_listed():
    labels = pd.DataFrame({"EGFR": _labels(100)})
    features = pd.DataFrame({f"x{i}": labels["EGFR"] + i for i in range(12)})
    sentences = likely_leaks(features, None, labels)["EGFR"]
    assert len(sentences) == 6
    assert sentences[-1] == "7 more columns alone separate EGFR like that."


def test_perfect_separation_of_a_dozen_cases_by_one_of_many_columns_is_chance():
    rng = np.random.default_rng(0)
    labels = pd.DataFrame({"EGFR": np.r_[np.zeros(5), np.ones(5)]})
    noise = pd.DataFrame(rng.normal(size=(10, 1702)))
    assert np.abs(column_aucs(noise, labels["EGFR"].to_numpy())["auc"] - 0.5).max() == 0.5
    assert likely_leaks(noise, None, labels)["EGFR"] == []
    assert len(likely_leaks(None, 1.0 - labels.rename(columns={"EGFR": "x"}), labels)["EGFR"]) == 1


@pytest.mark.parametrize("n", [40, 60, 143])
def test_noise_is_never_named(n):
    rng = np.random.default_rng(n)
    y = np.zeros(n)
    y[:5] = 1.0
    labels = pd.DataFrame({"ALK": y})
    for _ in range(20):
        assert likely_leaks(pd.DataFrame(rng.normal(size=(n, 1702))), None, labels)["ALK"] == []


def test_words_and_codes_that_stand_for_the_label():
    y = _labels(80)
    labels = pd.DataFrame({"T4": y})
    rng = np.random.default_rng(5)
    clinical = pd.DataFrame(
        {
            "status": np.where(y == 1, "Mutant", "Wildtype"),
            "stage": np.where(y == 1, "T4", rng.choice(["T1a", "T2", "T3"], 80)),
            "code": np.where(y == 1, 2.0, rng.choice([1.0, 3.0], 80)),
            "sex": rng.choice(["f", "m"], 80),
            "age": rng.normal(65, 8, 80),
            "id": [f"p{i}" for i in range(80)],
        }
    )
    sentences = likely_leaks(None, clinical, labels)["T4"]
    assert [sentence.split('"')[1] for sentence in sentences] == ["code", "stage", "status"]


def test_a_copy_of_the_label_among_few_cases():
    labels = pd.DataFrame({"ALK": [0, 0, 1, 0, 0, NAN, 0], "ROS1": [0, 0, 0, 1, 0, 0, 0]}).astype(float)
    clinical = pd.DataFrame(
        {
            "copy": [0.0, 0, 1, 0, 0, 0, 0],
            "opposite": ["y", "y", "n", "y", "y", None, "y"],
            "other": [0.0, 1, 1, 0, 0, 0, 0],
            "number": [1.0, 2, 9, 3, 4, 5, 6],
        }
    )
    found = likely_leaks(None, clinical, labels)
    assert [sentence.split('"')[1] for sentence in found["ALK"]] == ["copy", "opposite"]
    assert "equals the label of ALK, or its opposite, in every case" in found["ALK"][0]
    assert found["ROS1"] == []
    assert likely_leaks(None, clinical[:3], labels[:3])["ALK"] == []


def test_nothing_to_look_at():
    labels = pd.DataFrame({"EGFR": _labels(10)})
    assert likely_leaks(None, None, labels) == {"EGFR": []}
    assert likely_leaks(pd.DataFrame(index=range(10)), pd.DataFrame(index=range(10)), labels) == {"EGFR": []}
    assert likely_leaks(None, pd.DataFrame({"x": range(10)}), pd.DataFrame({"E": [NAN] * 10})) == {"E": []}


def test_endpoint_problem_counts_patients():
    patients = np.array([f"p{i // 2}" for i in range(20)])
    y = np.zeros(20)
    y[[0, 1, 4]] = 1.0
    assert endpoint_problem(y, patients, 2) == ""
    sentence = "2 patients are positive, fewer than the 5 folds; add patients or ask for fewer folds."
    assert endpoint_problem(y, patients, 5) == sentence
    assert endpoint_problem(y, np.arange(20), 3) == ""
    y[:] = 1.0
    y[[18, 19]] = 0.0
    assert endpoint_problem(y, patients, 5).startswith("1 patient is negative, fewer than the 5 folds;")


def test_endpoint_problem_with_one_class_or_none():
    patients = np.arange(6)
    y = np.array([0.0, 0, 0, NAN, 0, 0])
    assert endpoint_problem(y, patients, 2).startswith("all 5 labelled patients are negative; add positive patients")
    assert endpoint_problem(1 - y, patients, 2).startswith("all 5 labelled patients are positive;")
    assert endpoint_problem(np.full(6, NAN), patients, 2).startswith("no patient has a label;")
    assert endpoint_problem(np.array([1.0, NAN, 0, 1, 0, NAN]), patients, 2) == ""


def test_the_public_cohorts_mutation_columns_are_found(tmp_path, shared):
    source = next((shared / "data" / "nsclc-radiogenomics" / "clinical").glob("*.csv"))
    table = pd.read_csv(source, dtype=str, keep_default_na=False).rename(columns={"Case ID": "case_id"})
    for key in ("KRAS", "EGFR"):
        table[key] = table[f"{key} mutation status"].map({"Mutant": "1", "Wildtype": "0"}).fillna("")
    table.to_csv(tmp_path / "cohort.csv", index=False)
    cohort = read_cohort(tmp_path / "cohort.csv", needs=("case_id",), endpoints=("KRAS", "EGFR"))
    assert cohort.labels.sum().tolist() == [38, 43]
    names = [name for name in cohort.table if name not in ("case_id", "KRAS", "EGFR")]
    clinical = covariates(cohort, names).table
    assert clinical["Age at Histological Diagnosis"].dtype == clinical["Weight (lbs)"].dtype == np.float64
    found = likely_leaks(None, clinical, cohort.labels)
    assert {key: [text.split('"')[1] for text in texts] for key, texts in found.items()} == {
        "KRAS": ["KRAS mutation status"],
        "EGFR": ["EGFR mutation status"],
    }


def test_more_levels_are_tested_by_chi_squared_and_rare_ones_together():
    rng = np.random.default_rng(0)
    site = pd.Series(rng.choice(list("abc"), 60)).where(np.arange(60) >= 4, pd.Series([*"wxyz", *[""] * 56]))
    labels = pd.DataFrame({"EGFR": rng.integers(0, 2, 60).astype(float)})
    found = associations({"site": site.to_frame("site")}, labels, pd.Series(np.arange(60)))["EGFR", "site"]
    together = site.where(~site.isin(list("wxyz")), "rare")
    assert found.test == "chi-squared"
    assert found.p == pytest.approx(chi2_contingency(pd.crosstab(together, labels["EGFR"])).pvalue, rel=1e-9)
