"""Cases of a folder of DICOM files: CTs with the one mask that belongs to them, and their patients, by the headers.

Ambiguous ones (a mask that fits two CTs, two masks of one CT) are counted and left out, not guessed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal, TypeAlias

from pydicom import Dataset, dcmread

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.dicom.anonymised import copy_uids
from DeepRadScoreLib.imaging.dicom.datasets import dicom_date, patient_identity, quiet_pydicom, text
from DeepRadScoreLib.imaging.dicom.series import SeriesFiles, SeriesIndex, find_series
from DeepRadScoreLib.imaging.dicom.structures.masks import KINDS, damage_named
from DeepRadScoreLib.imaging.dicom.structures.overview import MaskOverview, read_overview
from DeepRadScoreLib.imaging.dicom.structures.planes import on_slices
from DeepRadScoreLib.progress import Report, ignore

Tie: TypeAlias = Literal["reference", "frame", "geometry"]
"""What ties a mask to its CT: it names the series or its images; they share a frame of reference; folder and planes."""
Matched: TypeAlias = tuple[SeriesFiles, list[tuple[MaskOverview, Tie]]]


@dataclass(frozen=True)
class Owner:
    """The CT series that a mask belongs to.

    Attributes
    ----------
    uid, tie: of the series, and what ties the mask to it; None: no series, or several.
    unclear: whether CTs near the mask have lost the UIDs that could tie it to one of them.
    """

    uid: str | None = None
    tie: Tie | None = None
    unclear: bool = False


@dataclass(frozen=True, eq=False)
class MatchedCase:
    """A CT series and the one mask that belongs to it.

    Attributes
    ----------
    header: of the CT's first image; it names the patient.
    person: `patient_identity` of the patient, with the issuer that other files of the folder give.
    tie: what ties the mask to this series.
    day: days since the first study of the patient in the folder, None where a date is missing.
    """

    ct: SeriesFiles
    mask: MaskOverview
    tie: Tie
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
    of reference. Where the UIDs that could tie it to a CT were removed, it belongs to the only such CT in the nearest
    folder with CTs on whose slices it lies.

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
        owners = _owners(masks, cts, headers)
        matched = _matched(masks, owners, cts)
        cases = _cases(matched, headers)
    ownerless = sum(owner.uid is None and not owner.unclear for owner in owners)
    remarks = (
        *sentence(len(cts) - len(matched), "CT series has no mask", "CT series have no mask"),
        *sentence(ownerless, "mask belongs to no CT, or to several", "masks belong to no CT, or to several"),
        *(one for why, count in sorted(unusable.items()) for one in counted(count, "mask", f"cannot be used: {why}")),
        *sentence(
            sum(case.tie == "geometry" for case in cases),
            "case was paired by folder and geometry, as UIDs were removed from its CT",
            "cases were paired by folder and geometry, as UIDs were removed from their CTs",
        ),
        *sentence(len(index.damaged), "DICOM file is damaged", "DICOM files are damaged"),
    )
    problems = (
        *sentence(
            len(matched) - len(cases),
            "CT has several masks and is left out; move those away that do not outline the tumour",
            "CTs have several masks and are left out; move those away that do not outline the tumour",
        ),
        *sentence(
            sum(owner.unclear for owner in owners),
            "mask lies on the slices of none or of several of the CTs near it, whose UIDs were removed; put it into a "
            "folder with its CT alone",
            "masks lie on the slices of none or of several of the CTs near them, whose UIDs were removed; put each "
            "into a folder with its CT alone",
        ),
    )
    return DicomFolder(index, tuple(cases), remarks, problems)


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


def _owners(masks: list[MaskOverview], cts: list[SeriesFiles], headers: dict[str, Dataset]) -> list[Owner]:
    series_of = {text(one.header, "SOPInstanceUID"): ct.uid for ct in cts for one in ct.images}
    return [_owner(mask, cts, headers, series_of) for mask in masks]


def _matched(masks: list[MaskOverview], owners: list[Owner], cts: list[SeriesFiles]) -> list[Matched]:
    """Each CT series to which masks belong, with these masks and what ties each to it."""
    masks_of: dict[str, list[tuple[MaskOverview, Tie]]] = defaultdict(list)
    for mask, owner in zip(masks, owners, strict=True):
        if owner.uid is not None and owner.tie is not None:
            masks_of[owner.uid].append((mask, owner.tie))
    return [(ct, masks_of[ct.uid]) for ct in cts if ct.uid in masks_of]


def _owner(mask: MaskOverview, cts: list[SeriesFiles], headers: dict[str, Dataset], series_of: dict[str, str]) -> Owner:
    patient = text(mask.header, "PatientID")
    same = [ct for ct in cts if not patient or text(headers[ct.uid], "PatientID") in ("", patient)]
    by_images = {series_of[image] for image in mask.references.images if image in series_of}
    for named in (mask.references.series, by_images):
        found = [ct.uid for ct in same if ct.uid in named]
        if len(found) == 1:
            return Owner(found[0], "reference")
    if any(ct.uid in mask.references.series | by_images for ct in cts):
        return Owner()
    by_frame = [ct for ct in same if text(headers[ct.uid], "FrameOfReferenceUID") in mask.frames]
    stacks = [ct for ct in by_frame if len(ct.images) > 1] or by_frame
    if len(stacks) == 1:
        return Owner(stacks[0].uid, "frame")
    return Owner() if stacks else _owner_by_geometry(mask, [ct for ct in _near(mask, cts) if ct in same])


def _owner_by_geometry(mask: MaskOverview, near: list[SeriesFiles]) -> Owner:
    """The only CT without the UIDs that could tie the mask to it on whose slices the mask lies."""
    untied = [ct for ct in near if _untied(mask, ct)]
    fitting = [ct for ct in untied if on_slices(mask, ct)]
    return Owner(fitting[0].uid, "geometry") if len(fitting) == 1 else Owner(unclear=bool(untied))


def _near(mask: MaskOverview, cts: list[SeriesFiles]) -> list[SeriesFiles]:
    """The CTs that lie in the folder of the mask, else in the nearest folder above it that holds some."""
    for folder in mask.path.parents:
        inside = [ct for ct in cts if all(path.is_relative_to(folder) for path in ct.files)]
        if inside:
            return inside
    return []


def _untied(mask: MaskOverview, ct: SeriesFiles) -> bool:
    """Whether a CT has lost its frame of reference, and the UIDs of its images where the mask names images."""
    lost = [file.missing for file in ct.images]
    unnamed = not mask.references.images or any("SOPInstanceUID" in each for each in lost)
    return unnamed and all("FrameOfReferenceUID" in each for each in lost)


def _cases(matched: list[Matched], headers: dict[str, Dataset]) -> list[MatchedCase]:
    """The CT series with one mask, or with several of which one names a tumour."""
    persons, first_days = _persons(headers)
    cases = []
    for ct, pairs in matched:
        meant = pairs if len(pairs) == 1 else [(mask, tie) for mask, tie in pairs if mask.tumours]
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
