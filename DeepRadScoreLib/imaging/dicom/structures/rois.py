"""The ROIs of an RTSTRUCT and the points of their contours, checked, in LPS and mm."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset

from DeepRadScoreLib.errors import RegionError
from DeepRadScoreLib.imaging.dicom.datasets import items, tag_name, text
from DeepRadScoreLib.imaging.dicom.structures.masks import (
    EXPORT_MEND,
    MAX_LABEL,
    DicomSegment,
    damaged_mask,
    public_name,
    says_tumour,
)

INTERPOLATED = "INTERPOLATED_PLANAR"
"""Not of the standard: OsiriX calls closed contours so that it interpolated between drawn ones."""
CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR", INTERPOLATED)
OPEN = ("POINT", "OPEN_PLANAR", "OPEN_NONPLANAR")


@dataclass(frozen=True)
class Roi:
    """One ROI: `value` is its label in a mask; `name` may be shown, `true_name` may name the patient."""

    number: int
    value: int
    true_name: str
    name: str
    frame_of_reference: str
    contours: tuple[Dataset, ...]

    @property
    def identity(self) -> str:
        """A name that no other ROI has."""
        return f"ROI {self.number}"

    @property
    def quoted(self) -> str:
        """The ROI and its name, for messages."""
        return f'the ROI "{self.name}"'

    @property
    def is_tumour(self) -> bool:
        """Whether its true name says tumour."""
        return says_tumour(self.true_name)

    def segment(self, layer: int = 0, identity: str = "") -> DicomSegment:
        """The segment of a mask that holds the ROI in a layer, by default with the identity of the ROI."""
        return DicomSegment(self.name, identity or self.identity, layer, self.value, self.is_tumour)


def rois_in(dataset: Dataset, path: Path) -> list[Roi]:
    """All ROIs, with contours or without; their values are the ROI numbers where these can serve as labels.

    Raises
    ------
    RegionError: there is none. InputError: two have one number.
    """
    if not dataset.get("StructureSetROISequence"):
        what = f"the RTSTRUCT names no ROI: {tag_name('StructureSetROISequence')} is absent or empty"
        raise RegionError(what, where=path, mend=EXPORT_MEND)
    contours: dict[int, tuple[Dataset, ...]] = {}
    for item in items(dataset, "ROIContourSequence"):
        number = int(item.ReferencedROINumber)
        contours[number] = (*contours.get(number, ()), *items(item, "ContourSequence"))
    numbers = [int(item.ROINumber) for item in dataset.StructureSetROISequence]
    if len(set(numbers)) < len(numbers):
        raise damaged_mask(f"two ROIs have one {tag_name('ROINumber')}", path)
    usable = all(1 <= number <= MAX_LABEL for number in numbers)
    shared = str(dataset.get("FrameOfReferenceUID") or "")
    return [
        Roi(
            number=number,
            value=number if usable else position,
            true_name=str(item.get("ROIName") or "").strip(),
            name=public_name(str(item.get("ROIName") or ""), f"ROI {number}", dataset),
            frame_of_reference=str(item.get("ReferencedFrameOfReferenceUID") or shared),
            contours=contours.get(number, ()),
        )
        for position, (number, item) in enumerate(zip(numbers, dataset.StructureSetROISequence, strict=True), start=1)
    ]


@dataclass(frozen=True)
class Contours:
    """The contours of an ROI.

    Attributes
    ----------
    closed: the points of each closed contour, (n, 3), LPS in mm; contours of one or two points enclose nothing.
    left_out: kind of contour ("POINT", "empty") -> number of those that were left out.
    interpolated: number of closed contours that are called `INTERPOLATED`.
    """

    closed: tuple[np.ndarray, ...]
    left_out: Counter[str]
    interpolated: int


def contours_of(roi: Roi, path: Path) -> Contours:
    """The closed contours of an ROI; those that are open, points or empty are left out.

    Raises
    ------
    RegionError: no closed contour, or one of an absent or unknown type. InputError: damaged numbers.
    """
    closed: list[np.ndarray] = []
    left_out: Counter[str] = Counter()
    interpolated = 0
    for position, item in enumerate(roi.contours, start=1):
        what = f"contour {position} of {roi.quoted}"
        kind = text(item, "ContourGeometricType")
        if _is_empty(item):
            left_out["empty"] += 1
        elif kind in OPEN:
            left_out[kind] += 1
        elif kind in CLOSED:
            closed.append(_coordinates(item, what, path))
            interpolated += kind == INTERPOLATED
        else:
            raise _not_closed(f"{what} is not closed", "absent or unknown", path)
    if closed:
        return Contours(tuple(closed), left_out, interpolated)
    if left_out.total() > left_out["empty"]:
        kinds = ", ".join(kind for kind in left_out if kind != "empty")
        raise _not_closed(f"no contour of {roi.quoted} is closed", kinds, path)
    what = f"{roi.quoted} has no contours ({tag_name('ContourSequence')})"
    raise RegionError(what, where=path, mend="choose an ROI that is drawn")


def _not_closed(what: str, kinds: str, path: Path) -> RegionError:
    return RegionError(
        f"{what}: {tag_name('ContourGeometricType')} is {kinds}",
        where=path,
        mend="outline the region with closed contours",
    )


def _is_empty(item: Dataset) -> bool:
    """Whether a contour has no points, and does not say that it should have."""
    return text(item, "NumberOfContourPoints") in ("", "0") and contour_numbers(item).size == 0


def _coordinates(item: Dataset, what: str, path: Path) -> np.ndarray:
    flat = contour_numbers(item)
    stated = item.get("NumberOfContourPoints")
    if flat.size == 0 or flat.size % 3:
        raise damaged_mask(
            f"{what} has {flat.size} numbers in {tag_name('ContourData')}, not three for every point", path
        )
    if stated is not None and int(stated) != flat.size // 3:
        raise damaged_mask(
            f"{what} should have {int(stated)} points by {tag_name('NumberOfContourPoints')} "
            f"and has {flat.size // 3} in {tag_name('ContourData')}",
            path,
        )
    if not np.isfinite(flat).all():
        raise damaged_mask(f"{what} has coordinates in {tag_name('ContourData')} that are not finite numbers", path)
    return flat.reshape(-1, 3)


def contour_numbers(item: Dataset) -> np.ndarray:
    """ContourData, (n,), parsed from the stored text: pydicom makes an object of every number, which is 3 x slower."""
    data = item.get_item("ContourData").value if "ContourData" in item else None
    if isinstance(data, bytes):
        stored = data.decode("ascii").strip("\0 ")
        data = stored.split("\\") if stored else None
    return np.array([] if data is None else data, dtype=float).ravel()
