"""Sphinx settings of the documentation: `make docs`."""

from __future__ import annotations

import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parent))
sys.path.append(str(Path(__file__).resolve().parents[1]))

from import_matrix import matrix_svg

from DeepRadScoreLib import __version__

ROOT = Path(__file__).resolve().parents[1]
project = "DeepRadScore"
copyright = "DeepRadScore developers, Apache-2.0"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_heading_anchors = 3
napoleon_google_docstring = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {
    "members": True,
    "exclude-members": "set_fit_request, set_score_request, set_transform_request, set_predict_request",
}
"""The methods that scikit-learn makes by itself refer to sections of its own documentation."""
default_role = "code"
highlight_language = "none"
html_theme = "furo"
html_title = f"DeepRadScore {release}"
html_copy_source = False

SECTIONS = ("Parameters", "Attributes", "Raises")
ITEM = re.compile(r"(?P<names>\*{0,2}\w[\w., *]*): (?P<text>.+)")


def one_item_a_line(_app: Any, _what: str, _name: str, _obj: Any, _options: Any, lines: list[str]) -> None:
    """Rewrites items that a docstring has as "name: text" on one line in the two lines that numpydoc asks for."""
    source, section = [*lines, ""], ""
    lines.clear()
    for line, below in pairwise(source):
        if below and set(below) == {"-"}:
            section = line
        item = ITEM.fullmatch(line) if section in SECTIONS else None
        lines.extend([item["names"], f"    {item['text']}"] if item else [line])


def draw_imports(_app: Any) -> None:
    """Draws the architecture page's matrix from the sources."""
    target = ROOT / "docs" / "generated" / "imports.svg"
    target.parent.mkdir(exist_ok=True)
    target.write_text(matrix_svg(ROOT), encoding="utf-8")


def setup(app: Any) -> None:
    """Connect the drawing, and the rewriting before napoleon's."""
    app.connect("builder-inited", draw_imports)
    app.connect("autodoc-process-docstring", one_item_a_line, priority=400)
