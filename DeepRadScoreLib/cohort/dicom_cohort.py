"""A hospital's folder of DICOM files as a cohort table that names nobody.

Cases and patients get keyed pseudonyms, dates become days since the patient's first study, and the rows stand in the
order of the pseudonyms.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import pandas as pd

from DeepRadScoreLib.cohort.folders.by_header import DicomFolder, MatchedCase, number_of, sentence
from DeepRadScoreLib.cohort.labels import PatientLabels
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import anonymous_case_id
from DeepRadScoreLib.imaging.dicom.datasets import dicom_date, text
from DeepRadScoreLib.imaging.dicom.masks import names_person
from DeepRadScoreLib.imaging.dicom.overview import MaskOverview
from DeepRadScoreLib.imaging.dicom.series import SeriesFiles, SeriesIndex
from DeepRadScoreLib.imaging.files import is_dicom
from DeepRadScoreLib.pseudonyms import Pseudonyms, pseudonym_key

OWN_COLUMNS = ("case_id", "patient_id", "ct", "mask", "series", "segment", "study_day")
DATES = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "PatientBirthDate")
DATE_FORMS = ("%Y%m%d", "%Y-%m-%d", "%Y_%m_%d", "%Y.%m.%d", "%d.%m.%Y", "%d-%m-%Y")

NAMED = "a folder or file is named by the patient's name, number or dates, and the table would hold them"
NAMED_MEND = "rename the folders, or add --keep-paths where the table stays with the images"


@dataclass(frozen=True)
class DicomCohort:
    """The cohort table, text cells, and sentences on it, as those of `DicomFolder`."""

    table: pd.DataFrame
    remarks: tuple[str, ...]
    problems: tuple[str, ...]


def cohort_table(
    found: DicomFolder, out: Path, *, labels: PatientLabels | None = None, keep_paths: bool = False
) -> DicomCohort:
    """The cohort table of a folder, to be written to `out`; its paths are relative to that.

    Parameters
    ----------
    labels: joined by PatientID, which is not written.
    keep_paths: write a row although its path names the patient or a date (the files cannot be found without it); else
        such a row is left out.

    Raises
    ------
    InputError: no case is left, or `out` lies on another drive than the images.
    CohortError: a cell of the labels names the patient, see `PatientLabels.of`; one PatientID stands for two patients.
    OutputError: the key of the pseudonyms can be neither read nor made.
    """
    hidden = Pseudonyms(pseudonym_key())
    rows: list[dict[str, str]] = []
    named = 0
    for case in found.cases:
        row = {
            "case_id": anonymous_case_id(case.ct.uid),
            "patient_id": hidden.patient(case.person),
            "ct": _relative(_ct_path(case.ct), out),
            "mask": _relative(case.mask.path, out),
            "series": _series(case, found.index),
            "segment": _segment(case.mask),
            "study_day": "" if case.day is None else str(case.day),
        }
        if _path_names(row["ct"], case) or _path_names(row["mask"], case):
            named += 1
            if not keep_paths:
                continue
        if labels is not None:
            patient = text(case.header, "PatientID")
            row |= labels.of(patient, dicom_date(case.header, "StudyDate"), partial(_names, case=case))
        rows.append(row)
    if labels is not None:
        labels.check_one_issuer((text(case.header, "PatientID"), case.person) for case in found.cases)
    if not rows:
        raise _no_rows(found, named)
    columns = (*OWN_COLUMNS, *(() if labels is None else labels.columns))
    table = pd.DataFrame(rows, columns=list(columns)).sort_values("case_id", ignore_index=True)
    remarks, problems = _table_notes(found, table, named, keep_paths)
    if labels is not None:
        remarks.extend(labels.counted([text(case.header, "PatientID") for case in found.cases]))
    return DicomCohort(table, (*found.remarks, *remarks), (*found.problems, *problems))


def _ct_path(ct: SeriesFiles) -> Path:
    """The file of a series of one file; else the folder that holds all of its files."""
    if len(ct.files) == 1 and is_dicom(ct.files[0]):
        return ct.files[0]
    return Path(os.path.commonpath([path.parent for path in ct.files]))


def _relative(path: Path, out: Path) -> str:
    try:
        return Path(os.path.relpath(path.resolve(), out.resolve().parent)).as_posix()
    except ValueError as error:
        raise InputError(
            "the table lies on another drive than the images, and its paths are relative",
            where=out,
            mend="write the table to the drive of the images",
        ) from error


def _series(case: MatchedCase, index: SeriesIndex) -> str:
    """Empty where the CT is found without its UID: its mask names it, or no other CT lies in its folder."""
    if case.referred:
        return ""
    folder = _ct_path(case.ct)
    others = (one for one in index.of_modality("CT") if one.images and one.uid != case.ct.uid)
    return case.ct.uid if any(path.is_relative_to(folder) for one in others for path in one.files) else ""


def _segment(mask: MaskOverview) -> str:
    """The name of the tumour's segment where the mask holds others too; empty where several or none say tumour."""
    if len(mask.segments) == 1 or len(mask.tumours) != 1:
        return ""
    tumour = mask.tumours[0]
    alike = [one for one in mask.segments if one.name.casefold() == tumour.name.casefold()]
    return tumour.name if len(alike) == 1 else tumour.identity


def _path_names(path: str, case: MatchedCase) -> bool:
    """Whether a part of a path names the patient."""
    parts = PurePosixPath(path).parts
    return any(_names(words, case) for part in parts for words in (part, PurePosixPath(part).stem))


def _names(words: str, case: MatchedCase) -> bool:
    """Whether words hold what the headers say of the patient or the institution, or one of their dates."""
    if any(names_person(words, header) for header in (case.header, case.mask.header)):
        return True
    return any(day in words for day in _days(case))


def _days(case: MatchedCase) -> Iterator[str]:
    for header in (case.header, case.mask.header):
        for keyword in DATES:
            day = dicom_date(header, keyword)
            if day is not None:
                yield from (day.strftime(form) for form in DATE_FORMS)


def _table_notes(found: DicomFolder, table: pd.DataFrame, named: int, keep_paths: bool) -> tuple[list[str], list[str]]:
    unnamed = {case.person for case in found.cases if not text(case.header, "PatientID")}
    remarks = [
        *sentence(
            len(unnamed),
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
    several = [
        anonymous_case_id(case.ct.uid)
        for case in found.cases
        if len(case.mask.segments) > 1 and len(case.mask.tumours) != 1
    ]
    several = [case_id for case_id in several if case_id in set(table["case_id"])]
    problems = sentence(
        len(several),
        f"case ({', '.join(several[:4])}) has a mask of several segments; write the tumour's into its cell `segment`",
        f"cases ({', '.join(several[:4])}{', …' * (len(several) > 4)}) have masks of several segments; write the "
        "tumour's into their cells `segment`",
    )
    if named and keep_paths:
        remarks.append(
            f"The paths of {number_of(named, 'case')} hold a patient's name, number or date, and the table now holds "
            "them too: keep it with the images."
        )
    elif named:
        problems.append(f"{number_of(named, 'case')} left out: {NAMED}; {NAMED_MEND}.")
    return remarks, problems


def _no_rows(found: DicomFolder, named: int) -> InputError:
    where = found.index.source
    if named:
        return InputError(NAMED, where=where, mend=NAMED_MEND)
    said = " ".join((*found.problems, *found.remarks))
    return InputError(
        f"no CT has one SEG or RTSTRUCT that belongs to it{f' ({said})' if said else ''}".replace(".)", ")"),
        where=where,
        mend="give the folder that holds the CTs and their masks",
    )
