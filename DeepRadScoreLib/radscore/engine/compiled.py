"""Compilation of the engine's kernels by numba: once on a machine, in a process of its own, kept on disk."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar, cast
from uuid import uuid4

import platformdirs

from DeepRadScoreLib.errors import MissingPackageError
from DeepRadScoreLib.radscore.engine.machine_code import Entry, MachineCode, write_index, write_machine_code
from DeepRadScoreLib.writing import ends_with_program, unfinished

Function = TypeVar("Function", bound=Callable[..., Any])

MODULES = ("kernels", "eigenvalues", "glcm", "size_matrices")
"""The modules of this package that hold kernels."""
LOOK_S = 0.1
LOG = "log.txt"
COMPILE = f"import sys; sys.path[:] = sys.argv[2:]; from {__name__} import compile_into; compile_into(sys.argv[1])"
MEND = "run: python -m pip install --upgrade numba, or use --engine pyradiomics"


def kernel(*signatures: str, inner: bool = False) -> Callable[[Function], Function]:
    """Decorator: a function compiled for the given signatures, loaded if that was done before on this machine.

    Without the Global Interpreter Lock, and without anything that would let bits depend on threads or order.
    `inner`: only other kernels call it.

    Raises
    ------
    MissingPackageError: it was not compiled before, and numba cannot be imported.
    """

    def load_or_compile(function: Function) -> Function:
        name = f"{function.__module__.rpartition('.')[2]}.{function.__name__}"
        code = _machine_code()
        if code is not None:
            return function if inner else cast(Function, code.kernel(name))
        numba = _numba()
        folder = _target or compiled_folder()
        with _cache_in(numba, folder):
            decorate = numba.njit(list(signatures), nogil=True, error_model="numpy", cache=folder.is_dir())
            compiled = decorate(function)
        if _target is not None and not inner:
            _entries.extend(write_machine_code(compiled, signature, name, _target) for signature in signatures)
        return compiled

    return load_or_compile


def _machine_code() -> MachineCode | None:
    """The kernels as machine code, if they were compiled before and this process can load them."""
    folder = compiled_folder()
    return _loaded(folder) if _target is None and folder.is_dir() else None


@cache
def _loaded(folder: Path) -> MachineCode | None:
    try:
        return MachineCode(folder)
    except (OSError, ValueError, RuntimeError):
        return None


def compile_steps() -> Generator[str, None, None]:
    """Compile the kernels in another process, unless that was done before on this machine; closing ends it at once.

    Where nothing can be kept, the process that imports the kernels has to compile them.

    Raises
    ------
    MissingPackageError: numba is missing or cannot compile them.
    """
    if importlib.util.find_spec("numba") is None:
        raise MissingPackageError("the package that computes the features is not installed", where="numba", mend=MEND)
    folder = compiled_folder()
    if folder.is_dir():
        return
    work = folder.with_name(f".{uuid4().hex}")
    try:
        work.mkdir(parents=True)
    except OSError:
        yield f"compiling the extraction of features each time: {folder.parent} cannot be written, set NUMBA_CACHE_DIR"
        return
    with unfinished(work):
        yield from _compile_in_child(work)
        if not folder.is_dir():
            work.replace(folder)


def _compile_in_child(work: Path) -> Generator[str, None, None]:
    begun = time.monotonic()
    with (work / LOG).open("w+b") as log:
        process = subprocess.Popen(
            [_python(), "-c", COMPILE, str(work), *sys.path],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "NUMBA_DISABLE_JIT": "0"},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        with ends_with_program(process):
            while process.poll() is None:
                seconds = round(time.monotonic() - begun)
                yield f"compiling the extraction of features, once on this machine ({seconds} s)"
                time.sleep(LOOK_S)
    if process.returncode:
        lines = (work / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        why = lines[-1].rstrip(".") if lines else f"exit code {process.returncode}"
        raise MissingPackageError(f"it could not compile the extraction of features ({why})", where="numba", mend=MEND)
    (work / LOG).unlink()


def compile_into(folder: str) -> None:
    """Compile all kernels of this package and keep them in a folder."""
    global _target  # noqa: PLW0603
    _target = Path(folder)
    for module in MODULES:
        import_module(f"{__package__}.{module}")
    write_index(_entries, _target)


def compiled_folder() -> Path:
    """Where the kernels are kept that were compiled from these files, by this numba and Python, for this processor:
    in $NUMBA_CACHE_DIR, or the user's cache folder."""
    base = os.environ.get("NUMBA_CACHE_DIR") or _user_cache()
    return Path(base).absolute() / "engine" / _digest()


@cache
def _user_cache() -> Path:
    return platformdirs.user_cache_path("deepradscore")


@cache
def _digest() -> str:
    import llvmlite.binding as llvm

    folder = Path(__file__).parent
    files = [(folder / f"{module}.py").stat() for module in ("compiled", "machine_code", *MODULES)]
    facts = (
        [(file.st_mtime_ns, file.st_size) for file in files],
        str(folder),
        importlib.metadata.version("numba"),
        sys.implementation.cache_tag,
        llvm.get_host_cpu_name(),
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]


_target: Path | None = None
"""The folder that this process fills, if it was begun to compile."""
_entries: list[Entry] = []
"""What it has compiled so far."""


def _numba() -> Any:
    try:
        import numba
    except ImportError as error:
        raise MissingPackageError(f"it cannot be imported ({error})", where="numba", mend=MEND) from error
    return numba


@contextmanager
def _cache_in(numba: Any, folder: Path) -> Iterator[None]:
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before


def _python() -> str:
    """The Python interpreter of this environment: in Slicer its launcher."""
    return ("slicer" in sys.modules and shutil.which("PythonSlicer")) or sys.executable
