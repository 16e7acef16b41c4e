"""extract, train, evaluate and batch killed at random instants: nothing lost, nothing double, the same bytes.

    python Testing/benchmarks/kill_soak.py [--kills 100] [--seed 0] [--only extract]

Each command is run undisturbed twice; the first run compiles. Then, in rounds with an empty folder and a cache of its
own, it is begun again and again and killed (SIGKILL to the command or, every third time, to one of its workers first)
at an instant drawn over the time that it took undisturbed. A round ends when the command comes to its end before its
kill; its results are then compared with the undisturbed ones, byte by byte, the log apart. Only kills of what was
running count.
"""

from __future__ import annotations

import argparse
import filecmp
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Testing"))

from DeepRadScoreLib.computing.workers import Processes  # noqa: E402
from DeepRadScoreLib.synthetic.cohort import write_cohort  # noqa: E402
from support.small_evaluation import write_small_cohort  # noqa: E402

CLI = [sys.executable, "-W", "ignore", "-m", "DeepRadScoreLib.cli.main"]
QUICK = ["--folds", "2", "--repeats", "1", "--endpoints", "EGFR", "--jobs", "2"]
APART = ("deepradscore.log.jsonl", ".lock")
"""Endings of files that hold times, or that a killed program leaves."""
WORKER = b"child_process"
"""In the command line of each worker process."""


def commands(work: Path) -> dict[str, list[str]]:
    """Name -> command; "OUT" stands for the place of its results."""
    table = str(write_cohort(work / "images", 40, 8, 1, Processes(2)))
    few = str(write_cohort(work / "few images", 6, 2, 1, Processes(2)))
    cohort, features = write_small_cohort(work, n=70)
    batch = [sys.executable, "-W", "ignore", str(ROOT / "DeepRadScore" / "DeepRadScoreSlicer" / "batch.py")]
    train = ["--weights", "none", "--network", "frozen", "--folds", "2", "--repeats", "1", "--jobs", "2"]
    return {
        "extract": [*CLI, "extract", table, "--out", "OUT/features.csv", "--jobs", "2"],
        "batch": [*batch, "--cohort", few, "--out", "OUT"],
        "evaluate": [*CLI, "evaluate", str(cohort), "--features", str(features), "--out", "OUT", *QUICK],
        "train": [*CLI, "train", table, "--out", "OUT/model.zip", *train],
    }


@dataclass
class Tally:
    """What was killed, after how many seconds, and what the rounds left."""

    commands: list[float] = field(default_factory=list)
    workers: int = 0
    rounds: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def kills(self) -> int:
        """Of commands and workers."""
        return len(self.commands) + self.workers


def begin(command: list[str], out: Path, cache: Path) -> subprocess.Popen[bytes]:
    """The command, which writes to `out`."""
    out.mkdir(parents=True, exist_ok=True)
    call = [part.replace("OUT", str(out)) if part.startswith("OUT") else part for part in command]
    return subprocess.Popen(
        call,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=os.environ | {"DEEPRADSCORE_CACHE": str(cache), "OMP_NUM_THREADS": "1"},
    )


def finish(process: subprocess.Popen[bytes]) -> str:
    """Wait for the end of a command; what it said if it failed."""
    _, said = process.communicate()
    return f"exit {process.returncode}: {said.decode()[-2000:]}" if process.returncode else ""


def ended_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether a command ends by itself within so many seconds."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.returncode is not None


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """Processes that the command has begun to compute its units."""
    found = []
    with suppress(OSError):
        for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            with suppress(OSError):
                if WORKER in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
    return found


def disturb(command: list[str], whole: Path, seconds: float, kills: int, rng: random.Random) -> Tally:
    """Kill the command or a worker of it so many times; results of each round beside `whole`."""
    tally = Tally()
    while tally.kills < kills:
        with tempfile.TemporaryDirectory(dir=whole.parent) as folder:
            out, cache = Path(folder) / "out", Path(folder) / "cache"
            failed = None
            while failed is None and tally.kills < kills:
                failed = killed(begin(command, out, cache), seconds, tally, rng)
            if failed is None:
                failed = finish(begin(command, out, cache))
            tally.rounds += 1
            tally.wrong += [failed] if failed else differences(whole, out)
    return tally


def killed(process: subprocess.Popen[bytes], seconds: float, tally: Tally, rng: random.Random) -> str | None:
    """Kill a command at a drawn instant: None; of one that ended before, what it said if it failed."""
    start = time.monotonic()
    only_command = tally.kills % 3 != 2
    ended = ended_within(process, rng.uniform(0, seconds))
    if not (ended or only_command) and (workers := workers_of(process)):
        with suppress(ProcessLookupError):
            os.kill(rng.choice(workers), signal.SIGKILL)
            tally.workers += 1
        ended = ended_within(process, rng.uniform(0, seconds))
    if ended:
        return finish(process)
    process.kill()
    process.communicate()
    tally.commands.append(time.monotonic() - start)
    return None


def differences(one: Path, other: Path) -> Iterator[str]:
    """What is not the same in two folders of results."""
    names = [{str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} for folder in (one, other)]
    yield from sorted(name for name in names[0] ^ names[1] if not name.endswith(APART))
    for name in sorted(names[0] & names[1]):
        if not name.endswith(APART) and not filecmp.cmp(one / name, other / name, shallow=False):
            yield name


def main() -> None:
    """Print one line for each command; exit code 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="one of extract, batch, evaluate and train; by default all share the kills")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        chosen = {name: one for name, one in commands(work).items() if options.only in (None, name)}
        for name, command in chosen.items():
            for whole in (work / name / "first", work / name / "whole"):
                start = time.monotonic()
                if failed := finish(begin(command, whole, whole.with_suffix(".cache"))):
                    raise SystemExit(f"{name} undisturbed: {failed}")
                seconds = time.monotonic() - start
            tally = disturb(command, whole, seconds, options.kills // len(chosen), rng)
            bad += len(tally.wrong)
            middle = statistics.median(tally.commands) if tally.commands else math.nan
            print(
                f"{name}: {seconds:.1f} s undisturbed; {len(tally.commands)} kills of the command (median after "
                f"{middle:.1f} s), {tally.workers} of workers, {tally.rounds} rounds, "
                f"wrong: {tally.wrong or 'nothing'}",
                flush=True,
            )
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
