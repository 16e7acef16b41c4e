"""Closed surfaces for the 3-D view that keep to the outline."""

from __future__ import annotations

from typing import Any

import slicer

from DeepRadScoreSlicer.scene.voxels import BINARY

SMOOTHING = ((2000, 0.5), (100, 0.2), (0, 0.0))
"""Voxels of a segment from which on Slicer's smoothing factor takes not over 3 % more of its volume than no smoothing.

Measured on balls of 4 to 40 mm at spacings of 0.7 x 0.7 x 0.6 to 0.7 x 0.7 x 5 mm: the factor 0.5, Slicer's default,
leaves 0.09 to 0.73 of the volume of a ball of 4 mm, and 0.98 or more from 2000 voxels on.
"""

MAX_VOXELS = 20_000_000
"""Of the labelmaps of a segmentation whose surface is made unasked; a larger one takes over a second."""


def smoothing_factor(voxels: int) -> float:
    """Factor for the surface of a segment of this many voxels."""
    return next(factor for least, factor in SMOOTHING if voxels >= least)


def show_surface(segmentation: Any, voxels: int) -> None:
    """Make the closed surface of a segmentation, smoothed as far as a segment of this many voxels allows.

    Slicer brings it up to date after each change of the segments; a surface made with another factor is replaced.
    Of large labelmaps (the whole lung beside the tumour) none is made: the Segment Editor's own button makes it.
    """
    content = segmentation.GetSegmentation()
    if _labelmap_voxels(content) > MAX_VOXELS:
        return
    name = slicer.vtkBinaryLabelmapToClosedSurfaceConversionRule.GetSmoothingFactorParameterName()
    factor = str(smoothing_factor(voxels))
    if content.GetConversionParameter(name) != factor:
        content.SetConversionParameter(name, factor)
        segmentation.RemoveClosedSurfaceRepresentation()
    segmentation.CreateClosedSurfaceRepresentation()


def _labelmap_voxels(content: Any) -> int:
    maps = {content.GetSegment(one).GetRepresentation(BINARY) for one in content.GetSegmentIDs()}
    return sum(labelmap.GetNumberOfPoints() for labelmap in maps if labelmap is not None)
