"""Two ways of doing one thing, timed in turns: the program of commit 3812096 or another package, and today's."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BEFORE = "3812096"
"""The commit that the rows call "before"."""
NO_HISTORY = "the commit before is not in this clone"

WORKER = """
import json, sys, time
names = {}
for line in sys.stdin:
    start = time.perf_counter()
    exec(json.loads(line), names)
    print(json.dumps(["took", time.perf_counter() - start, names.get("result")]), flush=True)
"""


class Worker:
    """A Python process that runs code on demand, with the library of a folder."""

    def __init__(self, root: Path, python: str = sys.executable, **environment: str) -> None:
        """`root`: a checkout of the program; `environment`: variables on top of this process's own."""
        paths = os.pathsep.join(map(str, (root, root / "DeepRadScore", root / "Testing")))
        self._process = subprocess.Popen(
            [python, "-W", "ignore", "-c", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": paths} | environment,
            cwd=root,
        )

    def run(self, code: str) -> float:
        """Seconds that the code took; `result` of the code is kept as the attribute of that name."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(code), file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line.startswith('["took", '):
                _, seconds, self.result = json.loads(line)
                return seconds
        raise SystemExit(f"a benchmark failed: {code}")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def before(commit: str = BEFORE) -> Iterator[Path | None]:
    """A checkout of a commit, removed at the end; None where its history is missing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "before"
        git = ["git", "-C", str(ROOT), "worktree"]
        made = subprocess.run([*git, "add", "--detach", str(path), commit], capture_output=True, check=False)
        try:
            yield path if made.returncode == 0 else None
        finally:
            subprocess.run([*git, "remove", "--force", str(path)], capture_output=True, check=False)


@dataclass
class Row:
    """A row of the table.

    Attributes
    ----------
    what, against: what is measured, and what it is compared with.
    least, aim: how many times faster it has to be and should be.
    other, own: seconds of each turn of either side; none if it was skipped.
    remark: why it was skipped, or what else was seen.
    """

    what: str
    against: str
    least: float
    aim: float
    other: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    remark: str = ""

    @property
    def ratios(self) -> list[float]:
        """How many times faster the own side was, turn by turn."""
        return [other / own for other, own in zip(self.other, self.own, strict=True)]

    def line(self) -> str:
        """The row in Markdown."""
        cells = [self.what, self.against, f"{self.least:.3g}", f"{self.aim:.3g}"]
        if self.own:
            ratios = self.ratios
            middle = statistics.median(ratios)
            times = [f"{1000 * statistics.median(seconds):,.0f}" for seconds in (self.other, self.own)]
            cells += [*times, f"{middle:.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}"]
            cells.append("aim" if middle >= self.aim else "enough" if middle >= self.least else "missed")
        else:
            cells += ["", "", "", "", "skipped"]
        return "| " + " | ".join([*cells, self.remark]) + " |"


HEADER = (
    "| what | against | at least | aim | other, ms | own, ms | times faster | spread | reached | remark |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


def in_turns(row: Row, other: Callable[[], float], own: Callable[[], float], turns: int = 5) -> Row:
    """Fill a row by calling two functions that return seconds, in turns."""
    for _ in range(turns):
        row.other.append(other())
        row.own.append(own())
    return row


def timed(call: list[str], root: Path = ROOT, **environment: str) -> float:
    """Seconds of a whole process, begun in the checkout whose modules it is to import.

    Raises
    ------
    subprocess.CalledProcessError: it failed.
    """
    start = time.perf_counter()
    subprocess.run(call, check=True, capture_output=True, cwd=root, env=os.environ | environment)
    return time.perf_counter() - start
