"""Marked values in every element that could tell who a patient is, and a search for them in whatever was written."""

from __future__ import annotations

import base64
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.datadict import DicomDictionary
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

FUNCTIONAL = {
    *("SpecificCharacterSet", "ImageType", "Modality", "SOPClassUID", "PhotometricInterpretation", "RescaleType"),
    *("NumberOfFrames", "SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"),
    *("Manufacturer", "ManufacturerModelName", "ConvolutionKernel", "KVP", "SliceThickness"),
}
"""What reading needs; the last line is of the scanner, and DICOM PS3.15, table E.1-1, leaves it in place."""
PLANTED = {
    **dict.fromkeys(("PN", "LO", "SH", "ST", "LT", "UT", "UC", "UR", "AE", "CS"), "MARKED"),
    **dict.fromkeys(("DA", "DT"), "19111213"),
    **{"TM": "010203.456789", "AS": "099Y", "UI": "2.25.666777888999", "DS": "6667.77888", "IS": "66677788"},
}
IN_BASE64 = re.compile(rb"(?<=;base64,)[A-Za-z0-9+/]+=*")
NUMERIC = re.compile(rb"\d{4}-\d\d-\d\d|\d\d[./]\d\d[./]\d{4}|\d+(?:\.\d+)?")


def plant(ds: Dataset) -> None:
    """A marked value into every element of text, date, age, number or UID that a header may hold; a private one too."""
    for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
        numeric = vr in ("DS", "IS") and keyword in ds
        if vr in PLANTED and keyword not in FUNCTIONAL and 0x0008 <= tag >> 16 <= 0x0040 and not (retired or numeric):
            ds.add_new(tag, vr, PLANTED[vr])
    block = ds.private_block(0x0011, "MARKEDMAKER", create=True)
    block.add_new(1, "LO", "MARKEDPRIVATE")


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """What a file holds, unpacked: the members of a zip, the cells of a Parquet table, the arrays of an .npz, the
    pictures of a page. In compressed bytes and in the letters of base64 any four stand by chance somewhere in a
    megabyte.
    """
    data = path.read_bytes()
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            for name, array in arrays.items():
                text = repr(array.tolist()) if array.dtype.kind == "U" else ""
                yield f"{path.name}: {name}", text.encode() + array.tobytes()
    elif path.suffix == ".parquet":
        yield f"{path.name}: metadata", repr(pq.read_metadata(path).metadata).encode()
        yield f"{path.name}: cells", pd.read_parquet(path).to_csv().encode()
    elif zipfile.is_zipfile(path):
        yield from _members(path.name, data)
    else:
        yield path.name, IN_BASE64.sub(b"", _unpacked(path.name, data))
        for number, picture in enumerate(IN_BASE64.findall(data), start=1):
            yield f"{path.name}: picture {number}", _unpacked("", base64.b64decode(picture))


def _members(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        yield f"{name}: names", "\n".join(archive.namelist()).encode() + archive.comment
        for member in archive.namelist():
            inner = archive.read(member)
            if zipfile.is_zipfile(io.BytesIO(inner)):
                yield from _members(f"{name}: {member}", inner)
            else:
                yield f"{name}: {member}", _unpacked(member, inner)


def _unpacked(name: str, data: bytes) -> bytes:
    """The words and pixels of a PNG picture; a deflated DICOM file's elements; a network's header without its weights;
    anything else as it is.
    """
    if data.startswith(b"\x89PNG"):
        with Image.open(io.BytesIO(data)) as picture:
            pixels = picture.tobytes()
            return repr(picture.info).encode() + pixels
    if data[128:132] == b"DICM" and DeflatedExplicitVRLittleEndian.encode() in data[:1000]:
        expanded = io.BytesIO()
        ds = dcmread(io.BytesIO(data))
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.save_as(expanded, enforce_file_format=True)
        return expanded.getvalue()
    if name.endswith(".safetensors"):
        return data[: 8 + int.from_bytes(data[:8], "little")]
    return data


def found_in(folder: Path, words: Iterable[str]) -> list[tuple[str, str]]:
    """(where, word) for each word, capitals or not, that stands in a file of a folder or in the name of one.

    Words of digits are dates and numbers; they are found only as a whole.
    """
    numeric = {word for word in words if NUMERIC.fullmatch(word.encode())}
    forms = [(form, word) for word in {*words} - numeric for form in (word.lower().encode(), word.encode("utf-16-le"))]
    hits = []
    for path in sorted(folder.rglob("*")):
        where = path.relative_to(folder).as_posix()
        parts = [("its name", where.encode())]
        if path.is_file():
            parts.extend(contents(path))
        for part, data in parts:
            low = data.lower()
            there = {word for form, word in forms if form in low}
            if numeric:
                there |= numeric & {number.decode() for number in NUMERIC.findall(low)}
            hits.extend((f"{where} ({part})", word) for word in sorted(there))
    return hits
