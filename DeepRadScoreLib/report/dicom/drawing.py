"""What a measurement report draws in the CT's slices: diameters, and points for what has no line of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from highdicom import sr

from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.imaging.diameters import Axis, Diameters, diameters
from DeepRadScoreLib.report.dicom.origin import Origin
from DeepRadScoreLib.report.dicom.slices import RegionsOnSlices

Pixel = tuple[int, int, int]
PIXEL_CENTRE = 0.5
"""SCOORD counts from the corner of the first pixel (PS3.3 C.18.6.1.2), an index from its centre."""


@dataclass(frozen=True)
class Drawing:
    """Coordinates in the CT's slices.

    Attributes
    ----------
    slices: number in order of position of each slice that `axes` and pixels count from 0.
    axes: long and short axis of the tumour.
    findings: a pixel of the tumour for each endpoint, as far as possible each in a slice of its own and none in that of
        the axes, so that their texts do not cover each other; (slice, row, column).
    shell: a pixel of it, where it can be beside the tumour's slices, else not in that of the axes; None where it has
        none on the slices.
    """

    origin: Origin
    slices: Sequence[int]
    axes: Diameters
    findings: dict[str, Pixel]
    shell: Pixel | None

    def line(self, axis: Axis) -> sr.CoordinatesForMeasurement:
        """A line along a diameter."""
        return self._coordinates("POLYLINE", np.array(axis.ends), self.axes.slice)

    def point(self, pixel: Pixel) -> sr.CoordinatesForMeasurement:
        """The centre of a pixel (slice, row, column)."""
        return self._coordinates("POINT", _point(pixel), pixel[0])

    def region(self, pixel: Pixel) -> sr.ImageRegion:
        """The same as the region of a whole group."""
        return sr.ImageRegion("POINT", _point(pixel) + PIXEL_CENTRE, self._image(pixel[0]))

    def _coordinates(self, kind: str, points: np.ndarray, k: int) -> sr.CoordinatesForMeasurement:
        return sr.CoordinatesForMeasurement(kind, points + PIXEL_CENTRE, self._image(k))

    def _image(self, k: int) -> sr.SourceImageForRegion:
        return self.origin.source_image(self.slices[k])


def drawing_of(origin: Origin, regions: RegionsOnSlices, spacing: Sequence[float]) -> Drawing:
    """The drawing of a case; `spacing`: mm between columns and between rows."""
    tumour = regions.tumour
    axes = diameters(tumour, spacing)
    slices = np.flatnonzero(tumour.any(axis=(1, 2))).tolist()
    free = [k for k in slices if k != axes.slice] or slices
    rounds = -(-len(KEYS) // len(free))
    findings = {key: _pixel(tumour, free[n % len(free)], (n // len(free) + 0.5) / rounds) for n, key in enumerate(KEYS)}
    return Drawing(origin, regions.numbers, axes, findings, _shell_pixel(regions.shell, slices, axes.slice))


def _pixel(mask: np.ndarray, k: int, share: float) -> Pixel:
    """A pixel of a slice near the middle of the row below this share of its pixels."""
    pixels = np.argwhere(mask[k])
    rows, columns = pixels[int(share * len(pixels))][0], pixels[:, 1]
    inside = columns[pixels[:, 0] == rows]
    return k, int(rows), int(inside[len(inside) // 2])


def _shell_pixel(shell: np.ndarray, tumour: Sequence[int], taken: int) -> Pixel | None:
    """The last pixel along the rows of a slice: the fullest one beside those of the tumour, else but the one taken."""
    slices = np.flatnonzero(shell.any(axis=(1, 2))).tolist()
    if not slices:
        return None
    free = [k for k in slices if k not in tumour] or [k for k in slices if k != taken] or slices
    k = max(free, key=lambda k: int(shell[k].sum()))
    pixels = np.argwhere(shell[k])
    row, column = pixels[np.argmax(pixels[:, 1])].tolist()
    return k, row, column


def _point(pixel: Pixel) -> np.ndarray:
    """(1, 2) column and row."""
    return np.array([pixel[:0:-1]], dtype=float)
