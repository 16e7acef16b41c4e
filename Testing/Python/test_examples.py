"""The examples, and the README's commands on the demonstration's files: run one after another, as a user would."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from DeepRadScoreLib.cli.main import commands
from DeepRadScoreLib.computing.workers import InProcess
from DeepRadScoreLib.endpoints import KEYS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]_*.py"))
SAID = {
    "1_one_case": ["synthetic: not for patients", "tumour 1.9 mL, shell 3.1 mL", "'report.html'"],
    "2_own_cohort": ["(52, 1702)", "Deep-RadScore, protocol strict: PI, EGFR", "not_better_than_chance"],
    "3_features_only": ["radiomics-score", "shuffled-labels"],
    "4_scikit_learn": ["AUC of each fold: ["],
    "5_foreign_model": ["synthetic-test-012", "in 12 of 12 cases", "Brier score 0."],
}
"""What each prints, among other things."""
LEFT = {
    "extract": ["52 cases x 1702 features: features.csv"],
    "train": ["synthetic: not for patients", "bundle: model.zip"],
    "inspect": ["patients of cohort.csv", "The hashes show damage, not origin"],
    "analyze": ["synthetic: not for patients", "report: results/report.html"],
    "evaluate": ["deep-radscore", "shuffled-labels", "report: study/report.html"],
}
"""What each command of the README prints, among other things, in the README's order."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("examples")


@pytest.fixture
def there(folder, monkeypatch) -> Path:
    """The folder as the current one, with a cache of its own; no processes, each of which would import everything."""
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    monkeypatch.setenv("DEEPRADSCORE_CACHE", str(folder / "cache"))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setattr("DeepRadScoreLib.computing.cluster.Processes", lambda _jobs: InProcess())
    return folder


@pytest.fixture
def demonstration(there) -> Path:
    """`demo-out/cohort` as `make demo` leaves it, smaller: the examples' cases, with labels of one endpoint."""
    import made_up

    table = pd.read_csv(made_up.cohort().with_name("cohort.csv"))
    table[[key for key in KEYS if key != "PI"]] = ""
    cohort = there / "demo-out" / "cohort"
    if not cohort.exists():
        cohort.mkdir(parents=True)
        (cohort / "images").symlink_to(there / made_up.FOLDER / "images")
        table.to_csv(cohort / "cohort.csv", index=False)
    return cohort


def command_lines() -> list[str]:
    """The lines of the README that begin with `deepradscore`."""
    return re.findall(r"^deepradscore .+$", README, re.MULTILINE)


def test_every_example_is_run():
    assert [path.stem for path in EXAMPLES] == list(SAID)


@pytest.mark.parametrize("name", SAID)
def test_an_example_runs_and_says_what_it_should(name, there, capsys):
    runpy.run_path(str(ROOT / "examples" / f"{name}.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert [words for words in SAID[name] if words not in said] == []


def test_the_picture_of_the_first_is_there(folder):
    with Image.open(folder / "one_case.png") as picture:
        assert picture.size == (400, 400)
        assert len(picture.convert("RGB").getcolors(160_000)) > 100


@pytest.mark.parametrize("number", range(len(LEFT)), ids=list(LEFT))
def test_a_command_of_the_readme_runs_as_it_stands(number, demonstration, capsys):
    name, words = list(LEFT.items())[number]
    program, *arguments = shlex.split(command_lines()[number])
    assert (program, arguments[0]) == ("deepradscore", name)
    assert not commands()(arguments, standalone_mode=False)
    said = capsys.readouterr().out
    assert [one for one in words if one not in said] == []


def test_the_readme_stays_short():
    assert len(README.split()) < 900


def test_the_readme_has_no_other_command_and_its_make_targets_are_there():
    assert len(command_lines()) == len(LEFT)
    targets = set(re.findall(r"^make (\w[\w-]*)", README, re.MULTILINE)) | set(re.findall(r"`make (\w[\w-]*)`", README))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test", "docs"} <= targets <= set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
