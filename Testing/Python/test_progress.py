"""Events of long work: their words, their percent, and how a terminal or a log shows them."""

from __future__ import annotations

from DeepRadScoreLib.display.progress_bar import show_progress
from DeepRadScoreLib.progress import Progress, Stage, in_stage, run_to_end


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


def test_where_stderr_is_no_terminal_each_tenth_of_a_stage_is_one_line(capsys):
    with show_progress() as report:
        for done in range(1, 41):
            report(Progress(Stage.FEATURES, f"case {done}", done, 40))
        report(Progress(Stage.FEATURES, "again", 1, 40))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 12
    assert lines[0] == "regions and features: case 1 (1/40)"
    assert lines[-2:] == ["regions and features: case 40 (40/40)", "regions and features: again (1/40)"]
