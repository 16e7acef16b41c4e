"""A NIfTI file compared with what it was converted from, where that lies beside it: dcm2niix's JSON, DICOM files.

dcm2niix takes the first gap between slices for all of them and closes the gap of a missing one, see its warning
"Interslice distance varies"; the file itself does not show it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from DeepRadScoreLib.errors import MissingPackageError
from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.formats.file_names import file_stem
from DeepRadScoreLib.imaging.formats.files import is_dicom

MAX_OFF_SLICES = 0.5
"""How far the last slice may lie off, in slices."""
MAX_FILES = 3000
"""A folder with more DICOM files is that of many patients and is not searched."""


@dataclass(frozen=True)
class _Slices:
    """Number of slices, and mm from the first to the last."""

    count: int
    span: float

    @property
    def spacing(self) -> float:
        return self.span / max(self.count - 1, 1)

    def same(self, other: _Slices) -> bool:
        return self.count == other.count and abs(self.span - other.span) <= MAX_OFF_SLICES * self.spacing


def conversion_notes(path: Path, image: sitk.Image) -> Iterator[QualityNote]:
    """Remarks where the slices of a NIfTI file are not those of the DICOM files or of the JSON beside it.

    Parameters
    ----------
    image: as read from `path`; its last axis is that of the slices, as dcm2niix writes it.
    """
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        return
    own = _Slices(image.GetSize()[2], image.GetSpacing()[2] * (image.GetSize()[2] - 1))
    evened = sorted(path.parent.glob(f"{file_stem(path)}_Eq*.nii*"))
    if evened:
        yield _differs(f"dcm2niix wrote {evened[0].name} beside it, because its slices are not evenly spaced")
    between = _json_spacing(path)
    if between is not None and not own.same(_Slices(own.count, between * (own.count - 1))):
        yield _differs(
            f"the JSON beside it has SpacingBetweenSlices {between:g} mm, the NIfTI header {own.spacing:.5g} mm"
        )
    found = list(_stacks_beside(path, image.GetSize()[:2]))
    if found and not any(own.same(one) for one in found):
        nearest = min(found, key=lambda one: abs(one.count - own.count))
        yield _differs(
            f"the DICOM files beside it have {nearest.count} slices over {nearest.span:.5g} mm, the NIfTI file "
            f"{own.count} over {own.span:.5g} mm"
        )


def _differs(what: str) -> QualityNote:
    return QualityNote.warning(
        "conversion_differs", f"{what}: the volume may be stretched or lack slices; read the DICOM files instead."
    )


def _json_spacing(path: Path) -> float | None:
    """SpacingBetweenSlices of the JSON of the same name, in mm; None where there is none."""
    try:
        fields = json.loads(path.with_name(f"{file_stem(path)}.json").read_text(encoding="utf-8"))
        return float(fields["SpacingBetweenSlices"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _stacks_beside(path: Path, size: tuple[int, ...]) -> Iterator[_Slices]:
    """The CT series of this size among the DICOM files of the same folder."""
    files = [one for one in sorted(path.parent.iterdir()) if one.is_file() and _may_be_slice(one)]
    if not files or len(files) > MAX_FILES:
        return
    try:
        from DeepRadScoreLib.imaging.dicom.spans import slice_positions
    except MissingPackageError:
        return
    for positions in slice_positions(files, size):
        yield _Slices(len(positions), float(positions[-1] - positions[0]))


def _may_be_slice(path: Path) -> bool:
    return path.suffix.lower() != ".zip" and path.name.upper() != "DICOMDIR" and is_dicom(path)
