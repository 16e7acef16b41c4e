"""Orthanc, started on this machine: stored by its REST interface, found by QIDO-RS, retrieved by WADO-RS."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory

from pydicom import Dataset, dcmread

from support import archive
from support.viewers.reading import Read, written

MISSING = archive.MISSING
PIXELS = ("FloatPixelData", "PixelData")
VERSION = "Orthanc" if MISSING else f"Orthanc {archive.version()}"


def read(files: Sequence[Path], ct: Path) -> dict[str, Read]:
    """The file that comes back; where an element differs, which ones."""
    with TemporaryDirectory() as scratch, archive.running(Path(scratch)) as held:
        for path in files:
            held.store(path.read_bytes())
        found = {one["0020000E"]["Value"][0] for one in held.find("/series")}
        return {path.name: _retrieved(held, path, found) for path in files}


def _retrieved(held: archive.Archive, path: Path, series: set[str]) -> Read:
    ds = dcmread(path)
    if ds.SeriesInstanceUID not in series:
        return Read(refusal="its series is not found")
    data = held.retrieve(ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
    first, second = (_without_pixels(one) for one in (ds, dcmread(BytesIO(data))))
    if differ := sorted(tag for tag in {*first, *second} if first.get(tag) != second.get(tag)):
        return Read(refusal=f"other elements: {', '.join(differ)}")
    with NamedTemporaryFile(suffix=".dcm") as file:
        Path(file.name).write_bytes(data)
        return written(Path(file.name))


def _without_pixels(ds: Dataset) -> dict[str, object]:
    return Dataset({one.tag: one for one in ds if one.keyword not in PIXELS}).to_json_dict()
