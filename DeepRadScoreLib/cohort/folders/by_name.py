"""The cases of a folder: which file is a CT, which is its mask, and what is ambiguous."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MASK_WORDS = ("mask", "label", "labels", "labelmap", "seg", "segmentation", "tumour", "tumor", "gtv", "roi")
CT_WORDS = ("ct", "image", "volume", "scan")
LUNG = re.compile(r"(^|[-_. ])lungs?([-_. ]?(mask|label|seg|segmentation))?$")
MASK = re.compile(rf"(^|[-_. ])({'|'.join(MASK_WORDS)})$")
CT = re.compile(rf"(^|[-_. ])({'|'.join(CT_WORDS)})$")
MASK_MODALITIES = ("SEG", "RTSTRUCT")
CORRECTED = ".corrected"
"""Folders with corrected masks end in it."""


@dataclass(frozen=True)
class FoundCase:
    """A CT file, or the folder of a CT in DICOM, and what was found for it."""

    name: str
    ct: Path
    mask: Path | None
    lung_mask: Path | None
    dicom: bool = False


@dataclass
class Findings:
    """The cases of a folder in the order of their names, and a sentence for everything that is ambiguous."""

    cases: list[FoundCase] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def find_cases(folder: Path) -> Findings:
    """Pair CTs with their masks: files side by side, one sub-folder for each case, sub-folders with DICOM files; or,
    where DICOM files lie in the folder itself, that one case.

    A mask is known by its name: `.seg.nrrd`, or a name that is or ends in one of `MASK_WORDS` after "-", "_", "." or a
    blank; a lung mask by "lung". It belongs to the CT whose name is what is left. In a sub-folder with one CT, every
    mask belongs to that CT. Where several masks fit one CT, none is taken and a remark says so.
    """
    findings = Findings()
    if any(_is_dicom_file(path) for path in _visible(folder)):
        _sub_folder(folder, findings)
        return findings
    _pair(folder, _images(folder), findings, prefix="")
    for sub_folder in _sub_folders(folder):
        _sub_folder(sub_folder, findings)
    findings.cases.sort(key=lambda case: (case.name.casefold(), case.name))
    return findings


def _sub_folder(folder: Path, findings: Findings) -> None:
    images = _images(folder)
    cts = [path for path in images if not _is_mask(path) and not _is_lung(path)]
    if len(cts) > 1:
        findings.remarks.append(f"{folder.name}: {len(cts)} CTs in one folder; each is listed as a case of its own.")
        _pair(folder, images, findings, prefix=f"{folder.name}-")
        return
    dicom = not cts
    if dicom and next(dicom_files(folder), None) is None:
        findings.remarks.append(f"{folder.name}: no CT found; the folder is left out.")
        return
    masks = [path for path in images if _is_mask(path)]
    lungs = [path for path in images if _is_lung(path)]
    ct = folder if dicom else cts[0]
    findings.cases.append(_case(folder.name, ct, masks, lungs, findings, dicom=dicom))


def _pair(folder: Path, images: list[Path], findings: Findings, prefix: str) -> None:
    masks = [path for path in images if _is_mask(path)]
    lungs = [path for path in images if _is_lung(path)]
    used: set[Path] = set()
    for ct in (path for path in images if path not in masks and path not in lungs):
        names = {_stem(ct).casefold(), _without(CT, _stem(ct).casefold())} - {""}
        own = [path for path in masks if _without(MASK, _stem(path).casefold()) in names]
        own_lungs = [path for path in lungs if _without(LUNG, _stem(path).casefold()) in names]
        used.update(own, own_lungs)
        findings.cases.append(_case(prefix + _stem(ct), ct, own, own_lungs, findings))
    findings.remarks += [
        f"{path.relative_to(folder.parent).as_posix()}: no CT belongs to this mask by its name; it is left out."
        for path in (*masks, *lungs)
        if path not in used
    ]


def _case(
    name: str, ct: Path, masks: list[Path], lungs: list[Path], findings: Findings, dicom: bool = False
) -> FoundCase:
    return FoundCase(
        name, ct, _only(name, "mask", masks, findings), _only(name, "lung mask", lungs, findings), dicom=dicom
    )


def _only(name: str, what: str, paths: list[Path], findings: Findings) -> Path | None:
    if len(paths) > 1:
        findings.remarks.append(
            f"{name}: {len(paths)} files could be the {what} ({', '.join(path.name for path in paths)}); "
            "none is taken: remove all but one, or list the case in a cohort table."
        )
    return paths[0] if len(paths) == 1 else None


def _images(folder: Path) -> list[Path]:
    from DeepRadScoreLib.imaging.files import SUFFIXES

    return [path for path in _visible(folder) if path.is_file() and path.name.lower().endswith(SUFFIXES)]


def _sub_folders(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.is_dir()]


def _visible(folder: Path) -> list[Path]:
    names = (path for path in folder.iterdir() if not path.name.startswith(".") and not path.name.endswith(CORRECTED))
    return sorted(names, key=lambda path: (path.name.casefold(), path.name))


def dicom_files(folder: Path) -> Iterator[Path]:
    """The DICOM files in a folder and in the folders in it, by name."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(names) if _is_dicom_file(Path(parent, name)))


def holds_mask(folder: Path) -> bool:
    """Whether a SEG or an RTSTRUCT lies among the DICOM files; every pydicom can tell."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    for path in dicom_files(folder):
        try:
            modality = dcmread(path, specific_tags=["Modality"], stop_before_pixels=True).get("Modality")
        except (InvalidDicomError, OSError):
            continue
        if modality in MASK_MODALITIES:
            return True
    return False


def _is_dicom_file(path: Path) -> bool:
    from DeepRadScoreLib.imaging.files import is_dicom

    return path.is_file() and path.suffix.lower() != ".zip" and path.name.upper() != "DICOMDIR" and is_dicom(path)


def _is_mask(path: Path) -> bool:
    stem = _stem(path).casefold()
    return not LUNG.search(stem) and (path.name.lower().endswith(".seg.nrrd") or MASK.search(stem) is not None)


def _is_lung(path: Path) -> bool:
    return LUNG.search(_stem(path).casefold()) is not None


def _stem(path: Path) -> str:
    from DeepRadScoreLib.imaging.files import file_stem

    return file_stem(path)


def _without(ending: re.Pattern[str], stem: str) -> str:
    return ending.sub("", stem)
