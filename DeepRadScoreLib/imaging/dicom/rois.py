"""The ROIs of an RTSTRUCT and their contours, checked, as stored: points in LPS, mm."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset

from DeepRadScoreLib.errors import InputError, RegionError
from DeepRadScoreLib.imaging.dicom.datasets import tag_name
from DeepRadScoreLib.imaging.dicom.masks import EXPORT_MEND, LABEL_LIMIT, public_name

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


@dataclass(frozen=True)
class Roi:
    """One ROI: `value` is its label in a mask, `name` what may be shown of `true_name`."""

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
    def shown(self) -> str:
        """For messages."""
        return f'the ROI "{self.name}"'


def rois_in(dataset: Dataset, path: Path) -> list[Roi]:
    """All ROIs, drawn or not; their values are the ROI numbers where these can serve as labels.

    Raises
    ------
    RegionError: there are none. InputError: two have one number.
    """
    if not dataset.get("StructureSetROISequence"):
        raise RegionError(
            f"the RTSTRUCT names no ROI: {tag_name('StructureSetROISequence')} is absent or empty",
            where=path,
            mend=EXPORT_MEND,
        )
    contours: dict[int, tuple[Dataset, ...]] = {}
    for item in dataset.get("ROIContourSequence") or ():
        number = int(item.ReferencedROINumber)
        contours[number] = (*contours.get(number, ()), *(item.get("ContourSequence") or ()))
    numbers = [int(item.ROINumber) for item in dataset.StructureSetROISequence]
    if len(set(numbers)) < len(numbers):
        raise InputError(f"two ROIs have one {tag_name('ROINumber')}", where=path, mend=EXPORT_MEND)
    usable = all(1 <= number <= LABEL_LIMIT for number in numbers)
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


def closed_contours(roi: Roi, path: Path) -> list[np.ndarray]:
    """The points of each contour of an ROI, (n, 3), LPS in mm; contours of one or two points enclose nothing.

    Raises
    ------
    RegionError: none, open ones, or points. InputError: damaged numbers.
    """
    if not roi.contours:
        raise RegionError(
            f"{roi.shown} has no contours ({tag_name('ContourSequence')})",
            where=path,
            mend="choose an ROI that is drawn",
        )
    contours: list[np.ndarray] = []
    for position, item in enumerate(roi.contours, start=1):
        what = f"contour {position} of {roi.shown}"
        kind = str(item.get("ContourGeometricType") or "absent")
        if kind not in CLOSED:
            known = kind if kind in ("POINT", "OPEN_PLANAR", "OPEN_NONPLANAR") else "absent or unknown"
            raise RegionError(
                f"{what} is not closed: {tag_name('ContourGeometricType')} is {known}",
                where=path,
                mend="outline the region with closed contours",
            )
        contours.append(_coordinates(item, what, path))
    return contours


def _coordinates(item: Dataset, what: str, path: Path) -> np.ndarray:
    flat = _numbers(item)
    stated = item.get("NumberOfContourPoints")
    if flat.size == 0 or flat.size % 3:
        raise InputError(
            f"{what} has {flat.size} numbers in {tag_name('ContourData')}, not three for every point",
            where=path,
            mend=EXPORT_MEND,
        )
    if stated is not None and int(stated) != flat.size // 3:
        raise InputError(
            f"{what} should have {int(stated)} points by {tag_name('NumberOfContourPoints')} "
            f"and has {flat.size // 3} in {tag_name('ContourData')}",
            where=path,
            mend=EXPORT_MEND,
        )
    if not np.isfinite(flat).all():
        raise InputError(
            f"{what} has coordinates in {tag_name('ContourData')} that are not finite numbers",
            where=path,
            mend=EXPORT_MEND,
        )
    return flat.reshape(-1, 3)


def _numbers(item: Dataset) -> np.ndarray:
    """ContourData, (n,); from the stored text, as pydicom makes an object of every number (three times slower)."""
    data = item.get_item("ContourData").value if "ContourData" in item else None
    if isinstance(data, bytes):
        stored = data.decode("ascii").strip("\0 ")
        data = stored.split("\\") if stored else None
    return np.array([] if data is None else data, dtype=float).ravel()
