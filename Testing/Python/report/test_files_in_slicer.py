"""A result's image files as 3D Slicer's own data model reads them: placed, named, coloured."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.imaging import read_case
from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL
from DeepRadScoreLib.report.figures import SHELL_COLOUR, TUMOUR_COLOUR
from DeepRadScoreLib.report.writing import write_profile
from support.dicom_results import profile_of, study

READER = """
import json, sys
import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

def placed(values, extent, to_ras):
    values = values.reshape([extent[2 * axis + 1] - extent[2 * axis] + 1 for axis in (2, 1, 0)])
    index = np.argwhere(values != 0)
    ras = np.array([[to_ras.GetElement(row, column) for column in range(4)] for row in range(4)])
    points = (index[:, ::-1] + extent[::2]) @ ras[:3, :3].T + ras[:3, 3]
    return (points * [-1, -1, 1]).tolist(), values[tuple(index.T)].tolist()

folder, answer = sys.argv[1:]
scene = slicer.vtkMRMLScene()
node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "regions")
storage = scene.AddNode(slicer.vtkMRMLSegmentationStorageNode())
storage.SetFileName(folder + "/regions.seg.nrrd")
assert storage.ReadData(node)
found = {}
for identity in node.GetSegmentation().GetSegmentIDs():
    segment = node.GetSegmentation().GetSegment(identity)
    labelmap, matrix = segment.GetRepresentation("Binary labelmap"), vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    values = vtk_to_numpy(labelmap.GetPointData().GetScalars()) == segment.GetLabelValue()
    points, _ = placed(values, labelmap.GetExtent(), matrix)
    found[segment.GetName()] = {"points": points, "colour": list(segment.GetColor())}
heat = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "heat")
storage = scene.AddNode(slicer.vtkMRMLVolumeArchetypeStorageNode())
storage.SetFileName(folder + "/gradcam_EGFR.nrrd")
assert storage.ReadData(heat)
matrix = vtk.vtkMatrix4x4()
heat.GetIJKToRASMatrix(matrix)
image = heat.GetImageData()
found["heat"] = placed(vtk_to_numpy(image.GetPointData().GetScalars()), image.GetExtent(), matrix)
json.dump(found, open(answer, "w"))
"""


def positions(mask: sitk.Image) -> np.ndarray:
    """(n, 3) centres of the voxels that are not 0, mm, LPS."""
    axes = np.reshape(mask.GetDirection(), (3, 3)) * mask.GetSpacing()
    return np.argwhere(sitk.GetArrayFromImage(mask))[:, ::-1] @ axes.T + mask.GetOrigin()


def test_regions_and_maps(tmp_path):
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    profile = profile_of(read_case(study(tmp_path / "study")), synthetic=True)
    write_profile(profile, tmp_path / "out")
    subprocess.run([sys.executable, "-c", READER, tmp_path / "out", tmp_path / "found.json"], check=True)
    found = json.loads((tmp_path / "found.json").read_text())
    for name, mask, colour in (
        ("Tumour", profile.prepared.tumour, TUMOUR_COLOUR),
        ("Shell 3 mm", profile.prepared.peritumoral, SHELL_COLOUR),
    ):
        segment = found[f"{name} ({SYNTHETIC_LABEL})"]
        np.testing.assert_allclose(segment["points"], positions(mask), atol=1e-5)
        np.testing.assert_allclose(segment["colour"], [part / 255 for part in bytes.fromhex(colour[1:])], atol=1e-5)
    points, values = found["heat"]
    heat = profile.heat_map("EGFR")
    np.testing.assert_allclose(points, positions(heat), atol=1e-4)
    np.testing.assert_array_equal(np.float32(values), profile.gradcam["EGFR"][profile.gradcam["EGFR"] != 0])


def test_the_segmentation_is_read_as_the_tumour_again(tmp_path):
    root = study(tmp_path / "study")
    case = read_case(root)
    profile = profile_of(case)
    write_profile(profile, tmp_path / "out")
    again = read_case(root / "ct", tmp_path / "out" / "regions.seg.nrrd")
    assert again.other_tumours is None
    shared = sitk.GetArrayFromImage(again.tumour) & sitk.GetArrayFromImage(case.tumour)
    assert shared.sum() > 0.8 * sitk.GetArrayFromImage(case.tumour).sum()
