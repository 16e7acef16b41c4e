"""Drawing of which part of the library imports which, read from the sources and the layers of `pyproject.toml`."""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from pathlib import Path

LIBRARY = "DeepRadScoreLib"
CELL, LABEL = 16, 130
DARK, PALE = "#1f5fa8", "#e8edf3"


def layers(root: Path) -> list[str]:
    """The parts of the library (folders, and files beside them) from the top layer to the lowest."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    contract = settings["tool"]["importlinter"]["contracts"][0]
    names = [name.strip().split(".")[1] for layer in contract["layers"] for name in layer.split("|")]
    return list(dict.fromkeys(names))


def imports(root: Path) -> Counter[tuple[str, str]]:
    """(part, imported part) -> in how many files; imports within a part do not count."""
    found: Counter[tuple[str, str]] = Counter()
    for path in (root / LIBRARY).rglob("*.py"):
        part = path.relative_to(root / LIBRARY).parts[0].removesuffix(".py")
        tree = ast.parse(path.read_text(encoding="utf-8"))
        modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        others = {module.split(".")[1] for module in modules if module.startswith(f"{LIBRARY}.")}
        found.update((part, other) for other in others - {part})
    return found


def matrix_svg(root: Path) -> str:
    """The matrix as SVG: a row for each part, filled where it imports the column's part, with the number of files."""
    parts, counts = layers(root), imports(root)
    size = LABEL + CELL * len(parts) + 4
    shapes = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" font-family="sans-serif" font-size="10">'
        f"<title>Which part imports which</title>"
    ]
    for row, part in enumerate(parts):
        at = LABEL + CELL * row
        shapes.append(f'<text x="{LABEL - 5}" y="{at + 12}" text-anchor="end" fill="currentColor">{part}</text>')
        shapes.append(
            f'<text transform="translate({at + 12} {LABEL - 5}) rotate(-90)" fill="currentColor">{part}</text>'
        )
        for column, other in enumerate(parts):
            x, count = LABEL + CELL * column, counts[part, other]
            colour = DARK if count else "#b8c4d2" if row == column else PALE
            shapes.append(f'<rect x="{x}" y="{at}" width="{CELL - 1}" height="{CELL - 1}" fill="{colour}"/>')
            if count:
                middle = x + (CELL - 1) / 2
                shapes.append(f'<text x="{middle}" y="{at + 11}" text-anchor="middle" fill="white">{count}</text>')
    return "\n".join([*shapes, "</svg>"])
