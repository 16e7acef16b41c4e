"""A decoder plugin of pydicom: single frames through SimpleITK's DICOM reader (GDCM with OpenJPEG).

The interface is pydicom's, see its guide "Creating your own decoding plugin": `DECODER_DEPENDENCIES`,
`is_available` and a function of an encoded frame.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import DecodeRunner
from pydicom.uid import (
    HTJ2K,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    SecondaryCaptureImageStorage,
    generate_uid,
)

HTJ2K_SYNTAXES = (HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL)
MIN_SIMPLEITK_FOR_HTJ2K = (2, 5, 4)
DECODER_DEPENDENCIES = {
    **dict.fromkeys((JPEGExtended12Bit, JPEGLossless, JPEGLosslessSV1), ("SimpleITK",)),
    **dict.fromkeys(HTJ2K_SYNTAXES, (f"SimpleITK>={'.'.join(map(str, MIN_SIMPLEITK_FOR_HTJ2K))}",)),
}
"""Transfer syntax -> what decodes it; those that pydicom does not decode, or only through python-gdcm."""


def is_available(uid: str) -> bool:
    """Whether the plugin decodes a transfer syntax with the SimpleITK that is installed."""
    version = (sitk.Version.MajorVersion(), sitk.Version.MinorVersion(), sitk.Version.PatchVersion())
    return uid in DECODER_DEPENDENCIES and (uid not in HTJ2K_SYNTAXES or version >= MIN_SIMPLEITK_FOR_HTJ2K)


def decode_frame(frame: bytes, runner: DecodeRunner) -> bytes:
    """The stored values of a gray frame, little endian, in the bits allocated (one bit per pixel: a byte).

    Raises
    ------
    RuntimeError: the frame cannot be decoded.
    """
    if runner.bits_allocated == 1:
        runner.set_option("bits_allocated", 8)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "frame.dcm"
        _image_of(frame, runner).save_as(path, enforce_file_format=True)
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(path))
        values = sitk.GetArrayFromImage(reader.Execute())
        kind = "i" if runner.pixel_representation else "u"
        return values.astype(np.dtype(f"<{kind}{runner.bits_allocated // 8}")).tobytes()


def _image_of(frame: bytes, runner: DecodeRunner) -> Dataset:
    """An image of that one frame, without rescale, geometry and patient; never MONOCHROME1, which ITK would invert."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = runner.transfer_syntax
    image.SOPClassUID, image.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.Rows, image.Columns, image.SamplesPerPixel = runner.rows, runner.columns, runner.samples_per_pixel
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated, image.BitsStored = runner.bits_allocated, runner.bits_stored
    image.HighBit, image.PixelRepresentation = runner.bits_stored - 1, runner.pixel_representation
    image.PixelData = encapsulate([frame], has_bot=False)
    image["PixelData"].VR, image["PixelData"].is_undefined_length = "OB", True
    return image
