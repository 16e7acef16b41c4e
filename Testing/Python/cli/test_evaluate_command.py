"""`deepradscore evaluate` as a user runs it: what it leaves, and one sentence for what it cannot do."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from support.command import command
from support.small_evaluation import write_small_cohort

QUICK = ("--folds", "2", "--repeats", "1", "--split", "column", "--endpoints", "EGFR", "--jobs", "1")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return write_small_cohort(tmp_path_factory.mktemp("cohort"), n=70)


@pytest.fixture(scope="module")
def study(cohort, tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "out"
    table, features = cohort
    call = ("evaluate", table, "--features", features, "--covariates", "age,sex", "--out", out, *QUICK)
    done = command(*call, cache=out.parent / "cache")
    assert done.returncode == 0, done.stderr
    return done, out


def test_it_leaves_what_a_journal_asks_for(study):
    done, out = study
    names = {path.name for path in out.iterdir()}
    assert names >= {"results.json", "report.html", "predictions.csv", "tables", "figures"}
    assert {"table1_cohort.csv", "table3_models.csv", "selected_features.csv"} <= {
        path.name for path in (out / "tables").iterdir()
    }
    figures = {path.name for path in (out / "figures").iterdir()}
    assert {f"roc_strict.{kind}" for kind in ("svg", "png")} <= figures
    assert "EGFR" in done.stdout and "not run: deep-ct" in done.stdout
    assert not list((out.parent / "cache" / "runs").iterdir())


def test_the_printed_auc_is_that_of_the_predictions(study):
    done, out = study
    rows = pd.read_csv(out / "predictions.csv").query("endpoint == 'EGFR' and model == 'radiomics-score'")
    auc = roc_auc_score(rows["label"], rows["score"])
    results = json.loads((out / "results.json").read_text())
    card = results["protocols"]["strict"]["endpoints"]["EGFR"]["models"]["radiomics-score"]
    assert card["auc"] == pytest.approx(auc, abs=1e-12)
    assert f"{auc:.3f} [" in done.stdout


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"table": "none.csv"}, ["none.csv", "does not exist"]),
        ({"--features": "none.csv"}, ["none.csv"]),
        ({"--endpoints": "MYC"}, ['"MYC"', "no column"]),
        ({"--endpoints": "ALK"}, ["ALK", "all 60 labelled patients are negative"]),
        ({"--covariates": "height"}, ['"height"', "no column"]),
        ({"--covariates": "EGFR"}, ["EGFR", "cannot predict itself"]),
        ({"--case-column": "ID"}, ['"ID"']),
        ({"--split": "site", "table": "one_site.csv"}, ['"site"', "two sites"]),
        ({"--out": "file.txt"}, ["file.txt"]),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(change, words, cohort, tmp_path):
    table, features = cohort
    (tmp_path / "file.txt").write_text("not a folder")
    pd.read_csv(table).assign(site="a").to_csv(tmp_path / "one_site.csv", index=False)
    options = {"--features": features, "--out": tmp_path / "out", "--repeats": "1", "--endpoints": "EGFR"}
    options |= {name: tmp_path / value if "." in value else value for name, value in change.items()}
    call = [options.pop("table", table), *(part for pair in options.items() for part in pair)]
    done = command("evaluate", *call, cache=tmp_path / "cache")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("deepradscore: ")
    for word in words:
        assert word in last
    assert not (tmp_path / "out").exists()
