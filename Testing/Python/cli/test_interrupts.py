"""Ctrl-C and SIGTERM: one sentence, exit code 2, no process left behind, and the same command goes on.

Nothing here is timed: what is waited for would last ten minutes if the signal did not end it. A process that is left
behind holds the program's standard output open, which is read to its end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from DeepRadScoreLib.progress import Stage
from support.small_evaluation import write_small_cohort

SENTENCE = "deepradscore: stopped; the same command goes on from what is finished."
QUICK = ("--folds", "2", "--repeats", "1", "--split", "column", "--endpoints", "EGFR", "--jobs", "2")
WHOLE_RUN_S = 1200
LEFT_BEHIND_S = 200
"""Workers that nobody ends would wait five minutes for work."""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals to one process")


def begun(call, said, cache, interrupt=signal.default_int_handler):
    """The program at work, its standard error in the file `said`.

    It begins with SIGINT as in a terminal, not ignored as in the background jobs of a script, or as `interrupt` says.
    """
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        with said.open("w") as stream:
            return subprocess.Popen(
                [sys.executable, *map(str, call)],
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "DEEPRADSCORE_CACHE": str(cache)},
            )
    finally:
        signal.signal(signal.SIGINT, before)


def ended(run, patience=WHOLE_RUN_S):
    """Exit code and standard output, when the program and all that it has begun are gone."""
    try:
        out, _ = run.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        run.kill()
        raise
    return run.returncode, out


def stopped(call, said, cache, when, number=signal.SIGINT):
    """Send a signal as soon as the program has said `when`; exit code and what it said."""
    run = begun(call, said, cache)
    while when not in said.read_text():
        assert run.poll() is None, said.read_text()
        time.sleep(0.02)
    run.send_signal(number)
    return ended(run, LEFT_BEHIND_S)[0], said.read_text()


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return write_small_cohort(tmp_path_factory.mktemp("cohort"), n=70)


def evaluate(cohort, out):
    table, features = cohort
    return ["-m", "DeepRadScoreLib.cli.main", "evaluate", table, "--features", features, "--out", out, *QUICK]


@pytest.fixture(scope="module")
def unbroken(cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    code, _ = ended(begun(evaluate(cohort, folder / "out"), folder / "said.txt", folder / "cache"))
    assert code == 0
    return (folder / "out" / "results.json").read_bytes()


def test_a_stopped_study_says_so_leaves_nothing_and_goes_on_to_the_same_bytes(cohort, unbroken, tmp_path):
    call = evaluate(cohort, tmp_path / "out")
    for when, number in (
        ("selecting features", signal.SIGINT),
        (Stage.CLASSIFIERS, signal.SIGTERM),
        ("drawing figures", signal.SIGINT),
    ):
        code, said = stopped(call, tmp_path / "said.txt", tmp_path / "cache", when, number)
        assert code == 2
        assert said.splitlines()[-1] == SENTENCE
        assert "Traceback" not in said
        assert not list(tmp_path.glob("out*")) and not list(tmp_path.glob(".*"))
    assert ended(begun(call, tmp_path / "said.txt", tmp_path / "cache"))[0] == 0
    assert (tmp_path / "out" / "results.json").read_bytes() == unbroken


LONG = {
    "swallowed": """
while True:
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        pass
""",
    "in C": "hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)",
    "in exec": "exec('time.sleep(600)')",
    "in what C calls back": """
import ctypes
ctypes.CFUNCTYPE(None)(lambda: time.sleep(600))()
time.sleep(600)
""",
    "a thread that would be waited for": """
threading.Thread(target=time.sleep, args=(600,)).start()
time.sleep(600)
""",
    "at Python's end": """
atexit.register(time.sleep, 600)
time.sleep(600)
""",
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("what", LONG)
def test_whatever_the_program_does_it_ends(what, number, tmp_path):
    lines = ["import atexit, hashlib, sys, threading, time"]
    lines += ["from DeepRadScoreLib.cli.interrupts import end_by_signals", "end_by_signals()"]
    lines += ["sys.stderr.write('ready\\n')", LONG[what]]
    code, said = stopped(["-c", "\n".join(lines)], tmp_path / "said.txt", tmp_path, "ready\n", number)
    assert (code, said.splitlines()) == (2, ["ready", SENTENCE])


def test_a_signal_that_was_ignored_at_the_start_stays_ignored(tmp_path):
    lines = ["import os, signal", "from DeepRadScoreLib.cli.interrupts import end_by_signals", "end_by_signals()"]
    lines += ["os.kill(os.getpid(), signal.SIGINT)", "print('went on')"]
    run = begun(["-c", "\n".join(lines)], tmp_path / "said.txt", tmp_path, interrupt=signal.SIG_IGN)
    assert ended(run) == (0, "went on\n")


def test_workers_end_with_a_program_that_was_killed(tmp_path):
    work = "print('at work', file=sys.stderr, flush=True); time.sleep(600)"
    lines = ["from functools import partial", "from DeepRadScoreLib.computing.workers import Processes"]
    lines += [f'list(Processes(2).each(partial(exec, "import sys, time; {work}"), [{{}}, {{}}]))']
    code, said = stopped(["-c", "\n".join(lines)], tmp_path / "said.txt", tmp_path, "at work", signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert "at work" in said
