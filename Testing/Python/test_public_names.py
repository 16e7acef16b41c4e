"""The names of the package: found, imported late, typed, and each line short in an interactive session."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

import DeepRadScoreLib
from DeepRadScoreLib.bundles.manifest import READABLE
from DeepRadScoreLib.cli.main import commands
from DeepRadScoreLib.report.log import LogEntry
from DeepRadScoreLib.report.profile import EndpointEntry, ProfileDocument
from DeepRadScoreLib.study.results.document import SCHEMA as STUDY_SCHEMA
from DeepRadScoreLib.study.results.document import Results
from DeepRadScoreLib.study.results.study import PREDICTION_COLUMNS

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "Testing" / "support" / "typed_example.py"
MILLISECONDS = 50
MYPY = """
[mypy]
follow_imports = silent
[mypy-pandas.*]
ignore_missing_imports = True
[mypy-torch.*,matplotlib.*,pydantic.*,rich.*]
follow_imports = skip
"""


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)


def test_every_public_name_can_be_had_and_is_listed():
    for name in DeepRadScoreLib.__all__:
        assert getattr(DeepRadScoreLib, name).__name__ == name
    assert set(DeepRadScoreLib.__all__) <= set(dir(DeepRadScoreLib))
    assert sorted(name for names in DeepRadScoreLib._MODULES.values() for name in names) == DeepRadScoreLib.__all__
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        DeepRadScoreLib.analyse  # noqa: B018


def test_importing_the_package_imports_nothing_else():
    third = python(
        "import sys; before = set(sys.modules); import DeepRadScoreLib; "
        "print(*sorted({name.split('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))"
    )
    assert third.stdout.split() == ["DeepRadScoreLib"]


def test_importing_the_package_takes_no_time():
    def fastest(code: str) -> float:
        times = []
        for _ in range(7):
            begin = time.perf_counter()
            python(code)
            times.append(time.perf_counter() - begin)
        return min(times)

    assert 1000 * (fastest("import DeepRadScoreLib") - fastest("pass")) < MILLISECONDS


def test_the_typed_example_uses_every_public_name_and_mypy_finds_nothing(tmp_path):
    tree = ast.parse(EXAMPLE.read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "DeepRadScoreLib"]
    assert {alias.name for node in imports for alias in node.names} == set(DeepRadScoreLib.__all__)
    (tmp_path / "mypy.ini").write_text(MYPY)
    options = ["--strict", "--config-file", tmp_path / "mypy.ini", "--cache-dir", tmp_path / "cache"]
    call = [sys.executable, "-m", "mypy", *options, EXAMPLE]
    done = subprocess.run(call, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_types_are_installed_with_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert (ROOT / "DeepRadScoreLib" / "py.typed").is_file()
    assert "py.typed" in project["tool"]["setuptools"]["package-data"]["DeepRadScoreLib"]


STABILITY = ROOT / "docs" / "stability.md"


def promised(after: str, before: str) -> set[str]:
    """Names in code between two texts of the page on stability."""
    text = STABILITY.read_text(encoding="utf-8").partition(after)[2].partition(before)[0]
    return set(re.findall(r"`(\w+)`", text))


def fields(model: type[BaseModel]) -> set[str]:
    return {name.rstrip("_") for name in model.model_fields}


def test_the_page_on_stability_promises_what_there_is():
    app = commands()
    names = {one.name for one in [*app.registered_commands, *app.registered_groups]}
    assert promised("## Python", "as `from") == set(DeepRadScoreLib.__all__)
    assert promised("## Commands", ": their options") == names
    assert promised("### profile.json", "Of each endpoint") == fields(ProfileDocument)
    assert promised("Of each endpoint", "###") == fields(EndpointEntry)
    assert promised("### results.json", "##") == fields(Results)
    assert promised("| `deepradscore.log.jsonl` |", "|") == fields(LogEntry)
    assert promised("| `predictions.csv` |", "|") == set(PREDICTION_COLUMNS)
    schemas = set(re.findall(r"`(deepradscore[.-]\w+/\d)`", STABILITY.read_text(encoding="utf-8")))
    assert schemas == {*READABLE, *get_args(ProfileDocument.model_fields["schema_"].annotation), STUDY_SCHEMA}
