"""Texts in the language of Slicer's application, also for code that runs where there is no Slicer."""

from __future__ import annotations

import inspect
import re
import sys

PLACEHOLDER = re.compile(r"(?<!\{)\{([^{}]+)\}(?!\})")


def tr(text: str) -> str:
    """The text in the application's language; as it is where there is no Slicer.

    It does what `slicer.i18n.tr` does: the context is the file that calls, and a translation with other placeholders
    than the text's is not taken.
    """
    i18n, frame = sys.modules.get("slicer.i18n"), inspect.currentframe()
    if i18n is None or frame is None or frame.f_back is None:
        return text
    translated = str(i18n.translate(i18n.getContext(frame.f_back.f_code.co_filename), text))
    return translated if sorted(PLACEHOLDER.findall(translated)) == sorted(PLACEHOLDER.findall(text)) else text
