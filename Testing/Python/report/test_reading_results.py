"""The examples of docs/reading-results.md, run on results whose identifiers are easily taken for something else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from DeepRadScoreLib.cohort.csv_text import csv_text
from DeepRadScoreLib.imaging import read_case
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from DeepRadScoreLib.report.profile import to_profile_json
from DeepRadScoreLib.report.writing import features_csv
from DeepRadScoreLib.study.results.study import PREDICTION_COLUMNS
from support.dicom_results import profile_of, study

PAGE = Path(__file__).parents[3] / "docs" / "reading-results.md"
ROWS = [("strict", "01", "EGFR", "deep-radscore", patient, "001", 1, 0.5, 0.75, 1) for patient in ("NA", "007")]


def example(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return code


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    profile = replace(profile_of(read_case(study(folder / "study"))), case_id="001")
    (folder / "profile.json").write_text(to_profile_json(profile))
    (folder / "features.csv").write_text(features_csv("001", dict.fromkeys(FEATURE_COLUMNS, 0.5)))
    (folder / "predictions.csv").write_text(csv_text(pd.DataFrame(ROWS, columns=PREDICTION_COLUMNS)))
    return folder


def test_pandas(results):
    done = subprocess.run(
        [sys.executable, "-c", example("python")], cwd=results, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[0] == "001 (1, 1703) ['NA', '007']"
    assert done.stdout.splitlines()[1].endswith(" 0.4")


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="R (Debian package r-base-core) is missing")
def test_r(results):
    done = subprocess.run(["Rscript", "-e", example("r")], cwd=results, capture_output=True, text=True, check=False)
    if "there is no package called" in done.stderr:
        pytest.skip("R has no jsonlite (Debian package r-cran-jsonlite)")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:3] == ['[1] "001"', "[1]    1 1703", '[1] "NA"  "007"'] and lines[4] == "[1] 0.4"
