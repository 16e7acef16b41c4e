"""Parametric maps as files in Deflated Explicit VR Little Endian (PS3.5 A.5).

A map over a whole CT is zero but for one slice: 140 MB for 134 slices, 0.2 MB deflated. What the maps of a case share,
a frame of zeros and the functional groups of all frames, is compressed once and the blocks repeated.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.tag import Tag
from pydicom.uid import DeflatedExplicitVRLittleEndian

REFERENCES, PER_FRAME, FLOAT_PIXELS = Tag(0x0008, 0x1115), Tag(0x5200, 0x9230), Tag(0x7FE0, 0x0008)
UTF_8 = "utf8"
"""That of all objects (`Origin.common`); a part of one need not hold its Specific Character Set."""
LONG_SEQUENCES = ("ReferencedSeriesSequence", "PerFrameFunctionalGroupsSequence")
"""Those at `REFERENCES` and `PER_FRAME`."""


class MapWriter:
    """Writes parametric maps that differ in words, UIDs and pixels, not in their frames or in the images they refer to.

    Parameters
    ----------
    template: one of them, without (7FE0,0008) FloatPixelData, which would be its last element.
    """

    def __init__(self, template: Dataset) -> None:
        self._frames = int(template.NumberOfFrames)
        self._size = template.Rows * template.Columns * 4
        length = self._frames * self._size
        pixels = struct.pack("<HH2sHL", FLOAT_PIXELS.group, FLOAT_PIXELS.element, b"OF", 0, length)
        self._references = _encoded(Dataset({REFERENCES: template[REFERENCES]}))
        self._groups = _part(_encoded(Dataset({PER_FRAME: template[PER_FRAME]})) + pixels)
        self._blank = _part(bytes(self._size))

    def write(self, made: Dataset, frames: dict[int, np.ndarray]) -> bytes:
        """The file of a map, which may lack the long sequences.

        Parameters
        ----------
        frames: number from 0 -> (rows, columns), float32; all others are 0.
        """
        stream = DicomBytesIO()
        stream.write(bytes(128) + b"DICM")
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
        made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        write_file_meta_info(stream, made.file_meta)
        head = Dataset({one.tag: one for one in made if one.tag < REFERENCES})
        rest = Dataset({one.tag: one for one in made if REFERENCES < one.tag < PER_FRAME})
        parts = [_part(_encoded(head) + self._references + _encoded(rest)), self._groups]
        parts += [_part(frames[n].astype("<f4").tobytes()) if n in frames else self._blank for n in range(self._frames)]
        parts.append(zlib.compressobj(wbits=-zlib.MAX_WBITS).flush())
        deflated = b"".join(parts)
        stream.write(deflated + b"\0" * (len(deflated) % 2))
        return stream.getvalue()


def _encoded(dataset: Dataset) -> bytes:
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = False, True
    write_dataset(stream, dataset, parent_encoding=UTF_8)
    return stream.getvalue()


def _part(data: bytes) -> bytes:
    """Data compressed by itself, to be followed by other parts of one stream."""
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflate.compress(data) + deflate.flush(zlib.Z_FULL_FLUSH)
