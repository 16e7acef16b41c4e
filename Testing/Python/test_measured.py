"""The pages that benchmarks write into the documentation: read back by a Markdown parser, from rows made up here."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from support.shifts import SHIFTS
from support.shifts.judging import Row

ROOT = Path(__file__).parents[2]
MARKDOWN = MarkdownIt("commonmark").enable("table")


@pytest.fixture
def benchmarks(monkeypatch):
    """A module of `Testing/benchmarks` by its name."""
    monkeypatch.syspath_prepend(str(ROOT / "Testing" / "benchmarks"))
    return importlib.import_module


def cells(text: str) -> list[str]:
    return re.findall(r"<td>(.*?)</td>", MARKDOWN.render(text))


def test_a_page_says_how_noisy_its_machine_was_and_replaces_the_old_one(benchmarks, tmp_path):
    page = benchmarks("measured_page")
    path = tmp_path / "measured" / "cost.md"
    page.write_page(path, "Cost", "measured-cost", ["old"], load=3.0)
    assert "load 3.0 at the start, which is not quiet" in path.read_text(encoding="utf-8")
    page.write_page(path, "Cost", "measured-cost", [page.table(["a", "b"], [["x | y", 1]])], load=0.1)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Cost\n\nMade by `make measured-cost`. ")
    assert "not quiet" not in text
    assert "old" not in text
    assert cells(text) == ["x | y", "1"]
    page.write_page(path, "Cost", "measured-cost", [])
    assert "load" not in path.read_text(encoding="utf-8")
    assert [each.name for each in path.parent.iterdir()] == ["cost.md"]


def test_the_shifts_page_holds_the_shares_and_the_rules_that_failed(benchmarks):
    shift = next(iter(SHIFTS.values()))
    row = Row(shift, 20, {"refused": 0.25, "abstained": 0.5, "warned": 0.2, "silent": 0.05}, 0.314, 0.05)
    parts = benchmarks("shift_table").page_parts([row], [(True, "first"), (False, "second")])
    found = [cells(part) for part in parts if "|---|" in part.replace(" ", "")]
    assert found[0] == [shift.name, shift.kind, "20", "25%", "50%", "20%", "5%", "0.31", "5%"]
    assert found[1] == ["second", "<strong>does not hold</strong>", "first", "holds"]
    assert "1 of 2 hold." in parts


def test_each_page_has_its_make_target_and_stands_on_the_index():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    written = dict(re.findall(r"^(measured-\w+): .*\n\t.*--page docs/measured/(\w+)\.md$", makefile, re.MULTILINE))
    index = (ROOT / "docs" / "measured" / "index.md").read_text(encoding="utf-8")
    assert {
        make: page for page, make in re.findall(r"^\| \[\w+\]\((\w+)\.md\) \| `(measured-\w+)`", index, re.MULTILINE)
    } == written
    assert len(written) >= 4
