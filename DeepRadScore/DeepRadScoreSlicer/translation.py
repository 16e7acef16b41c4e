"""Texts in the language of Slicer's application, also for code that runs where there is no Slicer."""

from __future__ import annotations

import re
import sys

PLACEHOLDER = re.compile(r"(?<!\{)\{([^{}]+)\}(?!\})")


def tr(text: str) -> str:
    """The text in the application's language; as it is where there is no Slicer.

    It does what `slicer.i18n.tr` does: the context is the file that calls, and a translation with other placeholders
    than the text's is not taken.
    """
    i18n = sys.modules.get("slicer.i18n")
    if i18n is None:
        return text
    caller = sys._getframe(1).f_code.co_filename
    translated = str(i18n.translate(i18n.getContext(caller), text))
    return translated if sorted(PLACEHOLDER.findall(translated)) == sorted(PLACEHOLDER.findall(text)) else text
