"""Compilation of the kernels: in a process of its own, kept, ended at once, and said where it cannot be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from DeepRadScoreLib.errors import MissingPackageError
from DeepRadScoreLib.radscore.engine import compiled
from DeepRadScoreLib.radscore.engine.compiled import compile_steps, compiled_folder
from DeepRadScoreLib.radscore.engine.machine_code import MachineCode

MEASURED = """
import hashlib, sys
import numpy as np
from DeepRadScoreLib.radscore.engine.compiled import compile_steps
from DeepRadScoreLib.radscore.engine.intensity import region_steps
from DeepRadScoreLib.progress import run_to_end

assert not list(compile_steps())
image = np.random.default_rng(0).normal(-200, 300, (14, 15, 16)).astype(sys.argv[1])
mask = np.zeros(image.shape, np.uint8)
mask[2:11, 3:12, 4:13] = 1
found = run_to_end(region_steps(image, {"tumour": mask, "peritumoral": mask[::-1]}, (1.0,) * 3, int(sys.argv[2])))
print("numba" in sys.modules, hashlib.sha256(repr(found).encode()).hexdigest())
"""


def measured(*given: str) -> list[str]:
    """In a process of its own: whether it imported numba, and a digest of the features."""
    run = subprocess.run([sys.executable, "-c", MEASURED, *given], check=True, capture_output=True, text=True)
    return run.stdout.split()


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_compiled_once_and_then_loaded_without_numba_with_the_same_bits(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    labels = list(compile_steps())
    assert labels and all("once on this machine" in label for label in labels)
    folder = compiled_folder()
    assert list((kept / "engine").iterdir()) == [folder]
    first = {dtype: measured(dtype, "1") for dtype in ("int16", "float32", "float64")}
    assert {imported for imported, _ in first.values()} == {"False"}
    assert len({digest for _, digest in first.values()}) == 3
    assert all(measured(dtype, "2") == found for dtype, found in first.items())
    monkeypatch.delenv("NUMBA_DISABLE_JIT")
    damaged = next(folder.glob("*.o"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert all(measured(dtype, "1") == ["True", digest] for dtype, (_, digest) in first.items())


def test_a_kernel_refuses_what_it_was_not_compiled_for() -> None:
    list(compile_steps())
    code = MachineCode(compiled_folder())
    digitize = code.kernel("kernels.digitize")
    values, edges, levels = np.array([1.0, 30.0]), np.array([0.0, 25.0, 50.0]), np.zeros(2, np.int64)
    digitize(values, edges, levels)
    np.testing.assert_array_equal(levels, np.digitize(values, edges))
    for wrong in (values.astype(np.float32), values[None], np.zeros(4)[::2]):
        with pytest.raises(TypeError, match="does not take these arguments"):
            digitize(wrong, edges, levels)


def test_ended_at_once_with_nothing_left(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    popen = subprocess.Popen
    monkeypatch.setattr(compiled.subprocess, "Popen", lambda *a, **k: begun.append(popen(*a, **k)) or begun[0])
    steps = compile_steps()
    next(steps)
    steps.close()
    assert begun[0].returncode not in (None, 0)
    assert not list((kept / "engine").iterdir())


def test_a_compilation_that_fails_names_its_last_line(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "COMPILE", "raise SystemExit('no space left for it.')")
    with pytest.raises(MissingPackageError, match=r"numba: it could not compile .* \(no space left for it\); run: .*"):
        list(compile_steps())
    assert not list((kept / "engine").iterdir())


def test_a_folder_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(file))
    assert list(compile_steps()) == [
        f"compiling the extraction of features each time: {file / 'engine'} cannot be written, set NUMBA_CACHE_DIR"
    ]


def test_without_numba_the_other_engine_is_named(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.raises(MissingPackageError, match=r"numba: .*--engine pyradiomics"):
        compiled.kernel("void()")(print)
    monkeypatch.setattr(compiled.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"numba: .*--engine pyradiomics"):
        next(compile_steps())
