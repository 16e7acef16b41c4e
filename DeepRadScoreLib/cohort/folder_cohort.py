"""A cohort table of a folder of image files, whose cases are found by the names of the files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from DeepRadScoreLib.cohort.folders.by_name import find_cases
from DeepRadScoreLib.cohort.folders.found_cases import Findings, FoundCase
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.paths import relative_path

MEND = "give a folder with CTs and masks whose names belong together, see docs/cohort-tables.md"


@dataclass(frozen=True)
class FolderCohort:
    """The table, one row per case, with a sentence on all that is not in it.

    `ambiguous`: names of the cases that are left out because several files could be a mask of theirs.
    """

    table: pd.DataFrame
    remarks: tuple[str, ...]
    ambiguous: tuple[str, ...]


def cohort_of_folder(folder: Path, out: Path) -> FolderCohort:
    """Cohort table of the CTs of a folder that have one mask, see `find_cases`.

    Its columns are case_id, patient_id (of BIDS the subject, else the case), ct, mask, segment (empty) and, if there is
    any, lung_mask; paths are relative to the file `out` that it is to be written to.

    Raises
    ------
    InputError: it is no folder, cannot be read, holds no case, or two cases of one name.
    """
    if not folder.is_dir():
        raise InputError("this is not a folder", where=folder, mend=MEND)
    try:
        found = find_cases(folder)
    except OSError as error:
        what = f"the folder cannot be read ({error.strerror})"
        raise InputError(what, where=folder, mend="choose a folder you may read") from error
    used = [case for case in found.cases if case.mask is not None and case.name not in found.ambiguous]
    cases = [case for case in used if not case.dicom]
    remarks = (*found.remarks, *_left_out(found, used))
    if not cases:
        raise InputError("no CT with a mask was found", where=folder, mend="; ".join(remarks).rstrip(".") or MEND)
    names = [case.name for case in cases]
    doubled = next((name for name in names if names.count(name) > 1), None)
    if doubled is not None:
        raise InputError(f'two cases are called "{doubled}"', where=folder, mend="give every case a name of its own")
    table = pd.DataFrame([_row(case, out) for case in cases])
    if not table["lung_mask"].any():
        table = table.drop(columns="lung_mask")
    return FolderCohort(table, remarks, tuple(found.ambiguous))


def _row(case: FoundCase, out: Path) -> dict[str, str]:
    return {
        "case_id": case.name,
        "patient_id": case.name.partition("_")[0] if case.name.startswith("sub-") else case.name,
        "ct": relative_path(case.ct, out),
        "mask": "" if case.mask is None else relative_path(case.mask, out),
        "segment": "",
        "lung_mask": "" if case.lung_mask is None else relative_path(case.lung_mask, out),
    }


def _left_out(found: Findings, used: list[FoundCase]) -> Iterator[str]:
    """Sentences on the CTs that have no mask or are DICOM."""
    without = [case for case in found.cases if case.mask is None and case.name not in found.ambiguous]
    dicom = [case for case in (*used, *without) if case.dicom]
    files = [case for case in without if not case.dicom]
    if files:
        yield f"{len(files)} {'CT has' if len(files) == 1 else 'CTs have'} no mask and cannot be used."
    if dicom:
        hold = "folder holds" if len(dicom) == 1 else "folders hold"
        yield f"{len(dicom)} {hold} DICOM files and cannot be used here: use deepradscore cohort dicom."
