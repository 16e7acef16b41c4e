"""Long work, one short step at each turn of Qt's event loop: its progress, its end, and how it is cancelled."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

import qt
from slicer.i18n import tr as _

from DeepRadScoreLib.progress import Progress, map_steps
from DeepRadScoreSlicer.panel.messages import Messages

STEP_S = 0.05
"""Seconds between two turns of the event loop while steps that are shorter than this are worked on."""
MIN_ELAPSED_S, MIN_SHARE = 2.0, 0.05
"""From when on it is said how long work will still take: seconds since it began, and what of it is done."""
SECONDS_UP_TO = 90
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


class TimeLeft:
    """How long work will still take, judged by how long its share took that is done.

    Parameters
    ----------
    clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: tuple[float, float] | None = None
        self._last = 0.0

    def text(self, fraction: float) -> str:
        """The time left in words, "" where it is not known yet or under a second; a smaller share begins anew."""
        now = self._clock()
        if self._begun is None or fraction < self._last:
            self._begun = (now, fraction)
        self._last = fraction
        elapsed, done = now - self._begun[0], fraction - self._begun[1]
        if elapsed < MIN_ELAPSED_S or done < MIN_SHARE:
            return ""
        left = elapsed * (1 - fraction) / done
        if left < 1:
            return ""
        if left < SECONDS_UP_TO:
            return _("about {seconds} s left").format(seconds=math.ceil(left))
        return _("about {minutes} min left").format(minutes=math.ceil(left / 60))


class Work:
    """Drives a generator of steps from the event loop and shows where it is.

    Parameters
    ----------
    bar, label: widgets for the progress; the label shows how the work ended ("Stopped.").
    on_state: called when work begins and when it has ended.
    """

    def __init__(self, bar: Any, label: Any, messages: Messages, on_state: Callable[[], None]) -> None:
        self._bar, self._label, self._on_state = bar, label, on_state
        self._messages = self._messages_of_panel = messages
        self._stepper: Stepper[Any, Any] | None = None
        self._left = TimeLeft()

    @property
    def running(self) -> bool:
        """Whether there is work in progress."""
        return self._stepper is not None

    @property
    def end(self) -> str:
        """How the last work ended, "" where it had an outcome."""
        return str(self._label.text)

    def start(
        self,
        steps: Generator[Any, None, Any],
        use: Callable[[Any], None],
        fail: Callable[[], None] = lambda: None,
        messages: Messages | None = None,
    ) -> None:
        """Start work whose outcome goes to `use`; work in progress is dropped.

        Parameters
        ----------
        fail: called when a step has raised, before the message is shown.
        messages: of the section where the work was begun.
        """
        self.drop()
        self._messages = messages or self._messages_of_panel
        self._messages.say("")
        self._bar.value = 0
        self._left = TimeLeft()
        self._stepper = Stepper(
            steps,
            on_step=self._show,
            on_done=lambda outcome: self._done(outcome, use),
            on_error=lambda error: self._failed(error, fail),
            on_cancelled=lambda: self._end(_("Cancelled; nothing was changed.")),
        )
        self._on_state()
        self._stepper.start()

    def cancel(self) -> None:
        """End the work before its next step."""
        if self._stepper is not None:
            self._label.text = _("Cancelling after this step…")
            self._stepper.cancel()

    def drop(self) -> None:
        """End the work now: the scene, the case or the module is being closed."""
        if self._stepper is not None:
            self._stepper.stop()
            self._end(_("Cancelled; nothing was changed."))

    def words(self, step: Any) -> str:
        """What is being done, and how long it will still take."""
        left = self._left.text(step.fraction)
        words = step.detail[:1].upper() + step.detail[1:]
        return f"{words} · {left}" if left else words

    def _show(self, step: Any) -> None:
        self._bar.value = int(1000 * step.fraction)
        self._label.text = self.words(step)

    def _done(self, outcome: Any, use: Callable[[Any], None]) -> None:
        self._end("")
        self._messages.guarded(lambda: use(outcome))

    def _failed(self, error: Exception, fail: Callable[[], None]) -> None:
        self._end(_("Stopped."))
        self._messages.guarded(fail)
        self._messages.fail(error)

    def _end(self, text: str) -> None:
        self._stepper = None
        self._label.text = text
        self._on_state()


class WorkRow:
    """Long work that is shown where it was begun: a label, a bar, and a button that cancels it.

    How it ended without an outcome becomes the message.

    Parameters
    ----------
    label, bar, button: hidden while none of this work is in progress.

    Attributes
    ----------
    running: whether work that was begun here is in progress.
    """

    def __init__(self, work: Work, messages: Messages, label: Any, bar: Any, button: Any) -> None:
        self._work, self._messages = work, messages
        self._label, self._bar, self._button = label, bar, button
        self.running = False
        button.connect("clicked(bool)", self._on_cancel)

    @property
    def free(self) -> bool:
        """Whether no work is in progress, here or elsewhere."""
        return not self._work.running

    def start(
        self, steps: Generator[Progress, None, Any], use: Callable[[Any], None], fail: Callable[[], None] = lambda: None
    ) -> None:
        """Start work, as `Work.start`."""
        self._work.drop()
        self._bar.value, self._label.text = 0, ""
        self.running = True
        self._work.start(map_steps(steps, self._shown), use, fail, self._messages)

    def drop(self) -> None:
        """End work that was begun here, if there is any, now."""
        if self.running:
            self._work.drop()

    def update(self) -> None:
        """Show whether the work is in progress."""
        if self.running and not self._work.running:
            self.running = False
            self._messages.say(self._work.end)
        for widget in (self._label, self._bar, self._button):
            widget.visible = self.running
        self._button.enabled = self.running

    def _shown(self, step: Progress) -> Progress:
        self._bar.value = int(1000 * step.fraction)
        self._label.text = self._work.words(step)
        return step

    def _on_cancel(self, _checked: bool = False) -> None:
        self._button.enabled = False
        self._work.cancel()
