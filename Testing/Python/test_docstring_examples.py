"""The examples in the docstrings of the public names, run on a small synthetic case, the example table and a bundle."""

from __future__ import annotations

import doctest
import inspect
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import DeepRadScoreLib
from DeepRadScoreLib.computing.workers import InProcess
from support.small_bundle import small_bundle, small_densenet

ROOT = Path(__file__).parents[2]
SCRIPTS = ("train", "evaluate", "TrainingResult", "StudyReport")
"""They learn: their docstrings name a script of `examples/`, which a test of its own runs."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """`ct.nrrd` with a ball of 7 mm radius in `tumour.nrrd`, `cohort.csv`, `model.zip`."""
    place = tmp_path_factory.mktemp("docstrings")
    z, y, x = np.mgrid[:40, :48, :48] - np.array([20, 24, 24]).reshape(3, 1, 1, 1)
    ball = x**2 + y**2 + z**2 <= 49
    hu = np.where(ball, 30, -850) + np.random.default_rng(0).integers(-20, 20, ball.shape)
    for name, array in (("ct", hu.astype(np.int16)), ("tumour", ball.astype(np.uint8))):
        sitk.WriteImage(sitk.GetImageFromArray(array), str(place / f"{name}.nrrd"))
    shutil.copy(ROOT / "Resources" / "example_cohort.csv", place / "cohort.csv")
    with small_densenet():
        small_bundle().save(place / "model.zip")
    return place


@pytest.mark.parametrize("name", sorted(set(DeepRadScoreLib.__all__) - set(SCRIPTS)))
def test_the_example_of_a_public_name_runs_and_gives_what_it_shows(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DEEPRADSCORE_CACHE", str(folder / "cache"))
    monkeypatch.setattr("DeepRadScoreLib.computing.cluster.Processes", lambda _jobs: InProcess())
    text = inspect.getdoc(getattr(DeepRadScoreLib, name))
    example = doctest.DocTestParser().get_doctest(text, {}, name, None, 0)
    assert example.examples
    said: list[str] = []
    with small_densenet():
        doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append)
    assert not said, "".join(said)


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_learns_names_a_script_that_is_there_and_uses_it(name):
    (script,) = re.findall(r"`(examples/\w+\.py)`", inspect.getdoc(getattr(DeepRadScoreLib, name)))
    used = {"TrainingResult": "train", "StudyReport": "evaluate"}.get(name, name)
    assert f"= {used}(" in (ROOT / script).read_text(encoding="utf-8")
