"""Every text of the module that is shown goes through a translation, and a translation that is wrong is not taken."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

MODULE = Path(__file__).parents[2] / "DeepRadScore"
NOT_SHOWN = ("batch.py", "self_test.py", "panel_testing.py", "sample_making.py", "requirements.py")
"""Files for terminals and logs, which stay English; the versions and names of packages."""
TAG = re.compile(r"<[^>]*>?|[a-z-]+: ?[^;]+;|^[^<]*>|&\w+;")
"""Parts of HTML and of style sheets."""
WORDS = re.compile(r"[A-Za-z]{2,}[,;:.]? [A-Za-z]{2,}|^[A-Z][a-z]+ ?[a-z]*[.:]?$")
"""Two words, or one that begins with a capital."""
NAMES = re.compile(
    r"^(vtk|qt|ctk|[A-Z]{2,}\b|\.)|DeepRadScore|Segment_|currentPath|\(.*\*?\)$|--no-splash|-m pip|^pydicom, highdicom$"
)
"""Names of nodes, classes, attributes and signals."""
FOREIGN = {
    *("Binary labelmap", "Paint", "Grow from seeds", "Level tracing", "Fill between slices", "Logical operators"),
    *("Mask volume", "Draw", "Erase", "Threshold", "Margin", "Smoothing", "Scissors", "Islands", "Segmentations"),
    *("Modality", "Name", "Slicer", "Button", "Widget", "Icons", "Resources", "Unknown", "PyTorch extension"),
    *("original mask", "peritumoral shell", "not started", "in progress", "border-left: 3px solid"),
    *("Synthetic", "ImageScalars", "Red", "Axial", "Quantification", "SubjectHierarchy", "Return", "Enter", "Interval"),
}
"""Names by which Slicer and Qt know something, of nodes, and what stands in files."""


def files() -> list[Path]:
    return [path for path in sorted(MODULE.rglob("*.py")) if path.name not in NOT_SHOWN]


def untranslated(tree: ast.Module) -> Iterator[ast.Constant]:
    """The string constants outside of `_()`, `translate()`, docstrings and logging."""
    aside: set[int] = set()
    for node in ast.walk(tree):
        name = getattr(getattr(node, "func", None), "id", getattr(getattr(node, "func", None), "attr", ""))
        if isinstance(node, ast.Call) and name in ("_", "translate", "getLogger", "error", "TypeVar", "OSError"):
            aside.update(id(part) for part in ast.walk(node))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            aside.add(id(node.value))
        if isinstance(node, (ast.AnnAssign, ast.FunctionDef)):
            for part in (node.annotation,) if isinstance(node, ast.AnnAssign) else (node.returns, node.args):
                aside.update(id(one) for one in ast.walk(part) if part is not None) if part is not None else None
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in aside:
            yield node


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(MODULE)))
def test_what_is_shown_is_translated(path):
    found = [
        f"{path.name}:{node.lineno}: {node.value!r}"
        for node in untranslated(ast.parse(path.read_text(encoding="utf-8")))
        if WORDS.search(TAG.sub("", node.value).strip())
        and not NAMES.search(node.value)
        and node.value.strip() not in FOREIGN
    ]
    assert found == []


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(MODULE)))
def test_texts_can_be_found_by_the_tool_that_lists_them(path):
    """As whole strings: Qt's lupdate reads neither f-strings nor what is in one."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        inside = (
            [part for part in ast.walk(node) if isinstance(part, ast.Call)] if isinstance(node, ast.JoinedStr) else []
        )
        assert not [call for call in inside if getattr(call.func, "id", "") == "_"], f"{path.name}:{node.lineno}"
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_":
            assert isinstance(node.args[0], ast.Constant), f"{path.name}:{node.lineno}"


def test_a_wrong_translation_is_not_taken(slicer_app, monkeypatch):
    import slicer.i18n

    from DeepRadScoreSlicer.translation import tr

    asked = []

    def translate(context, text):
        asked.append(context)
        return {"{n} slices": "{n} Schichten", "{n} pieces": "{zahl} Teile"}[text]

    monkeypatch.setattr(slicer.i18n, "translate", translate)
    assert (tr("{n} slices"), tr("{n} pieces")) == ("{n} Schichten", "{n} pieces")
    assert set(asked) == {"test_translation"}


def test_without_slicer_texts_are_as_they_are(monkeypatch):
    import sys

    from DeepRadScoreSlicer.translation import tr

    monkeypatch.delitem(sys.modules, "slicer.i18n", raising=False)
    assert tr("one slice") == "one slice"
