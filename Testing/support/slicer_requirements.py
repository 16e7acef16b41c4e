"""The Slicer module's list of packages, made from `pyproject.toml`: `make requirements` writes it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
FILE = ROOT / "DeepRadScore" / "Resources" / "requirements.txt"
HEADER = """\
# What DeepRadScore needs beside Slicer's own packages and torch (PyTorch extension). The text after "#" says what a
# package is for; floors as in pyproject.toml.
"""


def project() -> dict[str, Any]:
    """`pyproject.toml`."""
    with (ROOT / "pyproject.toml").open("rb") as stream:
        return tomllib.load(stream)


def dependencies() -> dict[str, str]:
    """Distribution, in small letters -> its requirement: those of the plain installation and of the extra `study`."""
    tables = project()["project"]
    texts = [*tables["dependencies"], *tables["optional-dependencies"]["study"]]
    return {Requirement(text).name.lower(): text for text in texts}


def requirements_text() -> str:
    """What `requirements.txt` has to hold."""
    floors = dependencies()
    lines = {floors[name.lower()]: use for name, use in project()["tool"]["deepradscore"]["slicer"].items()}
    width = max(map(len, lines))
    return HEADER + "".join(f"{requirement:{width}}  # {use}\n" for requirement, use in lines.items())


if __name__ == "__main__":
    FILE.write_text(requirements_text(), encoding="utf-8")
