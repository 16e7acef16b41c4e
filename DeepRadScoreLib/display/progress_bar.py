"""A progress bar with the time left, in a terminal or notebook; plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from DeepRadScoreLib.progress import Progress, Report, Stage, ignore

SHOWN_FROM_S = 5.0


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
    """Gives the report that shows each stage by a bar, or by lines where there is neither terminal nor notebook.

    In a notebook rich draws with ipywidgets; without that package lines are shown there too.
    """
    console = Console(stderr=True)
    if not (_draws_in_notebook() if console.is_jupyter else sys.stderr.isatty()):
        yield _plain_lines(console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        _TimeLeft(),
    )
    with Bars(*columns, console=console) as bars:
        tasks: dict[Stage, TaskID] = {}

        def report(event: Progress) -> None:
            if event.stage not in tasks:
                tasks[event.stage] = bars.add_task(event.text, total=event.total)
            elif event.done < bars.tasks[tasks[event.stage]].completed:
                bars.reset(tasks[event.stage])
            bars.update(tasks[event.stage], description=event.text, completed=event.done, total=event.total)

        yield report


@contextmanager
def reporting(progress: Report | bool) -> Iterator[Report]:
    """Gives the report that a caller asked for: their own function, the bar (True) or none (False)."""
    if callable(progress):
        yield progress
    elif progress:
        with shown_progress() as report:
            yield report
    else:
        yield ignore


def _draws_in_notebook() -> bool:
    return find_spec("ipywidgets") is not None


def _plain_lines(console: Console) -> Report:
    """A line for every tenth of a stage, with the time left reckoned from what it took so far."""
    last: dict[Stage, int] = {}
    begun: dict[Stage, float] = {}

    def report(event: Progress) -> None:
        stage, tenth = event.stage, 10 * event.done // max(event.total, 1)
        if stage not in last or tenth < last[stage]:
            begun[stage] = time.monotonic()
        if last.get(stage) != tenth:
            last[stage] = tenth
            left = time_left(time.monotonic() - begun[stage], event.done, event.total)
            line = f"{event.text} ({event.done}/{event.total}{left and ', '}{left})"
            console.print(line, highlight=False, soft_wrap=True)

    return report
