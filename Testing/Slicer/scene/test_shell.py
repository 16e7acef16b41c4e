"""The peritumoral shell in the scene is the library's shell, to the voxel."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from support.scene_tools import (
    ball_case,
    count_items,
    count_nodes,
    hierarchy,
    load_segmentation,
    load_volume,
    segment_ids,
    texts_of,
    under_patient,
)

CASES = [
    ("pyradiomics/lung2_image.nrrd", "pyradiomics/lung2_label.nrrd"),
    ("ibsi/ct_phantom/nifti/image/phantom.nii.gz", "ibsi/ct_phantom/nifti/mask/mask.nii.gz"),
]


def labelmap(node) -> sitk.Image:
    """The node's one segment as an image in LPS, read back without any code of ours."""
    import vtk
    from vtk.util.numpy_support import vtk_to_numpy

    (segment,) = segment_ids(node)
    data = node.GetSegmentation().GetSegment(segment).GetRepresentation("Binary labelmap")
    image = sitk.GetImageFromArray(vtk_to_numpy(data.GetPointData().GetScalars()).reshape(data.GetDimensions()[::-1]))
    image.SetSpacing(data.GetSpacing())
    matrix = vtk.vtkMatrix4x4()
    data.GetImageToWorldMatrix(matrix)
    extent = data.GetExtent()
    x, y, z, _ = matrix.MultiplyPoint((extent[0], extent[2], extent[4], 1))
    image.SetOrigin((-x, -y, z))
    data.GetDirectionMatrix(matrix)
    rows = [[matrix.GetElement(row, column) for column in range(3)] for row in range(3)]
    image.SetDirection((np.diag([-1, -1, 1]) @ rows).ravel().tolist())
    return image


def is_the_librarys(node, case, shell_mm: float) -> None:
    from DeepRadScoreLib.imaging import prepare

    shell, here = prepare(case, shell_mm=shell_mm).peritumoral, labelmap(node)
    assert here.GetSize() == shell.GetSize()
    for part in ("GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(here, part)(), getattr(shell, part)(), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(here), sitk.GetArrayFromImage(shell))


@pytest.mark.parametrize(("ct", "mask"), CASES)
def test_of_a_patient(scene, shared, ct, mask):
    from DeepRadScoreLib.imaging import read_case
    from DeepRadScoreSlicer.scene.display.shell import update_shell

    volume, segmentation = load_volume(shared / "data" / ct), load_segmentation(shared / "data" / mask)
    node = update_shell(volume, segmentation, segment_ids(segmentation)[0], "case-1", 3.0)
    is_the_librarys(node, read_case(shared / "data" / ct, shared / "data" / mask), 3.0)


@pytest.mark.parametrize("shell_mm", [0.5, 3.0, 20.0])
def test_thickness_and_a_tilted_grid(nodes, shell_mm):
    """20 mm is the thickest: what is cut away around the tumour before must be beyond its reach."""
    from DeepRadScoreLib.errors import RegionError
    from DeepRadScoreLib.imaging import Case
    from DeepRadScoreSlicer.scene.display.shell import update_shell

    if shell_mm < 1:
        with pytest.raises(RegionError, match="nothing is left of the peritumoral shell"):
            update_shell(*nodes, "case-1", shell_mm)
        return
    is_the_librarys(update_shell(*nodes, "case-1", shell_mm), Case("case-1", *ball_case()), shell_mm)


@pytest.mark.parametrize("corner", [(0, 0, 0), (23, 49, 59)])
def test_at_the_end_of_the_ct(nodes, corner):
    from DeepRadScoreLib.imaging import Case
    from DeepRadScoreSlicer.scene.display.shell import update_shell
    from DeepRadScoreSlicer.scene.voxels import image_to_segmentation

    ct, _ = ball_case()
    values = np.zeros((24, 50, 60), dtype=np.uint8)
    values[tuple(slice(max(end - 4, 0), end + 5) for end in corner)] = 1
    tumour = sitk.GetImageFromArray(values)
    tumour.CopyInformation(ct)
    node = image_to_segmentation(tumour, "edge", "t", (1, 0, 0))
    is_the_librarys(update_shell(nodes[0], node, segment_ids(node)[0], "case-1", 3.0), Case("", ct, tumour), 3.0)


def test_other_tumours_are_taken_out(nodes):
    from DeepRadScoreLib.imaging import Case
    from DeepRadScoreSlicer.scene.display.shell import update_shell
    from DeepRadScoreSlicer.scene.voxels import image_to_segmentation

    ct, tumour = ball_case()
    image = sitk.GetImageFromArray(np.roll(sitk.GetArrayFromImage(tumour), 15, axis=2))
    image.CopyInformation(tumour)
    other = image_to_segmentation(image, "other", "second nodule", (0, 1, 0))
    nodes[1].GetSegmentation().CopySegmentFromSegmentation(other.GetSegmentation(), segment_ids(other)[0])
    is_the_librarys(update_shell(*nodes, "case-1", 3.0), Case("", ct, tumour, other_tumours=image), 3.0)


def test_one_node_brought_up_to_date_in_place(nodes):
    from DeepRadScoreLib.imaging import Case
    from DeepRadScoreSlicer.scene.display.shell import update_shell
    from DeepRadScoreSlicer.scene.ownership import ours

    first = update_shell(*nodes, "case-1", 3.0)
    first.GetDisplayNode().SetVisibility(False)
    before, items = count_nodes(), count_items()
    labelmap_of_tumour = nodes[1].GetSegmentation().GetSegment(nodes[2]).GetRepresentation("Binary labelmap")
    from vtk.util.numpy_support import vtk_to_numpy

    values = vtk_to_numpy(labelmap_of_tumour.GetPointData().GetScalars()).reshape(24, 50, 60)
    values[:12] = 0
    again = update_shell(*nodes, "case-1", 3.0)
    ct, _ = ball_case()
    changed = sitk.GetImageFromArray(values.copy())
    changed.CopyInformation(ct)
    assert again.GetID() == first.GetID()
    assert not again.GetDisplayNode().GetVisibility(), "hidden by the reader: it stays so"
    assert (count_nodes(), count_items()) == (before, items)
    is_the_librarys(again, Case("", ct, changed), 3.0)
    update_shell(*nodes, "case-1", 2.0)

    (node,) = ours("shell", nodes[0])
    assert node.GetName() == "case-1 peritumoral shell 2 mm"
    is_the_librarys(node, Case("", ct, changed), 2.0)


def test_shown_in_2d_and_3d_and_kept_from_editing(nodes):
    from DeepRadScoreSlicer.scene.display.shell import SMOOTHED_VOXELS, update_shell
    from DeepRadScoreSlicer.scene.display.surface import show_surface

    node = update_shell(*nodes, "case-1", 3.0)
    display = node.GetDisplayNode()
    assert display.GetVisibility() and display.GetVisibility2D() and display.GetVisibility3D()
    show_surface(node, SMOOTHED_VOXELS)
    assert node.GetSegmentation().ContainsRepresentation("Closed surface")
    segment = node.GetSegmentation().GetNthSegment(0)
    assert segment.GetRepresentation("Closed surface").GetNumberOfPoints() > 100
    assert segment.GetColor() == pytest.approx((1.0, 0.702, 0.0))
    assert not node.GetSelectable()


def test_two_cts_have_two_shells_and_one_goes(nodes):
    from DeepRadScoreSlicer.scene.display.shell import remove_shell, update_shell
    from DeepRadScoreSlicer.scene.ownership import ours
    from DeepRadScoreSlicer.scene.voxels import image_to_volume

    second = image_to_volume(ball_case()[0], "second")
    before, items = count_nodes(), count_items()
    update_shell(*nodes, "case-1", 3.0)
    one = count_nodes()
    update_shell(second, *nodes[1:], "case-2", 3.0)
    remove_shell(second)
    assert count_nodes() == one
    remove_shell(nodes[0])
    assert (count_nodes(), count_items()) == (before, items)

    assert ours() == []
    remove_shell(nodes[0])


def test_under_the_cts_study_and_without_the_patients_name(nodes):
    from DeepRadScoreSlicer.scene.display.shell import update_shell

    study = under_patient(nodes[0])
    node = update_shell(*nodes, "case-1", 3.0)
    tree = hierarchy()
    assert tree.GetItemParent(tree.GetItemByDataNode(node)) == study
    assert "DOE" not in texts_of(node)
    assert node.GetNodeReferenceID("DeepRadScore.Volume") == nodes[0].GetID()
    assert node.GetAttribute("DeepRadScore.CaseId") == "case-1"


def test_no_shell_is_left_of_a_tumour_that_cannot_be_used(nodes):
    from DeepRadScoreLib.errors import RegionError
    from DeepRadScoreSlicer.scene.display.shell import update_shell

    before = count_nodes()
    update_shell(*nodes, "case-1", 3.0)
    empty = nodes[1].GetSegmentation().AddEmptySegment("e", "lesion 2")
    with pytest.raises(RegionError, match='"lesion 2" is empty'):
        update_shell(*nodes[:2], empty, "case-1", 3.0)
    assert count_nodes() == before


def test_memory_nodes_and_observers_do_not_grow(nodes):
    import resource

    from DeepRadScoreSlicer.scene.display.shell import update_shell

    def turn(times):
        for _ in range(times):
            update_shell(*nodes, "case-1", 3.0)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    turn(20)
    before, count = turn(10), count_nodes()
    observed = [bool(node.HasObserver("ModifiedEvent")) for node in nodes[:2]]
    assert turn(100) < before + 5000
    assert count_nodes() == count
    assert [bool(node.HasObserver("ModifiedEvent")) for node in nodes[:2]] == observed
