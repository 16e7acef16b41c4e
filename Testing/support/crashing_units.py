"""Units of work that end their process, in a module of their own that a fresh process reads quickly."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from DeepRadScoreLib.writing import replacing


def deadly(folder: Path, number: int, deaths: int) -> str:
    """The `number` of a unit whose process dies the first `deaths` times."""
    (folder / f"{number}-{time.time_ns()}").touch()
    if tries(folder, number) <= deaths:
        dies()
    return f"{number} by {os.environ['OMP_NUM_THREADS']} thread"


def tries(folder: Path, number: int) -> int:
    """How often a unit was tried."""
    return len(list(folder.glob(f"{number}-*")))


def dies() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def waits(pid_file: Path | None, seconds: float = 600) -> None:
    """Says in a file which process is at work, and waits too long over a file; with None it does nothing."""
    if pid_file is not None:
        with replacing(pid_file.with_name("result.npz")) as temporary:
            temporary.write_bytes(b"half of it")
            pid_file.write_text(str(os.getpid()))
            time.sleep(seconds)


def abs_of(x: int) -> int:
    return abs(x)


def threads_of_libraries() -> set[int]:
    """How many threads ITK and the libraries of matrix products use in this process."""
    import SimpleITK as sitk
    import sklearn  # noqa: F401  loads those libraries
    from threadpoolctl import threadpool_info

    return {sitk.ProcessObject.GetGlobalDefaultNumberOfThreads(), *(one["num_threads"] for one in threadpool_info())}


def case_or_death(task, cache, threads, poisoned):
    """`compute_case`, but for the cases that end their process."""
    from DeepRadScoreLib.computing.one_case import compute_case

    if task.case_id in poisoned:
        dies()
    return compute_case(task, cache, threads)
