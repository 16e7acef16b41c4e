"""A case of a list: loaded with its corrected mask and the original one, which is kept in a file where it has none."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer

from DeepRadScoreLib.imaging.formats.files import is_dicom
from DeepRadScoreLib.progress import Progress, Stage
from DeepRadScoreSlicer.cases.worklist import ListedCase, Worklist
from DeepRadScoreSlicer.scene import corrections, opening
from DeepRadScoreSlicer.translation import tr as _


@dataclass(frozen=True)
class ReadCase:
    """A case of a list that was loaded and is not under review yet.

    Attributes
    ----------
    recovered: whether its mask holds corrections of a session that ended before they were saved.
    original_known: whether the mask before the first correction is in the scene too, or the mask is the original.
    """

    opened: opening.OpenedCase
    cases: Worklist
    recovered: bool
    original_known: bool


def read_steps(case: ListedCase, cases: Worklist) -> Generator[Progress, None, ReadCase]:
    """Load a case of a list, with its corrected mask where there is one, without showing it. Raises InputError.

    Corrections of a session that ended before they were saved come first. Closed before its end, nothing of the case is
    left in the scene.
    """
    autosaved = cases.autosaved_mask(case.case_id)
    recovered = autosaved.is_file()
    mask = autosaved if recovered else cases.mask(case.case_id) or case.mask
    opened = yield from opening.open_steps(case, mask)
    if mask in (None, case.mask):
        return ReadCase(opened, cases, recovered, original_known=True)
    original = cases.original_mask(case.case_id) if _without_file(case) else case.mask
    if original is None or not original.is_file():
        return ReadCase(opened, cases, recovered, original_known=False)
    try:
        yield Progress(Stage.READING, _("reading the original mask"), 95, 100)
        _keep_original(case, opened, original)
    except BaseException:
        opening.close_case(opened)
        raise
    return ReadCase(opened, cases, recovered, original_known=True)


def save_original(opened: opening.OpenedCase, cases: Worklist) -> None:
    """Write the mask before the first correction beside the corrected one, where it has no file of its own.

    Raises
    ------
    OutputError: it cannot be written.
    """
    path, (volume, segmentation) = cases.original_mask(opened.case.case_id), _nodes(opened)
    if volume is None or path.is_file() or not _without_file(opened.case):
        return
    original = corrections.original_of(volume, segmentation)
    if original is not None and opening.has_voxels(original):
        corrections.write_copy(original, path)


def _keep_original(case: ListedCase, opened: opening.OpenedCase, original: Path) -> None:
    placed = original == case.mask
    corrections.keep_original_file(
        *_nodes(opened),
        case.case_id,
        original,
        ct=case.ct if placed else None,
        mask_grid=case.mask_grid if placed else None,
    )


def _without_file(case: ListedCase) -> bool:
    """Whether the mask before the first correction, if there was one, was no image file."""
    return case.mask is None or is_dicom(case.mask)


def _nodes(opened: opening.OpenedCase) -> tuple[Any | None, Any | None]:
    """CT and segmentation of an opened case, None where they are not in the scene any more."""
    scene = slicer.mrmlScene
    return scene.GetNodeByID(opened.volume_id), scene.GetNodeByID(opened.segmentation_id)
