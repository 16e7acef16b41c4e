"""DICOM files put into other transfer syntaxes by the encoders of others: GDCM, DCMTK, imagecodecs, pydicom, zlib.

The result of each is a file as another program writes it; imagecodecs (OpenJPH, CharLS, libjxl) and DCMTK are asked for
where a test needs them.
"""

from __future__ import annotations

import shutil
import subprocess
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.pixels import get_encoder, pixel_array
from pydicom.uid import HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL, JPEG2000Lossless, JPEGLSLossless, RLELossless

from support import dicom_phantoms

ENCAPSULATED_UNCOMPRESSED = "1.2.840.10008.1.2.1.98"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
Encoder = Callable[[Path], None]
Frame = Callable[[np.ndarray, Dataset], bytes]


def by_gdcm(name: str) -> Encoder:
    """Through GDCM; the name of a member of its `TransferSyntax`."""
    return lambda path: dicom_phantoms.compress(path, getattr(gdcm.TransferSyntax, name))


def by_dcmtk(program: str, *options: str) -> Encoder:
    """Through a program of DCMTK, such as `dcmcjpeg`."""

    def encode(path: Path) -> None:
        if shutil.which(program) is None:
            pytest.skip(f"{program} (Debian package dcmtk) is not installed")
        result = path.with_suffix(".encoded")
        subprocess.run([program, *options, str(path), str(result)], check=True, capture_output=True)
        result.replace(path)

    return encode


def by_frame(syntax: str, encode: Frame) -> Encoder:
    """Frame by frame, each from its stored values and the dataset."""

    def encode_all(path: Path) -> None:
        ds = dcmread(path)
        write_frames(path, syntax, [encode(frame, ds) for frame in planes(ds)])

    return encode_all


def planes(ds: Dataset) -> np.ndarray:
    """The stored values, (frames, rows, columns), with the bits that are not used."""
    return pixel_array(ds, correct_unused_bits=False).reshape(-1, ds.Rows, ds.Columns)


def write_frames(path: Path, syntax: str, frames: Sequence[bytes]) -> None:
    """Write a file again with these encoded frames and their transfer syntax, also one that pydicom does not know."""
    ds = dcmread(path)
    ds.PixelData = encapsulate(list(frames))
    ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    ds.file_meta.TransferSyntaxUID = RLELossless
    ds.save_as(path, enforce_file_format=True)
    content = path.read_bytes()
    before, after = _uid_element(RLELossless), _uid_element(syntax)
    length = b"\x02\x00\x00\x00UL\x04\x00"
    start = content.index(length) + len(length)
    group = int.from_bytes(content[start : start + 4], "little") + len(after) - len(before)
    content = content[:start] + group.to_bytes(4, "little") + content[start + 4 :]
    path.write_bytes(content.replace(before, after, 1))


def _uid_element(uid: str) -> bytes:
    value = uid.encode() + b"\0" * (len(uid) % 2)
    return b"\x02\x00\x10\x00UI" + len(value).to_bytes(2, "little") + value


def _codecs() -> Any:
    return pytest.importorskip("imagecodecs", reason="imagecodecs, which encodes HTJ2K and JPEG XL, is not installed")


def native(frame: np.ndarray, ds: Dataset) -> bytes:
    """A frame as it stands in native pixel data, beginning at a byte."""
    if ds.BitsAllocated == 1:
        return np.packbits(frame.ravel(), bitorder="little").tobytes()
    return frame.tobytes()


def deflated(frame: np.ndarray, ds: Dataset) -> bytes:
    encoder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return encoder.compress(native(frame, ds)) + encoder.flush()


def rle(frame: np.ndarray, ds: Dataset) -> bytes:
    """One byte of one segment per pixel of 8 bits or 1."""
    return rle_bytes(frame.astype(np.uint8))


def rle_of_packed_bits(frame: np.ndarray, ds: Dataset) -> bytes:
    """Eight pixels of 1 bit in a byte, as some writers have it."""
    return rle_bytes(np.frombuffer(native(frame, ds), np.uint8)[None])


def rle_bytes(frame: np.ndarray) -> bytes:
    return get_encoder(RLELossless).encode(
        frame,
        rows=frame.shape[0],
        columns=frame.shape[1],
        samples_per_pixel=1,
        number_of_frames=1,
        bits_allocated=8,
        bits_stored=8,
        pixel_representation=0,
        photometric_interpretation="MONOCHROME2",
        encoding_plugin="pydicom",
    )


def htj2k(**options: object) -> Frame:
    return lambda frame, ds: _codecs().htj2k_encode(np.ascontiguousarray(frame), **options)


def jpeg_2000(frame: np.ndarray, ds: Dataset) -> bytes:
    return _codecs().jpeg2k_encode(frame, level=0, reversible=True, codecformat="j2k", bitspersample=int(ds.BitsStored))


def jpeg_ls(frame: np.ndarray, ds: Dataset) -> bytes:
    return _codecs().jpegls_encode(frame.view(np.uint16))


def jpeg_xl(frame: np.ndarray, ds: Dataset) -> bytes:
    return _codecs().jpegxl_encode(frame.view(np.uint16), lossless=True)


def without_sign_bits(encode: Frame) -> Frame:
    """The stored bits alone are encoded, in words whose other bits are 0: a decoder sees no negative value."""
    return lambda frame, ds: encode(frame.view(np.uint16) & np.uint16(2**ds.BitsStored - 1), ds)


LOSSLESS: dict[str, Encoder] = {
    "big endian": by_gdcm("ExplicitVRBigEndian"),
    "deflated": by_gdcm("DeflatedExplicitVRLittleEndian"),
    "deflated frames": by_frame(DEFLATED_FRAMES, deflated),
    "encapsulated uncompressed": by_frame(ENCAPSULATED_UNCOMPRESSED, native),
    "RLE": by_gdcm("RLELossless"),
    "JPEG lossless, process 14": by_gdcm("JPEGLosslessProcess14"),
    "JPEG lossless, SV1": by_gdcm("JPEGLosslessProcess14_1"),
    "JPEG-LS": by_gdcm("JPEGLSLossless"),
    "JPEG-LS, 16 bits": by_frame(JPEGLSLossless, jpeg_ls),
    "JPEG-LS, sign bits dropped": by_frame(JPEGLSLossless, without_sign_bits(jpeg_ls)),
    "JPEG 2000": by_gdcm("JPEG2000Lossless"),
    "JPEG 2000, sign bits dropped": by_frame(JPEG2000Lossless, without_sign_bits(jpeg_2000)),
    "HTJ2K lossless": by_frame(HTJ2KLossless, htj2k(reversible=True)),
    "HTJ2K lossless, sign bits dropped": by_frame(HTJ2KLossless, without_sign_bits(htj2k(reversible=True))),
    "HTJ2K lossless, RPCL": by_frame(HTJ2KLosslessRPCL, htj2k(reversible=True, tlm=True)),
    "HTJ2K, reversible": by_frame(HTJ2K, htj2k(reversible=True)),
}
"""Name of a syntax -> what puts a file of 16 bits allocated into it without loss."""
PREDICTORS: dict[str, Encoder] = {
    f"JPEG lossless, predictor {n}": by_dcmtk("dcmcjpeg", "+el", "+sv", str(n)) for n in range(1, 8)
}
SEGMENTATIONS: dict[str, Encoder] = {
    "big endian": by_dcmtk("dcmconv", "+tb"),
    "deflated": by_dcmtk("dcmconv", "+td"),
    "deflated frames": by_frame(DEFLATED_FRAMES, deflated),
    "encapsulated uncompressed": by_frame(ENCAPSULATED_UNCOMPRESSED, native),
    "RLE": by_frame(RLELossless, rle),
    "RLE of packed bits": by_frame(RLELossless, rle_of_packed_bits),
    "JPEG 2000": by_frame(JPEG2000Lossless, jpeg_2000),
    "HTJ2K lossless": by_frame(HTJ2KLossless, htj2k(reversible=True)),
}
"""Name of a syntax -> what puts a DICOM SEG of 1 or 8 bits allocated into it."""
