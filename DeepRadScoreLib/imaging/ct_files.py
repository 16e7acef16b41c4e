"""A CT without a mask, from its files."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.checks.ct_checks import check_ct
from DeepRadScoreLib.imaging.formats.files import is_dicom, read_image


def read_ct_image(path: Path, series: str | None = None) -> sitk.Image:
    """The CT (HU) of an image file or in DICOM.

    Parameters
    ----------
    path: a NRRD, NIfTI or MetaImage file; or DICOM: a folder, searched with all folders in it, a multi-frame image, a
        DICOMDIR.
    series: SeriesInstanceUID of the CT in DICOM; needed where there are several.

    Raises
    ------
    InputError: it cannot be read, or is not a finite 3-D scalar image in HU.
    """
    if is_dicom(path):
        from DeepRadScoreLib.imaging.dicom.ct import read_ct

        image = read_ct(path, series=series).image
    elif series is not None:
        raise InputError("a series can be chosen only in DICOM", where=path, mend="leave the series out")
    else:
        image = read_image(path)
    check_ct(image, where=path)
    return image
