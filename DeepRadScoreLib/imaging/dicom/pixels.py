"""The stored values of DICOM images, decoded from the transfer syntax of their file."""

from __future__ import annotations

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.filereader import read_dataset
from pydicom.pixels import pixel_array
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
)
from scipy import ndimage

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.dicom.datasets import DAMAGED, DicomFile, text
from DeepRadScoreLib.imaging.dicom.transfer_syntaxes import UNCOMPRESSED, check_decodable, syntax_name, to_native

PIXEL_DATA = "(7FE0,0010) PixelData"
PIXEL_START = {ImplicitVRLittleEndian: b"\xe0\x7f\x10\x00", ExplicitVRLittleEndian: b"\xe0\x7f\x10\x00OW\x00\x00"}
"""How the element begins in its file, but for its length."""
BITS_IN_STREAM = (*JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes)
"""Syntaxes whose compressed streams state their own number of bits."""


def read_pixels(file: DicomFile) -> np.ndarray:
    """The stored values, (frames, rows, columns), integers, before rescale.

    Bits over (0028,0101) BitsStored do not count (PS3.5 section 8.1.1): signed values are extended from that bit, in
    every transfer syntax. Streams that state their own bits may hold values beyond it, or signed ones: these are left.

    Raises
    ------
    InputError: the pixel data is missing, cut short, damaged, in colour or in a syntax that cannot be decoded.
    """
    plain = _plain_pixels(file)
    if plain is not None:
        return plain
    syntax = file.header.file_meta.TransferSyntaxUID
    check_decodable(syntax, file.path)
    try:
        dataset = _with_pixels(file)
        to_native(dataset)
        values = pixel_array(dataset, correct_unused_bits=False)
    except (*DAMAGED, AssertionError) as error:
        raise _pixel_error(file) from error
    shape = (int(file.header.Rows), int(file.header.Columns))
    if values.ndim not in (2, 3) or values.shape[-2:] != shape or not np.issubdtype(values.dtype, np.integer):
        what = f"{PIXEL_DATA} does not hold one whole number per voxel (a colour image?)"
        raise InputError(what, where=file.path, mend="give the CT itself")
    if syntax not in BITS_IN_STREAM or (values.min() >= 0 and values.max() < 2 ** int(file.header.BitsStored)):
        values = _without_unused(values, file.header)
    return values.reshape(-1, *shape)


def padding_range(header: Dataset) -> tuple[int, int] | None:
    """The lowest and highest stored value that mark voxels as outside the scanned field, None where none does."""
    try:
        first = int(text(header, "PixelPaddingValue"))
        last = int(text(header, "PixelPaddingRangeLimit") or first)
        bits = int(text(header, "BitsAllocated"))
    except ValueError:
        return None
    if text(header, "PixelRepresentation") == "1":
        first, last = (value - 2**bits if value >= 2 ** (bits - 1) else value for value in (first, last))
    return min(first, last), max(first, last)


def cut_padding(stored: np.ndarray, header: Dataset, tolerance: int = 0) -> np.ndarray | None:
    """The voxels of a slice whose padding value was cut to (0028,0101) BitsStored, (rows, columns); None without any.

    These have the value that is left of it, up to a tolerance, and are joined to a corner of the slice: elsewhere it
    may be tissue.
    """
    padding = padding_range(header)
    bits = int(header.BitsStored)
    lowest = -(2 ** (bits - 1)) if text(header, "PixelRepresentation") == "1" else 0
    if padding is None or lowest <= padding[0] < lowest + 2**bits:
        return None
    left = (padding[0] - lowest) % 2**bits + lowest
    corners = (np.array([0, 0, -1, -1]), np.array([0, -1, 0, -1]))
    if np.abs(stored[corners].astype(int) - left).min() > tolerance:
        return None
    joined, _ = ndimage.label(np.abs(stored.astype(int) - left) <= tolerance)
    labels = set(joined[corners].tolist()) - {0}
    return np.isin(joined, list(labels))


def _without_unused(values: np.ndarray, header: Dataset) -> np.ndarray:
    """Values of the bits stored alone; of all bits where these cannot hold a padding value that is there."""
    bits = int(header.BitsStored)
    unused = 8 * values.dtype.itemsize - bits
    if unused <= 0:
        return values
    padding = padding_range(header)
    if padding is not None and padding[0] < -(2 ** (bits - 1)) and (values == padding[0]).any():
        return values
    if values.dtype.kind == "u":
        return values & values.dtype.type(2**bits - 1)
    return (values << unused) >> unused


def _plain_pixels(file: DicomFile) -> np.ndarray | None:
    """The stored values (1, rows, columns) of one uncompressed image of 16 bits, as by pydicom; None of any other."""
    header = file.header
    start = PIXEL_START.get(header.file_meta.TransferSyntaxUID)
    gray = text(header, "PhotometricInterpretation").startswith("MONOCHROME")
    if start is None or not gray or "NumberOfFrames" in header:
        return None
    keywords = ("SamplesPerPixel", "BitsAllocated", "PixelRepresentation", "BitsStored", "Rows", "Columns")
    try:
        samples, bits, signed, stored, rows, columns = (int(header.get(keyword)) for keyword in keywords)
    except DAMAGED:
        return None
    if (samples, bits) != (1, 16) or signed not in (0, 1) or not 0 < stored <= bits or min(rows, columns) < 1:
        return None
    count = 2 * rows * columns
    start += count.to_bytes(4, "little")
    with file.path.open("rb") as stream:
        stream.seek(file.pixel_offset)
        content = stream.read(len(start) + count)
    if len(content) < len(start) + count or not content.startswith(start):
        return None
    values = np.frombuffer(content, "<i2" if signed else "<u2", offset=len(start)).reshape(1, rows, columns)
    return _without_unused(values, header)


def _with_pixels(file: DicomFile) -> Dataset:
    meta = file.header.file_meta
    if meta.TransferSyntaxUID == DeflatedExplicitVRLittleEndian:
        return dcmread(file.path)
    implicit, little = file.header.original_encoding
    with file.path.open("rb") as stream:
        stream.seek(file.pixel_offset)
        pixels = read_dataset(stream, bool(implicit), bool(little))
    whole = Dataset()
    whole.update(file.header)
    whole.update(pixels)
    whole.file_meta = meta
    return whole


def _pixel_error(file: DicomFile) -> InputError:
    syntax = file.header.file_meta.TransferSyntaxUID
    how = f" ({syntax_name(syntax)})" if syntax not in UNCOMPRESSED else ""
    return InputError(
        f"{PIXEL_DATA} is missing, cut short, damaged or compressed in a way that cannot be decoded{how} "
        f"(instance {file.instance})",
        where=file.path,
        mend="copy or export the file again, uncompressed if it can be chosen",
    )
