"""DICOM: RTSTRUCT and SEG on a CT in memory, and the files of a CT series."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.datadict import keyword_dict
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from DeepRadScoreLib.imaging.dicom.ct import CtSeries, read_ct
from DeepRadScoreLib.imaging.dicom.datasets import DAMAGED
from DeepRadScoreLib.imaging.dicom.structures.masks import mask_kind, mask_references
from DeepRadScoreLib.imaging.dicom.structures.rtstruct import read_rtstruct
from DeepRadScoreLib.imaging.dicom.structures.seg import read_seg
from fuzzing.contract import Target, each
from fuzzing.strategies import mutated
from support.dicom_mask_makers import SHAPE, box, contour, ct_files, rtstruct_file, seg_file

STORED = (
    *(b"", b"0", b"1", b"2", b"-1", b"nan", b"inf", b"1e308", b"1e400", b"a", b"1\\2\\3", b"0\\0\\0", b"\x00" * 8),
    *(
        b"1\\0\\0\\0\\1\\0",
        b"1\\0\\0\\1\\0\\0",
        b"\xff" * 4,
        b"\x01\x00",
        b"1.2.840.10008.5.1.4.1.1.2",
        b"CLOSED_PLANAR",
    ),
    *(b"POINT", b"BINARY", b"FRACTIONAL", b"LABELMAP", b"99999999999999999999", b"\\\\\\", b"1\\1e9\\-1e9"),
)


@cache
def _made() -> tuple[CtSeries, dict[str, tuple[bytes, ...]]]:
    with TemporaryDirectory() as name:
        folder = Path(name)
        sources = ct_files(folder / "ct")
        first = [contour(box((3, 12), (4, 14), z)) for z in range(2, 6)]
        second = [contour(box((3, 20), (2, 18), 4)), contour(box((6, 12), (6, 12), 4))]
        rois = [("GTV", first), ("Lung", second)]
        pixels = np.zeros((2, *SHAPE), np.uint8)
        pixels[0, 2:5, 4:12, 5:14] = pixels[1, 3:6, 8:18, 3:9] = 1
        made = {
            "rtstruct": (rtstruct_file(folder / "rt.dcm", sources, rois).read_bytes(),),
            "seg": tuple(
                seg_file(folder / f"{kind}.dcm", sources, pixels[:1].squeeze(0), kind=kind).read_bytes()
                for kind in ("BINARY", "FRACTIONAL")
            ),
            "ct": tuple(path.read_bytes() for path in sorted((folder / "ct").iterdir())),
        }
        return read_ct(folder / "ct"), made


def _seeds(kind: str) -> tuple[bytes, ...]:
    return _made()[1][kind]


def _read_mask(kind: str, data: bytes, folder: Path) -> None:
    path = folder / "mask.dcm"
    path.write_bytes(data)
    mask_kind(path)
    mask_references(path)
    ct = _made()[0]
    if kind == "seg":
        read_seg(path, ct)
    else:
        each(lambda: read_rtstruct(path, ct, roi="GTV"), lambda: read_rtstruct(path, ct, roi=None))


def _read_ct(data: bytes, folder: Path) -> None:
    """A series in which one slice is replaced."""
    series = folder / "series"
    shutil.rmtree(series, ignore_errors=True)
    series.mkdir()
    for number, slice_ in enumerate(_seeds("ct")[:4]):
        (series / f"{number}.dcm").write_bytes(data if number == 1 else slice_)
    read_ct(series)


def _elements(dataset: Dataset) -> Iterator[tuple[Dataset, Any]]:
    for element in dataset:
        yield dataset, element
        if element.VR == "SQ":
            for item in list(element.value)[:2]:
                yield from _elements(item)


@st.composite
def edited_datasets(draw: DrawFn, kind: str) -> bytes:
    """An object with up to three elements, at any depth, replaced, removed, emptied or doubled."""
    dataset = dcmread(io.BytesIO(draw(st.sampled_from(_seeds(kind)))))
    places = list(_elements(dataset))
    for _ in range(draw(st.integers(1, 3))):
        holder, element = draw(st.sampled_from(places))
        change = draw(st.sampled_from(("stored", "stored", "remove", "items", "other")))
        if change == "items" and element.VR == "SQ":
            few = [*element.value][: draw(st.integers(0, 2))]
            element.value = Sequence(few + few[: draw(st.integers(0, 1))])
        elif change == "remove":
            holder.pop(element.tag, None)
        else:
            tag = element.tag if change == "stored" else Tag(keyword_dict[draw(st.sampled_from(OTHER_KEYWORDS))])
            vr = draw(st.sampled_from((element.VR, element.VR, "DS", "IS", "US", "FD", "UN", "LO", "OB")))
            data = draw(st.one_of(st.sampled_from(STORED), st.binary(max_size=12)))
            if vr != "SQ":
                holder[tag] = RawDataElement(tag, vr, len(data), data + b" " * (len(data) % 2), 0, False, True, True)
    stream = io.BytesIO()
    try:
        dcmwrite(stream, dataset, enforce_file_format=False)
    except DAMAGED:
        return _seeds(kind)[0][: draw(st.integers(0, 4000))]
    return stream.getvalue()


OTHER_KEYWORDS = (
    *("Rows", "Columns", "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    *("SamplesPerPixel", "PhotometricInterpretation", "SegmentationType", "MaximumFractionalValue", "PixelSpacing"),
    *("ImagePositionPatient", "ImageOrientationPatient", "SpacingBetweenSlices", "SliceThickness", "ContourData"),
    *("NumberOfContourPoints", "ROINumber", "ReferencedROINumber", "SegmentNumber", "ReferencedSegmentNumber"),
    *("RescaleSlope", "RescaleIntercept", "PixelPaddingValue", "SpecificCharacterSet", "PixelData", "InstanceNumber"),
)

TARGETS = (
    Target(
        "rtstruct",
        lambda data, folder: _read_mask("rtstruct", data, folder),
        lambda: _seeds("rtstruct"),
        lambda: edited_datasets("rtstruct") | mutated(_seeds("rtstruct")),
    ),
    Target(
        "seg",
        lambda data, folder: _read_mask("seg", data, folder),
        lambda: _seeds("seg"),
        lambda: edited_datasets("seg") | mutated(_seeds("seg")),
    ),
    Target("ct", _read_ct, lambda: _seeds("ct")[1:2], lambda: edited_datasets("ct") | mutated(_seeds("ct"))),
)
