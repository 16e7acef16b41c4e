"""Engine, imaging, radscore, fusion and the module's case list under the other Pythons, without torch and pyradiomics.

The packages are those of `requirements.lock`, installed into an environment that is made for the test. An interpreter
that is absent is skipped; with CI set it fails.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import lock

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.12", "3.13")
PACKAGES = (
    *("filelock", "highdicom", "joblib", "nibabel", "numba", "numpy", "packaging", "pandas", "platformdirs"),
    *("pydantic", "pydicom", "pytest", "python-gdcm", "PyWavelets", "scikit-learn", "scipy", "SimpleITK", "skops"),
)
TESTS = (
    "Testing/Python/radscore",
    "Testing/Python/fusion/test_columns.py",
    "Testing/Python/fusion/test_fusion.py",
    "Testing/Python/imaging/test_dicom_ct.py",
    "Testing/Python/imaging/test_lattice_regions.py",
    "Testing/Python/imaging/test_mask_variants.py",
    "Testing/Python/imaging/test_plausibility.py",
    "Testing/Python/imaging/test_reading.py",
    "Testing/Python/imaging/test_regions.py",
    "Testing/Slicer/cases",
)
SLOW = ("any_number_of_processes", "compiled", "nothing_heavy", "without_third_party", "stored_model_gives")
"""Tests left out: of what another Python could change, the others tell as much."""
VALUES = ROOT / "Testing" / "benchmarks" / "engine_values.py"


def interpreter(version: str) -> str | None:
    """A Python of this version: on the path, where pyenv may have put a command that does not work, or pyenv's own."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for name in (f"python{version}", *map(str, sorted(pyenv.glob(f"{version}.*/bin/python{version}")))):
        path = shutil.which(name)
        if path is not None and subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    return None


def run(*call: object, folder: Path) -> str:
    """What a command prints, run without the packages of this environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'DeepRadScore'}", "OMP_NUM_THREADS": "1"}
    environment |= {"DEEPRADSCORE_CACHE": str(folder / "cache")}
    done = subprocess.run(list(map(str, call)), capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module", params=PYTHONS)
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the packages."""
    found = interpreter(request.param)
    if found is None:
        reason = f"there is no Python {request.param} on this machine"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp(f"python{request.param}")
    run(found, "-m", "venv", folder, folder=folder)
    made = folder / "bin" / "python"
    pins = folder / "constraints.txt"
    pins.write_text("\n".join(lock.pins((ROOT / "requirements.lock").read_text(encoding="utf-8"))), encoding="utf-8")
    options = ("--quiet", "--no-compile", "--disable-pip-version-check", "-c", pins)
    run(made, "-m", "pip", "install", *options, *PACKAGES, folder=folder)
    return made


def test_the_tests_pass_without_torch_and_pyradiomics(python: Path, tmp_path: Path) -> None:
    absent = "import importlib.util as u; print([n for n in ('torch', 'radiomics', 'shap') if u.find_spec(n)])"
    assert run(python, "-c", absent, folder=tmp_path) == "[]\n"
    said = run(python, "-m", "pytest", "-x", "-k", f"not ({' or '.join(SLOW)})", *TESTS, folder=tmp_path)
    passed = int(said.rsplit(" passed", 1)[0].rsplit(maxsplit=1)[-1])
    assert passed > 300, said[-3000:]


def test_the_engine_gives_the_same_bits_and_the_kept_values(python: Path, tmp_path: Path) -> None:
    there = json.loads(run(python, VALUES, "--json", folder=tmp_path))
    assert there == json.loads(run(sys.executable, VALUES, "--json", folder=tmp_path))
    kept = json.loads(VALUES.with_suffix(".json").read_text(encoding="utf-8"))
    for case, classes in there.items():
        for name, values in classes.items():
            del values["sha256"]
            numbers = {feature: float.fromhex(value) for feature, value in values.items()}
            expected = {feature: float.fromhex(kept[case][name][feature]) for feature in values}
            assert numbers == pytest.approx(expected, rel=1e-9, abs=0)
