"""The HU of slices from their stored values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from pydicom.uid import UID, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.dicom.datasets import PIXEL_DATA, DicomFile, read_pixels, text
from DeepRadScoreLib.imaging.dicom.slices import Slice

LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)
HU_UNITS = ("HU", "HU_MOD")
MIN_HU = -32768
AIR_HU = -1024


class HounsfieldReader:
    """Reads slices in HU: slope x stored value + intercept, by slice; the last file that was decoded stays in memory.

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
        self._frames = lru_cache(maxsize=1)(read_pixels)

    def volume(self, slices: Sequence[Slice]) -> np.ndarray:
        """The HU of slices, (slices, rows, columns); int16 where `dtype` is int32 and the values fit."""
        small = self.dtype == np.int32
        columns, rows = slices[0].size
        self.hu(slices[0])  # refuses a header that promises more than its file holds, before memory is allocated
        self.padded = self.replaced = 0
        out = np.empty((len(slices), rows, columns), np.int16 if small else self.dtype)
        for n, one in enumerate(slices):
            values = self.hu(one)
            if out.dtype == np.int16 and not (values.min() >= -32768 and values.max() <= 32767):
                out = out.astype(np.int32)
            out[n] = values
        return out

    def hu(self, one: Slice) -> np.ndarray:
        """The HU of a slice, (rows, columns) of `dtype`.

        Raises
        ------
        InputError: pixels that cannot be decoded, or a frame that is not there.
        """
        frames = self._frames(one.file)
        if one.frame >= len(frames):
            raise InputError(
                f"{PIXEL_DATA} holds {len(frames)} frames, the header describes more (instance {one.name})",
                where=one.file.path,
                mend="copy or export the file again",
            )
        stored = frames[one.frame]
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
        low = padded & (values < MIN_HU)
        self.replaced += int(low.sum())
        values[low] = AIR_HU


def pixel_notes(slices: Sequence[Slice], reader: HounsfieldReader) -> Iterator[QualityNote]:
    """Remarks on the values of a volume: padding, lossy compression, a unit that is not HU."""
    if reader.padded:
        total = len(slices) * slices[0].size[0] * slices[0].size[1]
        treatment = "set to -1024 HU" if reader.replaced else "left as stored"
        yield QualityNote.info(
            "scan_padding",
            f"{reader.padded / total:.1%} of the voxels are marked as outside the scanned field and were {treatment}.",
        )
    if any(_lossy(one.file) for one in slices):
        yield QualityNote.warning(
            "lossy_compression",
            "The CT was compressed with loss: its HU are not those that were measured, features may differ.",
        )
    if {one.value("RescaleType").upper() for one in slices} - {"", *HU_UNITS}:
        yield QualityNote.warning(
            "rescale_unit", "(0028,1054) RescaleType of the CT is not HU; the values were taken as HU."
        )


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
