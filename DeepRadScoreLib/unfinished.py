"""What is half written: removed when it is given up, and not cut through while it comes to its place."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_parts: set[Path] = set()
_processes: set[subprocess.Popen[bytes]] = set()
_moving = threading.Lock()
KILLED_WITHIN_S = 0.2


@contextmanager
def unfinished(part: Path) -> Iterator[None]:
    """Within it a folder is filled; it is removed at the end if it is still there, also by `give_up`."""
    _parts.add(part)
    try:
        yield
    finally:
        shutil.rmtree(part, ignore_errors=True)
        _parts.discard(part)


@contextmanager
def ends_with_program(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Within it another program is at work; it is killed at the end if it still runs, also by `give_up`."""
    _processes.add(process)
    try:
        yield
    finally:
        process.kill()
        process.wait()
        _processes.discard(process)


@contextmanager
def in_one_go() -> Iterator[None]:
    """Within it finished files are moved to their place: `give_up` waits for the end."""
    with _moving:
        yield


def is_moving() -> bool:
    """Whether files are being moved to their place."""
    return _moving.locked()


def give_up(patience_s: float) -> None:
    """For the end of the program: kill the programs it started, wait so long for moves that have begun, then remove
    what is unfinished."""
    for process in list(_processes):
        process.kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(KILLED_WITHIN_S)
    _moving.acquire(timeout=patience_s)
    for part in list(_parts):
        shutil.rmtree(part, ignore_errors=True)
