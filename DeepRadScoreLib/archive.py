"""Zip archives of others: names and sizes of all parts are checked before a byte of them is unpacked."""

from __future__ import annotations

import re
import zipfile
import zlib

from DeepRadScoreLib.errors import BundleError, Location

MEND = "use a bundle from a source you trust, or train the model again"
MAX_NAME = 200
MAX_GROWTH = 50
"""All parts together are at most so many times as long as the archive."""
SMALL_BYTES = 64 * 2**20
"""Archives up to this size when unpacked may grow as they like."""
NAME = re.compile(r"(?!\.{1,2}(/|$))[\w.-]+(/(?!\.{1,2}(/|$))[\w.-]+)*", re.ASCII)
DAMAGED = (zipfile.BadZipFile, zlib.error, RuntimeError, OSError, KeyError, ValueError, EOFError, OverflowError)
"""What reading a damaged zip archive raises."""


def refused_field(part: str, field: str | None, what: str) -> BundleError:
    """The error about a field of a part of a bundle, or about the whole part."""
    where = part if field is None else f'{part}, "{field}"'
    return BundleError(what, where=Location(field=where), mend=MEND)


def checked_parts(archive: zipfile.ZipFile, size: int, most: int) -> list[zipfile.ZipInfo]:
    """The parts of an archive of `size` bytes, at most so many, in its order.

    Raises
    ------
    BundleError: too many parts, a name that leads out of the archive or stands twice, a part that is encrypted or
        packed in another way than "stored" and "deflate", or sizes that no bundle has.
    """
    parts = archive.infolist()
    if len(parts) > most:
        raise BundleError(f"it has {len(parts)} parts, {most} are the most there can be", mend=MEND)
    seen: set[str] = set()
    for part in parts:
        if len(part.filename) > MAX_NAME or not NAME.fullmatch(part.filename):
            shown = ascii(part.filename[:60])[1:-1]
            raise BundleError(f'the name of its part "{shown}" leads outside of it or is no plain name', mend=MEND)
        if part.filename in seen:
            raise BundleError("it stands there twice", where=Location(field=part.filename), mend=MEND)
        if part.flag_bits & 1 or part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BundleError(
                "it is encrypted or packed in an unusual way", where=Location(field=part.filename), mend=MEND
            )
        seen.add(part.filename)
    unpacked = sum(part.file_size for part in parts)
    if unpacked > max(MAX_GROWTH * size, SMALL_BYTES):
        raise BundleError(f"its {size} bytes would become {unpacked} when unpacked", mend=MEND)
    return parts


def read_part(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bytes:
    """The bytes of a part; memory is bounded by the size that `checked_parts` saw, whatever the packed bytes hold.

    Raises one of `DAMAGED` for a damaged part.
    """
    with archive.open(part) as stream:
        data = stream.read(part.file_size)
        if len(data) != part.file_size or stream.read(1):
            raise zipfile.BadZipFile(f'the part "{part.filename}" has another length than is said')
    return data
