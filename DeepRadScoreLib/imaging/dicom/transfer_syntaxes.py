"""Transfer syntaxes beyond what pydicom decodes: decoders added to it, conversion to native pixels, names."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from copy import copy
from itertools import islice
from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.encaps import generate_frames
from pydicom.pixels import get_decoder
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.dicom import itk_decoder
from DeepRadScoreLib.imaging.dicom.datasets import tag_name

UNCOMPRESSED = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian)
ENCAPSULATED_UNCOMPRESSED = UID("1.2.840.10008.1.2.1.98")
DEFLATED_FRAMES = UID("1.2.840.10008.1.2.8.1")
NAMES = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    DEFLATED_FRAMES: "Deflated Image Frame Compression",
}
"""Names (PS3.6 annex A) of syntaxes that pydicom 3.0 does not know."""
CONVERTED = (*UNCOMPRESSED, DEFLATED_FRAMES, ENCAPSULATED_UNCOMPRESSED)
"""Syntaxes that need no decoder, or none but `to_native`."""

for _decoder in map(get_decoder, itk_decoder.DECODER_DEPENDENCIES):
    if not any(name.startswith("simpleitk") for name in (*_decoder.available_plugins, *_decoder.missing_dependencies)):
        _decoder.add_plugin("simpleitk", (itk_decoder.__name__, itk_decoder.decode_frame.__name__))


def syntax_name(syntax: UID) -> str:
    """The name of a transfer syntax, its UID where it has none."""
    return NAMES.get(syntax) or UID(syntax).name


def check_decodable(syntax: UID, path: Path) -> None:
    """Refuse an image in a transfer syntax for which there is no decoder.

    Raises
    ------
    InputError: names the syntax.
    """
    if syntax not in CONVERTED and not _has_decoder(syntax):
        needed = itk_decoder.DECODER_DEPENDENCIES.get(syntax)
        raise InputError(
            f"the pixels are stored as {syntax_name(syntax)}, see {tag_name('TransferSyntaxUID')}, for which there is "
            "no decoder here",
            where=path,
            mend=f"{f'install {needed[0]}, or ' if needed else ''}export it again uncompressed, or in RLE, JPEG-LS or "
            "JPEG 2000 lossless",
        )


def to_native(dataset: Dataset) -> None:
    """Make the pixel data of a dataset native little endian, in place, where pydicom or highdicom do not read it.

    These are explicit VR big endian, Deflated Image Frame Compression (PS3.5 section 8.2.16), Encapsulated
    Uncompressed, and one bit per pixel in RLE. Other datasets are left as they are.

    Raises
    ------
    ValueError and other `datasets.DAMAGED`: the pixel data is missing or cut short.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax == ExplicitVRBigEndian:
        pixels = _little_endian(dataset)
    elif syntax in (DEFLATED_FRAMES, ENCAPSULATED_UNCOMPRESSED):
        pixels = _joined(dataset, _inflated if syntax == DEFLATED_FRAMES else _whole)
    elif syntax == RLELossless and int(dataset.BitsAllocated) == 1:
        pixels = _packed(_one_bit_rle(frame, dataset) for frame in _frames(dataset))
    else:
        return
    dataset.PixelData = pixels + bytes(len(pixels) % 2)
    dataset["PixelData"].VR = "OB" if int(dataset.BitsAllocated) <= 8 else "OW"
    dataset["PixelData"].is_undefined_length = False
    dataset.file_meta = copy(dataset.file_meta)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian


def _has_decoder(syntax: UID) -> bool:
    try:
        return get_decoder(syntax).is_available
    except NotImplementedError:
        return False


def _little_endian(dataset: Dataset) -> bytes:
    pixels = dataset.PixelData
    if dataset["PixelData"].VR != "OW":
        return pixels
    return np.frombuffer(pixels, np.uint16).byteswap().tobytes()


def _frames(dataset: Dataset) -> Iterator[bytes]:
    """The encoded frames of encapsulated pixel data."""
    table = None
    if "ExtendedOffsetTable" in dataset:
        table = (dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths)
    count = int(dataset.get("NumberOfFrames") or 1)
    frames = generate_frames(dataset.PixelData, number_of_frames=count, extended_offsets=table)
    return islice(frames, count)


def _joined(dataset: Dataset, decode: Callable[[bytes, int], bytes]) -> bytes:
    """Frames that decode to native ones, joined; those of one bit per pixel begin anew at a byte each."""
    voxels, bits = int(dataset.Rows) * int(dataset.Columns), int(dataset.BitsAllocated)
    length = (voxels * int(dataset.SamplesPerPixel) * bits + 7) // 8
    frames = (decode(frame, length) for frame in _frames(dataset))
    if bits > 1:
        return b"".join(frames)
    return _packed(np.unpackbits(np.frombuffer(f, np.uint8), count=voxels, bitorder="little") for f in frames)


def _whole(frame: bytes, length: int) -> bytes:
    if len(frame) < length:
        raise ValueError(f"a frame of {len(frame)} bytes in place of {length}")
    return frame[:length]


def _inflated(frame: bytes, length: int) -> bytes:
    return _whole(zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(frame, length), length)


def _one_bit_rle(frame: bytes, dataset: Dataset) -> np.ndarray:
    """The pixels 0 and 1 of a frame, (rows * columns,): one in a byte (PS3.5 section G.2), else eight packed in one."""
    voxels = int(dataset.Rows) * int(dataset.Columns)
    count, start = struct.unpack("<2L", frame[:8])
    values = np.frombuffer(_runs(frame[start:]), np.uint8)
    if count != 1 or (len(values) < voxels and len(values) - (voxels + 7) // 8 not in (0, 1)):
        raise ValueError(f"{len(values)} bytes of {count} segments for {voxels} pixels")
    return values[:voxels] if len(values) >= voxels else np.unpackbits(values, count=voxels, bitorder="little")


def _runs(segment: bytes) -> bytes:
    """A segment of runs as bytes (PackBits, PS3.5 section G.3.2)."""
    values, at = bytearray(), 0
    while at < len(segment) - 1:
        length = segment[at]
        if length < 128:
            values += segment[at + 1 : at + 2 + length]
            at += length + 2
        else:
            values += segment[at + 1 : at + 2] * (257 - length if length > 128 else 0)
            at += 2 if length > 128 else 1
    return bytes(values)


def _packed(frames: Iterator[np.ndarray]) -> bytes:
    """Frames of pixels 0 and 1 as native pixel data of one bit each, without gaps between frames."""
    parts = []
    while eight := list(islice(frames, 8)):
        parts.append(np.packbits(np.concatenate(eight), bitorder="little").tobytes())
    return b"".join(parts)
