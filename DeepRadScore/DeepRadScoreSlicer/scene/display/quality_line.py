"""One line on the mask, for the reviewer while drawing."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import DeepRadScoreError
from DeepRadScoreLib.imaging.grids.geometry import direction_of, index_box, lps_axes
from DeepRadScoreSlicer.scene.from_nodes import tumour_from_nodes
from DeepRadScoreSlicer.translation import tr as _

TOUCHING = np.ones((3, 3, 3))
"""Voxels that share a corner belong to one piece, as in the library's quality notes."""


def quality_line(volume: Any, segmentation: Any, segment_id: str) -> str:
    """Volume, slices, spacing, pieces, HU range and geometry of the tumour as drawn; or why it cannot be used.

    Slices are counted along the image axis nearest to S, where they hold tumour; the spacing (mm) is along L, P and S.
    """
    try:
        return _described(tumour_from_nodes(volume, segmentation, segment_id))
    except DeepRadScoreError as error:
        return str(error)


def _described(case: Any) -> str:
    from scipy.ndimage import label

    inside = sitk.GetArrayViewFromImage(case.tumour) != 0
    low, high = index_box(inside)
    box = tuple(slice(int(first), int(last) + 1) for first, last in zip(low, high, strict=True))
    hu = sitk.GetArrayViewFromImage(case.ct)[box][inside[box]]
    axes, _order = lps_axes(direction_of(case.ct))
    spacing = [case.ct.GetSpacing()[axis] for axis in axes]
    slices = np.moveaxis(inside[box], 2 - axes[2], 0).any(axis=(1, 2)).sum()
    pieces = label(inside[box], structure=TOUCHING)[1]
    notes = {note.code: note.message for note in case.notes}
    return " · ".join(
        [
            f"{inside.sum() * np.prod(spacing) / 1000:.1f} mL",
            _("{count} slices").format(count=slices) if slices > 1 else _("1 slice"),
            " x ".join(f"{step:.2f}" for step in spacing) + " mm",
            _("1 piece") if pieces == 1 else _("{count} pieces").format(count=pieces),
            _("HU {low:.0f} to {high:.0f}").format(low=hu.min(), high=hu.max()),
            *([_("same grid as the CT")] if not notes else notes.values()),
        ]
    )
