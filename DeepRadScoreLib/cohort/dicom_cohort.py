"""Cohort table, without names, of a hospital's folder of DICOM files.

Cases and patients get keyed pseudonyms, dates become days since the first study of the patient, and the rows are sorted
by pseudonym.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import pandas as pd

from DeepRadScoreLib.cohort.folders.by_header import DicomFolder, MatchedCase, counted, sentence
from DeepRadScoreLib.cohort.labels import PatientLabels
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import anonymous_case_id
from DeepRadScoreLib.imaging.dicom.datasets import dicom_date
from DeepRadScoreLib.imaging.dicom.series import SeriesFiles, SeriesIndex
from DeepRadScoreLib.imaging.dicom.structures.masks import names_person
from DeepRadScoreLib.imaging.dicom.structures.overview import MaskOverview
from DeepRadScoreLib.imaging.formats.files import is_dicom
from DeepRadScoreLib.paths import relative_path
from DeepRadScoreLib.pseudonyms import Pseudonyms, pseudonym_key

COLUMNS = ("case_id", "patient_id", "ct", "mask", "series", "segment", "study_day")
DATES = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "PatientBirthDate")
DATE_FORMS = ("%Y%m%d", "%Y-%m-%d", "%Y_%m_%d", "%Y.%m.%d", "%d.%m.%Y", "%d-%m-%Y")

NAMED = "a folder or file is named by the patient's name, number or dates, and the table would hold them"
NAMED_MEND = "rename the folders, or add --keep-paths where the table stays with the images"


@dataclass(frozen=True)
class DicomCohort:
    """The cohort table, text cells, and sentences on it: `remarks` and `problems` as in `DicomFolder`."""

    table: pd.DataFrame
    remarks: tuple[str, ...]
    problems: tuple[str, ...]


def cohort_table(
    found: DicomFolder, out: Path, *, labels: PatientLabels | None = None, keep_paths: bool = False
) -> DicomCohort:
    """Cohort table of a folder, with paths relative to the file `out` that it is to be written to.

    Parameters
    ----------
    labels: joined by PatientID, which is not written.
    keep_paths: whether to include a row whose path names the patient or a date (without the path the files cannot be
        found).

    Raises
    ------
    InputError: no case is left, or `out` lies on another drive than the images.
    CohortError: a cell of the labels names the patient, see `PatientLabels.of`; a PatientID is that of two patients.
    OutputError: the key of the pseudonyms can be neither read nor made.
    """
    pseudonyms = Pseudonyms(pseudonym_key())
    rows: list[dict[str, str]] = []
    named = 0
    for case in found.cases:
        row = {
            "case_id": anonymous_case_id(case.ct.uid),
            "patient_id": pseudonyms.patient(case.person),
            "ct": relative_path(_ct_path(case.ct), out),
            "mask": relative_path(case.mask.path, out),
            "series": _series(case, found.index),
            "segment": _segment(case.mask),
            "study_day": "" if case.day is None else str(case.day),
        }
        if _path_names(row["ct"], case) or _path_names(row["mask"], case):
            named += 1
            if not keep_paths:
                continue
        if labels is not None:
            row |= labels.of(case.patient, dicom_date(case.header, "StudyDate"), partial(_names, case=case))
        rows.append(row)
    if labels is not None:
        labels.check_one_issuer((case.patient, case.person) for case in found.cases)
    if not rows:
        raise _no_rows(found, named)
    columns = [*COLUMNS, *(() if labels is None else labels.columns)]
    table = pd.DataFrame(rows, columns=columns).sort_values("case_id", ignore_index=True)
    remarks = [*found.remarks, *_remarks(found, table), *_path_remarks(named if keep_paths else 0)]
    if labels is not None:
        patients = {case.patient for case in found.cases}
        without_labels, without_images = len(patients - labels.rows.keys()), len(labels.rows.keys() - patients)
        remarks += counted(without_labels, "patient", "with images not in the labels: their cells are empty")
        remarks += counted(without_images, "patient", "of the labels without a CT and its mask in the folder")
    problems = [*found.problems, *_unclear_segments(found, table)]
    if not keep_paths:
        problems += counted(named, "case", f"left out: {NAMED}; {NAMED_MEND}")
    return DicomCohort(table, tuple(remarks), tuple(problems))


def _ct_path(ct: SeriesFiles) -> Path:
    """The file of a series of one file; else the folder that holds all of its files."""
    if len(ct.files) == 1 and is_dicom(ct.files[0]):
        return ct.files[0]
    return Path(os.path.commonpath([path.parent for path in ct.files]))


def _series(case: MatchedCase, index: SeriesIndex) -> str:
    """SeriesInstanceUID of the CT; empty where its mask names it or no other CT lies in its folder."""
    if case.tie == "reference":
        return ""
    folder = _ct_path(case.ct)
    others = (one for one in index.of_modality("CT") if one.images and one.uid != case.ct.uid)
    return case.ct.uid if any(path.is_relative_to(folder) for one in others for path in one.files) else ""


def _segment(mask: MaskOverview) -> str:
    """Name or identity of the tumour's segment if the mask holds others; empty if several or none say tumour."""
    if len(mask.segments) == 1 or len(mask.tumours) != 1:
        return ""
    tumour = mask.tumours[0]
    alike = [one for one in mask.segments if one.name.casefold() == tumour.name.casefold()]
    return tumour.name if len(alike) == 1 else tumour.identity


def _path_names(path: str, case: MatchedCase) -> bool:
    """Whether a folder or file name in a path names the patient."""
    names = PurePosixPath(path).parts
    return any(_names(words, case) for name in names for words in (name, PurePosixPath(name).stem))


def _names(words: str, case: MatchedCase) -> bool:
    """Whether words contain what the headers say of the patient or the institution, or one of their dates."""
    headers = (case.header, case.mask.header)
    days = [day for header in headers for keyword in DATES if (day := dicom_date(header, keyword))]
    return any(names_person(words, header) for header in headers) or any(
        day.strftime(form) in words for day in days for form in DATE_FORMS
    )


def _remarks(found: DicomFolder, table: pd.DataFrame) -> list[str]:
    return [
        *sentence(
            len({case.person for case in found.cases if not case.patient}),
            "study has no PatientID and counts as a patient of its own",
            "studies have no PatientID and count as one patient each",
        ),
        *sentence(
            int((table["study_day"] == "").sum()),
            "case has no study date, its study_day is empty",
            "cases have no study date, their study_day is empty",
        ),
        *sentence(
            int((table["series"] != "").sum()),
            "case needs the SeriesInstanceUID of its CT in the table, as other CTs lie in its folder",
            "cases need the SeriesInstanceUID of their CT in the table, as other CTs lie in their folders",
        ),
    ]


def _path_remarks(count: int) -> list[str]:
    """A remark on the number of rows whose paths name the patient, or none."""
    hold = "hold a patient's name, number or date, and the table now holds them too: keep it with the images."
    return [f"The paths of {count} {'case' if count == 1 else 'cases'} {hold}"] if count else []


def _unclear_segments(found: DicomFolder, table: pd.DataFrame) -> list[str]:
    """A problem on the rows whose masks hold several segments of which not exactly one says tumour, or none."""
    several = [case for case in found.cases if len(case.mask.segments) > 1 and len(case.mask.tumours) != 1]
    case_ids = [one for case in several if (one := anonymous_case_id(case.ct.uid)) in set(table["case_id"])]
    names = ", ".join(case_ids[:4])
    return sentence(
        len(case_ids),
        f"case ({names}) has a mask of several segments; write the tumour's into its cell `segment`",
        f"cases ({names}{', …' * (len(case_ids) > 4)}) have masks of several segments; write the "
        "tumour's into their cells `segment`",
    )


def _no_rows(found: DicomFolder, named: int) -> InputError:
    where = found.index.source
    if named:
        return InputError(NAMED, where=where, mend=NAMED_MEND)
    notes = " ".join((*found.problems, *found.remarks))
    return InputError(
        f"no CT has one SEG or RTSTRUCT that belongs to it{f' ({notes})' if notes else ''}".replace(".)", ")"),
        where=where,
        mend="give the folder that holds the CTs and their masks",
    )
