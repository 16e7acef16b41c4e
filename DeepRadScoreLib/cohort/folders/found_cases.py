"""What is found in a folder: cases, remarks, and how the names of CTs, masks and lung masks are told apart."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from DeepRadScoreLib.imaging.formats.file_names import case_name, file_stem
from DeepRadScoreLib.imaging.formats.files import SUFFIXES
from DeepRadScoreLib.imaging.masks.segments import names_tumour

TUMOUR_WORDS = ("tumour", "tumor", "tumours", "tumors", "gtv", "lesion", "lesions", "nodule", "nodules")
MASK_WORDS = ("mask", "label", "labels", "labelmap", "seg", "dseg", "segmentation", "roi", *TUMOUR_WORDS)
LUNG = re.compile(r"(^|[-_. ])lungs?([-_. ]?(mask|label|seg|dseg|segmentation))?$")
MASK = re.compile(rf"((^|[-_. ])(lung[-_. ])?({'|'.join(MASK_WORDS)}))+$")
CHANNEL = re.compile(r"_(\d{4})$")
"""nnU-Net's number of the channel at the end of an image's name; a mask has the name without it."""
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
    """The cases of a folder, sorted by name, and a sentence on everything that is ambiguous or left out.

    Attributes
    ----------
    ambiguous: names of the cases of which several files could be the mask or the lung mask.
    """

    cases: list[FoundCase] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    ambiguous: list[str] = field(default_factory=list)

    def add(self, name: str, ct: Path, masks: list[Path], lungs: list[Path], *, dicom: bool = False) -> None:
        """Add a case; several masks or several lung masks become a remark and none of them is used."""
        mask, lung_mask = self._only(name, "mask", masks), self._only(name, "lung mask", lungs)
        self.cases.append(FoundCase(name, ct, mask, lung_mask, dicom))

    def left_out(self, path: Path, folder: Path, why: str) -> None:
        """Add the remark that a file or folder is left out; it is named by its path from the folder's parent on."""
        self.remarks.append(f"{path.relative_to(folder.parent).as_posix()}: {why}; it is left out.")

    def _only(self, name: str, what: str, paths: list[Path]) -> Path | None:
        if len(paths) > 1:
            self.ambiguous.append(name)
            self.remarks.append(
                f"{name}: {len(paths)} files could be the {what} ({', '.join(path.name for path in paths)}); "
                "none is taken: remove all but one, or list the case in a cohort table."
            )
        return paths[0] if len(paths) == 1 else None


@dataclass(frozen=True)
class FolderImages:
    """The image files of a folder, by name."""

    cts: list[Path]
    masks: list[Path]
    lungs: list[Path]


def images_in(folder: Path) -> FolderImages:
    """The CTs, masks and lung masks of a folder; an image beside another of its name and "_0000" is that one's mask."""
    found = FolderImages([], [], [])
    files = [path for path in visible(folder) if is_image(path)]
    stems = {stem_of(path) for path in files}
    for path in files:
        stem = stem_of(path)
        is_mask = path.name.lower().endswith(".seg.nrrd") or MASK.search(stem) or f"{stem}_0000" in stems
        (found.lungs if LUNG.search(stem) else found.masks if is_mask else found.cts).append(path)
    return found


def tumour_ones(paths: list[Path]) -> list[Path]:
    """The masks whose names say tumour, where any does; else all of them."""
    return [path for path in paths if names_tumour(stem_of(path))] or paths


def stem_of(path: Path) -> str:
    """The name of an image file without its ending, in small letters."""
    return file_stem(path).casefold()


def names_of_cases(cts: list[Path]) -> dict[Path, str]:
    """The name of the case of each CT of a folder: the file's, without "_ct" or the like where this names one CT."""
    shorter = {ct: case_name(ct) for ct in cts}
    count = Counter(name.casefold() for name in shorter.values())
    return {ct: name if count[name.casefold()] == 1 else file_stem(ct) for ct, name in shorter.items()}


def is_image(path: Path) -> bool:
    """Whether a path is a file with the ending of an image."""
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def visible(folder: Path) -> list[Path]:
    """The files and folders of a folder, sorted by name, without hidden ones and corrected masks."""
    names = (path for path in folder.iterdir() if not path.name.startswith(".") and not path.name.endswith(CORRECTED))
    return sorted(names, key=lambda path: (path.name.casefold(), path.name))
