"""dcmqi, which 3D Slicer's extension QuantitativeReporting uses: SEG and maps to NRRD, reports to JSON."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import SimpleITK as sitk
from pydicom import dcmread

from support.viewers import INSTALL, PROGRAMS
from support.viewers.reading import Read, volume_voxels

BIN = PROGRAMS / "bin"
MISSING = "" if (BIN / "segimage2itkimage").exists() else f"dcmqi is not installed ({INSTALL})"


def _version() -> str:
    done = subprocess.run([BIN / "segimage2itkimage"], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).partition("tag: v")[2].split()[0]


VERSION = "dcmqi" if MISSING else f"dcmqi {_version()}"


def read(files: Sequence[Path], ct: Path) -> dict[str, Read]:
    """By the program for the modality."""
    return {path.name: _read(path, dcmread(path, specific_tags=["Modality"]).Modality) for path in files}


def _read(path: Path, modality: str) -> Read:
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if modality == "SR":
            called("tid1500reader", "--inputDICOM", path, "--outputMetadata", folder / "meta.json")
            return Read(numbers=tuple(_numbers(json.loads((folder / "meta.json").read_text()))))
        program = "segimage2itkimage" if modality == "SEG" else "paramap2itkimage"
        refusal = called(program, "--inputDICOM", path, "--outputDirectory", folder, "-t", "nrrd")
        if refusal:
            return Read(refusal=refusal)
        if modality != "SEG":
            return Read(np.concatenate([_voxels(one, 0) for one in folder.glob("*.nrrd")]))
        parts = [_voxels(one, int(one.stem)) for one in sorted(folder.glob("*.nrrd"))]
        return Read(np.concatenate(parts), _names(json.loads((folder / "meta.json").read_text())))


def called(program: str, *arguments: str | Path) -> str:
    """Run one of the programs; the last line that it prints where it fails, else ""."""
    done = subprocess.run([BIN / program, *arguments], capture_output=True, text=True, check=False)
    return ([*(done.stdout + done.stderr).split("\n")][-2] or program) if done.returncode else ""


def _voxels(path: Path, segment: int) -> np.ndarray:
    image = sitk.ReadImage(path)
    axes = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    return volume_voxels(sitk.GetArrayFromImage(image), image.GetOrigin(), axes, segment)


def _names(meta: dict) -> dict[int, str]:
    return {one["labelID"]: one["SegmentLabel"] for group in meta["segmentAttributes"] for one in group}


def _numbers(meta: dict) -> list[float]:
    return [float(one["value"]) for group in meta["Measurements"] for one in group.get("measurementItems", [])]
