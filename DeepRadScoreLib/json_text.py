"""JSON of others, checked against a pydantic model before it is used; an error says the part and the field."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from DeepRadScoreLib.archive import MEND, refused_field
from DeepRadScoreLib.errors import BundleError

Checked = TypeVar("Checked")
MAX_BYTES = 256 * 2**20
MAX_SHOWN = 120
ALLOWED_CONTROLS = "\n\t"
UNPRINTABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories: controls, directions of writing, halves of characters, line and paragraph separators."""
MAY_HOLD_THEM = re.compile(r"\\[ubfr]|[\x7f-\U0010ffff]")


def parse_json(data: bytes, name: str) -> Any:
    """The value of a JSON document (UTF-8) that the part `name` of a bundle holds.

    Raises
    ------
    BundleError: it is no JSON, is nested too deeply or too long, a key stands twice in one object, a number is NaN or
        infinite, or a text holds control characters.
    """
    if len(data) > MAX_BYTES:
        raise BundleError(f"it has {len(data)} bytes, {MAX_BYTES} at most are read", where=name, mend=MEND)
    try:
        text = data.decode()
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise BundleError("its values are nested too deeply", where=name, mend=MEND) from error
    except ValueError as error:
        raise BundleError(f"it is not valid JSON ({_short(str(error))})", where=name, mend=MEND) from error
    if MAY_HOLD_THEM.search(text) and any(map(_has_controls, _texts(value))):
        raise BundleError("a text in it holds control characters", where=name, mend=MEND)
    return value


def validated(kind: TypeAdapter[Checked], data: bytes, name: str) -> Checked:
    """The JSON document of the part `name` as a value of a type, without any conversion of types.

    Raises
    ------
    BundleError: a field is missing, not known, of another type or outside of its range.
    """
    try:
        return kind.validate_json(data, strict=True)
    except ValidationError as error:
        raise _refused(error, name) from error


def checked_values(kind: TypeAdapter[Any], data: bytes, name: str) -> Any:
    """The values of the JSON document of the part `name` as they stand there, once it is valid as a type.

    Raises
    ------
    BundleError: as `parse_json` and `validated`.
    """
    values = parse_json(data, name)
    validated(kind, data, name)
    return values


def validated_value(kind: TypeAdapter[Checked], value: Any, name: str, field: str) -> Checked:
    """`validated` of one field of a document that was read before."""
    try:
        return kind.validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        raise _refused(error, name, field) from error


def _refused(error: ValidationError, name: str, *fields: str) -> BundleError:
    first = error.errors(include_url=False, include_input=False)[0]
    steps = [*fields, *(str(step) for step in first["loc"] if step != "[key]")]
    reason = first["msg"].removeprefix("Value error, ")
    field = _short(".".join(steps)) if steps else None
    return refused_field(name, field, _short(reason[:1].lower() + reason[1:]))


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'the key "{_short(twice)}" stands twice')
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value, keys too."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, str):
            yield found
        elif isinstance(found, dict):
            waiting += [*found, *found.values()]
        elif isinstance(found, list):
            waiting += found


def _has_controls(text: str) -> bool:
    return any(unicodedata.category(one) in UNPRINTABLE and one not in ALLOWED_CONTROLS for one in text)
