"""DICOM SEG and RTSTRUCT: the kind of a file, its patient and frame of reference, its references, its labelmaps."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from DeepRadScoreLib.errors import InputError, RegionError
from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.dicom.datasets import DAMAGED, items, quiet_pydicom, read_header, tag_name, text
from DeepRadScoreLib.imaging.grids.geometry import image_like
from DeepRadScoreLib.imaging.masks.segments import TUMOUR_WORDS, Segment, names_tumour

if TYPE_CHECKING:
    from DeepRadScoreLib.imaging.dicom.ct import CtSeries

MaskKind = Literal["DICOM SEG", "RTSTRUCT"]
LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"
KINDS: dict[str, MaskKind] = {
    SegmentationStorage: "DICOM SEG",
    LABEL_MAP_STORAGE: "DICOM SEG",
    RTStructureSetStorage: "RTSTRUCT",
}
"""SOP class UID -> kind of mask, as named in messages."""
CODED_TUMOUR_WORDS = (*TUMOUR_WORDS, "neoplasm")
IDENTIFIERS = ("PatientID", "OtherPatientIDs", "PatientBirthDate", "AccessionNumber", "InstitutionName")
SERIES_SEQUENCES = (
    ("ReferencedSeriesSequence",),
    ("ReferencedFrameOfReferenceSequence", "RTReferencedStudySequence", "RTReferencedSeriesSequence"),
)
"""Nested sequences whose items name series that a mask was drawn on."""
IMAGE_SEQUENCES = (
    (*SERIES_SEQUENCES[0], "ReferencedInstanceSequence"),
    (*SERIES_SEQUENCES[1], "ContourImageSequence"),
    ("SharedFunctionalGroupsSequence", "DerivationImageSequence", "SourceImageSequence"),
    ("PerFrameFunctionalGroupsSequence", "DerivationImageSequence", "SourceImageSequence"),
    ("ROIContourSequence", "ContourSequence", "ContourImageSequence"),
)
"""Nested sequences whose items name images that a mask was drawn on."""
MAX_LABEL = 65535
MASK_MEND = "give the path of a DICOM SEG, an RTSTRUCT, or a NRRD or NIfTI file"
EXPORT_MEND = "export it again"
OTHER_MASK_MEND = "give the mask that was drawn on this CT"


@dataclass(frozen=True)
class DicomSegment(Segment):
    """A segment or ROI; `is_tumour` follows from its true name and coded type, which `name` may not show."""

    is_tumour: bool = False

    @property
    def counts_as_tumour(self) -> bool:
        """Whether its name or coded type says tumour."""
        return self.is_tumour

    @property
    def named_tumour(self) -> bool:
        """Whether its name or coded type says tumour."""
        return self.is_tumour


@dataclass(frozen=True)
class References:
    """SeriesInstanceUIDs and SOPInstanceUIDs of the images that a mask was drawn on, as far as it names them."""

    series: frozenset[str]
    images: frozenset[str]


@dataclass(frozen=True, eq=False)
class MaskDataset:
    """The dataset of a SEG or RTSTRUCT of the patient of a CT, with what it refers to."""

    path: Path
    kind: MaskKind
    ct: CtSeries = field(repr=False)
    dataset: Dataset = field(repr=False)
    references: References = field(repr=False)

    def check_frame_of_reference(self, found: str, *, keyword: str, what: str) -> None:
        """Refuse a mask or ROI in another frame of reference than the CT.

        Parameters
        ----------
        found: the UID in the mask, "" where it gives none; an image of this very CT that is referred to then decides,
            unless the UIDs that could tie the two were removed from the CT.
        keyword: the tag of that UID. what: "the mask" or the ROI's name.

        Raises
        ------
        RegionError: another frame of reference, or none and nothing that ties the mask to the CT.
        """
        if found and self.ct.frame_of_reference_uid:
            if found != self.ct.frame_of_reference_uid:
                raise RegionError(
                    f"{what} lies in another frame of reference: {tag_name(keyword)} is not that of the CT",
                    where=self.path,
                    mend=OTHER_MASK_MEND + ", or register it first",
                )
        elif self.references.images.isdisjoint(self.ct.sop_uids) and not self._untied:
            raise RegionError(
                f"nothing ties {what} to the CT: {'the CT' if found else 'it'} has no "
                f"{tag_name('FrameOfReferenceUID' if found else keyword)}, and no image of the CT is referred to",
                where=self.path,
                mend=OTHER_MASK_MEND,
            )

    @property
    def _untied(self) -> bool:
        """Whether the CT has lost what could tie a mask to it, so that neither is contradicted by the other."""
        lost = self.ct.missing
        unnamed = "SOPInstanceUID" in lost or not self.references.images
        return "FrameOfReferenceUID" in lost and not self.ct.frame_of_reference_uid and unnamed

    def reference_notes(self) -> Iterator[QualityNote]:
        """The remark on a mask that was drawn on another series of the same frame of reference, or is tied to none."""
        named = self.ct.series_uid in self.references.series
        if self._untied:
            yield QualityNote.warning(
                "mask_untied",
                f"UIDs were removed from the CT, so that nothing ties the {self.kind} to it: whether it was drawn on "
                "this CT could not be checked.",
            )
        elif not named and self.references.images.isdisjoint(self.ct.sop_uids):
            yield QualityNote.warning(
                "mask_of_another_series",
                f"The {self.kind} does not refer to this CT series but shares its {tag_name('FrameOfReferenceUID')}; "
                "that it fits depends on the patient lying still between the two.",
            )


def mask_kind(path: Path) -> MaskKind | None:
    """The kind of a DICOM mask by its (0008,0016) SOPClassUID; None for every other file."""
    try:
        with damage_named(path, "file"):
            found = read_header(path)
    except InputError:
        return None
    return None if found is None else KINDS.get(text(found.header, "SOPClassUID"))


def check_mask_kind(path: Path) -> MaskKind:
    """The kind of a DICOM mask.

    Raises
    ------
    InputError: the file does not exist, or is none.
    """
    if not path.is_file():
        raise InputError("the file does not exist", where=path, mend=MASK_MEND)
    kind = mask_kind(path)
    if kind is None:
        what = "this is no mask: neither a DICOM SEG nor an RTSTRUCT, see (0008,0016) SOPClassUID"
        raise InputError(what, where=path, mend=MASK_MEND)
    return kind


def read_mask(path: Path, ct: CtSeries, kind: MaskKind) -> MaskDataset:
    """Read a SEG or RTSTRUCT of the patient of the CT.

    Raises
    ------
    InputError: not a DICOM file, cut short, or an object of another SOP class.
    RegionError: (0010,0020) PatientID differs from the CT's; where either has none, the frame of reference decides.
    """
    if not path.is_file():
        raise InputError("the file does not exist", where=path, mend=f"give the path of a {kind}")
    with damage_named(path, kind):
        found = read_header(path)
    if found is None:
        what = "the file is empty (0 bytes)" if path.stat().st_size == 0 else "it is not a DICOM file"
        raise InputError(what, where=path, mend=f"give the {kind}")
    found_kind = KINDS.get(text(found.header, "SOPClassUID"))
    if found_kind != kind:
        raise InputError(
            f"{tag_name('SOPClassUID')} is not that of a {kind}" + (f" but of a {found_kind}" if found_kind else ""),
            where=path,
            mend="give the mask that was drawn on the CT",
        )
    patient = text(found.header, "PatientID")
    if patient and ct.patient_key and patient != ct.patient_key:
        what = f"the mask is of another patient: {tag_name('PatientID')} is not that of the CT"
        raise RegionError(what, where=path, mend=OTHER_MASK_MEND)
    with damage_named(path, kind):
        dataset = dcmread(path, force=True)
        dataset.file_meta = found.header.file_meta
        return MaskDataset(path, kind, ct, dataset, references_in(dataset))


@contextmanager
def damage_named(path: Path, name: str, keyword: str = "") -> Iterator[None]:
    """Turn errors of pydicom and highdicom on damaged objects into an InputError that repeats none of their values.

    It names the first DICOM keyword in their message, else `keyword`. Their warnings and log lines, which could hold
    values too, are suppressed.
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


def damaged_mask(what: str, path: Path) -> InputError:
    """The error on a mask that has to be exported again."""
    return InputError(what, where=path, mend=EXPORT_MEND)


def mask_references(path: Path) -> References:
    """The images and series that a SEG or RTSTRUCT file refers to.

    Raises
    ------
    InputError: it cannot be read.
    """
    with damage_named(path, "DICOM mask"):
        return references_in(dcmread(path, force=True, stop_before_pixels=True))


def references_in(dataset: Dataset) -> References:
    """The images and series that the dataset of a SEG or RTSTRUCT refers to."""
    series = (text(item, "SeriesInstanceUID") for path in SERIES_SEQUENCES for item in items(dataset, *path))
    images = (
        str(item.get("ReferencedSOPInstanceUID", "")) for path in IMAGE_SEQUENCES for item in items(dataset, *path)
    )
    return References(frozenset(series) - {""}, frozenset(images) - {""})


def public_name(name: str, fallback: str, dataset: Dataset) -> str:
    """The name of a segment or ROI, or `fallback` where it holds a word of a person's name or another identifier."""
    name = " ".join(name.split())
    return fallback if not name or names_person(name, dataset) else name


def names_person(words: str, dataset: Dataset) -> bool:
    """Whether words hold a word of a person's name in the header, or another of the header's identifiers."""
    folded = words.casefold()
    names, values = _identifiers(dataset)
    return (
        bool(set(_words(folded)) & names)
        or folded in values
        or any(len(secret) >= 4 and secret in folded for secret in (*names, *values))
    )


def says_tumour(*texts: str) -> bool:
    """Whether a name or a coded meaning says tumour."""
    return any(names_tumour(one, CODED_TUMOUR_WORDS) for one in texts)


class Layers:
    """Labelmaps that hold masks, as few as their overlaps allow.

    Attributes
    ----------
    layer_of: the index of each value's labelmap.
    """

    def __init__(self) -> None:
        self._layers: list[np.ndarray] = []
        self.layer_of: dict[int, int] = {}

    def add(self, value: int, mask: np.ndarray) -> None:
        """Add a mask, a bool array (z, y, x), as a value (1..65535); an empty one gets no labelmap."""
        if not mask.any():
            return
        layers = self._layers
        layer = next((n for n, values in enumerate(layers) if not values[mask].any()), len(layers))
        if layer == len(layers):
            layers.append(np.zeros(mask.shape, np.uint8))
        if value > np.iinfo(layers[layer].dtype).max:
            layers[layer] = layers[layer].astype(np.uint16)
        layers[layer][mask] = value
        self.layer_of[value] = layer

    def images(self, grid: sitk.Image) -> tuple[sitk.Image, ...]:
        """The labelmaps on a grid."""
        return tuple(image_like(layer, grid) for layer in self._layers)


def _tag_in(error: BaseException, fallback: str) -> str:
    words = re.findall(r"\b[A-Z][A-Za-z]{3,}\b", str(error))
    keyword = next((word for word in words if tag_for_keyword(word) is not None), fallback)
    return f" at {tag_name(keyword)}" if keyword else ""


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
