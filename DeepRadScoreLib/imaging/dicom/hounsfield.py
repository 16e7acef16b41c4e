"""The HU of slices from their stored values."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from functools import lru_cache

import numpy as np
from pydicom.uid import UID, JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.carriers import QualityNote
from DeepRadScoreLib.imaging.dicom.datasets import DicomFile, text
from DeepRadScoreLib.imaging.dicom.pixels import PIXEL_DATA, cut_padding, padding_range, read_pixels
from DeepRadScoreLib.imaging.dicom.slices import Slice

LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)
HU_UNITS = ("HU", "HU_MOD")
MIN_HU, MAX_HU = -32768, 32767
AIR_HU = -1024
LOSSY_TOLERANCE = 32
"""How far lossy compression may move a value."""


class HounsfieldReader:
    """Reads slices in HU: slope x stored value + intercept, by slice; the last file that was decoded stays in memory.

    Attributes
    ----------
    whole: whether all slopes and intercepts are whole numbers.
    padded, replaced, cut: voxels marked by (0028,0120) PixelPaddingValue in the slices of `volume_steps`; those of them
        that became -1024 HU, as they would lie under -32768 HU, or as that value does not fit into the bits stored and
        what was left of it reads as tissue or bone; the latter alone.
    """

    def __init__(self, slices: Sequence[Slice]) -> None:
        self.whole = all(one.slope.is_integer() and one.intercept.is_integer() for one in slices)
        self.padded = self.replaced = self.cut = 0
        self._frames = lru_cache(maxsize=1)(read_pixels)

    def volume_steps(self, slices: Sequence[Slice]) -> Generator[int, None, np.ndarray]:
        """The HU of slices, (slices, rows, columns), of the largest type of `hu` among them.

        A step after each slice: how many have been read.
        """
        columns, rows = slices[0].size
        self.hu(slices[0])  # refuses a header that promises more than its file holds, before memory is allocated
        self.padded = self.replaced = self.cut = 0
        out = np.empty((len(slices), rows, columns), np.int16 if self.whole else np.float64)
        for n, one in enumerate(slices):
            values = self.hu(one)
            if values.dtype.itemsize > out.dtype.itemsize:
                out = out.astype(values.dtype)
            out[n] = values
            yield n + 1
        return out

    def hu(self, one: Slice) -> np.ndarray:
        """The HU of a slice, (rows, columns): int16 or int32 where slopes and intercepts are `whole`, else float64.

        Raises
        ------
        InputError: pixels that cannot be decoded, a frame that is not there, or padding that was cut to the bits stored
            and then compressed with loss.
        """
        frames = self._frames(one.file)
        if one.frame >= len(frames):
            raise InputError(
                f"{PIXEL_DATA} holds {len(frames)} frames, the header describes more (instance {one.name})",
                where=one.file.path,
                mend="copy or export the file again",
            )
        stored = frames[one.frame]
        values = _whole_hu(stored, one) if self.whole else stored.astype(np.float64) * one.slope + one.intercept
        padding = padding_range(one.file.header)
        if padding is not None:
            self._pad(values, (stored >= padding[0]) & (stored <= padding[1]))
            self._pad_cut(values, stored, one)
        return values

    def _pad(self, values: np.ndarray, padded: np.ndarray) -> None:
        self.padded += int(padded.sum())
        low = padded & (values < MIN_HU)
        self.replaced += int(low.sum())
        values[low] = AIR_HU

    def _pad_cut(self, values: np.ndarray, stored: np.ndarray, one: Slice) -> None:
        padded, near = (cut_padding(stored, one.file.header, tolerance) for tolerance in (0, LOSSY_TOLERANCE))
        if near is None or values[near].max() <= AIR_HU + LOSSY_TOLERANCE:
            return
        if padded is None or _lossy(one.file):
            raise InputError(
                "(0028,0120) PixelPaddingValue does not fit into (0028,0101) BitsStored: what is left of it reads as "
                f"{values[near].max():g} HU, and was mixed with the image by lossy compression (instance {one.name})",
                where=one.file.path,
                mend="export the CT again without loss",
            )
        count = int(padded.sum())
        self.padded, self.replaced, self.cut = self.padded + count, self.replaced + count, self.cut + count
        values[padded] = AIR_HU


def _whole_hu(stored: np.ndarray, one: Slice) -> np.ndarray:
    """HU for a whole slope and intercept: int16 if they fit (sums are right modulo 2^16), else int32."""
    slope, intercept = int(one.slope), int(one.intercept)
    ends = [int(end) * slope + intercept for end in (stored.min(), stored.max())]
    kind = np.dtype(np.int16 if min(ends) >= MIN_HU and max(ends) <= MAX_HU else np.int32)
    scale, shift = np.array([slope, intercept]).astype(kind)
    values: np.ndarray = stored.astype(kind)
    if slope != 1:
        np.multiply(values, scale, out=values)
    np.add(values, shift, out=values)
    return values


def pixel_notes(slices: Sequence[Slice], reader: HounsfieldReader) -> Iterator[QualityNote]:
    """Remarks on the values of a volume: padding, lossy compression, a unit that is not HU."""
    if reader.padded:
        total = len(slices) * slices[0].size[0] * slices[0].size[1]
        treatment = "set to -1024 HU" if reader.replaced else "left as stored"
        marked = (
            f"{reader.padded / total:.1%} of the voxels are marked as outside the scanned field and were {treatment}"
        )
        cut = "; (0028,0120) PixelPaddingValue had been cut to (0028,0101) BitsStored" if reader.cut else ""
        yield QualityNote.info("scan_padding", f"{marked}{cut}.")
    if any(_lossy(one.file) for one in slices):
        yield QualityNote.warning(
            "lossy_compression",
            "The CT was compressed with loss: its HU are not those that were measured, features may differ.",
        )
    if {one.value("RescaleType").upper() for one in slices} - {"", *HU_UNITS}:
        yield QualityNote.warning(
            "rescale_unit", "(0028,1054) RescaleType of the CT is not HU; the values were taken as HU."
        )


def _lossy(file: DicomFile) -> bool:
    syntax = UID(file.header.file_meta.TransferSyntaxUID)
    return text(file.header, "LossyImageCompression") == "01" or syntax in LOSSY
