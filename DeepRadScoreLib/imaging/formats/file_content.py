"""Whether an image file holds the pixels that its header promises, before and after ITK reads them."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.formats.text_headers import detached_data, text_header

MAX_BYTES = 16 * 2**30
GZIP, GZIP_MIN_BYTES = b"\x1f\x8b", 18
DEFLATE_MAX_RATIO = 1032
"""No deflate stream expands further than this (zlib's technical notes)."""


def check_promise(path: Path, reader: sitk.ImageFileReader) -> None:
    """Refuse a header that promises more pixels than the file can hold, before memory is allocated."""
    promised = _pixel_bytes(reader)
    on_disk = (detached_data(path) or path).stat().st_size
    if promised > MAX_BYTES or promised > on_disk * DEFLATE_MAX_RATIO:
        raise InputError(
            f"the header promises {_readable(promised)} of pixels (size {' x '.join(map(str, reader.GetSize()))}), "
            f"the file has {_readable(on_disk)}",
            where=path,
            mend="the header is damaged: export the image again",
        )


def check_content(path: Path, reader: sitk.ImageFileReader) -> None:
    """Refuse a file with less than its header promises.

    ITK fills a NIfTI file up with zeros and says nothing, and writes of a MetaImage file to the terminal.
    """
    needed = nifti_bytes(reader) or _metaimage_bytes(path, reader)
    found = _content_bytes(detached_data(path) or path, needed) if needed else 0
    if found < needed:
        raise InputError(
            f"the image data is damaged or cut short ({_readable(found)} of {_readable(needed)})",
            where=path,
            mend="copy or export the file again",
        )


def nifti_bytes(reader: sitk.ImageFileReader) -> int:
    """Bytes of a NIfTI file's content, header included; 0 for another format."""
    offset = _nifti_offset(reader)
    return offset + _pixel_bytes(reader) if offset else 0


def size_at_end(path: Path) -> int:
    """Size of a gzip file's content modulo 2^32, as it stands at its end; -1 of another file."""
    return _gzip_trailer(path)[1]


def gzip_holds(path: Path, reader: sitk.ImageFileReader, image: sitk.Image) -> bool:
    """Whether a gzip file's checksum is that of its header and the voxels of `image` as in memory.

    Of an undamaged file it may be another one, too: where ITK scaled the values or changed the order of their bytes.
    """
    try:
        with gzip.open(path, "rb") as stream:
            checksum = zlib.crc32(stream.read(_nifti_offset(reader)))
    except (EOFError, OSError, zlib.error):
        return False
    return zlib.crc32(sitk.GetArrayViewFromImage(image).data, checksum) == _gzip_trailer(path)[0]


def _nifti_offset(reader: sitk.ImageFileReader) -> int:
    return int(float(reader.GetMetaData("vox_offset"))) if reader.HasMetaDataKey("vox_offset") else 0


def _metaimage_bytes(path: Path, reader: sitk.ImageFileReader) -> int:
    """Bytes of the file with the pixels of a MetaImage that is not compressed; 0 of another file."""
    header = text_header(path)
    if "elementdatafile" not in header or header.get("compresseddata", "False").upper() == "TRUE":
        return 0
    return _pixel_bytes(reader)


def _gzip_trailer(path: Path) -> tuple[int, int]:
    """Checksum of a gzip file's content and its size modulo 2^32, as they stand at its end; -1 of another file."""
    with path.open("rb") as raw:
        if raw.read(2) != GZIP or raw.seek(0, os.SEEK_END) < GZIP_MIN_BYTES:
            return -1, -1
        raw.seek(-8, os.SEEK_END)
        return int.from_bytes(raw.read(4), "little"), int.from_bytes(raw.read(4), "little")


def _pixel_bytes(reader: sitk.ImageFileReader) -> int:
    if reader.HasMetaDataKey("bitpix"):
        bits = int(reader.GetMetaData("bitpix"))
    else:
        bits = 8 * sitk.Image([1, 1], reader.GetPixelID()).GetSizeOfPixelComponent() * reader.GetNumberOfComponents()
    return math.prod(reader.GetSize()) * bits // 8


def _content_bytes(path: Path, needed: int) -> int:
    """Bytes of the file's content, decompressed if it is gzip; of a damaged stream, those before the damage."""
    with path.open("rb") as raw:
        if raw.read(2) != GZIP:
            return path.stat().st_size
    found = 0
    try:
        with gzip.open(path, "rb") as stream:
            while chunk := stream.read(2**20):
                found += len(chunk)
    except (EOFError, OSError, zlib.error):
        return min(found, needed - 1)
    return found


def _readable(count: int) -> str:
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.0f} PB"
