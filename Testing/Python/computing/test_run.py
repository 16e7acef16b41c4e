"""Kept results of finished units: loaded, recomputed if damaged or foreign; equal runs wait for each other."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import joblib
import numpy as np
import pytest

from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.progress import Progress, Stage

CALLS: list[int] = []


def square(number: int) -> np.ndarray:
    CALLS.append(number)
    return np.full(3, number**2)


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


def squares(run: Run) -> list[int]:
    found = run.load_or_compute_each(square, [{"number": number} for number in (2, 3, 4)], Stage.CLASSIFIERS)
    return [int(each[0]) for each in found]


def test_finished_units_are_loaded(tmp_path: Path) -> None:
    events: list[Progress] = []
    assert squares(Run(tmp_path)) == squares(Run(tmp_path, report=events.append)) == [4, 9, 16]
    assert CALLS == [2, 3, 4]
    assert [(event.done, event.total) for event in events] == [(3, 3)]


@pytest.mark.parametrize("damage", ["cut short", "changed", "empty", "of another folder"])
def test_what_is_damaged_or_foreign_is_computed_anew_with_a_line(damage: str, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    squares(run)
    kept = sorted(run.folder.glob("*.result"))[0]
    content = kept.read_bytes()
    if damage == "of another folder":
        squares(Run(tmp_path / "other"))
        content = (tmp_path / "other" / kept.name).read_bytes()
    else:
        content = {"cut short": content[:-1], "changed": content[:-1] + b"\0", "empty": b""}[damage]
    kept.write_bytes(content)
    CALLS.clear()
    said: list[str] = []
    again = Run(run.folder, report=lambda event: said.append(event.failure))
    assert squares(again) == [4, 9, 16]
    assert len(CALLS) == 1
    assert [sentence for sentence in said if sentence] == [f"{kept.name} is damaged: it is computed anew."]


def test_nothing_without_the_folders_key_is_unpickled(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.load_or_compute("one", lambda: 1, Stage.OUTER_FOLDS)
    joblib.dump(2, tmp_path / "one.result")
    assert run.load_or_compute("one", lambda: 3, Stage.OUTER_FOLDS) == 3


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_the_key_is_its_users_alone(tmp_path: Path) -> None:
    Run(tmp_path).load_or_compute("one", lambda: 1, Stage.OUTER_FOLDS)
    assert stat.S_IMODE((tmp_path / ".key").stat().st_mode) == 0o600


def test_a_second_equal_run_waits_and_removes_nothing_of_the_first(tmp_path: Path) -> None:
    waiting = threading.Event()
    seen: list[str] = []

    def report(event: Progress) -> None:
        if event.stage == Stage.WAITING:
            waiting.set()

    def second() -> None:
        with Run(tmp_path / "run", report=report).alone():
            seen.append("second")

    first = Run(tmp_path / "run")
    with first.alone():
        squares(first)
        other = threading.Thread(target=second)
        other.start()
        assert waiting.wait(30)
        assert len(list(first.folder.glob("*.result"))) == 3
        seen.append("first")
    other.join()
    assert seen == ["first", "second"]
    assert not first.folder.exists()


def test_an_interrupted_run_keeps_its_folder_and_frees_it(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt), run.alone():
        squares(run)
        raise KeyboardInterrupt
    with run.alone():
        assert squares(run) == [4, 9, 16]
    assert CALLS == [2, 3, 4]
