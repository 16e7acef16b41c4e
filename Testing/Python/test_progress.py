"""Events of long work: their words, their percent, and how a terminal or a log shows them."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import pytest

from DeepRadScoreLib.display.progress_bar import show_progress
from DeepRadScoreLib.progress import Progress, Stage, as_part, at_most_every, each_within, in_stage, run_to_end


def test_words_are_made_of_stage_and_detail():
    assert Progress(Stage.OUTER_FOLDS).text == "outer folds"
    event = Progress(Stage.OUTER_FOLDS, "strict 1", 2, 5)
    assert event.text == "outer folds: strict 1"
    assert event.fraction == 0.4
    assert Progress(Stage.FIGURES, total=0).fraction == 0


def test_steps_become_percent_of_a_stage_and_wait_at_its_end():
    def steps():
        yield from "abcd"
        return "outcome"

    events = []
    assert run_to_end(in_stage(steps(), Stage.ANALYSING, 10, 70, expected=2), events.append) == "outcome"
    assert [(event.detail, event.done, event.total) for event in events] == [
        ("a", 10, 100),
        ("b", 40, 100),
        ("c", 70, 100),
        ("d", 70, 100),
    ]


def percents(n):
    for done in range(n):
        yield Progress(Stage.READING, "own words", done, n)
    return "outcome"


@pytest.mark.parametrize(("seconds", "shown"), [(0.0, 5), (60.0, 1)])
def test_steps_that_come_too_soon_are_left_out(seconds, shown):
    events = []
    assert run_to_end(at_most_every(seconds, percents(5)), events.append) == "outcome"
    assert [event.done for event in events] == list(range(shown))


def test_steps_become_a_part_of_longer_work():
    events = []
    assert run_to_end(as_part(percents(4), "reading", 20, 60), events.append) == "outcome"
    assert [(event.detail, event.done, event.total) for event in events] == [
        ("reading", done, 100) for done in (20, 30, 40, 50)
    ]


def test_a_context_is_left_between_steps_and_sees_their_error():
    inside, seen = [], []

    @contextmanager
    def entered():
        inside.append(True)
        try:
            yield
        except ValueError as error:
            seen.append(str(error))
            raise
        finally:
            inside.pop()

    def steps():
        assert inside
        yield 1
        assert inside
        raise ValueError("damaged")

    running = each_within(entered, steps())
    assert next(running) == 1 and not inside
    with pytest.raises(ValueError, match="damaged"):
        next(running)
    assert seen == ["damaged"] and not inside


@pytest.mark.parametrize("around", [lambda s: at_most_every(0, s), lambda s: each_within(nullcontext, s)])
def test_work_that_is_given_up_is_closed(around):
    closed = []

    def steps():
        try:
            yield 1
        finally:
            closed.append(True)

    running = around(kept := steps())
    next(running)
    running.close()
    assert closed and kept.gi_frame is None


def test_where_stderr_is_no_terminal_each_tenth_of_a_stage_is_one_line(capsys):
    with show_progress() as report:
        for done in range(1, 41):
            report(Progress(Stage.FEATURES, f"case {done}", done, 40))
        report(Progress(Stage.FEATURES, "again", 1, 40))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 12
    assert lines[0] == "regions and features: case 1 (1/40)"
    assert lines[-2:] == ["regions and features: case 40 (40/40)", "regions and features: again (1/40)"]
