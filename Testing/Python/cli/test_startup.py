"""Help and the bare import load nothing that takes long."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "torchvision", "shap", "numba", "pandas", "radiomics", "numpy", "scipy", "sklearn", "SimpleITK"}
HELP = """
import sys
from DeepRadScoreLib.cli.main import main
for words in sys.argv[1].split(","):
    sys.argv = ["deepradscore", *words.split(), "--help"]
    try:
        main()
    except SystemExit as end:
        assert end.code == 0, words
    print("loaded after", words, *sorted({name.split(".")[0] for name in sys.modules}))
"""
COMMANDS = (
    "",
    "analyze",
    "outline",
    "inspect",
    "extract",
    "train",
    "evaluate",
    "cohort dicom",
    "limits",
    "sign",
    "doctor",
    "demo",
)


def printed(program: str, *given: str) -> list[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *given], check=True, capture_output=True, text=True
    ).stdout.splitlines()


def test_help_of_every_command():
    lines = printed(HELP, ",".join(COMMANDS))
    loaded = [line.split() for line in lines if line.startswith("loaded after")]
    assert len(loaded) == len(COMMANDS)
    assert any("Usage" in line for line in lines)
    for words in loaded:
        assert not HEAVY & set(words), words


@pytest.mark.parametrize("statement", ["import DeepRadScoreLib", "import DeepRadScoreLib; dir(DeepRadScoreLib)"])
def test_the_bare_import(statement):
    (loaded,) = printed(f"import sys; {statement}; print(*sorted(sys.modules))")
    assert not HEAVY & set(loaded.split())
