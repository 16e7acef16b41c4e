"""What DICOM SEG and RTSTRUCT share: which of the two a file is, whether it belongs to the CT, what it refers to."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from DeepRadScoreLib.errors import InputError, RegionError
from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.dicom.datasets import DAMAGED, quiet_pydicom, read_header, tag_name, text
from DeepRadScoreLib.imaging.segments import TUMOUR_WORDS, MaskContent, Segment, names_tumour

if TYPE_CHECKING:
    from DeepRadScoreLib.imaging.dicom.ct import CtSeries

MaskKind = Literal["seg", "rtstruct"]
LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"
KINDS: dict[str, MaskKind] = {
    SegmentationStorage: "seg",
    LABEL_MAP_STORAGE: "seg",
    RTStructureSetStorage: "rtstruct",
}
NAMES: dict[MaskKind, str] = {"seg": "DICOM SEG", "rtstruct": "RTSTRUCT"}
CODED_TUMOUR_WORDS = (*TUMOUR_WORDS, "neoplasm")
IDENTIFIERS = ("PatientID", "OtherPatientIDs", "PatientBirthDate", "AccessionNumber", "InstitutionName")
LABEL_LIMIT = 65535
EXPORT_MEND = "export it again"
OTHER_MASK_MEND = "give the mask that was drawn on this CT"


@dataclass(frozen=True)
class DicomSegment(Segment):
    """A segment or ROI; `is_tumour` is judged by its true name and coded type, which `name` may not show."""

    is_tumour: bool = False

    @property
    def counts_as_tumour(self) -> bool:
        """Whether its name or coded type says tumour."""
        return self.is_tumour


@dataclass(frozen=True)
class DicomMask(MaskContent):
    """A mask taken apart, with what reading it had to mend or noticed."""

    notes: tuple[QualityNote, ...] = ()


@dataclass(frozen=True)
class References:
    """SeriesInstanceUIDs and SOPInstanceUIDs of the images that a mask was drawn on, as far as it says so."""

    series: frozenset[str]
    images: frozenset[str]


def mask_kind(path: Path) -> MaskKind | None:
    """Which kind of DICOM mask a file is, by its (0008,0016) SOPClassUID; None for every other file."""
    try:
        with damage_named(path, "file"):
            found = read_header(path)
    except InputError:
        return None
    return None if found is None else KINDS.get(text(found.header, "SOPClassUID"))


def read_mask(path: Path, ct: CtSeries, expected: MaskKind) -> Dataset:
    """The dataset of a SEG or RTSTRUCT of the patient of the CT.

    Raises
    ------
    InputError: not a DICOM file, cut short, or an object of another SOP class.
    RegionError: (0010,0020) PatientID differs from the CT's; where either has none, the frame of reference decides.
    """
    name = NAMES[expected]
    if not path.is_file():
        raise InputError("the file does not exist", where=path, mend=f"give the path of a {name}")
    with damage_named(path, name):
        found = read_header(path)
    if found is None:
        empty = path.stat().st_size == 0
        raise InputError(
            "the file is empty (0 bytes)" if empty else "it is not a DICOM file",
            where=path,
            mend=f"give the {name}",
        )
    kind = text(found.header, "SOPClassUID")
    if KINDS.get(kind) != expected:
        raise InputError(
            f"{tag_name('SOPClassUID')} is not that of a {name}"
            + (f" but of a {NAMES[KINDS[kind]]}" if kind in KINDS else ""),
            where=path,
            mend="give the mask that was drawn on the CT",
        )
    patient = text(found.header, "PatientID")
    if patient and ct.patient_key and patient != ct.patient_key:
        raise RegionError(
            f"the mask is of another patient: {tag_name('PatientID')} is not that of the CT",
            where=path,
            mend=OTHER_MASK_MEND,
        )
    with damage_named(path, name):
        dataset = dcmread(path, force=True)
        dataset.file_meta = found.header.file_meta
    return dataset


@contextmanager
def damage_named(path: Path, name: str, keyword: str = "") -> Iterator[None]:
    """Turn what pydicom and highdicom raise on damaged objects into one sentence that repeats no value of theirs.

    It names the first DICOM keyword that they speak of, else `keyword`. Their warnings and log lines, which could hold
    values too, are kept back.
    """
    logger = logging.getLogger("highdicom")
    disabled = logger.disabled
    logger.disabled = True
    try:
        with quiet_pydicom():
            yield
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(
            f"the {name} is damaged, cut short or incomplete{_tag_in(error, keyword)}",
            where=path,
            mend=EXPORT_MEND + " or copy it again",
        ) from None
    finally:
        logger.disabled = disabled


def mask_references(path: Path) -> References:
    """What a SEG or RTSTRUCT file refers to: which CT of several is meant.

    Raises
    ------
    InputError: it cannot be read.
    """
    with damage_named(path, "DICOM mask"):
        return references_in(dcmread(path, force=True, stop_before_pixels=True))


def references_in(dataset: Dataset) -> References:
    """What the dataset of a SEG or RTSTRUCT refers to."""
    series: set[str] = set()
    images: set[str] = set()
    for one in dataset.get("ReferencedSeriesSequence") or ():
        series.add(text(one, "SeriesInstanceUID"))
        images.update(_instances(one, "ReferencedInstanceSequence"))
    groups = (dataset.get("SharedFunctionalGroupsSequence"), dataset.get("PerFrameFunctionalGroupsSequence"))
    for frame in (frame for group in groups for frame in group or ()):
        for derivation in frame.get("DerivationImageSequence") or ():
            images.update(_instances(derivation, "SourceImageSequence"))
    for frame in dataset.get("ReferencedFrameOfReferenceSequence") or ():
        for study in frame.get("RTReferencedStudySequence") or ():
            for one in study.get("RTReferencedSeriesSequence") or ():
                series.add(text(one, "SeriesInstanceUID"))
                images.update(_instances(one, "ContourImageSequence"))
    for roi in dataset.get("ROIContourSequence") or ():
        for contour in roi.get("ContourSequence") or ():
            images.update(_instances(contour, "ContourImageSequence"))
    return References(frozenset(series - {""}), frozenset(images - {""}))


def check_frame_of_reference(found: str, ct: CtSeries, path: Path, *, keyword: str, what: str, refers: bool) -> None:
    """Refuse what lies in another frame of reference than the CT.

    Parameters
    ----------
    found: the UID in the mask, "" where it gives none.
    keyword: the tag it stands in. what: "the mask" or the ROI's name.
    refers: whether the mask names instances of this very CT; that settles it where one of the UIDs is absent.

    Raises
    ------
    RegionError: another frame of reference, or none and nothing that ties the mask to the CT.
    """
    if found and ct.frame_of_reference_uid:
        if found != ct.frame_of_reference_uid:
            raise RegionError(
                f"{what} lies in another frame of reference: {tag_name(keyword)} is not that of the CT",
                where=path,
                mend=OTHER_MASK_MEND + ", or register it first",
            )
    elif not refers:
        raise RegionError(
            f"nothing ties {what} to the CT: {'the CT' if found else 'it'} has no "
            f"{tag_name('FrameOfReferenceUID' if found else keyword)}, and no image of the CT is referred to",
            where=path,
            mend=OTHER_MASK_MEND,
        )


def reference_notes(references: References, ct: CtSeries, *, what: str) -> list[QualityNote]:
    """The remark on a mask that was drawn on another series of the same frame of reference."""
    if references.images & set(ct.sop_uids) or ct.series_uid in references.series:
        return []
    return [
        QualityNote(
            "mask_of_another_series",
            "warning",
            f"The {what} does not refer to this CT series but shares its {tag_name('FrameOfReferenceUID')}; "
            "that it fits depends on the patient lying still between the two.",
        )
    ]


def public_name(name: str, fallback: str, dataset: Dataset) -> str:
    """The name of a segment or ROI, or `fallback` where it holds part of a person's name or another identifier."""
    name = " ".join(name.split())
    return fallback if not name or names_person(name, dataset) else name


def names_person(words: str, dataset: Dataset) -> bool:
    """Whether words hold part of a name that stands in the header, or another of the header's identifiers."""
    folded = words.casefold()
    names, values = _identifiers(dataset)
    return (
        bool(set(_words(folded)) & names)
        or folded in values
        or any(len(part) >= 4 and part in folded for part in (*names, *values))
    )


def says_tumour(*texts: str) -> bool:
    """Whether a name or a coded meaning says tumour."""
    return any(names_tumour(one, CODED_TUMOUR_WORDS) for one in texts)


def pack(masks: Iterable[tuple[int, np.ndarray]], grid: sitk.Image) -> tuple[tuple[sitk.Image, ...], dict[int, int]]:
    """Labelmaps on `grid` that hold all masks, as few as their overlaps allow, and the layer of each value.

    Parameters
    ----------
    masks: value (1..65535) and bool array (z, y, x) of each; those that are empty get no layer.
    """
    layers: list[np.ndarray] = []
    layer_of: dict[int, int] = {}
    for value, mask in masks:
        if not mask.any():
            continue
        layer = next((n for n, taken in enumerate(layers) if not taken[mask].any()), len(layers))
        if layer == len(layers):
            layers.append(np.zeros(mask.shape, np.uint8))
        if value > np.iinfo(layers[layer].dtype).max:
            layers[layer] = layers[layer].astype(np.uint16)
        layers[layer][mask] = value
        layer_of[value] = layer
    return tuple(as_image(layer, grid) for layer in layers), layer_of


def as_image(values: np.ndarray, grid: sitk.Image) -> sitk.Image:
    """An array (z, y, x) as an image with the geometry of `grid`."""
    image = sitk.GetImageFromArray(values)
    image.CopyInformation(grid)
    return image


def _tag_in(error: BaseException, fallback: str) -> str:
    words = re.findall(r"\b[A-Z][A-Za-z]{3,}\b", str(error))
    keyword = next((word for word in words if tag_for_keyword(word) is not None), fallback)
    return f" at {tag_name(keyword)}" if keyword else ""


def _instances(dataset: Dataset, sequence: str) -> Iterator[str]:
    return (str(item.get("ReferencedSOPInstanceUID", "")) for item in dataset.get(sequence) or ())


def _words(value: str) -> list[str]:
    return re.split(r"[\W_]+", value)


def _identifiers(dataset: Dataset) -> tuple[set[str], set[str]]:
    """Words of two letters or more of all persons' names, and whole identifying values; in small letters."""
    words: set[str] = set()
    values: set[str] = set()
    for element in dataset:
        if element.VR == "PN":
            words.update(word for word in _words(str(element.value or "").casefold()) if len(word) >= 2)
        elif element.keyword in IDENTIFIERS:
            values.add(text(dataset, element.keyword).casefold())
    return words, values - {""}
