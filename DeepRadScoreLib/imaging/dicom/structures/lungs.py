"""A lung mask from a DICOM SEG or RTSTRUCT: the structures that are lungs by their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from DeepRadScoreLib.errors import RegionError
from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.dicom.structures.masks import check_mask_kind, says_tumour
from DeepRadScoreLib.imaging.dicom.structures.rtstruct import read_rois
from DeepRadScoreLib.imaging.dicom.structures.seg import read_seg
from DeepRadScoreLib.imaging.masks.segments import MaskContent

if TYPE_CHECKING:
    from DeepRadScoreLib.imaging.dicom.ct import CtSeries

Named = TypeVar("Named")
LUNG = "lung"
WITHOUT_TUMOUR = re.compile(r"lung.*(-|minus|without|excl)", re.IGNORECASE)
""" "Lungs-GTV" is a lung."""
NO_LUNG = ("vessel", "bronch", "trachea", "airway")
SHOWN = 6


def read_lungs(path: Path, ct: CtSeries) -> MaskContent:
    """The lungs of a SEG or RTSTRUCT that was drawn on a CT, with a note that names them.

    These are the structures whose names or coded types say lung and not tumour, vessel or airway; the only structure
    of a file is taken if it says no tumour.

    Raises
    ------
    InputError, RegionError: as `read_seg` and `read_rtstruct`; no structure is a lung by its name.
    """
    if check_mask_kind(path) == "RTSTRUCT":
        content = read_rois(path, ct, lambda rois: _lungs(rois, lambda roi: (roi.true_name,), path))
    else:
        content = read_seg(path, ct)
        lungs = _lungs(content.segments, lambda segment: (segment.name, segment.identity), path)
        content = replace(content, segments=tuple(lungs))
    names = [f'"{segment.name}"' for segment in content.segments]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    note = QualityNote.info("lung_structures", f"The lung mask is {', '.join(names[:SHOWN])}{more}.")
    return replace(content, notes=(note, *content.notes))


def _lungs(structures: Sequence[Named], names: Callable[[Named], Sequence[str]], path: Path) -> list[Named]:
    if len(structures) == 1 and not says_tumour(*names(structures[0])):
        return list(structures)
    lungs = [one for one in structures if any(map(_says_lung, names(one)))]
    if not lungs:
        raise RegionError(
            f"none of its {len(structures)} structures is a lung by its name",
            where=path,
            mend="give a mask in which one is named lung, or that holds the lungs alone",
        )
    return lungs


def _says_lung(name: str) -> bool:
    folded = name.casefold()
    if LUNG not in folded or any(word in folded for word in NO_LUNG):
        return False
    return not says_tumour(name) or WITHOUT_TUMOUR.search(name) is not None
