"""HTML templates with escaped text and number filters, and pictures as data URIs: shared by case and study page."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from DeepRadScoreLib.report import number_text

TEMPLATES = Path(__file__).parent / "templates"


def environment(*folders: Path) -> Environment:
    """A Jinja environment for the templates of these folders and of the case report; undefined names raise.

    Filters: `decimals`, `signed`, `percent`, `range`, `p` (see `number_text`) and `wrappable`.
    """
    made = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(
        decimals=number_text.decimals,
        signed=number_text.signed,
        percent=number_text.percent,
        range=number_text.interval,
        p=number_text.p_value,
        wrappable=wrappable,
    )
    return made


def wrappable(name: str) -> Markup:
    """A feature's name in which a line may break after an underscore and before a capital."""
    return Markup("<wbr>").join(re.split(r"(?<=_)|(?<=[a-z])(?=[A-Z])", name))


def embedded(picture: bytes, kind: str = "png") -> str:
    """A picture as a data URI; `kind` is "png" or "svg+xml"."""
    return f"data:image/{kind};base64," + base64.b64encode(picture).decode("ascii")
