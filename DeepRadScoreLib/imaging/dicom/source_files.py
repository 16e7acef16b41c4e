"""The CT series of given files without their pixels: for a CT that another program has read already."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.dicom.anonymised import with_uids
from DeepRadScoreLib.imaging.dicom.datasets import DicomFile, quiet_pydicom, read_header, text
from DeepRadScoreLib.imaging.dicom.pairing import SourceSeries, source_series
from DeepRadScoreLib.imaging.dicom.slices import slices_of
from DeepRadScoreLib.imaging.dicom.stacking import main_orientation, regular_stack, without_copies
from DeepRadScoreLib.imaging.grids.geometry import with_geometry

AT_ONCE = 25
"""Files that are read in one step."""


def source_steps(files: Sequence[Path]) -> Generator[str, None, tuple[SourceSeries, sitk.Image]]:
    """The series that image files make, in short steps: yields what is done next.

    Parameters
    ----------
    files: those of one volume and no others; of each position the first one is taken.

    Returns
    -------
    The series, and an image of 0 on its slices (uint8, LPS: rows, columns, slices in order of position).

    Raises
    ------
    InputError: a file that is no DICOM image, or files that are not the slices of one upright, even stack.
    """
    members: list[DicomFile] = []
    for start in range(0, len(files), AT_ONCE):
        yield f"reading the headers of the CT's DICOM files, {start} of {len(files)}"
        with quiet_pydicom():
            members += [_member(path) for path in files[start : start + AT_ONCE]]
    with quiet_pydicom():
        members = list(with_uids(members, text(members[0].header, "SeriesInstanceUID")))
        slices, _others = main_orientation([one for member in members for one in slices_of(member)])
        stack = regular_stack(
            without_copies(slices, lambda first, second: _same_place(first.position, second.position))
        )
        if stack.shear.any():
            raise InputError(
                "the CT was taken with a tilted gantry: the volume in the scene is not on its slices",
                where=files[0].parent,
                mend="write the DICOM objects with the command: deepradscore analyze --dicom-out",
            )
        ordered = tuple(dict.fromkeys(one.file for one in stack.slices))
        source = source_series(ordered, stack.slices, ordered[0].path)
    lowest = stack.slices[0]
    grid = with_geometry(
        sitk.Image(*lowest.size, len(stack.slices), sitk.sitkUInt8),
        (*lowest.spacing, stack.spacing),
        lowest.position.tolist(),
        np.stack([*lowest.orientation, lowest.normal]).T,
    )
    return source, grid


def _member(path: Path) -> DicomFile:
    member = read_header(path)
    if member is None:
        raise InputError("this is no DICOM file", where=path, mend="load the CT again from the DICOM database")
    return member


def _same_place(first: np.ndarray, second: np.ndarray) -> bool:
    return bool(np.allclose(first, second, rtol=0, atol=0.01))
