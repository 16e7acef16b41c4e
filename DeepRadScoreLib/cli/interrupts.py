"""Ctrl-C and SIGTERM end the program at once, with one sentence and exit code 2, whatever it is doing."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

from DeepRadScoreLib.writing import clean_up, is_moving

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

COULD_NOT = 2
MAX_MOVES_S = 1.0
"""How long the renaming of finished files may still take."""
MAX_END_S = 1.5
SENTENCE = "deepradscore: stopped; the same command goes on from what is finished.\n"
STDERR = 2
NEW_LINE_AND_CURSOR = "\n\x1b[?25h"
TRACKER_CLEANS_UP = "ignore:resource_tracker:UserWarning"
"""Filter for the process that frees the shared memory of killed ones: it would warn of it."""
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name))


def end_by_signals() -> None:
    """From now on Ctrl-C, SIGTERM and (Windows) Ctrl-Break end the program. To be called once, in the main thread.

    No KeyboardInterrupt is raised: it can come where it is swallowed, where C++ turns it into an abort (while torch is
    imported), or late, after a long call in C; and Python's exit after it waits for threads. Instead a thread is
    woken by each signal, kills the worker processes, removes unfinished files and ends the process. All files are
    written under another name first, so the process can be ended anywhere. A second thread ends it where the first one
    hangs. A signal that was ignored at the start stays ignored (`nohup`, jobs in the background of a script).
    """
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), TRACKER_CLEANS_UP]))
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    begun = threading.Event()
    threading.Thread(target=_end, args=(reader, writer, begun), name="end by signal", daemon=True).start()
    threading.Thread(target=_end_late, args=(begun,), name="end by signal, late", daemon=True).start()
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _wait_for_the_end)


def _wait_for_the_end(number: int, frame: FrameType | None) -> None:
    """Stop the main thread, unless it is renaming finished files."""
    if not is_moving():
        time.sleep(2 * MAX_END_S)


def _end(reader: socket.socket, writer: socket.socket, begun: threading.Event) -> None:
    """End the process at the first signal; Python writes signals to `writer`, which stays open as an argument here."""
    while reader.recv(1)[0] not in SIGNALS:
        pass
    begun.set()
    try:
        _kill_workers()
        with suppress(OSError):
            os.write(STDERR, ((NEW_LINE_AND_CURSOR if os.isatty(STDERR) else "") + SENTENCE).encode())
        clean_up(MAX_MOVES_S)
    finally:
        os._exit(COULD_NOT)


def _end_late(begun: threading.Event) -> None:
    begun.wait()
    time.sleep(MAX_END_S)
    os._exit(COULD_NOT)


def _kill_workers() -> None:
    """Kill all processes begun by multiprocessing or joblib; any that are still starting end with the program."""
    children: list[BaseProcess] = getattr(sys.modules.get("multiprocessing"), "active_children", list)()
    for child in children:
        if child.pid is not None:
            with suppress(OSError):
                os.kill(child.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
