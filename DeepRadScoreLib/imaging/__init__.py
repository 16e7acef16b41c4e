"""Step 1: from files to the regions of interest of one case."""

from __future__ import annotations

from DeepRadScoreLib.imaging.carriers import Case, DeepPatch, PreparedCase, QualityNote
from DeepRadScoreLib.imaging.describe import describe_image
from DeepRadScoreLib.imaging.files import read_image
from DeepRadScoreLib.imaging.preparing import lattice_regions, prepare, prepare_steps
from DeepRadScoreLib.imaging.reading import (
    anonymous_case_id,
    case_from_images,
    case_from_segments,
    lung_on_grid,
    masks_from_segments,
    read_case,
)
from DeepRadScoreLib.imaging.regions import deep_patch, peritumoral_shell
from DeepRadScoreLib.imaging.segments import MaskContent, Segment
from DeepRadScoreLib.imaging.shuffling import shuffled_voxels

__all__ = [
    "Case",
    "DeepPatch",
    "MaskContent",
    "PreparedCase",
    "QualityNote",
    "Segment",
    "anonymous_case_id",
    "case_from_images",
    "case_from_segments",
    "deep_patch",
    "describe_image",
    "lattice_regions",
    "lung_on_grid",
    "masks_from_segments",
    "peritumoral_shell",
    "prepare",
    "prepare_steps",
    "read_case",
    "read_image",
    "shuffled_voxels",
]
