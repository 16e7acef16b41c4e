"""Runs a generator of short steps from Qt's event loop, one step at each turn."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Generic, TypeVar

import qt

Step = TypeVar("Step")
Outcome = TypeVar("Outcome")


class Stepper(Generic[Step, Outcome]):
    """Work that leaves the application usable.

    It ends with exactly one call of one of the three last callbacks; after `stop` with none: whoever stops it knows.

    Parameters
    ----------
    steps: yields each step before its work is done; its value is the outcome.
    on_step: called with each step.
    on_done: called with the outcome.
    on_error: called with what a step, or `on_done`, raised.
    on_cancelled: called after `cancel`, when the generator has been closed.
    """

    def __init__(
        self,
        steps: Generator[Step, None, Outcome],
        *,
        on_step: Callable[[Step], None],
        on_done: Callable[[Outcome], None],
        on_error: Callable[[Exception], None],
        on_cancelled: Callable[[], None],
    ) -> None:
        self._steps = steps
        self._on_step, self._on_done = on_step, on_done
        self._on_error, self._on_cancelled = on_error, on_cancelled
        self._cancelled = self._stopped = False
        self.running = False
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)

    def start(self) -> None:
        """Begin at the next turn of the event loop."""
        self.running = True
        self._timer.connect("timeout()", self._turn)
        self._timer.start()

    def cancel(self) -> None:
        """End before the next step."""
        self._cancelled = True

    def stop(self) -> None:
        """End now, without a word: the scene or the panel is being closed. A step at work is the last one."""
        self._stopped = True
        self._end()

    def _turn(self) -> None:
        try:
            self._advance()
        except Exception as error:  # what a step raises must reach the panel, never Qt
            self._end()
            if not self._stopped:
                self._on_error(error)

    def _advance(self) -> None:
        if self._cancelled:
            self._end()
            self._on_cancelled()
            return
        try:
            step = next(self._steps)
        except StopIteration as end:
            outcome = end.value
        else:
            if self.running:
                self._on_step(step)
            if self.running:
                self._timer.start()
            else:
                self._steps.close()
            return
        self._end()
        if not self._stopped:
            self._on_done(outcome)

    def _end(self) -> None:
        """Let go of the timer and, unless it is at work, of the generator."""
        if self.running:
            self.running = False
            self._timer.stop()
            self._timer.disconnect("timeout()", self._turn)
        if not self._steps.gi_running:
            self._steps.close()
