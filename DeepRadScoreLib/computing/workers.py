"""Workers that compute the units of long work: this process, processes of this machine, or a cluster (`cluster`).

A unit is a function called with one set of arguments. All workers give the same results; they differ in the effect of a
crash. If a process dies (a fault in a native library, no memory left, killed), only the unit that it computed is
affected: it is tried again, three times in all, and its result is then `Crashed`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any, Protocol, TypeVar

import joblib
from joblib.externals.loky import ProcessPoolExecutor

from DeepRadScoreLib.writing import clean_up

Result = TypeVar("Result")
TRIES = 3
MAX_ENDING_S = 1.0
ONE_THREAD_EACH = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "BLIS_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1",
}


@dataclass(frozen=True)
class Crashed:
    """Result of a unit whose process died each time it was tried."""

    tries: int = TRIES

    def __str__(self) -> str:
        return (
            f"the process that worked on it ended {self.tries} times without a result, by a crash or for want of memory"
        )


class Workers(Protocol):
    """Computes units."""

    @property
    def threads_each(self) -> int:
        """How many threads a unit may use for what does not depend on their number."""

    def each(
        self, function: Callable[..., Result], tasks: Sequence[dict[str, Any]]
    ) -> Generator[tuple[int, Result | Crashed], None, None]:
        """`function(**task)` for every task: yields the position of each task and its result, as they finish.

        Units are started only as results are consumed, so that few results wait in memory. Exceptions of the function
        are raised here. Closing the generator ends the units that are running.
        """


class InProcess:
    """Computes units in this process, in order: for small studies, and where no process can start, as in Slicer."""

    @property
    def threads_each(self) -> int:
        """See `Workers`; one for each core."""
        return joblib.cpu_count()

    def each(
        self, function: Callable[..., Result], tasks: Sequence[dict[str, Any]]
    ) -> Generator[tuple[int, Result | Crashed], None, None]:
        """See `Workers`; a crash ends the program."""
        for position, task in enumerate(tasks):
            yield position, function(**task)


@dataclass(frozen=True)
class _Process:
    """A pool of one process, which ends, without unfinished files, when `lifeline` is closed or the program ends."""

    pool: ProcessPoolExecutor
    lifeline: Connection


class Processes:
    """Processes of this machine; they ignore Ctrl-C and end with the program.

    Libraries that start threads by themselves (matrix products, ITK) have one in each process.

    Parameters
    ----------
    jobs: number of processes; -1: one for each core.
    """

    def __init__(self, jobs: int = -1) -> None:
        self.jobs = joblib.effective_n_jobs(jobs)
        self._idle: list[_Process] = []

    @property
    def threads_each(self) -> int:
        """See `Workers`; the cores that are left for each process, at least one."""
        return max(1, joblib.cpu_count() // self.jobs)

    def each(
        self, function: Callable[..., Result], tasks: Sequence[dict[str, Any]]
    ) -> Generator[tuple[int, Result | Crashed], None, None]:
        """See `Workers`; every process is a pool by itself, so that it is known which unit it died of."""
        waiting = list(reversed(range(len(tasks))))
        deaths = dict.fromkeys(waiting, 0)
        running: dict[Future, tuple[int, _Process]] = {}
        try:
            while waiting or running:
                while waiting and len(running) < self.jobs:
                    position = waiting.pop()
                    future, process = self._begin(function, tasks[position])
                    running[future] = position, process
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    position, process = running.pop(future)
                    try:
                        result: Result | Crashed = future.result()
                    except BrokenProcessPool:
                        deaths[position] += 1
                        if deaths[position] < TRIES:
                            waiting.append(position)
                            continue
                        result = Crashed()
                    else:
                        self._idle.append(process)
                    yield position, result
        finally:
            _end(running)

    def _begin(self, function: Callable[..., Result], task: dict[str, Any]) -> tuple[Future, _Process]:
        while self._idle:
            process = self._idle.pop()
            with suppress(BrokenProcessPool):
                return process.pool.submit(function, **task), process
        other_end, lifeline = Pipe(duplex=False)
        pool = ProcessPoolExecutor(1, env=ONE_THREAD_EACH, initializer=_end_with_program, initargs=(other_end,))
        return pool.submit(function, **task), _Process(pool, lifeline)


def _end(running: dict[Future, tuple[int, _Process]]) -> None:
    """End processes at work; one that is inside native code, which writes no file of ours, is killed."""
    for _, process in running.values():
        process.lifeline.close()
    wait(running, MAX_ENDING_S)
    for _, process in running.values():
        process.pool.shutdown(wait=False, kill_workers=True)


def _end_with_program(lifeline: Connection) -> None:
    """Initialise a process: ignore Ctrl-C, and end when the program ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_after, args=(lifeline,), name="end with the program", daemon=True).start()


def _end_after(lifeline: Connection) -> None:
    """Wait for the lifeline, into which nothing is ever written, to be closed."""
    with suppress(EOFError, OSError):
        lifeline.recv_bytes()
    clean_up(MAX_ENDING_S / 2)
    os._exit(1)
