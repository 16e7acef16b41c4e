"""Image files: NRRD, NIfTI and MetaImage, checked before and after ITK reads them, and the recognition of DICOM."""

from __future__ import annotations

import hashlib
import locale
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.formats.file_content import (
    check_content,
    check_promise,
    gzip_holds,
    nifti_bytes,
    size_at_end,
)
from DeepRadScoreLib.imaging.formats.label_names import name_tables
from DeepRadScoreLib.imaging.formats.nifti import NiftiGrid, nifti_grid
from DeepRadScoreLib.imaging.formats.slicer_segmentation import from_older_form
from DeepRadScoreLib.imaging.formats.text_headers import check_encoding, detached_data
from DeepRadScoreLib.imaging.grids.axes import at_right_angles, check_spacing
from DeepRadScoreLib.imaging.grids.geometry import affine_of, with_affine, with_geometry
from DeepRadScoreLib.provenance import content_digest
from DeepRadScoreLib.writing import check_file, replacing

KINDS = {".nrrd": "NRRD", ".nii": "NIfTI", ".nii.gz": "NIfTI", ".mha": "MetaImage", ".mhd": "MetaImage"}
SUFFIXES = tuple(KINDS)
DICOM_SUFFIXES = (".dcm", ".dicom", ".ima", ".zip")
SFORM_PERMISSIVE = "ITK_NIFTI_SFORM_PERMISSIVE"
"""Environment variable by which ITK reads an sform with axes that are not at right angles."""


@dataclass(frozen=True)
class StoredImage:
    """An image as its file has it, and what was put right in reading it."""

    image: sitk.Image
    notes: tuple[QualityNote, ...]


@dataclass(frozen=True)
class ImageFile:
    """What the header of an image file says.

    Attributes
    ----------
    grid: uint8 image of its size and geometry, without its voxels.
    notes: remarks, as by `read_stored`.
    put_right: whether that is another geometry than ITK reads.
    """

    grid: sitk.Image
    notes: tuple[QualityNote, ...]
    put_right: bool


NO_MEMORY = "Failed to allocate memory"
"""In ITK's error."""


def check_writable(path: Path) -> None:
    """Check, before work begins, that an image file can be written; creates nothing.

    Raises
    ------
    InputError: its name is that of another kind of file.
    OutputError: as `writing.check_file`.
    """
    if not path.name.lower().endswith(SUFFIXES):
        raise InputError("this is not the name of an image file", where=path, mend=f"let it end in {SUFFIXES[0]}")
    check_file(path)


def write_image(image: sitk.Image, path: Path, *, compress: bool = True) -> None:
    """Write an image file, whole or not at all.

    Raises
    ------
    OSError: it cannot be written; what was there before is untouched.
    """
    with replacing(path) as temporary:
        try:
            with _itk_files():
                sitk.WriteImage(image, str(temporary), useCompression=compress)
        except RuntimeError as error:
            raise OSError(None, "the image could not be stored", str(path)) from error


def read_image(path: Path) -> sitk.Image:
    """The image of `read_stored`, without the notes."""
    return read_stored(path).image


def read_stored(path: Path) -> StoredImage:
    """Read a 3-D NRRD (also `.seg.nrrd`), NIfTI or MetaImage file, or a 4-D one with a single volume.

    Where the fields of a NIfTI header place the voxels differently, `nifti.nifti_grid` decides; axes that are nearly at
    right angles are straightened.

    Raises
    ------
    InputError: the file is missing, a folder, of another kind, damaged, cut short, promises more than it can
        hold, is not 3-D, contradicts itself, has voxels that no CT has, or its axes are not at right angles.
    """
    path = Path(path)
    grid = _checked_grid(path)
    with _itk_files(sheared=grid.matrix is not None):
        reader = _checked_reader(path)
        try:
            image = reader.Execute()
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, MemoryError) or NO_MEMORY in str(error):
                what = f"there is not enough memory for its pixels ({' x '.join(map(str, reader.GetSize()))})"
                raise InputError(what, where=path, mend="end other programs, or crop the image") from error
            raise InputError(
                "the image data is damaged or cut short", where=path, mend="copy or export the file again"
            ) from error
    if _size_is_whole(path, reader) and not gzip_holds(path, reader, image):
        check_content(path, reader)
    image = _three_dimensional(from_older_form(image, path), path)
    return StoredImage(image, _put_right(image, grid, path))


def check_image(path: Path) -> ImageFile:
    """Make the checks of `read_stored` without reading the voxels; damage within compressed ones is not found.

    Raises
    ------
    InputError: as `read_stored`.
    """
    path = Path(path)
    grid = _checked_grid(path)
    with _itk_files(sheared=grid.matrix is not None):
        reader = _checked_reader(path)
    count = reader.GetDimension()
    if count not in (3, 4) or reader.GetSize()[3:] not in ((), (1,)):
        raise _not_three_dimensional(reader, path)
    image = sitk.Image(reader.GetSize()[:3], sitk.sitkUInt8)
    direction = np.reshape(reader.GetDirection(), (count, count))[:3, :3]
    with_geometry(image, reader.GetSpacing()[:3], reader.GetOrigin()[:3], direction)
    before = affine_of(image)
    notes = _put_right(image, grid, path)
    return ImageFile(image, notes, put_right=grid.matrix is not None or not np.array_equal(before, affine_of(image)))


def _put_right(image: sitk.Image, grid: NiftiGrid, path: Path) -> tuple[QualityNote, ...]:
    """Give an image its right geometry in place; the remarks on it."""
    if grid.matrix is not None:
        with_affine(image, grid.matrix)
    check_spacing(image, where=path)
    return (*grid.notes, *at_right_angles(image, where=path))


def input_digest(path: Path) -> bytes:
    """SHA-256 of all that is read of an image file or DICOM folder: the data of a detached header and tables of label
    names included.

    Raises
    ------
    InputError: see `detached_data`.
    """
    data = detached_data(path)
    beside = [*([] if data is None else [data]), *(() if is_dicom(path) else name_tables(path))]
    if not beside:
        return content_digest(path)
    return hashlib.sha256(b"".join(content_digest(one) for one in (path, *beside))).digest()


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


def _check_file(path: Path) -> None:
    mend = "give the path of a NRRD (.nrrd, .seg.nrrd), NIfTI (.nii, .nii.gz) or MetaImage (.mha, .mhd) file"
    if path.is_dir():
        raise InputError("this is a folder, not an image file", where=path, mend=mend)
    if not path.is_file():
        raise InputError("the file does not exist", where=path, mend=mend)
    if not path.name.lower().endswith(SUFFIXES):
        raise InputError("this kind of file cannot be read", where=path, mend=mend)


def _checked_grid(path: Path) -> NiftiGrid:
    """What can be said of a file before ITK opens it: its kind, its encoding, and where a NIfTI header places it."""
    _check_file(path)
    detached_data(path)
    check_encoding(path)
    return nifti_grid(path) if path.name.lower().endswith((".nii", ".nii.gz")) else NiftiGrid()


@contextmanager
def _itk_files(*, sheared: bool = False) -> Iterator[None]:
    """ITK silent, and with decimal points: it reads and writes text headers with the decimal sign of the process.

    Parameters
    ----------
    sheared: whether it shall read a NIfTI file whose sform it otherwise refuses or does not take.
    """
    warnings, numbers = sitk.ProcessObject.GetGlobalWarningDisplay(), locale.setlocale(locale.LC_NUMERIC)
    permissive = sheared and SFORM_PERMISSIVE not in os.environ
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    locale.setlocale(locale.LC_NUMERIC, "C")
    if permissive:
        os.environ[SFORM_PERMISSIVE] = "1"
    try:
        yield
    finally:
        if permissive:
            del os.environ[SFORM_PERMISSIVE]
        locale.setlocale(locale.LC_NUMERIC, numbers)
        sitk.ProcessObject.SetGlobalWarningDisplay(warnings)


def _read_header(path: Path) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        kind = next(kind for suffix, kind in KINDS.items() if path.name.lower().endswith(suffix))
        raise InputError(
            f"the file is no {kind} image or is damaged", where=path, mend=f"export the image as {kind} again"
        ) from error
    return reader


def _checked_reader(path: Path) -> sitk.ImageFileReader:
    """ITK's reader of a file that holds what its header promises, as far as that can be told without reading it."""
    reader = _read_header(path)
    check_promise(path, reader)
    if not _size_is_whole(path, reader):
        check_content(path, reader)
    return reader


def _size_is_whole(path: Path, reader: sitk.ImageFileReader) -> bool:
    """Whether a gzip file says at its end that it has the bytes that a NIfTI header promises."""
    return size_at_end(path) == nifti_bytes(reader) % 2**32


def _three_dimensional(image: sitk.Image, path: Path) -> sitk.Image:
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() != 3:
        raise _not_three_dimensional(image, path)
    return image


def _not_three_dimensional(image: sitk.Image | sitk.ImageFileReader, path: Path) -> InputError:
    size = " x ".join(map(str, image.GetSize()))
    return InputError(
        f"the image has {image.GetDimension()} dimensions ({size}), not 3", where=path, mend="export one 3-D volume"
    )
