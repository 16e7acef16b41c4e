"""Who does the work of a cohort's command: `--jobs` and `--scheduler`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from DeepRadScoreLib.errors import InputError

if TYPE_CHECKING:
    from DeepRadScoreLib.computing.workers import Workers


def _not_zero(jobs: int | None) -> int | None:
    if jobs == 0:
        raise InputError(
            "no process cannot do it", where="--jobs 0", mend="give a number from 1 on, or -1 for every core"
        )
    return jobs


Jobs = Annotated[
    int | None, typer.Option(callback=_not_zero, help="Parallel processes; without it, or with -1, one for each core.")
]
Scheduler = Annotated[
    str | None, typer.Option(help='A Dask scheduler: its address, its file, or "local" for one on this machine.')
]


@contextmanager
def chosen_workers(jobs: int | None, scheduler: str | None) -> Iterator[Workers]:
    """Processes of this machine, or the cluster behind a scheduler, for the time of a command.

    Raises
    ------
    InputError: a number of processes for a cluster that runs already.
    """
    if scheduler is None:
        from DeepRadScoreLib.computing.workers import Processes

        yield Processes(-1 if jobs is None else jobs)
        return
    from DeepRadScoreLib.computing.cluster import LOCAL, cluster

    if jobs is not None and scheduler != LOCAL:
        raise InputError(
            "a cluster that runs has its own number of processes", where=f"--jobs {jobs}", mend="leave this option out"
        )
    with cluster(scheduler, -1 if jobs is None else jobs) as workers:
        yield workers
