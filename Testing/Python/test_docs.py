"""The documentation, built as `make docs` builds it."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

import DeepRadScoreLib
from DeepRadScoreLib.cli.main import commands

ROOT = Path(__file__).resolve().parents[2]
ITEM = re.compile(r"(?P<names>\w+(, \w+)*): ")


class Page(HTMLParser):
    """Ids, links, and what a page loads by itself."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.ids.add(found.get("id", ""))
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag == "link" and found.get("rel") in ("stylesheet", "icon", "preload", "preconnect"):
            self.loaded.append(found["href"])
        elif "src" in found:
            self.loaded.append(found["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> dict[Path, Page]:
    """The pages, built without a warning."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    call = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", folder.parent / "kept", "docs", folder]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(list(map(str, call)), cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return {path: Page(path) for path in folder.rglob("*.html")}


def test_no_link_within_the_site_is_dead(site):
    assert sum(len(page.links) for page in site.values()) > 1000
    dead = []
    for path, page in site.items():
        for link in page.links:
            target, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            there = (path.parent / target).resolve() if target else path
            if not there.exists() or (anchor and there in site and anchor not in site[there].ids):
                dead.append((path.name, link))
    assert not dead


def test_a_page_loads_nothing_from_the_network(site):
    assert {url for page in site.values() for url in page.loaded if re.match(r"[a-z]+:|//", url)} <= set()
    for style in (next(iter(site)).parent / "_static").rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", style.read_text(encoding="utf-8")), style.name


def test_every_public_name_stands_in_the_reference(site):
    ids = {name for page in site.values() for name in page.ids}
    documented = {name.rpartition(".")[2] for name in ids if name.startswith("DeepRadScoreLib.")}
    assert set(DeepRadScoreLib.__all__) <= documented


@pytest.mark.parametrize("name", [name for name in DeepRadScoreLib.__all__ if name.islower()])
def test_every_parameter_of_a_public_function_is_described(name):
    """But for `progress`, of which the module's docstring tells."""
    function = getattr(DeepRadScoreLib, name)
    lines = inspect.getdoc(function).splitlines()
    described = {each for line in lines if (item := ITEM.match(line)) for each in re.split(", ", item["names"])}
    assert described >= {*inspect.signature(function).parameters} - {"progress"}


def pages() -> list[Path]:
    folders = ("docs", "findings", "Resources", "Testing")
    return sorted([*ROOT.glob("*.md"), *(page for folder in folders for page in (ROOT / folder).rglob("*.md"))])


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_links_to_files_that_are_there(page):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not re.match(r"[a-z]+:", link) and not (page.parent / link).exists()] == []


def test_the_how_to_names_files_that_are_there():
    named = re.findall(r"`([\w/]+(?:\.py|/))`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert len(named) > 10
    assert [
        name for name in named if not any((base / name).exists() for base in (ROOT, ROOT / "DeepRadScoreLib"))
    ] == []


def test_the_drawing_shows_every_part_and_that_all_import_downwards(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import_matrix = importlib.import_module("import_matrix")
    parts = import_matrix.layers(ROOT)
    counted = {pair for pair in import_matrix.imports(ROOT) if set(pair) <= set(parts)}
    folders = {path.parent.name for path in (ROOT / "DeepRadScoreLib").glob("*/__init__.py")}
    assert folders <= set(parts)
    assert len(counted) > 100
    assert all(parts.index(upper) < parts.index(lower) for upper, lower in counted)


def lines_of_commands() -> list[str]:
    """Every `deepradscore ...` of the pages that is a line of a block or stands in code within a sentence."""
    texts = [page.read_text(encoding="utf-8") for page in pages()]
    found = [re.findall(r"^(?:\$ )?(deepradscore .+)$|`(deepradscore [^`]+)`", text, re.MULTILINE) for text in texts]
    return sorted({" ".join((block or inline).split()) for lines in found for block, inline in lines})


def test_the_commands_of_the_pages_have_the_options_that_are_named():
    group = get_command(commands())
    unknown = []
    for line in lines_of_commands():
        words = line.partition(" #")[0].split()[1:]
        command = group
        while words and isinstance(command, TyperGroup):
            command = command.commands.get(words.pop(0))
        known = {"--help", *(option for one in command.params for option in one.opts)} if command else set()
        if not known or {word.partition("=")[0].strip(",.") for word in words if word.startswith("--")} - known:
            unknown.append(line)
    assert len(lines_of_commands()) > 30
    assert unknown == []
