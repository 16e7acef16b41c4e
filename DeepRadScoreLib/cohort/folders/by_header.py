"""Cases of a folder of DICOM files: CTs with the one mask that belongs to them, and their patients, by the headers.

Ambiguous ones (a mask that fits two CTs, two masks of one CT) are counted and left out, not guessed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TypeAlias

from pydicom import Dataset, dcmread

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.dicom.anonymised import copy_uids
from DeepRadScoreLib.imaging.dicom.datasets import dicom_date, patient_identity, quiet_pydicom, text
from DeepRadScoreLib.imaging.dicom.masks import KINDS, damage_named
from DeepRadScoreLib.imaging.dicom.overview import MaskOverview, read_overview
from DeepRadScoreLib.imaging.dicom.series import SeriesFiles, SeriesIndex, find_series
from DeepRadScoreLib.progress import Report, ignore

Matched: TypeAlias = tuple[SeriesFiles, list[tuple[MaskOverview, bool]]]


@dataclass(frozen=True, eq=False)
class MatchedCase:
    """A CT series and the one mask that belongs to it.

    Attributes
    ----------
    header: of the CT's first image; it names the patient.
    person: `patient_identity` of the patient, with the issuer that other files of the folder give.
    referred: whether the mask names this series or its images; else they only share their frame of reference.
    day: days since the first study of the patient in the folder, None where a date is missing.
    """

    ct: SeriesFiles
    mask: MaskOverview
    referred: bool
    header: Dataset = field(repr=False)
    person: str = field(repr=False)
    day: int | None

    @property
    def patient(self) -> str:
        """PatientID of the CT, or ""."""
        return text(self.header, "PatientID")


@dataclass(frozen=True)
class DicomFolder:
    """The cases of a folder, and sentences on everything in it that is no case.

    Attributes
    ----------
    index: all series of the folder.
    remarks: sentences that call for no action (a CT without a mask).
    problems: sentences on what a person has to decide (two masks of one CT).
    """

    index: SeriesIndex = field(repr=False)
    cases: tuple[MatchedCase, ...]
    remarks: tuple[str, ...]
    problems: tuple[str, ...]


def search_folder(folder: Path, report: Report = ignore) -> DicomFolder:
    """Find the CT series of a folder and its sub-folders to which a SEG or RTSTRUCT of the same patient belongs.

    A mask belongs to the series that it names, else to the one whose images it names, else to the only one in its frame
    of reference.

    Raises
    ------
    InputError: the folder does not exist, is a zip archive, or holds no CT.
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
        matched = _matched(masks, cts, headers)
        cases = _cases(matched, headers)
    ownerless = len(masks) - sum(len(pairs) for _, pairs in matched)
    remarks = (
        *sentence(len(cts) - len(matched), "CT series has no mask", "CT series have no mask"),
        *sentence(ownerless, "mask belongs to no CT, or to several", "masks belong to no CT, or to several"),
        *(one for why, count in sorted(unusable.items()) for one in counted(count, "mask", f"cannot be used: {why}")),
        *sentence(len(index.damaged), "DICOM file is damaged", "DICOM files are damaged"),
    )
    problems = sentence(
        len(matched) - len(cases),
        "CT has several masks and is left out; move those away that do not outline the tumour",
        "CTs have several masks and are left out; move those away that do not outline the tumour",
    )
    return DicomFolder(index, tuple(cases), remarks, tuple(problems))


def sentence(count: int, one: str, many: str) -> list[str]:
    """ "1 CT has no mask." or "2 CTs have no mask."; empty for a count of 0."""
    return [f"{count} {one if count == 1 else many}."] if count else []


def counted(count: int, noun: str, rest: str) -> list[str]:
    """ "1 case left out." or "2 cases left out."; empty for a count of 0."""
    return sentence(count, f"{noun} {rest}", f"{noun}s {rest}")


def _header(series: SeriesFiles) -> Dataset | None:
    """The whole header of the series' first image; None where it is damaged."""
    file = (series.images or series.members)[0]
    try:
        with damage_named(file.path, "DICOM file"):
            header = dcmread(file.path, stop_before_pixels=True, force=True)
            copy_uids(header, file)
            return header
    except InputError:
        return None


def _masks(index: SeriesIndex) -> tuple[list[MaskOverview], Counter[str]]:
    """The masks of the folder, and numbers of unusable masks by reason."""
    found, unusable = [], Counter[str]()
    for member in (member for one in index.values() for member in one.members):
        if text(member.header, "SOPClassUID") in KINDS:
            try:
                found.append(read_overview(member.path))
            except InputError as error:
                unusable[error.what] += 1
    return found, unusable


def _matched(masks: list[MaskOverview], cts: list[SeriesFiles], headers: dict[str, Dataset]) -> list[Matched]:
    """Each CT series to which masks belong, with these masks and whether each names the series or its images."""
    series_of = {text(one.header, "SOPInstanceUID"): ct.uid for ct in cts for one in ct.images}
    masks_of: dict[str | None, list[tuple[MaskOverview, bool]]] = defaultdict(list)
    for mask in masks:
        uid, referred = _owner(mask, cts, headers, series_of)
        masks_of[uid].append((mask, referred))
    return [(ct, masks_of[ct.uid]) for ct in cts if ct.uid in masks_of]


def _owner(
    mask: MaskOverview, cts: list[SeriesFiles], headers: dict[str, Dataset], series_of: dict[str, str]
) -> tuple[str | None, bool]:
    """UID of the CT series that a mask belongs to, None if unclear; whether the mask names it or its images."""
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


def _cases(matched: list[Matched], headers: dict[str, Dataset]) -> list[MatchedCase]:
    """The CT series with one mask, or with several of which one names a tumour."""
    persons, first_days = _persons(headers)
    cases = []
    for ct, pairs in matched:
        meant = pairs if len(pairs) == 1 else [(mask, referred) for mask, referred in pairs if mask.tumours]
        if len(meant) == 1:
            header, person = headers[ct.uid], persons[ct.uid]
            study = dicom_date(header, "StudyDate")
            day = None if study is None else (study - first_days[person]).days
            cases.append(MatchedCase(ct, *meant[0], header, person, day))
    return cases


def _persons(headers: dict[str, Dataset]) -> tuple[dict[str, str], dict[str, date]]:
    """The person of each series, and the date of the first study of each person.

    A PatientID without an issuer is assumed to come from the only issuer of this ID in the folder.
    """
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
