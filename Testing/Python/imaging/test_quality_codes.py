"""The list of quality codes holds every code that the source gives, and none that it does not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import DeepRadScoreLib
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.checks.quality_codes import QUALITY_CODES, checked_codes, counts_text

LIBRARY = Path(DeepRadScoreLib.__file__).parent


def _names_note(node: ast.expr) -> bool:
    """`QualityNote`, `QualityNote.info`, `QualityNote.warning`, or a variable `note` that holds one of the two."""
    if isinstance(node, ast.Attribute) and node.attr in ("info", "warning"):
        node = node.value
    return isinstance(node, ast.Name) and node.id in ("QualityNote", "note")


def _given_codes() -> set[str]:
    """The text after the maker of a note, in a call or in a tuple."""
    found: set[str] = set()
    for path in LIBRARY.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            code: ast.expr | None = None
            if isinstance(node, ast.Call) and node.args and _names_note(node.func):
                code = node.args[0]
            elif isinstance(node, ast.Tuple) and len(node.elts) > 1 and _names_note(node.elts[0]):
                code = node.elts[1]
            if isinstance(code, ast.Constant) and isinstance(code.value, str):
                found.add(code.value)
    return found


def test_every_code_of_the_source_is_in_the_list_and_the_reverse():
    assert _given_codes() == set(QUALITY_CODES)
    assert all(code.isidentifier() and code == code.lower() for code in QUALITY_CODES)


def test_codes_that_a_user_names_are_known_and_stand_once():
    assert checked_codes(["small_tumour", "thick_slices", "small_tumour"]) == ("small_tumour", "thick_slices")
    with pytest.raises(InputError) as refused:
        checked_codes(["thick_slices", "thick"])
    assert '"thick" is no code' in str(refused.value)
    assert all(code in str(refused.value) for code in QUALITY_CODES)


def test_counts_in_words():
    assert counts_text({"b": 3, "a": 3, "c": 12}, 120) == "c 12, a 3, b 3 of 120 cases"
    assert counts_text({}, 1) == "nothing was noted in 1 case"
