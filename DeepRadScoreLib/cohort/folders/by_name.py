"""Cases of a folder by the names of its files: which file is a CT, which is its mask, and what is ambiguous."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from DeepRadScoreLib.imaging.files import SUFFIXES, file_stem, is_dicom

MASK_WORDS = ("mask", "label", "labels", "labelmap", "seg", "segmentation", "tumour", "tumor", "gtv", "roi")
LUNG = re.compile(r"(^|[-_. ])lungs?([-_. ]?(mask|label|seg|segmentation))?$")
MASK = re.compile(rf"(^|[-_. ])({'|'.join(MASK_WORDS)})$")
CT = re.compile(r"(^|[-_. ])(ct|image|volume|scan)$")
CORRECTED = ".corrected"
"""Ending of the names of folders with corrected masks."""


@dataclass(frozen=True)
class FoundCase:
    """A CT file, or the folder of a CT in DICOM, with its masks."""

    name: str
    ct: Path
    mask: Path | None
    lung_mask: Path | None
    dicom: bool = False


@dataclass
class Findings:
    """The cases of a folder, sorted by name, and a sentence on everything that is ambiguous."""

    cases: list[FoundCase] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(self, name: str, ct: Path, masks: list[Path], lungs: list[Path], *, dicom: bool = False) -> None:
        """Add a case; several masks or several lung masks become a remark and none of them is used."""
        mask, lung_mask = self._only(name, "mask", masks), self._only(name, "lung mask", lungs)
        self.cases.append(FoundCase(name, ct, mask, lung_mask, dicom))

    def _only(self, name: str, what: str, paths: list[Path]) -> Path | None:
        if len(paths) > 1:
            self.remarks.append(
                f"{name}: {len(paths)} files could be the {what} ({', '.join(path.name for path in paths)}); "
                "none is taken: remove all but one, or list the case in a cohort table."
            )
        return paths[0] if len(paths) == 1 else None


def find_cases(folder: Path) -> Findings:
    """Pair CTs with their masks: files side by side, a sub-folder for each case, or sub-folders with DICOM files.

    DICOM files in the folder itself are one case. A mask is recognised by its name: `.seg.nrrd`, or a name that is or
    ends in one of `MASK_WORDS` after "-", "_", "." or a blank; a lung mask by "lung". It belongs to the CT whose name
    is the rest of its name. In a sub-folder with one CT, every mask belongs to that CT. Where several masks fit one CT,
    none is used and a remark says so.
    """
    findings = Findings()
    visible = _visible(folder)
    if any(_is_dicom_file(path) for path in visible):
        _add_sub_folder(folder, findings)
        return findings
    _add_pairs(folder, findings, prefix="")
    for path in visible:
        if path.is_dir():
            _add_sub_folder(path, findings)
    findings.cases.sort(key=lambda case: (case.name.casefold(), case.name))
    return findings


def _add_sub_folder(folder: Path, findings: Findings) -> None:
    cts, masks, lungs = _images(folder)
    if len(cts) > 1:
        findings.remarks.append(f"{folder.name}: {len(cts)} CTs in one folder; each is listed as a case of its own.")
        _add_pairs(folder, findings, prefix=f"{folder.name}-")
    elif cts:
        findings.add(folder.name, cts[0], masks, lungs)
    elif any(dicom_files(folder)):
        findings.add(folder.name, folder, masks, lungs, dicom=True)
    else:
        findings.remarks.append(f"{folder.name}: no CT found; the folder is left out.")


def _add_pairs(folder: Path, findings: Findings, prefix: str) -> None:
    """Add each CT of a folder with the masks whose names, without the words for masks, are that of the CT."""
    cts, masks, lungs = _images(folder)
    unused = dict.fromkeys([*masks, *lungs])
    for ct in cts:
        stem = file_stem(ct)
        names = {stem.casefold(), CT.sub("", stem.casefold())} - {""}
        masks_of_ct = [path for path in masks if MASK.sub("", file_stem(path).casefold()) in names]
        lungs_of_ct = [path for path in lungs if LUNG.sub("", file_stem(path).casefold()) in names]
        for path in (*masks_of_ct, *lungs_of_ct):
            unused.pop(path, None)
        findings.add(prefix + stem, ct, masks_of_ct, lungs_of_ct)
    findings.remarks += [
        f"{path.relative_to(folder.parent).as_posix()}: no CT belongs to this mask by its name; it is left out."
        for path in unused
    ]


def _images(folder: Path) -> tuple[list[Path], list[Path], list[Path]]:
    """The image files of a folder, by name: CTs, masks, lung masks."""
    cts: list[Path] = []
    masks: list[Path] = []
    lungs: list[Path] = []
    for path in _visible(folder):
        name, stem = path.name.lower(), file_stem(path).casefold()
        if path.is_file() and name.endswith(SUFFIXES):
            is_mask = name.endswith(".seg.nrrd") or MASK.search(stem)
            (lungs if LUNG.search(stem) else masks if is_mask else cts).append(path)
    return cts, masks, lungs


def _visible(folder: Path) -> list[Path]:
    names = (path for path in folder.iterdir() if not path.name.startswith(".") and not path.name.endswith(CORRECTED))
    return sorted(names, key=lambda path: (path.name.casefold(), path.name))


def dicom_files(folder: Path) -> Iterator[Path]:
    """The DICOM files of a folder and of its sub-folders, sorted by name."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(names) if _is_dicom_file(Path(parent, name)))


def holds_mask(folder: Path) -> bool:
    """Whether a SEG or an RTSTRUCT is among the DICOM files, read with any version of pydicom."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    for path in dicom_files(folder):
        try:
            modality = dcmread(path, specific_tags=["Modality"], stop_before_pixels=True).get("Modality")
        except (InvalidDicomError, OSError):
            continue
        if modality in ("SEG", "RTSTRUCT"):
            return True
    return False


def _is_dicom_file(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() != ".zip" and path.name.upper() != "DICOMDIR" and is_dicom(path)
