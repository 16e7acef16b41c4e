"""More than eighty inputs that cannot be used: one sentence each, with file, field and mend, and nothing is written."""

from __future__ import annotations

import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from DeepRadScoreLib.cli import main as cli
from DeepRadScoreLib.errors import InputError
from DeepRadScoreSlicer import batch
from DeepRadScoreSlicer.cases.worklist import Worklist
from support.bad_inputs import LISTS, ROWS, write_inputs
from support.small_bundle import small_densenet

NOT_INSTALLED = "packages that are not installed (cryptography)"
SENTENCE = re.compile(r"(deepradscore|DeepRadScore): .*\w.*; \w.*\.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("inputs")
    with small_densenet(), pytest.MonkeyPatch.context() as patch:
        write_inputs(made)
        patch.chdir(made)
        patch.setenv("DEEPRADSCORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(cli, "end_by_signals", lambda: None)
        yield made


def content(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file and folder."""
    found = {str(path): path.stat() for path in folder.rglob("*")}
    return {name: (stat.st_size, stat.st_mtime_ns) for name, stat in found.items()}


def run(call: str) -> tuple[int, str]:
    """Exit code and standard error stream of a command; of an option that stands twice the last one counts."""
    name, *words = call.split()
    said = StringIO()
    with redirect_stderr(said), redirect_stdout(StringIO()), pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["deepradscore", name, *words])
        if name == "batch":
            return batch.main(words), said.getvalue()
        with pytest.raises(SystemExit) as end:
            cli.main()
    return int(end.value.code or 0), said.getvalue()


def test_there_are_eighty():
    assert len({call for call, _ in ROWS}) == len(ROWS) >= 80


@pytest.mark.parametrize(("call", "words"), ROWS, ids=[call for call, _ in ROWS])
def test_what_cannot_be_used_is_one_sentence_and_nothing_is_written(folder, call, words):
    before = content(folder)
    code, said = run(call)
    assert code == 2, said
    assert "Traceback" not in said
    sentence = said.strip().splitlines()[-1]
    assert SENTENCE.fullmatch(sentence), sentence
    assert words in sentence or NOT_INSTALLED in sentence
    assert content(folder) == before


@pytest.mark.parametrize(("name", "words"), LISTS)
def test_a_list_that_the_panel_cannot_open_is_one_sentence(folder, name, words):
    before = content(folder)
    with pytest.raises(InputError) as caught:
        (Worklist.from_cohort if name.endswith(".csv") else Worklist.from_folder)(folder / name)
    assert words in str(caught.value) and SENTENCE.fullmatch(f"DeepRadScore: {caught.value}")
    assert content(folder) == before
