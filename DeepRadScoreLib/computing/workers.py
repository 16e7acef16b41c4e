"""Workers that compute the units of long work: this process, processes of this machine, or a cluster (`cluster`).

A unit is a function called with one set of arguments. All workers give the same results; they differ in the effect of a
crash. If a process dies (a fault in a native library, no memory left, killed), only the unit that it computed is
affected: it is tried again, three times in all, and its result is then `Crashed`.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, TypeVar
from weakref import finalize

from DeepRadScoreLib.computing.child_process import MAX_ENDING_S, ChildProcess, EndedError

Result = TypeVar("Result")
TRIES = 3
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

    def get_ready(self, units: int, function: Callable[..., object], task: Mapping[str, Any]) -> None:
        """Start the processes that so many units will need, while this one does other things; each first calls
        `function(**task)`, which imports what the units need."""

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
        import joblib

        return joblib.cpu_count()

    def get_ready(self, units: int, function: Callable[..., object], task: Mapping[str, Any]) -> None:
        """See `Workers`; there is nothing to start."""

    def each(
        self, function: Callable[..., Result], tasks: Sequence[dict[str, Any]]
    ) -> Generator[tuple[int, Result | Crashed], None, None]:
        """See `Workers`; a crash ends the program."""
        for position, task in enumerate(tasks):
            yield position, function(**task)

    def end(self) -> None:
        """See `Processes`; there is nothing to end."""


class Processes:
    """Processes of this machine; they ignore Ctrl-C and end with the program.

    Libraries that start threads by themselves (matrix products, ITK) have one in each process.

    Parameters
    ----------
    jobs: number of processes; -1: one for each core.
    """

    def __init__(self, jobs: int = -1) -> None:
        self._wanted = jobs
        self._idle: list[ChildProcess] = []
        finalize(self, _end, self._idle)

    @cached_property
    def jobs(self) -> int:
        """Number of processes."""
        if self._wanted > 0:
            return self._wanted
        import joblib

        return joblib.effective_n_jobs(self._wanted)

    @property
    def threads_each(self) -> int:
        """See `Workers`; the cores that are left for each process, at least one."""
        if self.jobs >= (os.cpu_count() or 1):
            return 1
        import joblib

        return max(1, joblib.cpu_count() // self.jobs)

    def get_ready(self, units: int, function: Callable[..., object], task: Mapping[str, Any]) -> None:
        """See `Workers`."""
        for _ in range(min(units, self.jobs) - len(self._idle)):
            process = ChildProcess(ONE_THREAD_EACH)
            process.begin(function, task)
            self._idle.append(process)

    def each(
        self, function: Callable[..., Result], tasks: Sequence[dict[str, Any]]
    ) -> Generator[tuple[int, Result | Crashed], None, None]:
        """See `Workers`; a thread waits for each process, so that it is known which unit it died of."""
        waiting = list(reversed(range(len(tasks))))
        deaths = dict.fromkeys(waiting, 0)
        running: dict[Future, tuple[int, ChildProcess]] = {}
        with ThreadPoolExecutor(self.jobs) as threads:
            try:
                while waiting or running:
                    while waiting and len(running) < self.jobs:
                        position = waiting.pop()
                        process = self._process()
                        running[threads.submit(process.call, function, tasks[position])] = position, process
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        position, process = running[future]
                        try:
                            result: Result | Crashed = future.result()
                        except EndedError:
                            process.end()
                            deaths[position] += 1
                            result = Crashed()
                        else:
                            self._idle.append(process)
                        del running[future]
                        if isinstance(result, Crashed) and deaths[position] < TRIES:
                            waiting.append(position)
                        else:
                            yield position, result
            finally:
                _end([process for _, process in running.values()])

    def end(self) -> None:
        """End the processes that wait for units; later units start new ones."""
        _end(self._idle)
        self._idle.clear()

    def _process(self) -> ChildProcess:
        """One that is idle, or else a new one."""
        while self._idle:
            process = self._idle.pop()
            if process.alive:
                return process
            process.end()
        return ChildProcess(ONE_THREAD_EACH)


def _end(processes: list[ChildProcess]) -> None:
    """End processes, all at a time."""
    for process in processes:
        process.close()
    end = time.monotonic() + MAX_ENDING_S
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0, end - time.monotonic()))
        process.end()
