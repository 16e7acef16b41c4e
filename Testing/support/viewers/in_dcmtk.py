"""dcmtk: pixels by dcm2pnm, places and names by dcm2json, reports by dsr2xml.

dcm2pnm knows (7FE0,0010) PixelData only, so that maps are given back as numbers by dcm2json and not drawn.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread

from support.viewers.reading import Read, frame_planes, voxels_of

MISSING = "" if shutil.which("dcm2pnm") else "dcmtk is not installed (Debian package dcmtk)"


def _version() -> str:
    done = subprocess.run(["dcm2pnm", "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split("dcm2pnm v")[1].split()[0]


VERSION = "dcmtk" if MISSING else f"dcmtk {_version()}"


def read(files: Sequence[Path], ct: Path) -> dict[str, Read]:
    """By the program for the modality."""
    kinds = {"SEG": _segments, "SR": _report}
    return {path.name: kinds.get(dcmread(path, specific_tags=["Modality"]).Modality, _map)(path) for path in files}


def _segments(path: Path) -> Read:
    ds = _as_json(path)
    with TemporaryDirectory() as scratch:
        said = _drawn(path, Path(scratch) / "frame")
        if said:
            return Read(refusal=said)
        drawn = [Path(scratch) / f"frame.{n}.pgm" for n in range(int(ds.NumberOfFrames))]
        pixels = np.stack([np.asarray(Image.open(one)) for one in drawn])
    names = {int(one.SegmentNumber): one.SegmentLabel for one in ds.SegmentSequence}
    return Read(voxels_of(frame_planes(ds, pixels)), names)


def _map(path: Path) -> Read:
    ds = _as_json(path)
    pixels = np.frombuffer(ds["FloatPixelData"].value, "<f4")
    with TemporaryDirectory() as scratch:
        said = _drawn(path, Path(scratch) / "frame")
    return Read(voxels_of(frame_planes(ds, pixels)), remark="not drawn" if said else "")


def _as_json(path: Path) -> Dataset:
    done = subprocess.run(["dcm2json", "+m", path], capture_output=True, check=True)
    return Dataset.from_json(json.loads(done.stdout))


def _drawn(path: Path, stem: Path) -> str:
    """Draw each frame; what dcm2pnm says where it does not."""
    call = ["dcm2pnm", "--all-frames", "--write-raw-pnm", path, stem]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    return done.stderr.strip().split("\n")[0] if done.returncode else ""


def _report(path: Path) -> Read:
    done = subprocess.run(["dsr2xml", path], capture_output=True, text=True, check=True)
    numbers = ElementTree.fromstring(done.stdout).iter("num")
    return Read(numbers=tuple(float(one.findtext("value")) for one in numbers))
