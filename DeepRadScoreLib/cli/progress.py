"""A progress bar with the time left, on the terminal; plain lines where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

SHOWN_FROM_S = 5.0
Report = Callable[[str, int, int], None]


def time_left(elapsed_s: float, done: float, total: float) -> str:
    """In words what a stage still takes if it goes on as it did; empty where that is unknown or a few seconds."""
    seconds = elapsed_s * (total - done) / done if done else 0.0
    return f"about {timedelta(seconds=round(seconds))} left" if seconds >= SHOWN_FROM_S else ""


class _TimeLeft(ProgressColumn):
    """Of the whole stage; rich's own column knows nothing of steps that take over half a minute."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        return Text(time_left(task.elapsed or 0.0, task.completed, task.total or 0.0))


@contextmanager
def shown_progress() -> Iterator[Report]:
    """Gives a function (label, done, total); a label whose first words change opens a bar of its own."""
    console = Console(stderr=True)
    if not sys.stderr.isatty():
        yield _plain_lines(console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        _TimeLeft(),
    )
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def report(label: str, done: int, total: int) -> None:
            stage = label.split(":", maxsplit=1)[0]
            if stage not in tasks:
                tasks[stage] = bars.add_task(label, total=total)
            elif done < bars.tasks[tasks[stage]].completed:
                bars.reset(tasks[stage])
            bars.update(tasks[stage], description=label, completed=done, total=total)

        yield report


def _plain_lines(console: Console) -> Report:
    """A line for every tenth of a stage, with the time left reckoned from what it took so far."""
    last: dict[str, int] = {}
    begun: dict[str, float] = {}

    def report(label: str, done: int, total: int) -> None:
        stage = label.split(":", maxsplit=1)[0]
        tenth = 10 * done // max(total, 1)
        if stage not in last or tenth < last[stage]:
            begun[stage] = time.monotonic()
        if last.get(stage) != tenth:
            last[stage] = tenth
            left = time_left(time.monotonic() - begun[stage], done, total)
            console.print(f"{label} ({done}/{total}{left and ', '}{left})", highlight=False, soft_wrap=True)

    return report
