"""The readable headers of NRRD and MetaImage files: where their pixels lie, and what ITK cannot decode."""

from __future__ import annotations

import re
from pathlib import Path

from DeepRadScoreLib.errors import InputError

MAX_HEADER_BYTES = 2**20
FIELD = re.compile(r"^([^:=\r\n]+?) *(?::=|[:=]) *(.*?)\s*$", re.MULTILINE)
NRRD_ENCODINGS = ("raw", "txt", "text", "ascii", "hex", "gz", "gzip")
"""What ITK's reader of NRRD decodes."""
ENDS = {".nrrd": re.compile(rb"\r?\n\r?\n"), ".mha": re.compile(rb"ElementDataFile *=[^\n]*()")}
ENDS[".mhd"] = ENDS[".mha"]
"""Where the header ends, by suffix."""


def text_header(path: Path) -> dict[str, str]:
    """Fields of a NRRD or MetaImage header, by their names in lower case without blanks; empty of another file."""
    end = ENDS.get(path.suffix.lower())
    if end is None or not path.is_file():
        return {}
    with path.open("rb") as stream:
        raw = stream.read(MAX_HEADER_BYTES)
    found = end.search(raw)
    header = raw if found is None else raw[: found.end()]
    fields = FIELD.findall(header.decode("utf-8", "replace"))
    return {name.replace(" ", "").lower(): value for name, value in fields}


def detached_data(path: Path) -> Path | None:
    """The file that holds the pixels of a NRRD or MetaImage header without any, else None.

    Raises
    ------
    InputError: the header names several files, or one that does not lie beside it.
    """
    header = text_header(path)
    name = header.get("datafile") or header.get("elementdatafile", "LOCAL")
    if name.upper() == "LOCAL":
        return None
    data = path.parent / name
    if Path(name).name != name or not data.is_file():
        raise InputError(
            f'the header names its pixels as "{name}", which is no single file beside it',
            where=path,
            mend="save the image as one file",
        )
    return data


def check_encoding(path: Path) -> None:
    """Refuse a NRRD file whose pixels ITK cannot decode, by the name of the encoding.

    Raises
    ------
    InputError: bzip2, zstd, or another encoding that is none of `NRRD_ENCODINGS`.
    """
    encoding = text_header(path).get("encoding", "raw").lower()
    if path.suffix.lower() == ".nrrd" and encoding not in NRRD_ENCODINGS:
        raise InputError(
            f'its pixels are compressed by "{encoding}" (encoding), which cannot be read',
            where=path,
            mend="save it with the encoding gzip or raw",
        )
