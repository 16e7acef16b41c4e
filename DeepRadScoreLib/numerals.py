"""Counts and shares in words that are true at their ends: "1 case", "over 99 %"."""

from __future__ import annotations


def counted(number: int, word: str) -> str:
    """ "1 fold", "2 folds"."""
    return f"{number} {word if number == 1 else word + 's'}"


def share_text(share: float) -> str:
    """A share in whole percent; one that is neither none nor all is never called 0 % or 100 %."""
    if 0 < share < 0.005:
        return "under 1%"
    if 0.995 <= share < 1:
        return "over 99%"
    return f"{share:.0%}"
