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

MIN_SHOWN_S = 5.0


def time_left(elapsed_s: float, done: float, total: float) -> str:
    """The time left of a stage in words, extrapolated; empty if it is unknown or under 5 s."""
    seconds = elapsed_s * (total - done) / done if done else 0.0
    return f"about {timedelta(seconds=round(seconds))} left" if seconds >= MIN_SHOWN_S else ""


class _TimeLeft(ProgressColumn):
    """Time left of the whole stage; rich's column shows none where steps take over half a minute."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        return Text(time_left(task.elapsed or 0.0, task.completed, task.total or 0.0))


@contextmanager
def show_progress() -> Iterator[Report]:
    """Context of a report that shows each stage as a bar, or as lines where there is neither terminal nor notebook.

    In a notebook rich draws with ipywidgets; without that package lines are shown there too.
    """
    console = Console(stderr=True, markup=False, emoji=False)
    if not (_draws_in_notebook() if console.is_jupyter else sys.stderr.isatty()):
        yield _plain_lines(console)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
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
    """The report that a caller asked for: a function, the bar (True) or none (False)."""
    if callable(progress):
        yield progress
    elif progress:
        with show_progress() as report:
            yield report
    else:
        yield ignore


def _draws_in_notebook() -> bool:
    return find_spec("ipywidgets") is not None


def _plain_lines(console: Console) -> Report:
    """A line for every tenth of a stage, with the time left."""
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
