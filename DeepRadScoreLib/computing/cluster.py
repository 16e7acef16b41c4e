"""Dask clusters as workers: one that is running already, or one on this machine for one run.

Only tasks and results are sent; cases and the cache (`$DEEPRADSCORE_CACHE`) need the same paths everywhere. A worker
with one thread, as in the local cluster, runs one unit at a time, so that it is known which one it died of.
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from DeepRadScoreLib.computing.workers import TRIES, Crashed, Processes, Result, Workers
from DeepRadScoreLib.errors import InputError, WorkersError
from DeepRadScoreLib.extras import require
from DeepRadScoreLib.provenance import code_digest

if TYPE_CHECKING:
    from distributed import Client, Future

LOCAL = "local"
CONNECTING_S = 30
NO_WORKER_S = 300
WAITING_S = 5
# The profiler's record grows by 0.5 MB a case; returning memory after every array costs a quarter of the time.
SETTINGS = {
    "distributed.scheduler.allowed-failures": TRIES - 1,
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.worker.profile.enabled": False,
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    "distributed.admin.large-graph-warning-threshold": "1GB",
    "distributed.comm.timeouts.connect": f"{CONNECTING_S}s",
}


class Cluster:
    """The workers of a Dask cluster (see `workers.Workers`).

    A unit whose worker died is tried again as often as the setting `allowed-failures` of the scheduler allows.
    """

    def __init__(self, client: Client, scheduler: str) -> None:
        self.client, self.scheduler = client, scheduler

    @property
    def threads_each(self) -> int:
        """See `Workers`; one, since a worker may run as many units as it has threads."""
        return 1

    def get_ready(self, units: int, function: Callable[..., object], task: Mapping[str, Any]) -> None:
        """See `Workers`; its processes run already."""

    def each(
        self, function: Callable[..., Result], tasks: Sequence[dict[str, Any]]
    ) -> Generator[tuple[int, Result | Crashed], None, None]:
        """See `Workers`; units that are running when the generator is closed run to their end, without effect.

        The cluster gets no more units at a time than it has threads.

        Raises
        ------
        WorkersError: a worker has another version of this library, or the connection with the scheduler was lost.
        """
        from distributed import CancelledError
        from distributed.comm import CommClosedError

        waiting = list(reversed(range(len(tasks))))
        running: dict[Future, int] = {}
        try:
            while waiting or running:
                for _ in range(min(len(waiting), self._threads() - len(running))):
                    position = waiting.pop()
                    running[self._submit(function, tasks[position])] = position
                for future, result in self._finished(running):
                    yield running.pop(future), result
        except (CancelledError, CommClosedError) as error:
            raise self._error("the connection with the scheduler was lost", "start it again") from error
        finally:
            if running and self.client.status == "running":
                self.client.cancel(list(running))

    def wait_for_worker(self) -> None:
        """Wait until the cluster has a worker.

        Raises
        ------
        WorkersError: it has none after `NO_WORKER_S` seconds.
        """
        try:
            self.client.wait_for_workers(1, timeout=NO_WORKER_S)
        except TimeoutError as error:
            what = f"the cluster has had no worker for {NO_WORKER_S // 60} minutes"
            raise self._error(what, "start its workers") from error

    def _threads(self) -> int:
        threads = sum(self.client.nthreads().values())
        if not threads:
            self.wait_for_worker()
        return max(threads, 1)

    def _submit(self, function: Callable[..., Result], task: dict[str, Any]) -> Future:
        return self.client.submit(_run_same_version, function, task, code_digest(), pure=False)

    def _finished(self, running: Iterable[Future]) -> Iterator[tuple[Future, Any]]:
        """Finished units with their results; none if that takes longer than `WAITING_S` seconds.

        A result that was lost with its worker is left out, since the scheduler computes it again.
        """
        from distributed import KilledWorker, wait

        try:
            with self.client.as_current():
                finished = wait(list(running), timeout=WAITING_S, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            return
        for future in finished:
            try:
                result = future.result(WAITING_S)
            except KilledWorker as error:
                result = Crashed(error.allowed_failures + 1)
            except TimeoutError:
                if future.status == "error":
                    raise
                continue
            yield future, result

    def _error(self, what: str, mend: str) -> WorkersError:
        mend += "; the same command goes on from what is finished"
        return WorkersError(what, where=f"--scheduler {self.scheduler}", mend=mend)


@contextmanager
def chosen_workers(jobs: int | None, scheduler: str | None) -> Iterator[Workers]:
    """Processes of this machine, or the cluster of a scheduler, while the context lasts.

    Parameters
    ----------
    jobs: number of processes; None or -1: one for each core.

    Raises
    ------
    InputError: `jobs` is 0, or given for a cluster that is running already.
    """
    if jobs == 0:
        mend = "give a number from 1 on, or -1 for every core"
        raise InputError("no process cannot do it", where="--jobs 0", mend=mend)
    number = -1 if jobs is None else jobs
    if scheduler is None:
        processes = Processes(number)
        try:
            yield processes
        finally:
            processes.end()
        return
    if jobs is not None and scheduler != LOCAL:
        what = "a cluster that runs has its own number of processes"
        raise InputError(what, where=f"--jobs {jobs}", mend="leave this option out")
    with cluster(scheduler, number) as workers:
        yield workers


@contextmanager
def cluster(scheduler: str, jobs: int) -> Iterator[Cluster]:
    """The cluster of a `scheduler`: its address, its scheduler file, or "local" for one of `jobs` processes.

    Raises
    ------
    MissingPackageError: Dask is not installed.
    WorkersError: no scheduler answers, or it has no worker.
    """
    require("cluster", "--scheduler")
    import dask
    from distributed import Client

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with dask.config.set(SETTINGS):
        if scheduler == LOCAL:
            with _local_client(jobs) as client:
                yield Cluster(client, scheduler)
            return
        address = _address(scheduler)
        with Client(address, timeout=CONNECTING_S, set_as_default=False) as client:
            workers = Cluster(client, scheduler)
            workers.wait_for_worker()
            yield workers


def _address(scheduler: str) -> str:
    """The address of a scheduler, checked first, since a client takes minutes to find that nothing answers there."""
    from distributed.comm import get_address_host_port

    try:
        is_file = Path(scheduler).is_file()
        address = json.loads(Path(scheduler).read_text(encoding="utf-8"))["address"] if is_file else scheduler
        socket.create_connection(get_address_host_port(address), CONNECTING_S).close()
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise WorkersError(
            f"no Dask scheduler answers there ({reason})",
            where=f"--scheduler {scheduler}",
            mend='give an address like tcp://host:8786, the path of a scheduler file, or "local"',
        ) from error
    return address


@contextmanager
def _local_client(jobs: int) -> Iterator[Client]:
    """A cluster on this machine of constant size: Dask alone does not replace a worker that dies as it starts."""
    import joblib
    from distributed import Client, LocalCluster

    number = joblib.effective_n_jobs(jobs)
    with (
        LocalCluster(
            n_workers=number, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs="CRITICAL"
        ) as processes,
        Client(processes, set_as_default=False) as client,
    ):
        processes.adapt(minimum=number, maximum=number)
        yield client


def _run_same_version(function: Callable[..., Result], task: dict[str, Any], code: str) -> Result:
    """Run a unit at a worker that has the same version of this library."""
    if code_digest() != code:
        raise WorkersError(
            "a worker of the cluster has another version of DeepRadScore",
            where="--scheduler",
            mend="install the same version everywhere and restart the workers",
        )
    return function(**task)
