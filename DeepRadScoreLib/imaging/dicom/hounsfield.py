"""Stored values to HU, slice by slice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydicom.uid import UID, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.dicom.datasets import PIXEL_DATA, DicomFile, read_pixels, text
from DeepRadScoreLib.imaging.dicom.slices import Slice

LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)
HU_UNITS = ("HU", "HU_MOD")
LOWEST_HU = -32768
AIR_HU = -1024


class HounsfieldReader:
    """HU = slope x stored value + intercept, each slice with its own; every file is decoded once where possible.

    Attributes
    ----------
    dtype: int32 where all slopes and intercepts are whole numbers, else float64.
    padded, replaced: voxels marked by (0028,0120) PixelPaddingValue in the slices of `volume`; those of them that
        would lie under -32768 HU and became -1024 HU.
    """

    def __init__(self, slices: Sequence[Slice]) -> None:
        whole = all(one.slope.is_integer() and one.intercept.is_integer() for one in slices)
        self.dtype = np.dtype(np.int32 if whole else np.float64)
        self.padded = self.replaced = 0
        self._file: DicomFile | None = None
        self._frames: np.ndarray | None = None

    def volume(self, slices: Sequence[Slice]) -> np.ndarray:
        """(slices, rows, columns) in HU; int16 where `dtype` is int32 and the values fit."""
        small = self.dtype == np.int32
        columns, rows = slices[0].size
        self.hu(slices[0])  # refuses a header that promises more than its file holds, before memory is asked for
        self.padded = self.replaced = 0
        out = np.empty((len(slices), rows, columns), np.int16 if small else self.dtype)
        for n, one in enumerate(slices):
            values = self.hu(one)
            if out.dtype == np.int16 and not (values.min() >= -32768 and values.max() <= 32767):
                out = out.astype(np.int32)
            out[n] = values
        return out

    def hu(self, one: Slice) -> np.ndarray:
        """(rows, columns) of `dtype`.

        Raises
        ------
        InputError: pixels that cannot be decoded, or a frame that is not there.
        """
        if self._file is not one.file or self._frames is None:
            self._frames, self._file = read_pixels(one.file), one.file
        if one.frame >= len(self._frames):
            raise InputError(
                f"{PIXEL_DATA} holds {len(self._frames)} frames, the header describes more (instance {one.name})",
                where=one.file.path,
                mend="copy or export the file again",
            )
        stored = self._frames[one.frame]
        slope, intercept = self.dtype.type(one.slope), self.dtype.type(one.intercept)
        values = stored.astype(self.dtype)
        if slope != 1:
            values *= slope
        values += intercept
        padding = _padding(one)
        if padding is not None:
            self._pad(values, (stored >= padding[0]) & (stored <= padding[1]))
        return values

    def _pad(self, values: np.ndarray, padded: np.ndarray) -> None:
        self.padded += int(padded.sum())
        low = padded & (values < LOWEST_HU)
        self.replaced += int(low.sum())
        values[low] = AIR_HU


def pixel_notes(slices: Sequence[Slice], reader: HounsfieldReader) -> list[QualityNote]:
    """What is remarkable about the values: padding, lossy compression, a unit that is not HU."""
    notes = []
    total = len(slices) * slices[0].size[0] * slices[0].size[1]
    if reader.padded:
        kept = "set to -1024 HU" if reader.replaced else "left as stored"
        notes.append(
            QualityNote(
                "scan_padding",
                "info",
                f"{reader.padded / total:.1%} of the voxels are marked as outside the scanned field and were {kept}.",
            )
        )
    if any(_lossy(one.file) for one in slices):
        notes.append(
            QualityNote(
                "lossy_compression",
                "warning",
                "The CT was compressed with loss: its HU are not those that were measured, features may differ.",
            )
        )
    units = sorted({one.rescale_type for one in slices} - {"", *HU_UNITS})
    if units:
        notes.append(
            QualityNote(
                "rescale_unit",
                "warning",
                "(0028,1054) RescaleType of the CT is not HU; the values were taken as HU.",
            )
        )
    return notes


def _padding(one: Slice) -> tuple[int, int] | None:
    header = one.file.header
    try:
        first = int(text(header, "PixelPaddingValue"))
        last = int(text(header, "PixelPaddingRangeLimit") or first)
        bits = int(text(header, "BitsAllocated"))
    except ValueError:
        return None
    if text(header, "PixelRepresentation") == "1":
        first, last = (value - 2**bits if value >= 2 ** (bits - 1) else value for value in (first, last))
    return min(first, last), max(first, last)


def _lossy(file: DicomFile) -> bool:
    syntax = UID(file.header.file_meta.TransferSyntaxUID)
    return text(file.header, "LossyImageCompression") == "01" or syntax in LOSSY
