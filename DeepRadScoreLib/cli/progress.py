"""A progress bar with the time left, on the terminal; plain lines where there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Report = Callable[[str, int, int], None]


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
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def report(label: str, done: int, total: int) -> None:
            stage = label.split(":", maxsplit=1)[0]
            if stage not in tasks:
                tasks[stage] = bars.add_task(label, total=total)
            bars.update(tasks[stage], description=label, completed=done, total=total)

        yield report


def _plain_lines(console: Console) -> Report:
    last: dict[str, int] = {}

    def report(label: str, done: int, total: int) -> None:
        stage = label.split(":", maxsplit=1)[0]
        tenth = 10 * done // max(total, 1)
        if last.get(stage) != tenth:
            last[stage] = tenth
            console.print(f"{label} ({done}/{total})", highlight=False)

    return report
