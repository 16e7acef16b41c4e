"""The log of an output folder: appended to, chained, checked."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from DeepRadScoreLib.errors import InputError, OutputError
from DeepRadScoreLib.report.log import LOG_NAME, append_to_log, changed_profiles, read_log


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for case in ("A", "B", "C"):
        (tmp_path / case).mkdir()
        (tmp_path / case / "profile.json").write_text(f"profile of {case}")
        append_to_log(tmp_path, "analysed", case, model="f" * 64, profile=f"profile of {case}".encode())
    append_to_log(tmp_path, "changed", "B", changed={"status": "reviewed"})
    return tmp_path


def test_lines_are_chained_by_the_hash_of_the_line_before(folder: Path) -> None:
    lines = (folder / LOG_NAME).read_bytes().splitlines()
    assert [json.loads(line)["previous"] for line in lines] == [
        "0" * 64,
        *(hashlib.sha256(line).hexdigest() for line in lines[:-1]),
    ]
    entries = read_log(folder)
    assert [(entry.event, entry.case_id) for entry in entries] == [
        ("analysed", "A"),
        ("analysed", "B"),
        ("analysed", "C"),
        ("changed", "B"),
    ]
    assert entries[-1].changed == {"status": "reviewed"}
    assert all(entry.time.endswith("+00:00") for entry in entries)


def test_a_profile_that_is_no_longer_the_logged_one_is_named(folder: Path) -> None:
    assert changed_profiles(folder, read_log(folder)) == []
    (folder / "B" / "profile.json").write_text("another")
    (folder / "C" / "profile.json").unlink()
    assert changed_profiles(folder, read_log(folder)) == ["B", "C"]


@pytest.mark.parametrize(
    "damage, line",
    [
        (lambda lines: lines[1:], 1),
        (lambda lines: [lines[0], *lines[2:]], 2),
        (lambda lines: [lines[0], lines[0], *lines[1:]], 2),
        (lambda lines: [lines[1], lines[0], *lines[2:]], 1),
        (lambda lines: [lines[0].replace(b'"A"', b'"D"'), *lines[1:]], 2),
        (lambda lines: [*lines[:2], lines[2][:40], *lines[3:]], 3),
        (lambda lines: [b"[" * 9, *lines], 1),
        (lambda lines: [*lines[:3], b"\xff", lines[3]], 4),
    ],
)
def test_a_line_lost_doubled_moved_or_changed_shows(damage, line: int, folder: Path) -> None:
    path = folder / LOG_NAME
    path.write_bytes(b"\n".join(damage(path.read_bytes().splitlines())) + b"\n")
    with pytest.raises(InputError, match=f"line {line} (is damaged|does not follow)"):
        read_log(folder)


def test_two_programs_at_once_lose_no_line(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: append_to_log(tmp_path, "analysed", str(number)), range(40)))
    assert {entry.case_id for entry in read_log(tmp_path)} == {str(number) for number in range(40)}


def test_no_log_and_no_place_for_one_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no log"):
        read_log(tmp_path)
    (tmp_path / LOG_NAME).mkdir()
    with pytest.raises(OutputError, match="the log cannot be written"):
        append_to_log(tmp_path, "analysed", "A")
