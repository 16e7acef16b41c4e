"""What the plain installation leaves out: named with its line by what needs it, and needed by nothing else."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from packaging.requirements import Requirement

from DeepRadScoreLib.cli.doctor_command import doctor
from DeepRadScoreLib.errors import MissingPackageError
from DeepRadScoreLib.extras import EXTRAS, require
from support.imports import reached, source
from support.slicer_requirements import project

MODULES = sorted({module for extra in EXTRAS.values() for module in extra.modules.values()})
PLAIN = (
    "analyses.analysis",
    "bundles.bundle",
    "display.progress_bar",
    "imaging",
    "report.case_folders",
    "report.dicom.writing",
    "report.profile_view",
    "report.writing",
)
"""Reading, analysing and reporting one case; of `api` what it imports for that."""
WITHOUT = """
import sys
for name in sys.argv.pop(1).split(","):
    sys.modules[name] = None
from DeepRadScoreLib.cli.main import main
main()
"""


def command(*arguments: object, cache: Path) -> subprocess.CompletedProcess[str]:
    """The command line where none of the extras is installed."""
    call = [sys.executable, "-c", WITHOUT, ",".join(MODULES), *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DEEPRADSCORE_CACHE": str(cache)}
    return subprocess.run(call, capture_output=True, text=True, check=False, env=environment)


def ball_case(folder: Path) -> tuple[Path, Path]:
    z, y, x = np.mgrid[:32, :40, :40] - np.array([16, 20, 20]).reshape(3, 1, 1, 1)
    inside = x**2 + y**2 + z**2 <= 36
    values = np.where(inside, 30, -850) + np.random.default_rng(0).normal(0, 20, inside.shape)
    paths = folder / "ct.nrrd", folder / "mask.nrrd"
    for path, array in zip(paths, (values.astype(np.int16), inside.astype(np.uint8)), strict=True):
        sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    return paths


def test_the_extras_are_those_of_the_distribution():
    named = project()["project"]["optional-dependencies"]
    owners = importlib.metadata.packages_distributions()
    for name, extra in EXTRAS.items():
        assert sorted(extra.modules) == sorted(Requirement(text).name for text in named[name])
        for distribution, module in extra.modules.items():
            assert distribution in owners.get(module, [distribution])
    everything = Requirement(next(text for text in named["dev"] if text.startswith("DeepRadScore")))
    assert everything.extras == set(EXTRAS)


def test_no_road_of_one_case_leads_to_an_extra():
    assert all(source(f"DeepRadScoreLib.{name}") for name in PLAIN)
    third = reached(PLAIN)
    assert third.pop("radiomics") == "DeepRadScoreLib.radscore.pyradiomics_engine"
    assert third.pop("openpyxl") == "DeepRadScoreLib.cohort.workbooks"
    assert third.pop("cryptography") == "DeepRadScoreLib.bundles.signatures"
    assert not set(third) & {*MODULES, "dask"}


def test_only_its_own_engine_needs_pyradiomics(tmp_path):
    ct, mask = ball_case(tmp_path)
    asked = ("analyze", "--ct", ct, "--mask", mask, "--out", tmp_path / "out", "--engine", "pyradiomics")
    done = command(*asked, cache=tmp_path / "cache")
    assert done.returncode == 2
    assert re.search(
        r"deepradscore: pyradiomics cannot be imported \(.*\); "
        r"run: pip install 'DeepRadScore\[pyradiomics\]'",
        done.stderr,
    )
    assert list((tmp_path / "out").glob("*")) == []


def test_one_case_is_analysed_and_inspected_without_the_extras(tmp_path):
    ct, mask = ball_case(tmp_path)
    done = command("analyze", "--ct", ct, "--mask", mask, "--out", tmp_path / "out", cache=tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "report.html").is_file()
    assert command("inspect", mask, cache=tmp_path / "cache").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "extra", "named"),
    [
        (("demo", "--out", "OUT"), "study", "iterative-stratification"),
        (("train", "TABLE", "--out", "OUT"), "study", "iterative-stratification"),
        (("evaluate", "TABLE", "--out", "OUT"), "study", "iterative-stratification"),
        (("extract", "TABLE", "--out", "OUT.parquet"), "study", "pyarrow"),
        (("extract", "TABLE", "--out", "OUT.csv", "--scheduler", "local"), "cluster", "distributed"),
        (("sign", "BUNDLE", "--key", "KEY"), "signing", "cryptography"),
        (("inspect", "BUNDLE", "--trusted", "KEY"), "signing", "cryptography"),
        (
            ("cohort", "nsclc-radiogenomics", "--clinical", "LABELS", "--out", "OUT"),
            "collections",
            "idc-index, idc-index-data, pyarrow",
        ),
    ],
)
def test_what_needs_an_extra_says_so_before_it_computes(tmp_path, arguments, extra, named):
    ct, mask = ball_case(tmp_path)
    (tmp_path / "TABLE").write_text(f"case_id,patient_id,ct,mask,EGFR\na,a,{ct.name},{mask.name},1\n")
    (tmp_path / "LABELS").write_text("Case ID\nR01-001\n")
    there = sorted(tmp_path.rglob("*"))
    places = [tmp_path / part if part.isupper() or part.startswith("OUT") else part for part in arguments]
    done = command(*places, cache=tmp_path / "cache")
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.strip().splitlines()
    assert line.endswith(f" needs packages that are not installed ({named}); run: pip install 'DeepRadScore[{extra}]'.")
    assert sorted(tmp_path.rglob("*")) == there


def test_only_what_is_needed_of_an_extra_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    require("study", "training", "iterative-stratification")
    with pytest.raises(MissingPackageError, match=r"^reading needs packages that are not installed \(pyarrow\); run: "):
        require("study", "reading", "openpyxl", "pyarrow")


@pytest.mark.parametrize("missing", ["iterative-stratification", "jinja2"])
def test_the_doctor_calls_the_extras_optional(monkeypatch, capsys, missing):
    tables = project()["project"]
    extras = {name: tables["optional-dependencies"][name] for name in EXTRAS}
    required = [f'{text}; extra == "{name}"' for name, texts in extras.items() for text in texts]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: [*tables["dependencies"], *required])
    version = importlib.metadata.version

    def without(name: str) -> str:
        if name == missing:
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without)
    try:
        doctor()
        code = 0
    except Exception as end:
        code = end.exit_code
    said = capsys.readouterr().out
    optional = missing == "iterative-stratification"
    assert code == (0 if optional else 2)
    assert ("optional iterative-stratification (not installed): for demo, train, evaluate, " in said) == optional
    assert ("python -m pip install 'DeepRadScore[study]'" in said) == optional
    assert ("MISSING  jinja2>=3.1: not installed" in said) != optional
    assert "ok       distributed " in said
