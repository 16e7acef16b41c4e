"""Making the synthetic sample, a case with a bundle to try the module with: on first use, without a download.

Training takes about a minute, in steps of seconds, too long for the application's thread: another Python process makes
the sample, and the steps here only read its progress. That process ends itself once the file `GOING` is gone: the
program that Slicer starts as its Python is a launcher, whose end would not end what it launched.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from DeepRadScoreSlicer.translation import tr as _

if TYPE_CHECKING:
    from DeepRadScoreLib.progress import Progress
    from DeepRadScoreLib.synthetic.sample import Sample

GOING, PROGRESS, LOG, MADE = "going", "progress.txt", "log.txt", "sample"
OTHER_PROCESS = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from DeepRadScoreSlicer.sample_making import make_in_this_process
sys.exit(make_in_this_process(sys.argv[2], sys.argv[3]))
"""
LOOK_S, LEAVE_S, FORGOTTEN_S = 0.05, 5.0, 3600.0
STAGES = {"MAKING_CASES": (2, 6), "FEATURES": (6, 60), "RADSCORES": (60, 82), "CLASSIFIERS": (82, 98)}
"""Percent of the whole making before and after the stages that take long."""


def make_sample() -> Sample:
    """The sample, made if it is not there; takes about a minute then."""
    from DeepRadScoreLib.progress import run_to_end

    return run_to_end(sample_steps())


def sample_steps() -> Generator[Progress, None, Sample]:
    """Make the sample in steps of a twentieth of a second; closing the generator ends it and leaves nothing behind.

    Raises
    ------
    MissingPackageError: a package that the making needs is missing; says how to get it.
    OutputError: the sample cannot be written, or could not be made.
    """
    from DeepRadScoreSlicer import packages

    packages.require_analysis()
    from DeepRadScoreLib.progress import Progress, Stage
    from DeepRadScoreLib.synthetic.sample import Sample

    folder = sample_folder()
    sample = Sample.in_folder(folder)
    if sample.complete():
        return sample
    yield Progress(Stage.SAMPLE, _("starting to make the sample"))
    _remove_forgotten(folder.parent)
    work = _work_folder(folder.parent)
    process = None
    try:
        process = _start(work, folder)
        while process.poll() is None:
            detail, percent = _last_line(work / PROGRESS)
            yield Progress(Stage.SAMPLE, detail, percent, 100)
            time.sleep(LOOK_S)
        _check(process.returncode, sample, work)
    finally:
        _end(process, work)
    for older in folder.parent.iterdir():
        if older != folder and not older.name.startswith("."):
            shutil.rmtree(older, ignore_errors=True)
    return sample


def sample_folder() -> Path:
    """Folder in the user's cache for the sample of this version of the program."""
    from DeepRadScoreLib.computing.case_record import cache_folder
    from DeepRadScoreLib.provenance import code_digest

    return cache_folder().absolute() / "sample" / code_digest()[:16]


def _work_folder(parent: Path) -> Path:
    from DeepRadScoreLib.errors import OutputError

    work = parent / f".making-{uuid4().hex}"
    try:
        work.mkdir(parents=True)
        (work / GOING).touch()
        (work / PROGRESS).touch()
    except OSError as error:
        raise OutputError(
            _("the sample cannot be kept there ({reason})").format(reason=error.strerror),
            where=parent,
            mend=_("free some space, or set DEEPRADSCORE_CACHE to a folder that can be written"),
        ) from error
    return work


def _start(work: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Start another Python process with the same packages: in Slicer, PythonSlicer."""
    from DeepRadScoreLib.errors import OutputError
    from DeepRadScoreSlicer.requirements import application

    python = sys.executable
    if application() is not None:
        python = shutil.which("PythonSlicer") or python
    try:
        with (work / LOG).open("wb") as log:
            return subprocess.Popen(
                [python, "-c", OTHER_PROCESS, json.dumps(sys.path), str(work), str(folder)],
                env={**os.environ, "DEEPRADSCORE_CACHE": str(work / "cache")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
    except OSError as error:
        raise OutputError(
            _("the process that makes the sample cannot be started ({reason})").format(reason=error.strerror),
            where=Path(python),
            mend=_("run `deepradscore demo` in a terminal instead"),
        ) from error


def _last_line(path: Path) -> tuple[str, int]:
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    if not lines:
        return "starting Python", 0
    percent, _, detail = lines[-1].partition(" ")
    return detail, int(percent)


def _check(code: int, sample: Sample, work: Path) -> None:
    from DeepRadScoreLib.errors import OutputError

    if code == 0 and sample.complete():
        return
    lines = (work / LOG).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise OutputError(
        _("it could not be made ({reason})").format(reason=lines[-1].rstrip(".") if lines else f"exit code {code}"),
        where=_("the synthetic sample"),
        mend=_("mend this and try again"),
    )


def _end(process: subprocess.Popen[bytes] | None, work: Path) -> None:
    """End the process by removing its file `GOING`, and remove its folder."""
    (work / GOING).unlink(missing_ok=True)
    if process is not None:
        try:
            process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    shutil.rmtree(work, ignore_errors=True)


def _remove_forgotten(parent: Path) -> None:
    """Remove what was left by processes that were killed with their Slicer."""
    for work in parent.glob(".making-*"):
        with contextlib.suppress(OSError):
            if time.time() - (work / PROGRESS).stat().st_mtime > FORGOTTEN_S:
                shutil.rmtree(work, ignore_errors=True)


def make_in_this_process(work: str | Path, folder: str | Path) -> int:
    """Work of the other process: make the sample in `work`, then move it to `folder`; the exit code."""
    work, folder = Path(work), Path(folder)
    threading.Thread(target=_end_on_signal, args=(work / GOING,), daemon=True).start()
    from DeepRadScoreLib.errors import DeepRadScoreError
    from DeepRadScoreLib.synthetic.sample import Sample, write_sample

    with (work / PROGRESS).open("a", encoding="utf-8", buffering=1) as lines:

        def note(event: Progress) -> None:
            if event.stage.name in STAGES:
                begin, end = STAGES[event.stage.name]
                percent = begin + round((end - begin) * event.fraction)
                lines.write(f"{percent} {event.stage} ({event.done}/{event.total})\n")

        try:
            write_sample(work / MADE, note)
        except DeepRadScoreError as error:
            print(error)
            return 1
    try:
        (work / MADE).replace(folder)
    except OSError:
        if not Sample.in_folder(folder).complete():
            raise
    return 0


def _end_on_signal(going: Path) -> None:
    while going.exists():
        time.sleep(LOOK_S)
    os._exit(3)
