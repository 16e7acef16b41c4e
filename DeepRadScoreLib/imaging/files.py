"""Image files: NRRD and NIfTI, checked before and after ITK reads them, and the recognition of DICOM."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError, Where
from DeepRadScoreLib.writing import replacing

SUFFIXES = (".nrrd", ".nii", ".nii.gz")
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima", ".zip")
MAX_BYTES = 16 * 2**30
DEFLATE_MAX_RATIO = 1032
"""No deflate stream expands further than this (zlib's technical notes)."""


def write_image(image: sitk.Image, path: Path, *, compress: bool = True) -> None:
    """Write an image file, whole or not at all.

    Raises
    ------
    OSError: it cannot be written; what was there before is untouched.
    """
    with replacing(path) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=compress)
        except RuntimeError as error:
            raise OSError(None, "the image could not be stored", str(path)) from error


def read_image(path: Path) -> sitk.Image:
    """Read a 3-D NRRD (also `.seg.nrrd`) or NIfTI image, or a 4-D one with a single volume.

    Raises
    ------
    InputError: the file is missing, a folder, of another kind, damaged, cut short, promises more than it can
        hold, is not 3-D, or its axes are not at right angles.
    """
    path = Path(path)
    _check_file(path)
    with _quiet_itk():
        reader = _read_header(path)
        _check_promise(path, reader)
        try:
            image = reader.Execute()
        except (RuntimeError, MemoryError) as error:
            raise InputError(
                "the image data is damaged or cut short", where=path, mend="copy or export the file again"
            ) from error
    return _three_dimensional(image, path)


def is_dicom(path: Path) -> bool:
    """Whether a path is to be read as DICOM: a folder, a zip, or a file with the DICOM mark or a DICOM name."""
    path = Path(path)
    if path.is_dir():
        return True
    if not path.is_file() or path.name.lower().endswith(SUFFIXES):
        return False
    if path.suffix.lower() in DICOM_SUFFIXES or path.name.upper() == "DICOMDIR":
        return True
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def file_stem(path: Path) -> str:
    """The file's name without `.nrrd`, `.seg.nrrd`, `.nii` or `.nii.gz`."""
    return re.sub(r"((\.seg)?\.nrrd|\.nii(\.gz)?)\Z", "", Path(path).name, flags=re.IGNORECASE)


def _check_file(path: Path) -> None:
    mend = "give the path of a NRRD (.nrrd, .seg.nrrd) or NIfTI (.nii, .nii.gz) file"
    if path.is_dir():
        raise InputError("this is a folder, not an image file", where=path, mend=mend)
    if not path.is_file():
        raise InputError("the file does not exist", where=path, mend=mend)
    if not path.name.lower().endswith(SUFFIXES):
        raise InputError("this kind of file cannot be read", where=path, mend=mend)


@contextmanager
def _quiet_itk() -> Iterator[None]:
    enabled = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(enabled)


def _read_header(path: Path) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        if "orthonormal" in str(error):
            raise sheared(path) from error
        kind = "NRRD" if path.name.lower().endswith(".nrrd") else "NIfTI"
        raise InputError(
            f"the file is no {kind} image or is damaged", where=path, mend=f"export the image as {kind} again"
        ) from error
    return reader


def _check_promise(path: Path, reader: sitk.ImageFileReader) -> None:
    """Refuse a header that promises more pixels than the file can hold, before memory is allocated."""
    promised = _pixel_bytes(reader)
    on_disk = path.stat().st_size
    if promised > MAX_BYTES or promised > on_disk * DEFLATE_MAX_RATIO:
        raise InputError(
            f"the header promises {_readable(promised)} of pixels (size {' x '.join(map(str, reader.GetSize()))}), "
            f"the file has {_readable(on_disk)}",
            where=path,
            mend="the header is damaged: export the image again",
        )
    if reader.HasMetaDataKey("vox_offset"):
        # ITK fills what is missing from a NIfTI file with zeros and says nothing.
        needed = promised + int(float(reader.GetMetaData("vox_offset")))
        found = _content_bytes(path, needed)
        if found < needed:
            raise InputError(
                f"the image data is damaged or cut short ({_readable(found)} of {_readable(needed)})",
                where=path,
                mend="copy or export the file again",
            )


def _pixel_bytes(reader: sitk.ImageFileReader) -> int:
    if reader.HasMetaDataKey("bitpix"):
        bits = int(reader.GetMetaData("bitpix"))
    else:
        bits = 8 * sitk.Image([1, 1], reader.GetPixelID()).GetSizeOfPixelComponent() * reader.GetNumberOfComponents()
    return math.prod(reader.GetSize()) * bits // 8


def _content_bytes(path: Path, needed: int) -> int:
    """Bytes of the file's content, decompressed if it is gzip; of a damaged stream, those before the damage."""
    with path.open("rb") as raw:
        if raw.read(2) != b"\x1f\x8b":
            return path.stat().st_size
    found = 0
    try:
        with gzip.open(path, "rb") as stream:
            while chunk := stream.read(2**20):
                found += len(chunk)
    except (EOFError, OSError, zlib.error):
        return min(found, needed - 1)
    return found


def _three_dimensional(image: sitk.Image, path: Path) -> sitk.Image:
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() != 3:
        size = " x ".join(map(str, image.GetSize()))
        raise InputError(
            f"the image has {image.GetDimension()} dimensions ({size}), not 3",
            where=path,
            mend="export one 3-D volume",
        )
    return image


def sheared(where: Where) -> InputError:
    """The error on an image whose axes are not at right angles."""
    return InputError(
        "the image axes are not at right angles (gantry tilt or shear)",
        where=where,
        mend="resample it to a rectangular grid first (in 3D Slicer: harden the transform)",
    )


def _readable(count: int) -> str:
    value = float(count)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.0f} PB"
