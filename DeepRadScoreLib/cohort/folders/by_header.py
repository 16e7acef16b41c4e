"""Which CTs of a hospital's folder of DICOM files have a mask, and whose they are.

What is not plain (a mask that fits two CTs, two masks of one CT) is counted and left out, not guessed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from pydicom import Dataset, dcmread

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.dicom.datasets import dicom_date, patient_identity, quiet_pydicom, text
from DeepRadScoreLib.imaging.dicom.masks import KINDS, damage_named
from DeepRadScoreLib.imaging.dicom.overview import MaskOverview, read_overview
from DeepRadScoreLib.imaging.dicom.series import SeriesFiles, SeriesIndex, find_series
from DeepRadScoreLib.progress import Report, ignore

Owned = tuple[MaskOverview, bool]
"""A mask of a CT, and whether it names the CT's series or images."""


@dataclass(frozen=True, eq=False)
class MatchedCase:
    """A CT series and the one mask that belongs to it.

    Attributes
    ----------
    header: of the CT's first image; it names the patient.
    person: who that is: `patient_identity`, with the issuer that the folder's other files give.
    referred: the mask names this series or its images; else they only share their frame of reference.
    day: days since the first study of the patient in the folder, None where a date is missing.
    """

    ct: SeriesFiles
    mask: MaskOverview
    referred: bool
    header: Dataset = field(repr=False)
    person: str = field(repr=False)
    day: int | None


@dataclass(frozen=True)
class DicomFolder:
    """What was found in a folder: its cases, how many CTs it has, and sentences on what is no case.

    Attributes
    ----------
    index: all series of the folder.
    remarks: what is as it may be (a CT without a mask). problems: what a person has to settle (two masks of one CT).
    """

    index: SeriesIndex = field(repr=False)
    cases: tuple[MatchedCase, ...]
    remarks: tuple[str, ...]
    problems: tuple[str, ...]


def search_folder(folder: Path, report: Report = ignore) -> DicomFolder:
    """Find the CT series of a folder, nested as it may be, to which a SEG or RTSTRUCT of the same patient belongs.

    A mask belongs to the series that it names, else to the one whose images it names, else to the only one in its frame
    of reference.

    Raises
    ------
    InputError: the folder is not there, is a zip archive, or holds no CT.
    """
    index = find_series(folder, report)
    with quiet_pydicom():
        headers = {uid: header for uid, one in index.items() if (header := _header(one)) is not None}
        cts = [one for one in index.of_modality("CT") if one.images and one.uid in headers]
        if not cts:
            raise InputError(
                "there is no DICOM CT in it, see (0008,0060) Modality",
                where=folder,
                mend="give the folder that holds the CTs and their SEG or RTSTRUCT files",
            )
        masks, unusable = _masks(index)
        owned, ownerless = _owned(masks, cts, headers)
        meant = {uid: _meant(pairs) for uid, pairs in owned.items()}
        cases = _cases([ct for ct in cts if len(meant.get(ct.uid, ())) == 1], meant, headers)
    remarks = (
        *sentence(len(cts) - len(owned), "CT series has no mask", "CT series have no mask"),
        *sentence(ownerless, "mask belongs to no CT, or to several", "masks belong to no CT, or to several"),
        *(f"{number_of(count, 'mask')} cannot be used: {why}." for why, count in sorted(unusable.items())),
        *sentence(len(index.damaged), "DICOM file is damaged", "DICOM files are damaged"),
    )
    problems = sentence(
        len(owned) - len(cases),
        "CT has several masks and is left out; move those away that do not outline the tumour",
        "CTs have several masks and are left out; move those away that do not outline the tumour",
    )
    return DicomFolder(index, tuple(cases), remarks, tuple(problems))


def sentence(count: int, one: str, many: str) -> list[str]:
    """ "1 CT has no mask.", "2 CTs have no mask.", or nothing of none."""
    return [f"{count} {one if count == 1 else many}."] if count else []


def number_of(count: int, what: str) -> str:
    """ "1 case", "2 cases"."""
    return f"{count} {what}{'s' * (count != 1)}"


def _header(series: SeriesFiles) -> Dataset | None:
    """The whole header of the series' first image; None where it is damaged."""
    path = (series.images or series.members)[0].path
    try:
        with damage_named(path, "DICOM file"):
            return dcmread(path, stop_before_pixels=True, force=True)
    except InputError:
        return None


def _masks(index: SeriesIndex) -> tuple[list[MaskOverview], Counter[str]]:
    """The masks of the folder, and how many cannot be used, by reason."""
    found, unusable = [], Counter[str]()
    for member in (member for one in index.values() for member in one.members):
        if text(member.header, "SOPClassUID") in KINDS:
            try:
                found.append(read_overview(member.path))
            except InputError as error:
                unusable[error.what] += 1
    return found, unusable


def _owned(
    masks: list[MaskOverview], cts: list[SeriesFiles], headers: dict[str, Dataset]
) -> tuple[dict[str, list[Owned]], int]:
    """The masks of each CT series that has some, and how many belong to none."""
    series_of = {text(one.header, "SOPInstanceUID"): ct.uid for ct in cts for one in ct.images}
    owned: dict[str, list[Owned]] = defaultdict(list)
    ownerless = 0
    for mask in masks:
        uid, referred = _owner(mask, cts, headers, series_of)
        if uid is None:
            ownerless += 1
        else:
            owned[uid].append((mask, referred))
    return owned, ownerless


def _owner(
    mask: MaskOverview, cts: list[SeriesFiles], headers: dict[str, Dataset], series_of: dict[str, str]
) -> tuple[str | None, bool]:
    """The CT series that a mask belongs to, and whether the mask names it or its images."""
    patient = text(mask.header, "PatientID")
    same = [ct for ct in cts if not patient or text(headers[ct.uid], "PatientID") in ("", patient)]
    by_images = {series_of[image] for image in mask.references.images if image in series_of}
    for named in (mask.references.series, by_images):
        found = [ct.uid for ct in same if ct.uid in named]
        if len(found) == 1:
            return found[0], True
    if any(ct.uid in mask.references.series | by_images for ct in cts):
        return None, True
    by_frame = [ct for ct in same if text(headers[ct.uid], "FrameOfReferenceUID") in mask.frames]
    stacks = [ct for ct in by_frame if len(ct.images) > 1] or by_frame
    return (stacks[0].uid, False) if len(stacks) == 1 else (None, False)


def _meant(pairs: list[Owned]) -> list[Owned]:
    """The only mask, or those of several that name a tumour."""
    return pairs if len(pairs) == 1 else [pair for pair in pairs if pair[0].tumours]


def _cases(cts: list[SeriesFiles], masks: dict[str, list[Owned]], headers: dict[str, Dataset]) -> list[MatchedCase]:
    persons, first_days = _persons(headers)
    cases = []
    for ct in cts:
        ((mask, referred),) = masks[ct.uid]
        header, person = headers[ct.uid], persons[ct.uid]
        day = dicom_date(header, "StudyDate")
        cases.append(
            MatchedCase(ct, mask, referred, header, person, None if day is None else (day - first_days[person]).days)
        )
    return cases


def _persons(headers: dict[str, Dataset]) -> tuple[dict[str, str], dict[str, date]]:
    """Whose each series is, and the first day of each person's studies. An ID without an issuer is that of the only
    issuer of this ID in the folder."""
    issuers: dict[str, set[str]] = defaultdict(set)
    for header in headers.values():
        issuers[text(header, "PatientID")] |= {text(header, "IssuerOfPatientID")} - {""}
    persons: dict[str, str] = {}
    first: dict[str, date] = {}
    for uid, header in headers.items():
        only = issuers[text(header, "PatientID")]
        persons[uid] = person = patient_identity(header, issuer=next(iter(only)) if len(only) == 1 else "")
        day = dicom_date(header, "StudyDate")
        if day is not None:
            first[person] = min(day, first.get(person, day))
    return persons, first
