"""Steps driven by the event loop: one at a turn, ended by its outcome, an error, or a cancel; never an error in Qt."""

from __future__ import annotations

from itertools import pairwise

import pytest

import slicer_harness as harness


class Run:
    """A stepper on some steps, and what it called."""

    def __init__(self, work, **handlers):
        from DeepRadScoreSlicer.panel.work import Stepper

        self.calls = []
        self.stepper = Stepper(
            work,
            on_step=handlers.get("on_step", lambda step: self.calls.append(("step", step))),
            on_done=handlers.get("on_done", lambda outcome: self.calls.append(("done", outcome))),
            on_error=lambda error: self.calls.append(("error", error)),
            on_cancelled=lambda: self.calls.append(("cancelled",)),
        )

    def to_the_end(self):
        self.stepper.start()
        harness.wait_for(lambda: not self.stepper.running, 5)
        harness.process_events(20)
        return self.calls


def counting(done, number=4, fail_at=None):
    """Steps that say in `done` what work was begun, and that they were closed."""
    try:
        for index in range(number):
            yield f"step {index}"
            if index == fail_at:
                raise ValueError("no more")
            done.append(index)
        return "outcome"
    finally:
        done.append("closed")


@pytest.fixture
def run(slicer_app):
    return Run


def test_outcome(run):
    done = []
    work = run(counting(done))
    assert not work.stepper.running
    assert work.to_the_end() == [*(("step", f"step {index}") for index in range(4)), ("done", "outcome")]
    assert done == [0, 1, 2, 3, "closed"]
    assert not work.stepper.running


def test_one_step_at_a_turn_and_events_between(run):
    """A timer of someone else fires between the steps: the application is usable meanwhile."""
    import qt

    order = []
    other = qt.QTimer()
    other.setInterval(0)
    other.connect("timeout()", lambda: order.append("other"))
    other.start()
    work = run(counting([]), on_step=order.append)
    work.to_the_end()
    other.stop()
    places = [order.index(f"step {index}") for index in range(4)]
    assert all("other" in order[first:second] for first, second in pairwise(places))


def test_nothing_happens_in_start_itself(run):
    done = []
    work = run(counting(done))
    work.stepper.start()
    assert (done, work.calls, work.stepper.running) == ([], [], True)
    work.stepper.stop()


def test_running_is_over_before_the_outcome_is_told(run):
    seen = []
    work = run(counting([]), on_done=lambda _: seen.append(work.stepper.running))
    work.to_the_end()
    assert seen == [False]


def test_error(run):
    done = []
    calls = run(counting(done, fail_at=1)).to_the_end()
    assert [call[0] for call in calls] == ["step", "step", "error"]
    assert str(calls[-1][1]) == "no more"
    assert done == [0, "closed"]


@pytest.mark.parametrize("where", ["on_step", "on_done"])
def test_error_in_a_callback_reaches_the_panel_and_not_qt(run, where):
    def broken(_):
        raise RuntimeError("broken")

    done = []
    work = run(counting(done), **{where: broken})
    calls = work.to_the_end()
    assert [(call[0], str(call[-1])) for call in calls if call[0] != "step"] == [("error", "broken")]
    assert done[-1] == "closed"
    assert not work.stepper.running
    assert list(harness.slot_errors) == []


@pytest.mark.parametrize("step", [0, 2, 3])
def test_cancel_takes_effect_before_the_next_step(run, step):
    done = []

    def on_step(name):
        if name == f"step {step}":
            work.stepper.cancel()

    work = run(counting(done), on_step=on_step)
    assert work.to_the_end() == [("cancelled",)]
    assert done == [*range(step), "closed"]


def test_cancel_before_the_first_turn_and_after_the_end(run):
    done = []
    work = run(counting(done))
    work.stepper.cancel()
    assert work.to_the_end() == [("cancelled",)]
    assert done == []
    work = run(counting(done))
    work.to_the_end()
    work.stepper.cancel()
    harness.process_events(20)
    assert work.calls[-1] == ("done", "outcome")


def test_stop_ends_at_once_and_says_nothing(run):
    done = []

    def on_step(name):
        if name == "step 1":
            work.stepper.stop()

    work = run(counting(done), on_step=on_step)
    assert work.to_the_end() == []
    assert done == [0, "closed"]


def test_a_step_that_turns_the_event_loop_is_not_entered_twice(run):
    """Slicer's own code may process events within a step."""
    depth, deepest = [0], [0]

    def nested():
        for index in range(4):
            yield index
            depth[0] += 1
            deepest[0] = max(deepest[0], depth[0])
            harness.process_events(5)
            depth[0] -= 1
        return "outcome"

    assert run(nested()).to_the_end()[-1] == ("done", "outcome")
    assert deepest == [1]


def test_stop_from_within_a_step(run):
    """The scene is closed by something that a step's events bring: a generator at work cannot be closed."""
    work = None

    def closing():
        yield "one"
        work.stepper.stop()
        yield "two"

    work = run(closing())
    assert work.to_the_end() == [("step", "one")]
    assert list(harness.slot_errors) == []


def test_one_after_another_from_on_done(run):
    second = run(counting([]))
    first = run(counting([]), on_done=lambda _: second.stepper.start())
    first.to_the_end()
    harness.wait_for(lambda: not second.stepper.running, 5)
    assert second.calls[-1] == ("done", "outcome")


def test_nothing_keeps_an_ended_one_alive(run):
    import gc
    import weakref

    work = run(counting([]))
    work.to_the_end()
    gone = weakref.ref(work.stepper)
    del work
    gc.collect()
    assert gone() is None


def test_the_time_left_follows_from_the_share_that_is_done():
    """At constant speed; not before two seconds and a twentieth, and anew where a stage begins again."""
    from DeepRadScoreSlicer.panel.work import TimeLeft

    now = [0.0]
    left = TimeLeft(lambda: now[0])
    said = []
    for seconds, fraction in [(0, 0.0), (1, 0.1), (2, 0.04), (4, 0.04), (8, 0.54), (10, 0.79), (12, 1.0), (13, 0.0)]:
        now[0] = float(seconds)
        said.append(left.text(fraction))
    assert said == ["", "", "", "", "about 6 s left", "about 3 s left", "", ""]
    now[0] = 33.0
    assert left.text(0.1) == "about 3 min left"
