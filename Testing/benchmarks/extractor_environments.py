"""Other public extractors of radiomic features, each in an environment of its own that pip fills from PyPI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

WORKER = Path(__file__).with_name("extractor_worker.py")
INSTALL_S = 900
Features = Mapping[str, float]


@dataclass(frozen=True)
class Peer:
    """Another extractor.

    Attributes
    ----------
    requirements: what pip installs.
    options: of `pip install`.
    oldest_python: minor version of Python 3 that it needs.
    with_ours: whether its environment sees the packages of this one (PyTorch's CPU build is not on PyPI).
    images: "original" or, where it computes the same sub-bands, "all" too.
    other_work: what it leaves out and what it computes besides, where that affects its time.
    """

    name: str
    requirements: tuple[str, ...]
    options: tuple[str, ...] = ()
    oldest_python: int = 10
    with_ours: bool = False
    images: tuple[str, ...] = ("original",)
    other_work: str = ""


PEERS = (
    Peer(
        "flash-radiomics",
        (
            *("flash-radiomics", "numpy", "h5py", "SimpleITK", "pykwalify", "PyWavelets", "scipy", "scikit-image"),
            *("scikit-learn", "trimesh"),
        ),
        images=("original", "all"),
    ),
    Peer("fastrad", ("fastrad", "loguru"), ("--no-deps", "--ignore-requires-python"), with_ours=True),
    Peer("numpyradiomics", ("numpyradiomics",)),
    Peer(
        "pictologics",
        ("pictologics",),
        oldest_python=12,
        images=("original", "all"),
        other_work="one GLCM and GLRLM for the 13 directions together where pyradiomics has 13 of each, no maximal "
        "correlation coefficient, no diameters in planes; but distance zones, convex hulls and histograms",
    ),
)


class NotRunError(Exception):
    """An extractor that cannot be installed or does not run, with the reason."""


def environment(peer: Peer, folder: Path) -> tuple[Path, str]:
    """Install an extractor: the interpreter of its environment, and its version."""
    base = interpreter(peer)
    home = folder / peer.name
    run([base, "-m", "venv", str(home)])
    bin_folder = home / ("Scripts" if os.name == "nt" else "bin")
    python = next(path for path in (bin_folder / "python", bin_folder / "python.exe") if path.exists())
    if peer.with_ours:
        packages = run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).strip()
        (Path(packages) / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    run([str(python), "-m", "pip", "install", "--quiet", *peer.options, *peer.requirements])
    version = f"import importlib.metadata as m; print(m.version({peer.name!r}))"
    return python, run([str(python), "-c", version]).strip()


def interpreter(peer: Peer) -> str:
    """A Python that is new enough: this one, or one on the path or of pyenv."""
    if peer.with_ours or sys.version_info >= (3, peer.oldest_python):
        return sys.executable
    names = [f"python3.{minor}" for minor in range(peer.oldest_python, peer.oldest_python + 3)]
    found = [shutil.which(name) for name in names]
    found += [str(path) for name in names for path in Path.home().glob(f".pyenv/versions/*/bin/{name}")]
    for python in found:
        if python and not subprocess.run([python, "-c", "import venv"], capture_output=True, check=False).returncode:
            return python
    raise NotRunError(f"it needs Python 3.{peer.oldest_python}, which is not here")


def run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise NotRunError(f"{' '.join(command[1:4])} took over {INSTALL_S} s") from error
    if done.returncode:
        raise NotRunError((done.stderr.strip().splitlines() or ["it failed without a word"])[-1])
    return done.stdout


@contextmanager
def worker(
    peer: Peer, python: Path, images: str, folder: Path, threads: int
) -> Iterator[tuple[Features, Callable[[], float]]]:
    """The features of a first extraction, and a function that makes one more and tells its seconds."""
    of_threads = dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    of_threads |= {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    with (folder / "errors.txt").open("w+") as errors:
        process = subprocess.Popen(
            [str(python), "-W", "ignore", str(WORKER), peer.name, str(folder), images],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=folder,
            env=inherited | of_threads,
        )

        def answer() -> str:
            line = process.stdout.readline()
            if not line:
                errors.seek(0)
                raise NotRunError((errors.read().strip().splitlines() or ["it ended without a word"])[-1])
            return line

        def extract() -> float:
            print(file=process.stdin, flush=True)
            return float(answer())

        try:
            yield json.loads(answer()), extract
        finally:
            process.kill()
            process.wait()
