"""Step 1: from files to the regions of interest of one case. The names in `__all__` are imported when they are used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from DeepRadScoreLib.imaging.assembling import (
        case_from_images,
        case_from_segments,
        lung_on_grid,
        masks_from_segments,
    )
    from DeepRadScoreLib.imaging.carriers import Case, DeepPatch, PreparedCase, QualityNote
    from DeepRadScoreLib.imaging.formats.describe import describe_image
    from DeepRadScoreLib.imaging.formats.files import read_image
    from DeepRadScoreLib.imaging.masks.segments import MaskContent, Segment
    from DeepRadScoreLib.imaging.outlining import Outline, outline_at
    from DeepRadScoreLib.imaging.preparing import lattice_regions, prepare, prepare_steps
    from DeepRadScoreLib.imaging.reading import anonymous_case_id, read_case
    from DeepRadScoreLib.imaging.regions import deep_patch, peritumoral_shell
    from DeepRadScoreLib.imaging.shuffling import shuffled_voxels

__all__ = [
    "Case",
    "DeepPatch",
    "MaskContent",
    "Outline",
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
    "outline_at",
    "peritumoral_shell",
    "prepare",
    "prepare_steps",
    "read_case",
    "read_image",
    "shuffled_voxels",
]
_MODULES = {
    "assembling": (
        "case_from_images",
        "case_from_segments",
        "lung_on_grid",
        "masks_from_segments",
    ),
    "carriers": (
        "Case",
        "DeepPatch",
        "PreparedCase",
        "QualityNote",
    ),
    "formats.describe": ("describe_image",),
    "formats.files": ("read_image",),
    "outlining": (
        "Outline",
        "outline_at",
    ),
    "preparing": (
        "lattice_regions",
        "prepare",
        "prepare_steps",
    ),
    "reading": (
        "anonymous_case_id",
        "read_case",
    ),
    "regions": (
        "deep_patch",
        "peritumoral_shell",
    ),
    "masks.segments": (
        "MaskContent",
        "Segment",
    ),
    "shuffling": ("shuffled_voxels",),
}


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
