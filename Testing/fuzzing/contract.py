"""What a parser owes for any input: a value, or an error of the library whose text is one sentence."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis.strategies import SearchStrategy

from DeepRadScoreLib.errors import DeepRadScoreError

MAX_SENTENCE = 4000


@dataclass(frozen=True)
class Target:
    """A parser under fuzzing.

    Attributes
    ----------
    read: hands the input to the library; the folder is there, and may hold what earlier inputs left.
    seeds: valid inputs, from which bytes are mutated.
    inputs: of the right structure and with odd content.
    """

    name: str
    read: Callable[[bytes, Path], object]
    seeds: Callable[[], Sequence[bytes]]
    inputs: Callable[[], SearchStrategy[bytes]]


class SentenceError(Exception):
    """The text of an error is no sentence that can be shown."""


def check(target: Target, data: bytes, folder: Path) -> bool:
    """Whether the library read an input, or refused it in one sentence; whatever else it raises is raised."""
    try:
        target.read(data, folder)
    except DeepRadScoreError as error:
        check_sentence(error)
        return False
    return True


def each(*calls: Callable[[], object]) -> None:
    """Make every call, whichever of them is refused in one sentence; raise the last refusal if all are."""
    refusals: list[DeepRadScoreError] = []
    for call in calls:
        try:
            call()
        except DeepRadScoreError as error:
            check_sentence(error)
            refusals.append(error)
    if len(refusals) == len(calls):
        raise refusals[-1]


def check_sentence(error: DeepRadScoreError) -> None:
    """Raise SentenceError for a text of several lines, with control characters, without an end, or without bounds."""
    sentence = str(error)
    printable = all(one.isprintable() or unicodedata.category(one) == "Zs" for one in sentence)
    if not (printable and re.search(r"\w.*\.$", sentence) and len(sentence) < MAX_SENTENCE):
        raise SentenceError(ascii(sentence[:MAX_SENTENCE])) from error
