"""Long work of the panel, one at a time: its progress, its end, and how it is cancelled."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from slicer.i18n import tr as _

from DeepRadScoreSlicer.panel.messages import Messages
from DeepRadScoreSlicer.panel.stepper import Stepper


class Work:
    """Drives a generator of steps from the event loop and shows where it is.

    Parameters
    ----------
    bar, label: widgets for the progress; the label shows how the work ended ("Stopped.").
    on_state: called when work begins and when it has ended.
    """

    def __init__(self, bar: Any, label: Any, messages: Messages, on_state: Callable[[], None]) -> None:
        self._bar, self._label, self._messages, self._on_state = bar, label, messages, on_state
        self._stepper: Stepper[Any, Any] | None = None

    @property
    def running(self) -> bool:
        """Whether there is work in progress."""
        return self._stepper is not None

    def start(self, steps: Generator[Any, None, Any], use: Callable[[Any], None]) -> None:
        """Start work whose outcome goes to `use`; work in progress is dropped."""
        self.drop()
        self._messages.say("")
        self._bar.value = 0
        self._stepper = Stepper(
            steps,
            on_step=self._show,
            on_done=lambda outcome: self._done(outcome, use),
            on_error=self._failed,
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

    def _show(self, step: Any) -> None:
        self._bar.value = int(1000 * step.fraction)
        self._label.text = step.detail[:1].upper() + step.detail[1:]

    def _done(self, outcome: Any, use: Callable[[Any], None]) -> None:
        self._end("")
        self._messages.guarded(lambda: use(outcome))

    def _failed(self, error: Exception) -> None:
        self._end(_("Stopped."))
        self._messages.fail(error)

    def _end(self, text: str) -> None:
        self._stepper = None
        self._label.text = text
        self._on_state()
