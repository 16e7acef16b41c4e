"""What went wrong, where, and how to mend it: the errors that a user is meant to read."""

from __future__ import annotations

from collections.abc import Callable


class DeepRadScoreError(Exception):
    """An error with one clear sentence for the user.

    Parameters
    ----------
    what: what is wrong, without a full stop ("the file does not exist").
    where: the file, table field or option it is about.
    mend: what the user can do about it ("give the path of a NRRD or NIfTI file").
    """

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        self.what, self.where, self.mend = what, str(where), mend
        super().__init__(what, where, mend)

    def __reduce__(self) -> tuple[Callable[..., DeepRadScoreError], tuple[type[DeepRadScoreError], str, str, str]]:
        return _rebuilt, (type(self), self.what, self.where, self.mend)

    def __str__(self) -> str:
        return (f"{self.where}: " if self.where else "") + self.what + (f"; {self.mend}" if self.mend else "") + "."


def _rebuilt(kind: type[DeepRadScoreError], what: str, where: str, mend: str) -> DeepRadScoreError:
    """What comes back from another process."""
    return kind(what, where=where, mend=mend)


class InputError(DeepRadScoreError):
    """A file, folder or option that cannot be used as it is."""


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
