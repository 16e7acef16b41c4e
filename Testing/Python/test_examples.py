"""The examples, run one after another as a user would, in a folder of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from DeepRadScoreLib.radscore.engine.compiled import compiled_folder

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]_*.py"))
SAID = {
    "1_one_case": ["synthetic: not for patients", "tumour 1.9 mL, shell 3.1 mL", "'report.html'"],
    "2_own_cohort": ["(52, 1702)", "Deep-RadScore, protocol strict: PI, EGFR", "not_better_than_chance"],
    "3_features_only": ["radiomics-score", "shuffled-labels"],
    "4_scikit_learn": ["AUC of each fold: ["],
    "5_foreign_model": ["synthetic-test-012", "in 12 of 12 cases", "Brier score 0."],
}
"""What each prints, among other things."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("examples")


def test_every_example_is_run():
    assert [path.stem for path in EXAMPLES] == list(SAID)


@pytest.mark.parametrize("name", SAID)
def test_an_example_runs_and_says_what_it_should(name, folder):
    own = {"PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", "DEEPRADSCORE_CACHE": str(folder / "cache")}
    own["NUMBA_CACHE_DIR"] = str(compiled_folder().parents[1])
    call = [sys.executable, str(ROOT / "examples" / f"{name}.py")]
    run = subprocess.run(call, cwd=folder, env={**os.environ, **own}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    assert [words for words in SAID[name] if words not in run.stdout] == []


def test_the_picture_of_the_first_is_there(folder):
    with Image.open(folder / "one_case.png") as picture:
        assert picture.size == (400, 400)
        assert len(picture.convert("RGB").getcolors(160_000)) > 100
