"""A list of cases to be read, with the status and the reader's note of each."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from DeepRadScoreLib.cohort.folders.by_name import dicom_files, find_cases
from DeepRadScoreLib.cohort.folders.found_cases import CORRECTED, Findings, FoundCase
from DeepRadScoreLib.cohort.text_table import read_cohort_text
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import anonymous_case_id
from DeepRadScoreLib.models import MaskGrid
from DeepRadScoreSlicer.cases.review_file import ReviewFile
from DeepRadScoreSlicer.translation import tr as _


class Status(Enum):
    """How far the reading of a case is."""

    NOT_STARTED = "not started"
    IN_PROGRESS = "in progress"
    REVIEWED = "reviewed"
    FLAGGED = "flagged"


class DicomSeries(NamedTuple):
    """A series of a DICOM database, by its SeriesInstanceUID."""

    uid: str
    modality: str


@dataclass(frozen=True)
class ListedCase:
    """One case as the list names it; nothing of it is read yet.

    Attributes
    ----------
    case_id: unique in the list.
    ct: an image file or a DICOM folder; None where `series` names it in Slicer's DICOM database.
    mask: None where there is none or it is ambiguous; it may still lie in the DICOM folder of the CT.
    segment: which segment of the mask is the tumour.
    series: SeriesInstanceUID of the CT.
    mask_grid: where its masks lie, as in `DeepRadScoreLib.imaging.read_case`.
    """

    case_id: str
    ct: Path | None
    mask: Path | None = None
    segment: str | None = None
    series: str | None = None
    lung_mask: Path | None = None
    mask_grid: MaskGrid | None = None


class Worklist:
    """Cases from a cohort table, a folder or the DICOM database, each with its status and the reader's note.

    Attributes
    ----------
    cases: in the order of the table; of a folder, in the order of their names.
    remarks: one sentence for each thing in the source that is ambiguous or was left out.
    """

    def __init__(
        self,
        cases: Iterable[ListedCase],
        *,
        where: Path | str,
        beside: Path,
        remarks: Sequence[str] = (),
    ) -> None:
        """A list whose review file and folder of corrected masks begin with the path `beside`.

        Raises
        ------
        InputError: there is no case, or a case is listed twice.
        """
        self.cases = tuple(cases)
        if not self.cases:
            raise InputError(
                _("no case was found"), where=where, mend="; ".join(remarks).rstrip(".") or _("choose another list")
            )
        doubled = [case_id for case_id, times in Counter(case.case_id for case in self.cases).items() if times > 1]
        if doubled:
            raise InputError(
                _('the case "{case_id}" stands twice in the list').format(case_id=doubled[0]),
                where=where,
                mend=_("give every case a name of its own"),
            )
        self._by_id = {case.case_id: case for case in self.cases}
        self._corrected = beside.with_name(f"{beside.name}{CORRECTED}")
        self._review = ReviewFile(beside.with_name(f"{beside.name}.review.json"))
        self.remarks = (*((self._review.message,) if self._review.message else ()), *remarks)

    @classmethod
    def from_cohort(cls, path: Path) -> Worklist:
        """The rows of a cohort table, read without pandas.

        Raises
        ------
        CohortError: the table cannot be used, the column `case_id` or `ct` is missing or has an empty cell, a case
            is listed twice.
        """
        path = Path(path).absolute()
        cases = [_listed(row, path.parent) for row in read_cohort_text(path, needs=("ct",)).rows]
        return cls(cases, where=path, beside=path.with_name(path.stem), remarks=_absent(cases))

    @classmethod
    def from_folder(cls, path: Path) -> Worklist:
        """The pairs of CT and mask in a folder; see `cohort.folders.by_name.find_cases` for what is paired with what.

        A case is named after its sub-folder or its CT file; a CT in DICOM, whose folders may be named after patients,
        as the library names it: "case-" and twelve digits made of its SeriesInstanceUID.
        """
        path = Path(path).absolute()
        if not path.is_dir():
            raise InputError(_("this is not a folder"), where=path, mend=_("choose a folder with CTs and masks"))
        try:
            found = find_cases(path)
        except OSError as error:
            raise InputError(
                _("the folder cannot be read ({reason})").format(reason=error.strerror),
                where=path,
                mend=_("choose a folder you may read"),
            ) from error
        return cls(list(_listed_files(found)), where=path, beside=path / "deepradscore", remarks=found.remarks)

    @classmethod
    def from_dicom(cls, series: Iterable[DicomSeries], folder: Path) -> Worklist:
        """Series of Slicer's DICOM database; other series than CT are left out with a remark.

        Parameters
        ----------
        folder: where status, notes and corrections are saved.
        """
        series = list(series)
        ct_uids = [each.uid for each in series if each.modality == "CT"]
        others = len(series) - len(ct_uids)
        remarks = (
            [_("{count} of the selected series are no CT and are left out.").format(count=others)] if others else ()
        )
        cases = [ListedCase(anonymous_case_id(uid), None, series=uid) for uid in ct_uids]
        return cls(cases, where=_("DICOM database"), beside=folder / "dicom", remarks=remarks)

    def status(self, case_id: str) -> Status:
        """The status of a case; one that this version does not know counts as flagged."""
        text = self._review.get(case_id, "status")
        if not text:
            return Status.NOT_STARTED
        return Status(text) if text in {status.value for status in Status} else Status.FLAGGED

    def set_status(self, case_id: str, status: Status) -> None:
        """Save the status of a case. Raises OutputError where it cannot be saved."""
        if status != self.status(case_id):
            self._review.put(self[case_id].case_id, status=status.value)

    def note(self, case_id: str) -> str:
        """The reader's note on a case."""
        return self._review.get(case_id, "note")

    def set_note(self, case_id: str, note: str) -> None:
        """Save the reader's note on a case. Raises OutputError where it cannot be saved."""
        if note != self.note(case_id):
            self._review.put(self[case_id].case_id, note=note)

    def corrected_mask(self, case_id: str) -> Path:
        """Path for the corrected mask of a case: beside the list, never over the original."""
        return self._corrected / f"{file_name(self[case_id].case_id)}.seg.nrrd"

    def autosaved_mask(self, case_id: str) -> Path:
        """Path for corrections that are not saved yet: it exists only after a session that did not end in order."""
        path = self.corrected_mask(case_id)
        return path.with_name(path.name.replace(".seg.nrrd", ".autosave.seg.nrrd"))

    def original_mask(self, case_id: str) -> Path:
        """Path for a copy of the mask before its first correction, where that came from DICOM."""
        path = self.corrected_mask(case_id)
        return path.with_name(path.name.replace(".seg.nrrd", ".original.seg.nrrd"))

    def mask(self, case_id: str) -> Path | None:
        """Path of the mask to open: the corrected one where it exists, else the list's."""
        corrected = self.corrected_mask(case_id)
        return corrected if corrected.is_file() else self[case_id].mask

    def __getitem__(self, case_id: str) -> ListedCase:
        return self._by_id[case_id]

    def __len__(self) -> int:
        return len(self.cases)


def _listed(row: dict[str, str], folder: Path) -> ListedCase:
    def path(column: str) -> Path | None:
        return (folder / row[column]).resolve() if row.get(column) else None

    return ListedCase(
        row["case_id"],
        path("ct"),
        path("mask"),
        segment=row.get("segment") or None,
        series=row.get("series") or None,
        lung_mask=path("lung_mask"),
        mask_grid=MaskGrid(row["mask_grid"]) if row.get("mask_grid") else None,
    )


def _listed_files(found: Findings) -> Iterator[ListedCase]:
    """Cases found in a folder; a DICOM folder without a CT becomes a remark."""
    for case in found.cases:
        name = _dicom_name(case) if case.dicom else case.name
        if name is None:
            text = _("{case}: no CT among its DICOM files; the folder is left out.")
            found.remarks.append(text.format(case=case.name))
        else:
            yield ListedCase(name, case.ct, case.mask, lung_mask=case.lung_mask)


def _dicom_name(case: FoundCase) -> str | None:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    for path in dicom_files(case.ct):
        try:
            data = dcmread(path, specific_tags=["Modality", "SeriesInstanceUID"], stop_before_pixels=True)
        except (InvalidDicomError, OSError):
            continue
        if data.get("Modality") == "CT" and data.get("SeriesInstanceUID"):
            return anonymous_case_id(str(data.SeriesInstanceUID))
    return None


def _absent(cases: Sequence[ListedCase]) -> list[str]:
    """One remark on the cases whose CT does not exist, if there are any."""
    absent = [case.case_id for case in cases if case.ct is not None and not case.ct.exists()]
    text = _("{absent} of {count} cases name a CT that is not there, the first is {first}.")
    return [text.format(absent=len(absent), count=len(cases), first=absent[0])] if absent else []


def file_name(case_id: str) -> str:
    """A file name for a case or a lesion: its name, or what of it a file name may hold with digits of its hash."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", case_id)[:80]
    return safe if safe == case_id else f"{safe}-{hashlib.sha256(case_id.encode()).hexdigest()[:8]}"
