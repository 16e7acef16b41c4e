"""Odd values, odd texts, and JSON documents with a few values changed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

ODD_TEXTS = (
    *("", " ", "nan", "NaN", "inf", "-Infinity", "None", "null", "true", "1e400", "-0", "0x10", "1_000", "٣", "½"),
    *("=1+1", "'=1", "@x", "-1", "..", "../x", "/", "\\", "a/b", "C:\\x", "x" * 300, "\t", "\r", "\n", "a\nb", "\x00"),
    *(
        "\x1b[31m",
        "\u202e",
        "\ud800",
        "\ufeff",
        "\u2028",
        "é",
        "e\u0301",
        '"',
        "'",
        ",",
        ";",
        "%s%d",
        "{0}",
        "<b>",
        "[/]",
    ),
)
ODD_NUMBERS = (0, 1, -1, 2, 255, 2**31, 2**63, 2**64, -(2**63), 10**30, 10**400, 0.5, -0.0, 1e-320, 1e308, -1e308)
NOT_FINITE = (float("nan"), float("inf"), float("-inf"))


def odd_texts() -> SearchStrategy[str]:
    """Texts that programs stumble over, and any others."""
    return st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=20))


def odd_values() -> SearchStrategy[Any]:
    """Values of JSON, NaN and infinity too."""
    plain = st.one_of(
        st.none(),
        st.booleans(),
        st.sampled_from((*ODD_NUMBERS, *NOT_FINITE)),
        st.integers(-3, 40),
        st.floats(),
        odd_texts(),
    )
    return st.recursive(
        plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd_texts(), inner, max_size=3), max_leaves=4
    )


@st.composite
def edited_json(draw: DrawFn, documents: Sequence[bytes]) -> bytes:
    """A JSON document with up to three values replaced, removed, added or exchanged."""
    value = json.loads(draw(st.sampled_from(documents)))
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(value))
        if not places:
            break
        container, key = draw(st.sampled_from(places))
        change = draw(st.sampled_from(("replace", "replace", "remove", "add", "exchange")))
        if change == "replace":
            container[key] = draw(odd_values())
        elif change == "remove":
            del container[key]
        elif change == "add" and isinstance(container, dict):
            container[draw(odd_texts())] = draw(odd_values())
        elif change == "add":
            container.insert(key, draw(odd_values()))
        else:
            other, its = draw(st.sampled_from(places))
            container[key] = copy.deepcopy(other[its])
    return json.dumps(value).encode()


def _places(value: Any, depth: int = 0) -> Iterator[tuple[Any, Any]]:
    """Every container with each of its keys; of a long list only the first few."""
    keys = list(value)[:40] if isinstance(value, dict) else range(min(len(value), 4)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        if depth < 12:
            yield from _places(value[key], depth + 1)


def mutated(seeds: Sequence[bytes]) -> SearchStrategy[bytes]:
    """Bytes of a seed with a few places overwritten, cut out or doubled."""

    @st.composite
    def draw_one(draw: DrawFn) -> bytes:
        data = bytearray(draw(st.sampled_from(seeds)))
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, len(data)))
            length = draw(st.integers(0, 16))
            data[at : at + draw(st.sampled_from((0, length)))] = draw(st.binary(max_size=length))
        return bytes(data[: draw(st.sampled_from((len(data), len(data), len(data) // 2)))])

    return draw_one()
