"""The processes that work for the program: they leave Ctrl-C to it, and none outlives it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from functools import cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Thread

import joblib


def workers(jobs: int, *, ordered: bool = True) -> joblib.Parallel:
    """`jobs` processes (-1: one for each core) with one thread each, which give results as they come or in order.

    A process whose program is gone, however it ended, ends at once instead of waiting for work.
    """
    return joblib.Parallel(
        n_jobs=jobs,
        return_as="generator" if ordered else "generator_unordered",
        inner_max_num_threads=1,
        initializer=_follow,
        initargs=(_lifeline()[0],),
    )


@cache
def _lifeline() -> tuple[Connection, Connection]:
    """A pipe into which nothing is ever written: who reads from it is woken when the program that holds it ends."""
    return Pipe(duplex=False)


def _follow(lifeline: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with, args=(lifeline,), name="lifeline", daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    with suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os._exit(1)
