"""slicer-core, 3D Slicer's own data model: the image files and the table that lie beside the DICOM objects.

It has no reader of DICOM SEG, maps and reports; in 3D Slicer these are the extension QuantitativeReporting's, which
calls dcmqi. `read` takes `regions.seg.nrrd`, `gradcam_<ENDPOINT>.nrrd` and `features.csv` in their place.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from support.viewers.reading import Read

SCRIPT = """
import json, sys
import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

def voxels(values, extent, to_ras):
    values = values.reshape([extent[2 * axis + 1] - extent[2 * axis] + 1 for axis in (2, 1, 0)])
    index = np.argwhere(values != 0)
    ras = np.array([[to_ras.GetElement(row, column) for column in range(4)] for row in range(4)])
    places = ((index[:, ::-1] + extent[::2]) @ ras[:3, :3].T + ras[:3, 3]) * [-1, -1, 1]
    return np.column_stack([places, values[tuple(index.T)]])

def opened(path, node, storage):
    scene.AddNode(storage)
    storage.SetFileName(path)
    assert storage.ReadData(node)
    return node

files, answer = sys.argv[1:-1], sys.argv[-1]
scene, found, arrays = slicer.vtkMRMLScene(), {}, {}
for n, path in enumerate(files):
    matrix = vtk.vtkMatrix4x4()
    if path.endswith(".seg.nrrd"):
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        segments = opened(path, node, slicer.vtkMRMLSegmentationStorageNode()).GetSegmentation()
        found[path] = []
        for number, identity in enumerate(segments.GetSegmentIDs()):
            segment = segments.GetSegment(identity)
            labelmap = segment.GetRepresentation("Binary labelmap")
            labelmap.GetImageToWorldMatrix(matrix)
            values = 1 * (vtk_to_numpy(labelmap.GetPointData().GetScalars()) == segment.GetLabelValue())
            arrays[f"{n} {number}"] = voxels(values, labelmap.GetExtent(), matrix)
            found[path].append({"name": segment.GetName(), "colour": list(segment.GetColor())})
    elif path.endswith(".nrrd"):
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        image = opened(path, node, slicer.vtkMRMLVolumeArchetypeStorageNode()).GetImageData()
        node.GetIJKToRASMatrix(matrix)
        arrays[f"{n}"] = voxels(vtk_to_numpy(image.GetPointData().GetScalars()), image.GetExtent(), matrix)
    else:
        table = opened(path, scene.AddNewNodeByClass("vtkMRMLTableNode"), slicer.vtkMRMLTableStorageNode()).GetTable()
        names = [table.GetColumnName(column) for column in range(table.GetNumberOfColumns())]
        found[path] = {name: table.GetValueByName(0, name).ToString() for name in names}
np.savez(answer, found=json.dumps(found), **arrays)
"""


def _version() -> str:
    try:
        return version("slicer-core")
    except PackageNotFoundError:
        return ""


MISSING = "" if _version() else "slicer-core is not installed"
VERSION = f"slicer-core {_version()}"


def opened(files: Sequence[Path]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What its readers hold of each file, in a process of its own.

    Returns
    -------
    Path -> segments (name, colour) or the first row of a table; "<n>" of a volume, "<n> <m>" of a segment (from 0) of
    the n-th file -> (k, 4) position (mm, LPS) and value of its voxels that are not 0.
    """
    with TemporaryDirectory() as scratch:
        answer = Path(scratch) / "answer.npz"
        subprocess.run([sys.executable, "-c", SCRIPT, *map(str, files), answer], check=True, capture_output=True)
        arrays = dict(np.load(answer))
    return json.loads(str(arrays.pop("found"))), arrays


def read(files: Sequence[Path], ct: Path) -> dict[str, Read]:
    """Segmentations with their names, volumes, and the numbers in the first row of a table."""
    found, arrays = opened(files)
    answer = {}
    for n, path in enumerate(files):
        told = found.get(str(path))
        if path.suffix == ".csv":
            answer[path.name] = Read(numbers=tuple(float(one) for name, one in told.items() if name != "case_id"))
        elif told is None:
            answer[path.name] = Read(np.insert(arrays[f"{n}"], 0, 0, axis=1))
        else:
            parts = [np.insert(arrays[f"{n} {m}"], 0, m + 1, axis=1) for m in range(len(told))]
            answer[path.name] = Read(np.concatenate(parts), {m + 1: one["name"] for m, one in enumerate(told)})
    return answer
