"""CTs and labelmaps as Slicer's own readers give them, read without the automatic window and cropped to the labels."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer

from DeepRadScoreSlicer.scene import reading
from DeepRadScoreSlicer.scene.display.viewing import LUNG
from DeepRadScoreSlicer.scene.voxels import index_to_ras
from support.scene_tools import ball_case


def labels(kind="uint8"):
    """The ball as label 3 and a slab as label 7, on the oblique grid of the CT."""
    tumour = ball_case()[1]
    array = sitk.GetArrayFromImage(tumour).astype(kind) * 3
    array[2:4, 5:9] = 7
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(tumour)
    return image


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz", ".mha"])
def test_a_volume_is_slicers(scene, tmp_path, ending):
    path = tmp_path / f"ct{ending}"
    sitk.WriteImage(ball_case()[0], str(path))
    ours = reading.read_volume(path, "case CT", LUNG)
    theirs = slicer.util.loadVolume(str(path), {"show": False})
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(ours), slicer.util.arrayFromVolume(theirs))
    np.testing.assert_array_equal(index_to_ras(ours), index_to_ras(theirs))
    assert (ours.GetName(), ours.GetStorageNode().GetFileName()) == ("case CT", str(path))
    display = ours.GetDisplayNode()
    assert (display.GetAutoWindowLevel(), display.GetWindow(), display.GetLevel()) == (0, 1500, -600)
    assert display.GetColorNodeID() == theirs.GetDisplayNode().GetColorNodeID()


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint32"])
@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz"])
def test_a_labelmap_is_slicers(scene, tmp_path, ending, kind):
    path = tmp_path / f"mask{ending}"
    sitk.WriteImage(labels(kind), str(path))
    ct_path = tmp_path / "ct.nrrd"
    sitk.WriteImage(ball_case()[0], str(ct_path))
    ct = slicer.util.loadVolume(str(ct_path), {"show": False})
    ours, theirs = reading.read_labelmap(path, "ours"), slicer.util.loadSegmentation(str(path))
    mine, other = ours.GetSegmentation(), theirs.GetSegmentation()
    parameter = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    assert mine.GetSegmentIDs() == other.GetSegmentIDs() == ("Segment_3", "Segment_7")
    assert mine.GetConversionParameter(parameter) == other.GetConversionParameter(parameter)
    for identity in mine.GetSegmentIDs():
        one, two = mine.GetSegment(identity), other.GetSegment(identity)
        assert (one.GetName(), one.GetLabelValue()) == (two.GetName(), two.GetLabelValue())
        arrays = [slicer.util.arrayFromSegmentBinaryLabelmap(node, identity, ct) for node in (ours, theirs)]
        np.testing.assert_array_equal(*arrays)
        assert arrays[0].any()
    voxels = mine.GetSegment("Segment_3").GetRepresentation("Binary labelmap").GetNumberOfPoints()
    assert voxels < 0.5 * 60 * 50 * 24


def test_a_label_that_fills_its_box_is_a_segment(scene, tmp_path):
    array = np.zeros((6, 12, 12), np.uint8)
    array[2:4, 4:8, 4:8] = 1
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "box.nrrd"))
    ours = reading.read_labelmap(tmp_path / "box.nrrd", "ours")
    theirs = slicer.util.loadSegmentation(str(tmp_path / "box.nrrd"))
    assert ours.GetSegmentation().GetSegmentIDs() == theirs.GetSegmentation().GetSegmentIDs() == ("Segment_1",)


def test_what_is_left_to_slicers_reader(scene, tmp_path):
    image = labels()
    empty = image * 0
    real = sitk.Cast(image, sitk.sitkFloat32)
    colour = sitk.Compose(image, image, image)
    for name, one in {"empty.nrrd": empty, "real.nrrd": real, "colour.nrrd": colour, "own.seg.nrrd": image}.items():
        sitk.WriteImage(one, str(tmp_path / name))
        assert reading.read_labelmap(tmp_path / name, "mask") is None
    assert reading.read_volume(tmp_path / "colour.nrrd", "CT", LUNG) is None
    assert reading.read_volume(tmp_path / "none.nrrd", "CT", LUNG) is None
    assert slicer.util.getNodesByClass("vtkMRMLVolumeNode") == []
