"""A Python process that computes units for this one, which sends them through a pipe.

Its standard input is also its lifeline: when that is closed, by the program or by the program's end, it removes its
unfinished files and ends, whatever it is doing. It imports nothing but what its units need.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from queue import SimpleQueue
from threading import Thread
from typing import IO, Any

from DeepRadScoreLib.writing import clean_up, ends_with_program

MAX_ENDING_S = 1.0
LENGTH_BYTES, CHUNK_BYTES = 8, 2**20
SERVE = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.path[:] = sys.argv[1:]; "
    f"from {__name__} import serve; serve()"
)
STDIN, STDOUT, STDERR = 0, 1, 2


class EndedError(Exception):
    """The process ended before it gave the result of a unit."""


class ChildProcess:
    """A process that computes one unit at a time; it ignores Ctrl-C and ends with the program."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Start it. `environment`: variables on top of this process's own."""
        self._popen = subprocess.Popen(
            [sys.executable, "-c", SERVE, *sys.path],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environment},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        assert self._popen.stdin is not None and self._popen.stdout is not None
        self._tasks, self._results = self._popen.stdin, self._popen.stdout
        self._unread = 0
        self._registered = ExitStack()
        self._registered.enter_context(ends_with_program(self))

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    def begin(self, function: Callable[..., object], task: Mapping[str, Any]) -> None:
        """Have it call `function(**task)`, whose result and exception are of no interest."""
        with suppress(OSError):
            _send(self._tasks, pickle.dumps((function, task)))
        self._unread += 1

    def call(self, function: Callable[..., Any], task: Mapping[str, Any]) -> Any:
        """The result of `function(**task)`, computed there after what was begun before.

        Raises
        ------
        EndedError: it ended before that.
        Exception: what the function raises; or it, the task or the result cannot be pickled.
        """
        request = pickle.dumps((function, task))
        try:
            for _ in range(self._unread):
                _receive(self._results)
            self._unread = 0
            _send(self._tasks, request)
            answer = _receive(self._results)
        except (OSError, ValueError, EOFError) as error:
            raise EndedError from error
        result, raised, where = pickle.loads(answer)
        if raised is not None:
            raised.add_note(where)
            raise raised
        return result

    def close(self) -> None:
        """Close its lifeline."""
        with suppress(OSError):
            self._tasks.close()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it has ended. Raises subprocess.TimeoutExpired if it takes longer."""
        self._popen.wait(timeout)

    def kill(self) -> None:
        """Close its lifeline, and kill it if it then does not end: inside native code, which writes no file of ours."""
        self.close()
        try:
            self.wait(MAX_ENDING_S / 10)
        except subprocess.TimeoutExpired:
            self._popen.kill()

    def end(self) -> None:
        """Kill it, and free what it holds here."""
        self._registered.close()
        self._results.close()


def serve() -> None:
    """Compute units in a process of `ChildProcess`, until the lifeline is closed.

    What a unit prints goes to standard error: standard output carries results.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tasks, results = os.fdopen(os.dup(STDIN), "rb", 0), os.fdopen(os.dup(STDOUT), "wb", 0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, STDIN)
    os.dup2(STDERR, STDOUT)
    waiting: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_receive_tasks, args=(tasks, waiting), name="end with the program", daemon=True).start()
    while True:
        _send(results, _answer(waiting.get()))


def _receive_tasks(tasks: IO[bytes], waiting: SimpleQueue[bytes]) -> None:
    """Put tasks into the queue; end the process when the lifeline is closed."""
    with suppress(EOFError, OSError):
        while True:
            waiting.put(_receive(tasks))
    clean_up(MAX_ENDING_S / 2)
    os._exit(1)


def _answer(request: bytes) -> bytes:
    """The pickled result of a unit, exception and text of its traceback; one of result and exception is None."""
    try:
        function, task = pickle.loads(request)
        return pickle.dumps((function(**task), None, ""))
    except BaseException as error:
        where = traceback.format_exc()
        try:
            answer = pickle.dumps((None, error, where))
            pickle.loads(answer)
        except Exception:
            answer = pickle.dumps((None, RuntimeError(repr(error)), where))
        return answer


def _send(stream: IO[bytes], content: bytes) -> None:
    for part in (len(content).to_bytes(LENGTH_BYTES, "little"), content):
        rest = memoryview(part)
        while rest:
            rest = rest[stream.write(rest) :]


def _receive(stream: IO[bytes]) -> bytes:
    """Raises EOFError where the stream ends."""
    return _read(stream, int.from_bytes(_read(stream, LENGTH_BYTES), "little"))


def _read(stream: IO[bytes], size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        chunk = stream.read(min(size - len(content), CHUNK_BYTES))
        if not chunk:
            raise EOFError
        content += chunk
    return bytes(content)
