"""Cases of a folder by the names of its files: which file is a CT, which is its mask, and what is ambiguous."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from DeepRadScoreLib.cohort.folders.found_cases import (
    LUNG,
    MASK,
    Findings,
    images_in,
    names_of_cases,
    stem_of,
    visible,
)
from DeepRadScoreLib.cohort.folders.layouts import add_data_set
from DeepRadScoreLib.imaging.formats.file_names import CT
from DeepRadScoreLib.imaging.formats.files import is_dicom


def find_cases(folder: Path) -> Findings:
    """Pair CTs with their masks: files side by side, a sub-folder for each case, or sub-folders with DICOM files.

    DICOM files in the folder itself are one case. A mask is recognised by its name: `.seg.nrrd`, or a name that is or
    ends in some of `found_cases.MASK_WORDS` after "-", "_", "." or a blank; a lung mask by "lung". It belongs to the CT
    whose name is the rest of its name. A case is called as its CT without "_ct" or the like, unless two would be called
    the same. In a sub-folder with one CT, every mask belongs to that CT. Where several masks fit one CT, none is used
    and a remark says so. The folder, or a sub-folder, may also be a data set in one of the layouts of `layouts`.
    """
    findings = Findings()
    entries = visible(folder)
    if any(_is_dicom_file(path) for path in entries):
        _add_sub_folder(folder, findings)
        return findings
    if not add_data_set(folder, findings):
        _add_pairs(folder, findings, prefix="")
        for path in entries:
            if path.is_dir() and not add_data_set(path, findings):
                _add_sub_folder(path, findings)
    findings.cases.sort(key=lambda case: (case.name.casefold(), case.name))
    return findings


def _add_sub_folder(folder: Path, findings: Findings) -> None:
    images = images_in(folder)
    if len(images.cts) > 1:
        findings.remarks.append(
            f"{folder.name}: {len(images.cts)} CTs in one folder; each is listed as a case of its own."
        )
        _add_pairs(folder, findings, prefix=f"{folder.name}-")
    elif images.cts:
        findings.add(folder.name, images.cts[0], images.masks, images.lungs)
    elif any(dicom_files(folder)):
        findings.add(folder.name, folder, images.masks, images.lungs, dicom=True)
    else:
        findings.remarks.append(f"{folder.name}: no CT found; the folder is left out.")


def _add_pairs(folder: Path, findings: Findings, prefix: str) -> None:
    """Add each CT of a folder with the masks whose names, without the words for masks, are that of the CT."""
    images = images_in(folder)
    unused = dict.fromkeys([*images.masks, *images.lungs])
    names_of = names_of_cases(images.cts)
    for ct in images.cts:
        stem = stem_of(ct)
        names = {stem, CT.sub("", stem)} - {""}
        masks_of_ct = [path for path in images.masks if MASK.sub("", stem_of(path)) in names]
        lungs_of_ct = [path for path in images.lungs if LUNG.sub("", stem_of(path)) in names]
        for path in (*masks_of_ct, *lungs_of_ct):
            unused.pop(path, None)
        findings.add(prefix + names_of[ct], ct, masks_of_ct, lungs_of_ct)
    for path in unused:
        findings.left_out(path, folder, "no CT belongs to this mask by its name")


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
