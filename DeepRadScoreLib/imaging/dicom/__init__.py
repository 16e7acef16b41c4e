"""CT, SEG and RTSTRUCT objects in DICOM. To be imported late, since pydicom is slow to load.

Raises
------
MissingPackageError: at import, where pydicom is absent or too old (3D Slicer 5.10 has 2.4).
"""

from __future__ import annotations

import importlib.util

from DeepRadScoreLib.errors import MissingPackageError

MIN_PYDICOM = 3
MEND = (
    "in 3D Slicer use Slicer 5.12 or newer, or load CT and mask with Slicer's DICOM module and choose their nodes; "
    f"elsewhere install pydicom {MIN_PYDICOM}.0 or newer"
)


def _check_pydicom() -> None:
    if importlib.util.find_spec("pydicom") is None:
        raise MissingPackageError("pydicom, which reads DICOM, is not installed", where="pydicom", mend=MEND)
    from pydicom import __version__

    if int(__version__.partition(".")[0]) < MIN_PYDICOM:
        raise MissingPackageError(
            f"pydicom {__version__} is too old for CT and masks in DICOM, {MIN_PYDICOM}.0 or newer is needed",
            where="pydicom",
            mend=MEND,
        )


_check_pydicom()
