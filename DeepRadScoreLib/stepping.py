"""Work that comes as a generator of short steps: how it is run to its end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TypeVar

Step = TypeVar("Step")
Other = TypeVar("Other")
Outcome = TypeVar("Outcome")


def run_to_end(steps: Generator[Step, None, Outcome], show: Callable[[Step], None] | None = None) -> Outcome:
    """The outcome of the steps; each step is given to `show` before its work is done."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        if show is not None:
            show(step)


def changed(steps: Generator[Step, None, Outcome], change: Callable[[Step], Other]) -> Generator[Other, None, Outcome]:
    """The same work and outcome; each step is given on as `change` makes it."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        yield change(step)
