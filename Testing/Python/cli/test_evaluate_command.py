"""`deepradscore evaluate` as a user runs it: what it leaves, and one sentence for what it cannot do."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL
from support.command import command
from support.small_evaluation import write_small_cohort

QUICK = ("--folds", "2", "--repeats", "1", "--split", "column", "--endpoints", "EGFR", "--jobs", "1")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Of 70 cases one is synthetic, 3 are flat, 12 of the others have thick slices, and every patch is padded."""
    table, features = write_small_cohort(tmp_path_factory.mktemp("cohort"), n=70)
    notes = pd.DataFrame({"case_id": pd.read_csv(table)["case_id"], "synthetic": 0, "engine": "pyradiomics"})
    notes.loc[50, "synthetic"] = 1
    notes["thick_slices"] = ["warning" if number < 15 else "" for number in range(70)]
    notes["flat_tumour"] = ["warning" if number < 3 else "" for number in range(70)]
    notes["patch_padded"] = "info"
    notes.to_csv(features.with_name("features.notes.csv"), index=False)
    return table, features


@pytest.fixture(scope="module")
def study(cohort, tmp_path_factory):
    out = tmp_path_factory.mktemp("study") / "out"
    table, features = cohort
    call = ("evaluate", table, "--features", features, "--covariates", "age,sex", "--out", out, *QUICK)
    call += ("--exclude-quality", "flat_tumour", "--exclude-quality", "off_axial")
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


def test_quality_is_counted_and_who_was_left_out_for_it_is_named(study):
    done, out = study
    assert "quality: patch_padded 67, thick_slices 12 of 67 cases" in done.stdout
    assert "left out by quality flat_tumour: 3" in done.stdout
    results = json.loads((out / "results.json").read_text())
    assert results["left_out_by_quality"] == {"flat_tumour": 3}
    assert results["left_out"] == {f"case-{i:03d}": "left out by quality flat_tumour." for i in range(3)}
    assert results["settings"]["exclude_quality"] == ["flat_tumour", "off_axial"]
    table = pd.read_csv(out / "tables" / "quality.csv")
    assert table.to_dict("records") == results["quality"]
    assert table.set_index("code")["cases"].to_dict() == {"thick_slices": 12, "patch_padded": 67}
    assert table["share"].tolist() == pytest.approx([12 / 67, 1])
    assert pd.read_csv(out / "tables" / "left_out_by_quality.csv").to_dict("list") == {
        "code": ["flat_tumour"],
        "cases": [3],
    }
    predicted = pd.read_csv(out / "predictions.csv")["case_id"].str.split(" + ", regex=False).explode()
    assert predicted.isin([f"case-{i:03d}" for i in range(3)]).sum() == 0
    page = (out / "report.html").read_text()
    assert "spacing over 3 mm along some axis" in page
    assert "3 × left out by quality flat_tumour" in (out / "figures" / "patient_flow.svg").read_text()


def test_a_table_with_a_synthetic_case_makes_a_synthetic_study(study):
    done, out = study
    assert json.loads((out / "results.json").read_text())["label"] == SYNTHETIC_LABEL
    assert SYNTHETIC_LABEL in done.stdout
    assert SYNTHETIC_LABEL in (out / "report.html").read_text()
    assert all(SYNTHETIC_LABEL in path.read_text() for path in (out / "figures").glob("*.svg"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--exclude-quality": "thick"}, ['"thick" is no code', "thick_slices, "]),
        ({"--exclude-quality": "patch_padded"}, ["no case is left", "patch_padded 70 of 70 cases"]),
        ({"--exclude-quality": "off_axial", "--features": "bare.csv"}, ["bare.csv", "no notes file", "bare.notes.csv"]),
        ({"--features": "other.csv"}, ["other.notes.csv", "another table than other.csv"]),
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
    for name in ("bare.csv", "other.csv"):
        shutil.copy(features, tmp_path / name)
    (tmp_path / "other.notes.csv").write_text("case_id,synthetic,engine\nx,0,pyradiomics\n")
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
