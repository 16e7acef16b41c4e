"""The errors that a user is meant to read: what went wrong, where, and how to mend it."""

from __future__ import annotations

import traceback
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Location:
    """Subject of an error: a file or folder; a field, such as a table's cell, an option or a region; or both."""

    path: Path | None = None
    field: str = ""


Where = Location | Path | str
"""A file, a field in words, or both."""
Text = str | tuple[str | Path, ...]
"""Words; or the pieces of a text, in which each path is a `Path`."""
MAX_WORDS = 1500
"""Longest text of one part of a sentence, in characters: an error may quote a file."""


class DeepRadScoreError(Exception):
    """An error with one clear sentence for the user: `str(error)`, or `sentence` where no path may be shown.

    Parameters
    ----------
    what: what is wrong, without a full stop ("the file does not exist").
    where: the file, or the field in words (table cell, option, case), that it is about.
    mend: what the user can do about it ("give the path of a NRRD or NIfTI file").

    Examples
    --------
    >>> from DeepRadScoreLib import DeepRadScoreError
    >>> print(DeepRadScoreError("the file is empty", where="row 3", mend="make it anew"))
    row 3: the file is empty; make it anew.
    """

    def __init__(self, what: Text, *, where: Where = "", mend: Text = "") -> None:
        if not isinstance(where, Location):
            where = Location(where) if isinstance(where, Path) else Location(field=where)
        self._what, self._location, self._mend = what, where, mend
        super().__init__(what, where, mend)

    @property
    def path(self) -> Path | None:
        """The file or folder that it is about."""
        return self._location.path

    @property
    def field(self) -> str:
        """The row and column, option, region or case that it is about, in words."""
        return self._location.field

    @property
    def what(self) -> str:
        """What is wrong, without a full stop."""
        return _joined(self._what, str)

    @property
    def mend(self) -> str:
        """What can be done about it, without a full stop."""
        return _joined(self._mend, str)

    def sentence(self, name: Callable[[Path], str] = str) -> str:
        """The whole sentence, in one line; `name` gives the text for each path in it.

        What cannot be printed is escaped as in Python; of a very long part the beginning is shown.
        """
        named = "" if self.path is None else name(self.path)
        where = ", ".join(filter(None, (named, _shortened(self.field))))
        what, mend = (_shortened(_joined(text, name)) for text in (self._what, self._mend))
        return _printable((f"{where}: " if where else "") + what + (f"; {mend}" if mend else "") + ".")

    def renamed(self, path: Path, name: str) -> Self:
        """The same error with a path replaced by `name`."""

        def rename(text: Text) -> Text:
            return text if isinstance(text, str) else tuple(Path(name) if piece == path else piece for piece in text)

        where = Location(Path(name), self.field) if self.path == path else self._location
        return type(self)(rename(self._what), where=where, mend=rename(self._mend))

    def within(self, path: Path, field: str = "") -> Self:
        """The same error, about something in this file, and in this field of it."""
        fields = ", ".join(filter(None, (field, self.field)))
        return type(self)(self._what, where=Location(self.path or path, fields), mend=self._mend)

    def __str__(self) -> str:
        return self.sentence()

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), where=self._location, mend=self._mend), (self._what,)


def _joined(text: Text, name: Callable[[Path], str]) -> str:
    return (
        text if isinstance(text, str) else "".join(name(piece) if isinstance(piece, Path) else piece for piece in text)
    )


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_WORDS else f"{text[:MAX_WORDS]}..."


def _printable(text: str) -> str:
    def shown(one: str) -> str:
        is_space = unicodedata.category(one) == "Zs"
        return one if is_space or one.isprintable() else one.encode("unicode_escape").decode()

    return "".join(map(shown, text))


class InputError(DeepRadScoreError, ValueError):
    """A file, folder or option that cannot be used as it is; a ValueError too.

    Examples
    --------
    >>> from DeepRadScoreLib import read_case
    >>> read_case("none.nrrd", "tumour.nrrd")
    Traceback (most recent call last):
    ...
    DeepRadScoreLib.errors.InputError: none.nrrd: the file does not exist; ...
    """


class RegionError(InputError):
    """A mask from which no region of interest can be made."""


class CohortError(InputError):
    """A cohort or feature table that cannot be used as it is."""


class BundleError(InputError):
    """A trained model on disk that is damaged, foreign or of another schema version."""


class OutputError(DeepRadScoreError):
    """A result that cannot be written."""


class MissingPackageError(DeepRadScoreError):
    """A Python package that this step needs and that is not installed."""


class DownloadError(DeepRadScoreError):
    """A public archive that cannot be reached."""


class WorkersError(DeepRadScoreError):
    """The processes or the cluster that should do the work cannot."""


class TooFewPositivesError(DeepRadScoreError):
    """An endpoint with too few positive or negative patients to be modelled."""


def case_sentence(error: Exception, files: Mapping[str, str]) -> str:
    """The sentence on an error in one case, without the paths of the case, which may name the patient.

    An unforeseen error is described by its type and line alone, since its text may hold anything; its traceback goes
    to the standard error stream.

    Parameters
    ----------
    files: column -> path of a file or folder of the case, or ""; the column's name replaces it and all paths below it.
    """
    if isinstance(error, DeepRadScoreError):
        return error.sentence(partial(_column_or_path, files))
    traceback.print_exception(error)
    line = traceback.extract_tb(error.__traceback__)[-1]
    at = f"{type(error).__name__} in {Path(line.filename).name}, line {line.lineno}"
    return f"an error that was not foreseen ({at}); please report it."


def file_of(error: OSError) -> Path | str:
    """The file that an OSError is about, for `where`."""
    return Path(str(error.filename)) if error.filename else "a file"


def _column_or_path(files: Mapping[str, str], path: Path) -> str:
    """The column of a path, else the path; a name without a folder is that of a file in one of the case's folders."""
    for column, given in sorted(files.items(), key=lambda item: -len(item[1])):
        if given and (path.is_relative_to(given) or path.resolve().is_relative_to(Path(given).resolve())):
            return column
    return "a file" if path.parent == Path() else str(path)
