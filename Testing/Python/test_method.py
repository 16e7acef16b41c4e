"""Sections of docs/method that docstrings cite."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
METHOD = ROOT / "docs" / "method"
CITATION = re.compile(r"\(method: ([^)]+)\)")
HEADING = re.compile(r"^#+ (?:(\d+)\. )?(.+)$", re.MULTILINE)


def cited() -> set[str]:
    sources = [path for package in ("DeepRadScoreLib", "DeepRadScore") for path in (ROOT / package).rglob("*.py")]
    texts = (" ".join(path.read_text(encoding="utf-8").split()) for path in sources)
    return {citation for text in texts for citation in CITATION.findall(text)}


def sections() -> set[str]:
    """Names of pages and of the sections within them; a numbered one within a page as "page, number"."""
    found = set()
    for page in METHOD.glob("*.md"):
        (_, title), *inner = HEADING.findall(page.read_text(encoding="utf-8"))
        found |= {title.casefold(), *(name.casefold() for _, name in inner)}
        found |= {f"{title}, {number}".casefold() for number, _ in inner if number}
    return found


def test_docstrings_cite_the_method():
    assert len(cited()) >= 10


@pytest.mark.parametrize("citation", sorted(cited()))
def test_a_cited_section_exists(citation):
    assert citation.casefold() in sections()


def test_the_index_names_every_page():
    index = (METHOD / "index.md").read_text(encoding="utf-8")
    for page in METHOD.glob("[0-9]*.md"):
        title = page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        assert f"[{title}]({page.name})" in index
