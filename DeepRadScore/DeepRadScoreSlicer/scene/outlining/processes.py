"""Another program in a process of its own, in short steps, so that it can be ended at any time."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

from DeepRadScoreLib.errors import InputError, MissingPackageError
from DeepRadScoreLib.progress import Progress, Stage
from DeepRadScoreSlicer.translation import tr as _

PAUSE_S = 0.1
MAX_LINE = 120


def slicer_python(mend: str) -> str:
    """The program that Slicer starts as its Python. Raises MissingPackageError where it is not there."""
    python = shutil.which("PythonSlicer")
    if python is None:
        raise MissingPackageError(_("Slicer's Python cannot be started"), where="PythonSlicer", mend=mend)
    return python


def run_steps(
    name: str, command: Sequence[str], environment: Mapping[str, str], log: Path, mend: str
) -> Generator[Progress, None, None]:
    """Run a command to its end, a step for each pause; closed, it ends the command and all that this has started.

    Parameters
    ----------
    name: of the program, for progress and errors.
    log: takes what it prints; the last line is shown.
    mend: what to do where it fails.

    Raises
    ------
    InputError: it failed.
    """
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        try:
            while process.poll() is None:
                yield Progress(Stage.ANALYSING, f"{name}: {_last_line(log)}", 50, 100)
                time.sleep(PAUSE_S)
        finally:
            if process.poll() is None:
                _end(process)
    if process.returncode != 0:
        reason = _last_line(log) or process.returncode
        raise InputError(_("{name} failed: {reason}").format(name=name, reason=reason), mend=mend)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process with all that it has started: PythonSlicer is only a launcher."""
    if os.name == "nt":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_bytes()[-2000:].decode(errors="replace").replace("\r", "\n").splitlines()
    return next((line.strip()[:MAX_LINE] for line in reversed(lines) if line.strip()), "")
