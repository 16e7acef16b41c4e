"""Names of a labelmap's labels: in the header extension of a NIfTI file, or in a table beside the file.

TotalSegmentator and Connectome Workbench write the extension (XML of Caret). Tables are those of ITK-SNAP (label
descriptions) and of 3D Slicer (colour tables, as text or CSV); they bear the name of the mask.
"""

from __future__ import annotations

import csv
import os
import re
from html import unescape
from pathlib import Path

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.formats.file_names import file_stem
from DeepRadScoreLib.imaging.formats.nifti import header_extensions

TABLE_ENDINGS = (".label", ".ctbl", ".txt", ".csv", ".labels.csv", "_ColorTable.ctbl", "_ColorTable.csv")
"""What follows the mask's name in the name of a table."""
SURE_ENDINGS = (".label", ".ctbl")
"""Of tables that may bear another name where they are the only one in the folder, and that have to be readable."""
MAX_TABLE_BYTES = 2**20
CARET = re.compile(
    r"<Label\b[^>]*?\bKey=[\"'](-?\d+)[\"'][^>]*>\s*(?:<!\[CDATA\[(.*?)\]\]>|([^<]*))\s*</Label>", re.DOTALL
)
ITK_SNAP = re.compile(r'\s*(-?\d+)(?:\s+[\d.]+){4}\s+[01]\s+[01]\s+"(.*)"\s*')
SLICER = re.compile(r"\s*(-?\d+)\s+(\S.*?)(?:\s+\d+){4}\s*")


def label_names(mask: Path) -> dict[int, str]:
    """Label value -> name, as far as there are names; the background has none.

    Raises
    ------
    InputError: two tables give one label different names, or a table cannot be read.
    """
    names = _extension_names(mask) if mask.name.lower().endswith((".nii", ".nii.gz")) else {}
    if names:
        return names
    owner: dict[int, Path] = {}
    for table in name_tables(mask):
        for value, name in _table_names(table).items():
            if names.setdefault(value, name) != name:
                raise InputError(
                    f'the label {value} is "{name}" here and "{names[value]}" in {owner[value].name}',
                    where=table,
                    mend="leave the table that belongs to the mask",
                )
            owner.setdefault(value, table)
    return names


def name_tables(mask: Path) -> tuple[Path, ...]:
    """The files beside a mask that may hold the names of its labels.

    They bear the name of the mask; else it is the folder's only one of `SURE_ENDINGS`, unless it bears the name of
    another image.
    """
    stem = file_stem(mask)
    own = tuple(path for ending in TABLE_ENDINGS if (path := mask.with_name(stem + ending)).is_file())
    if own:
        return own
    beside = []
    if mask.parent.is_dir():
        with os.scandir(mask.parent) as entries:
            beside = [entry.name for entry in entries]
    shared = [name for name in beside if name.lower().endswith(SURE_ENDINGS)]
    if len(shared) != 1 or any(
        shared[0].startswith(stem) for name in beside if (stem := file_stem(Path(name))) != name
    ):
        return ()
    return (mask.with_name(shared[0]),)


def _table_names(table: Path) -> dict[int, str]:
    with table.open("rb") as stream:
        lines = stream.read(MAX_TABLE_BYTES).decode("utf-8-sig", "replace").splitlines()
    if lines and lines[0].replace('"', "").startswith("LabelValue,Name"):
        rows = csv.DictReader(lines)
        found = [(row["LabelValue"] or "", row["Name"] or "") for row in rows]
    else:
        matches = (ITK_SNAP.fullmatch(line) or SLICER.fullmatch(line) for line in lines)
        found = [(match[1], match[2]) for match in matches if match]
    names = _without_background([(int(value), name) for value, name in found if re.fullmatch(r"-?\d{1,9}", value)])
    if not names and table.name.lower().endswith(SURE_ENDINGS):
        raise InputError(
            "no label can be read from this table", where=table, mend="save it again with ITK-SNAP or 3D Slicer"
        )
    return names


def _without_background(found: list[tuple[int, str]]) -> dict[int, str]:
    return {value: name.strip() for value, name in found if value != 0 and name.strip()}


def _extension_names(mask: Path) -> dict[int, str]:
    """Names in a label table of Caret in the file's header; none in other extensions."""
    text = header_extensions(mask).decode("utf-8", "replace")
    found = [(int(key), data or unescape(plain or "")) for key, data, plain in CARET.findall(text)]
    return _without_background(found)
