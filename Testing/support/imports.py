"""What the files of the library import, read from their text."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imports(path: Path) -> Iterator[str]:
    """Names imported by a file at run time, also inside functions."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and "import_module" in ast.dump(node.func):
            yield from (arg.value for arg in node.args if isinstance(arg, ast.Constant))


def source(module: str) -> Path | None:
    """The file of a module of ours."""
    path = ROOT / module.replace(".", "/")
    return next((found for found in (path / "__init__.py", path.with_suffix(".py")) if found.is_file()), None)


def reached(start: Iterable[str]) -> dict[str, str]:
    """Third-party top-level names that can be imported from these modules of the library -> one that imports them."""
    todo, seen = [f"DeepRadScoreLib.{name}" for name in start], set()
    third: dict[str, str] = {}
    while todo:
        module = todo.pop()
        path = source(module)
        if path is None or module in seen:
            continue
        seen.add(module)
        todo.append(module.rpartition(".")[0])
        for name in imports(path):
            top = name.partition(".")[0]
            if top == "DeepRadScoreLib":
                todo.append(name)
            elif top not in sys.stdlib_module_names:
                third.setdefault(top, module)
    return third
