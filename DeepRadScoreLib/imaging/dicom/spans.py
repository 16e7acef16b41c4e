"""Positions of the slices of CT series, from their headers alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.dicom.datasets import DicomFile, quiet_pydicom, read_header, text
from DeepRadScoreLib.imaging.dicom.series import is_ct_image
from DeepRadScoreLib.imaging.dicom.slices import slices_of
from DeepRadScoreLib.imaging.dicom.stacking import in_order, positions


def slice_positions(files: Sequence[Path], size: Sequence[int]) -> Iterator[np.ndarray]:
    """(n,) sorted positions in mm along the normal of each CT series of `size` columns and rows among some files.

    A series with a header that cannot be used is left out.
    """
    series: dict[str, list[DicomFile]] = {}
    with quiet_pydicom():
        for path in files:
            try:
                member = read_header(path)
            except InputError:
                continue
            if member is not None and is_ct_image(member):
                series.setdefault(text(member.header, "SeriesInstanceUID"), []).append(member)
        for members in series.values():
            try:
                slices = [one for member in members for one in slices_of(member) if one.size == tuple(size)]
            except InputError:
                continue
            if len(slices) > 1:
                yield positions(in_order(slices))
