"""A case from nodes is the case from the files that the nodes were loaded from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from support.scene_tools import (
    PATIENT,
    ball_case,
    count_nodes,
    load_segmentation,
    load_volume,
    segment_ids,
    under_patient,
)

ROOT = Path(__file__).resolve().parents[3]
CASES = [
    ("pyradiomics/lung1_image.nrrd", "pyradiomics/lung1_label.nrrd"),
    ("pyradiomics/lung2_image.nrrd", "pyradiomics/lung2_label.nrrd"),
    ("ibsi/ct_phantom/nifti/image/phantom.nii.gz", "ibsi/ct_phantom/nifti/mask/mask.nii.gz"),
    ("nsclc-radiomics-lung1/ct/LUNG1-002_ct_crop40.nii.gz", "nsclc-radiomics-lung1/ct/LUNG1-002_gtv1_crop40.nii.gz"),
]


def same(first: sitk.Image | None, second: sitk.Image | None) -> None:
    if second is None:
        assert first is None
        return
    assert first.GetPixelID() == second.GetPixelID()
    assert first.GetSize() == second.GetSize()
    np.testing.assert_array_equal(sitk.GetArrayViewFromImage(first), sitk.GetArrayViewFromImage(second))
    for part in ("GetSpacing", "GetOrigin", "GetDirection"):
        np.testing.assert_allclose(getattr(first, part)(), getattr(second, part)(), rtol=0, atol=1e-9)


def same_prepared(first, second) -> None:
    from DeepRadScoreLib.imaging import prepare

    first, second = prepare(first), prepare(second)
    for part in ("image", "tumour", "peritumoral", "slice_ct", "slice_tumour"):
        same(getattr(first, part), getattr(second, part))
    same(first.patch.image, second.patch.image)
    assert first.patch.centre_ijk == second.patch.centre_ijk
    assert first.quality == second.quality


@pytest.mark.parametrize(("ct", "mask"), CASES)
def test_nodes_give_what_the_files_give(scene, shared, ct, mask):
    from DeepRadScoreLib.imaging import read_case
    from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

    ct, mask = shared / "data" / ct, shared / "data" / mask
    segmentation = load_segmentation(mask)
    before = count_nodes()
    volume = load_volume(ct)
    case = case_from_nodes(volume, segmentation, segment_ids(segmentation)[0], "one")
    read = read_case(ct, mask, case_id="one")
    same(case.ct, read.ct)
    same(case.tumour, read.tumour)
    assert case.notes == read.notes
    same_prepared(case, read)
    assert count_nodes() == before + 3, "the volume, its display and its storage, and nothing of ours"


def test_features_and_decision_are_those_of_the_file(scene, shared):
    from DeepRadScoreLib.api import analyze
    from DeepRadScoreLib.imaging import read_case
    from DeepRadScoreLib.report.profile import to_profile_json
    from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

    ct, mask = (shared / "data/pyradiomics" / f"lung1_{kind}.nrrd" for kind in ("image", "label"))
    segmentation = load_segmentation(mask)
    case = case_from_nodes(load_volume(ct), segmentation, segment_ids(segmentation)[0], "lung1")
    here, file = analyze(case), analyze(read_case(ct, mask, case_id="lung1"))
    assert here.features.keys() == file.features.keys()
    np.testing.assert_allclose(list(here.features.values()), list(file.features.values()), rtol=1e-9, atol=0)
    assert to_profile_json(here) == to_profile_json(file)


def test_pixel_type_geometry_and_voxels_come_back(scene):
    from DeepRadScoreSlicer.scene.from_nodes import volume_image
    from DeepRadScoreSlicer.scene.voxels import image_to_volume

    ct, _ = ball_case()
    for kind in (sitk.sitkInt16, sitk.sitkFloat32, sitk.sitkFloat64, sitk.sitkInt32):
        image = sitk.Cast(ct, kind)
        again = volume_image(image_to_volume(image, "x"))
        same(again, image)
        assert again.GetSpacing() == image.GetSpacing()
        assert again.GetOrigin() == image.GetOrigin()
        assert again.GetDirection() == image.GetDirection()


def test_volume_image_is_a_copy_and_the_volume_is_in_ras(nodes):
    from slicer.util import arrayFromVolume

    from DeepRadScoreSlicer.scene.from_nodes import volume_image

    volume = nodes[0]
    image = volume_image(volume)
    arrayFromVolume(volume)[:] = 0
    assert sitk.GetArrayViewFromImage(image).any()
    x, y, z = image.TransformIndexToPhysicalPoint((7, 8, 9))
    import vtk

    to_ras = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(to_ras)
    assert to_ras.MultiplyPoint((7, 8, 9, 1))[:3] == pytest.approx((-x, -y, z), abs=1e-9)


def test_segment_image(nodes):
    from DeepRadScoreSlicer.scene.from_nodes import segment_image

    same(segment_image(*nodes[1:]), ball_case()[1])


class TestSegments:
    """The rules of a `.seg.nrrd`: compared with reading the file that Slicer's storage node writes of the same node."""

    @pytest.fixture
    def drawn(self, nodes, tmp_path):
        """A segmentation with overlapping, shared and empty segments; its file; the CT's file."""
        import slicer

        from DeepRadScoreSlicer.scene.voxels import image_to_segmentation

        volume, segmentation, _ = nodes
        ct, mask = ball_case()
        values = sitk.GetArrayFromImage(mask)
        for name, shift in (("second nodule", 6), ("Lung", 3), ("GTV overlap", 2)):
            image = sitk.GetImageFromArray(np.roll(values, shift, axis=2))
            image.CopyInformation(mask)
            other = image_to_segmentation(image, "other", name, (0, 1, 0))
            segmentation.GetSegmentation().CopySegmentFromSegmentation(other.GetSegmentation(), segment_ids(other)[0])
        segmentation.GetSegmentation().AddEmptySegment("nothing", "empty lesion")
        segmentation.GetSegmentation().CollapseBinaryLabelmaps(False)
        path = tmp_path / "drawn.seg.nrrd"
        storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
        storage.SetFileName(str(path))
        assert storage.WriteData(segmentation)
        sitk.WriteImage(ct, str(tmp_path / "ct.nrrd"))
        return volume, segmentation, path, tmp_path / "ct.nrrd"

    @pytest.mark.parametrize("name", ["tumour", "second nodule", "Lung", "GTV overlap"])
    def test_each_segment_as_the_file_gives_it(self, drawn, name):
        from DeepRadScoreLib.imaging import read_case
        from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

        volume, segmentation, path, ct = drawn
        chosen = segmentation.GetSegmentation().GetSegmentIdBySegmentName(name)
        case = case_from_nodes(volume, segmentation, chosen, "one")
        read = read_case(ct, path, segment=name, case_id="one")
        same(case.tumour, read.tumour)
        same(case.other_tumours, read.other_tumours)
        assert case.notes == read.notes
        same_prepared(case, read)

    @pytest.mark.parametrize("name", ["tumour", "second nodule", "Lung", "GTV overlap"])
    def test_the_node_read_back_from_that_file(self, drawn, name):
        from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

        volume, segmentation, path, _ = drawn
        again = load_segmentation(path)
        cases = [
            case_from_nodes(volume, node, node.GetSegmentation().GetSegmentIdBySegmentName(name), "one")
            for node in (segmentation, again)
        ]
        same(cases[0].tumour, cases[1].tumour)
        same(cases[0].other_tumours, cases[1].other_tumours)

    def test_the_node_is_not_changed(self, drawn):
        from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes, masks_from_nodes, segment_image

        volume, segmentation, _, _ = drawn
        content = segmentation.GetSegmentation()
        chosen = content.GetSegmentIdBySegmentName("tumour")

        def state():
            maps = [content.GetSegment(one).GetRepresentation("Binary labelmap") for one in content.GetSegmentIDs()]
            return content.GetMTime(), segmentation.GetMTime(), volume.GetMTime(), [one.GetMTime() for one in maps]

        before = state()
        case_from_nodes(volume, segmentation, chosen, "one")
        masks_from_nodes(volume, segmentation, chosen, "one")
        segment_image(segmentation, chosen)
        assert state() == before

    def test_another_grid(self, nodes, tmp_path):
        """A mask drawn on a finer, tilted grid: resampled by the library's rule and said so, as from its file."""
        import slicer

        from DeepRadScoreLib.imaging import read_case
        from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes
        from DeepRadScoreSlicer.scene.voxels import image_to_segmentation

        ct, mask = ball_case()
        grid = sitk.Image([80, 80, 60], sitk.sitkUInt8)
        grid.SetSpacing((0.7, 0.7, 0.8))
        grid.SetOrigin(np.subtract(mask.TransformContinuousIndexToPhysicalPoint((30, 24, 11)), (28, 28, 24)).tolist())
        fine = sitk.Resample(mask, grid, sitk.Transform(), sitk.sitkNearestNeighbor)
        node = image_to_segmentation(fine, "fine", "tumour", (1, 0, 0))
        storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
        storage.SetFileName(str(tmp_path / "fine.seg.nrrd"))
        assert storage.WriteData(node)
        sitk.WriteImage(ct, str(tmp_path / "ct.nrrd"))
        case = case_from_nodes(nodes[0], node, segment_ids(node)[0], "one")
        read = read_case(tmp_path / "ct.nrrd", tmp_path / "fine.seg.nrrd", case_id="one")
        assert [note.code for note in case.notes] == ["mask_resampled"]
        assert case.notes == read.notes
        same_prepared(case, read)


class TestLabels:
    """A plain labelmap with several labels: its file, read by label, against the segments that Slicer makes of it."""

    @pytest.fixture(params=["mask.nrrd", "mask.nii.gz"])
    def labelled(self, scene, tmp_path, request):
        """CT and mask on disk; three regions with the labels 1, 2 and 7, two of them within reach of the shell."""
        ct, mask = ball_case()
        ball = sitk.GetArrayFromImage(mask) > 0
        values = np.zeros(ball.shape, np.uint8)
        for label, (shift, axis) in {7: (2, 0), 2: (8, 2), 1: (0, 0)}.items():
            values[np.roll(ball, shift, axis)] = label
        image = sitk.GetImageFromArray(values)
        image.CopyInformation(mask)
        sitk.WriteImage(image, str(tmp_path / request.param))
        sitk.WriteImage(ct, str(tmp_path / "ct.nrrd"))
        return tmp_path / "ct.nrrd", tmp_path / request.param

    def alike(self, case, read):
        same(case.tumour, read.tumour)
        same(case.other_tumours, read.other_tumours)
        assert case.notes == read.notes
        same_prepared(case, read)

    @pytest.mark.parametrize("label", [1, 2, 7])
    @pytest.mark.parametrize("wanted", ["{}", "label {}", "Segment_{}"])
    def test_a_label_is_its_segment(self, labelled, label, wanted, tmp_path):
        from DeepRadScoreLib.imaging import read_case
        from DeepRadScoreSlicer.scene.corrections import save_corrected
        from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes
        from DeepRadScoreSlicer.scene.opening import choose_segment

        ct, mask = labelled
        wanted = wanted.format(label)
        read = read_case(ct, mask, label=label, case_id="one")
        same(read_case(ct, mask, segment=wanted).tumour, read.tumour)
        volume, segmentation = load_volume(ct), load_segmentation(mask)
        chosen = choose_segment(segmentation, wanted)
        assert chosen == f"Segment_{label}"
        case = case_from_nodes(volume, segmentation, chosen, "one")
        self.alike(case, read)
        assert read.other_tumours is not None
        saved = tmp_path / "corrected.seg.nrrd"
        save_corrected(segmentation, saved)
        self.alike(read_case(ct, saved, segment=wanted, case_id="one"), read)
        again = load_segmentation(saved)
        self.alike(case_from_nodes(volume, again, choose_segment(again, wanted), "one"), read)

    def test_a_name_of_its_own_makes_a_segment_of_it(self, labelled, tmp_path):
        """Who calls label 2 "Lung" has said that it is no tumour; in the scene as in the file that is saved of it."""
        from DeepRadScoreLib.errors import RegionError
        from DeepRadScoreLib.imaging import read_case
        from DeepRadScoreSlicer.scene.corrections import save_corrected
        from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes
        from DeepRadScoreSlicer.scene.opening import choose_segment

        ct, mask = labelled
        volume, segmentation = load_volume(ct), load_segmentation(mask)
        segmentation.GetSegmentation().GetSegment("Segment_2").SetName("Lung")
        case = case_from_nodes(volume, segmentation, "Segment_1", "one")
        same(case.other_tumours, read_case(ct, mask, label=7).tumour)
        saved = tmp_path / "corrected.seg.nrrd"
        save_corrected(segmentation, saved)
        self.alike(case, read_case(ct, saved, segment="1", case_id="one"))
        assert choose_segment(segmentation, "2") == "Segment_2"
        assert choose_segment(segmentation, "Label_2") == ""
        with pytest.raises(RegionError, match='"Label_2" is not in the mask'):
            read_case(ct, saved, segment="Label_2")

    @pytest.mark.parametrize("how", ["auto", "tumours", "ignore"])
    def test_what_other_labels_are(self, labelled, tmp_path, how):
        """A lung around the nodules (label 3) stays in the shell, in the whole case and in the live shell's part."""
        from DeepRadScoreLib.errors import RegionError
        from DeepRadScoreLib.imaging import lattice_regions, read_case
        from DeepRadScoreLib.models import OtherLabels
        from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes, masks_from_nodes

        ct, mask = labelled
        image = sitk.ReadImage(str(mask))
        values = sitk.GetArrayFromImage(image)
        values[values == 0] = 3
        lung = sitk.GetImageFromArray(values)
        lung.CopyInformation(image)
        sitk.WriteImage(lung, str(mask))
        volume, segmentation = load_volume(ct), load_segmentation(mask)
        if how == "tumours":
            with pytest.raises(RegionError, match="nothing is left"):
                lattice_regions(read_case(ct, mask, label=1, other_labels=how), 3.0)
            return
        read = read_case(ct, mask, label=1, case_id="one", other_labels=how)
        here = volume, segmentation, "Segment_1", "one", OtherLabels(how)
        self.alike(case_from_nodes(*here), read)
        for one, other in zip(lattice_regions(masks_from_nodes(*here), 3.0), lattice_regions(read, 3.0), strict=True):
            same(one, other)

    def test_the_only_one_with_voxels_is_the_tumour(self, labelled):
        from DeepRadScoreSlicer.scene.opening import choose_segment

        segmentation = load_segmentation(labelled[1])
        content = segmentation.GetSegmentation()
        assert choose_segment(segmentation, None) == ""
        for one in ("Segment_1", "Segment_7"):
            content.RemoveSegment(one)
        content.AddEmptySegment("later", "second tumour")
        assert choose_segment(segmentation, None) == "Segment_2"
        content.RemoveSegment("Segment_2")
        assert choose_segment(segmentation, None) == "later"


class TestCaseId:
    def test_of_the_series_as_the_library_makes_it(self, nodes):
        from DeepRadScoreLib import imaging
        from DeepRadScoreSlicer.scene.from_nodes import anonymous_case_id

        under_patient(nodes[0], "1.2.3.4")
        assert anonymous_case_id(nodes[0]) == imaging.anonymous_case_id("1.2.3.4")

    def test_of_the_voxels_and_their_place_never_of_the_name(self, nodes):
        from slicer.util import arrayFromVolume

        from DeepRadScoreSlicer.scene.from_nodes import anonymous_case_id
        from DeepRadScoreSlicer.scene.voxels import image_to_volume

        volume = nodes[0]
        first = anonymous_case_id(volume)
        volume.SetName("other")
        assert anonymous_case_id(volume) == first
        assert anonymous_case_id(image_to_volume(ball_case()[0], "x")) == first
        volume.SetSpacing(1, 1, 1)
        moved = anonymous_case_id(volume)
        arrayFromVolume(volume)[3, 3, 3] += 1
        assert len({first, moved, anonymous_case_id(volume)}) == 3

    def test_of_the_instances_where_there_is_no_series(self, nodes):
        from DeepRadScoreLib import imaging
        from DeepRadScoreSlicer.scene.from_nodes import anonymous_case_id

        nodes[0].SetAttribute("DICOM.instanceUIDs", "1.2.3 1.2.4")
        assert anonymous_case_id(nodes[0]) == imaging.anonymous_case_id("1.2.3 1.2.4")


class TestBadInput:
    """One sentence each: what, and what to do."""

    @pytest.fixture
    def sentence(self, nodes):
        from DeepRadScoreLib.errors import InputError
        from DeepRadScoreSlicer.scene.display.quality_line import quality_line
        from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes, masks_from_nodes

        def of(volume=nodes[0], segmentation=nodes[1], segment=nodes[2]):
            before = count_nodes()
            with pytest.raises(InputError) as caught:
                case_from_nodes(volume, segmentation, segment, "one")
            with pytest.raises(InputError) as again:
                masks_from_nodes(volume, segmentation, segment, "one")
            assert str(caught.value) == str(again.value) == quality_line(volume, segmentation, segment)
            assert caught.value.mend
            assert count_nodes() == before
            return str(caught.value)

        return of

    def test_no_volume(self, sentence):
        assert sentence(volume=None) == "no CT is chosen; choose the CT volume."

    def test_a_volume_that_was_deleted(self, sentence, nodes, scene):
        scene.RemoveNode(nodes[0])
        assert "no CT is chosen" in sentence()

    def test_volume_without_voxels(self, sentence, scene):
        assert "no voxels" in sentence(volume=scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", PATIENT))

    def test_vector_volume(self, sentence, scene):
        import vtk

        volume = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", PATIENT)
        data = vtk.vtkImageData()
        data.SetDimensions(4, 4, 4)
        data.AllocateScalars(vtk.VTK_SHORT, 3)
        volume.SetAndObserveImageData(data)
        assert "vector volume of 3 components" in sentence(volume=volume)

    def test_sequence(self, sentence, nodes, scene):
        import slicer

        for kind in (slicer.vtkMRMLSequenceNode, slicer.vtkMRMLSequenceBrowserNode):
            scene.RegisterNodeClass(kind())
        sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "4-D")
        sequence.SetDataNodeAtValue(nodes[0], "0")
        assert "4-D" in sentence(volume=sequence)
        browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
        browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
        proxy = browser.AddProxyNode(nodes[0], sequence, False)
        assert "4-D" in sentence(volume=proxy)

    @pytest.mark.parametrize("which", [0, 1])
    def test_under_a_transform(self, sentence, nodes, scene, which):
        import vtk

        transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", PATIENT)
        nodes[which].SetAndObserveTransformNodeID(transform.GetID())
        from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

        case_from_nodes(*nodes, "an identity changes nothing")
        matrix = vtk.vtkMatrix4x4()
        matrix.SetElement(0, 3, 5.0)
        transform.SetMatrixTransformToParent(matrix)
        what = ("the CT", "the segmentation")[which]
        assert sentence().startswith(f"{what} is under a transform; harden the transform")

    def test_no_segmentation(self, sentence):
        assert "no segmentation is chosen" in sentence(segmentation=None)

    def test_no_segment(self, sentence):
        assert "no segment is chosen" in sentence(segment="")
        assert "no segment is chosen" in sentence(segment="gone")

    def test_empty_segment(self, sentence, nodes):
        empty = nodes[1].GetSegmentation().AddEmptySegment("e", "lesion 2")
        assert sentence(segment=empty) == (
            'the segment "lesion 2" is empty; outline the tumour, or choose another segment.'
        )

    def test_no_reference_geometry(self, sentence, nodes):
        import slicer

        name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
        nodes[1].GetSegmentation().SetConversionParameter(name, "")
        assert "no reference geometry; in the Segment Editor choose the CT" in sentence()

    def test_a_surface(self, sentence, nodes):
        content = nodes[1].GetSegmentation()
        content.CreateRepresentation("Closed surface")
        content.SetSourceRepresentationName("Closed surface")
        assert 'stored as "Closed surface"' in sentence()

    def test_outside_the_ct(self, sentence, nodes):
        nodes[0].SetOrigin(5000.0, 0.0, 0.0)
        assert "the tumour lies outside the CT" in sentence()

    def test_not_in_hu(self, nodes):
        from slicer.util import arrayFromVolume

        from DeepRadScoreSlicer.scene.display.quality_line import quality_line

        values = arrayFromVolume(nodes[0])
        values += 1024
        assert "the CT is not in HU" in quality_line(*nodes)


def test_synthetic_mark_of_the_file_is_kept(scene, tmp_path):
    from DeepRadScoreLib.imaging.origin import SYNTHETIC_KEY, is_synthetic
    from DeepRadScoreSlicer.scene.from_nodes import volume_image
    from DeepRadScoreSlicer.scene.voxels import image_to_volume

    ct, _ = ball_case()
    assert not is_synthetic(volume_image(image_to_volume(ct, "x")))
    ct.SetMetaData(SYNTHETIC_KEY, "synthetic: not for patients")
    sitk.WriteImage(ct, str(tmp_path / "ct.nrrd"))
    volume = load_volume(tmp_path / "ct.nrrd")
    assert is_synthetic(volume_image(volume))
    (tmp_path / "ct.nrrd").unlink()
    assert is_synthetic(volume_image(volume)), "the node remembers, also when Slicer has saved it without the mark"
    assert is_synthetic(volume_image(image_to_volume(ct, "x")))


def test_quality_line(nodes):
    from DeepRadScoreSlicer.scene.display.quality_line import quality_line

    ct, tumour = ball_case()
    inside = sitk.GetArrayFromImage(tumour) != 0
    hu = sitk.GetArrayFromImage(ct)[inside]
    volume = inside.sum() * 0.9 * 1.1 * 2.5 / 1000
    assert quality_line(*nodes) == (
        f"{volume:.1f} mL · {np.flatnonzero(inside.any(axis=(1, 2))).size} slices · 0.90 x 1.10 x 2.50 mm · 1 piece · "
        f"HU {hu.min()} to {hu.max()} · same grid as the CT"
    )


def test_the_quality_line_looks_at_the_whole_ct_again_only_where_it_was_changed(nodes, monkeypatch):
    from slicer.util import arrayFromVolume, arrayFromVolumeModified

    from DeepRadScoreSlicer.scene import from_nodes
    from DeepRadScoreSlicer.scene.display.quality_line import quality_line

    checked = []
    real = from_nodes.check_hu
    monkeypatch.setattr(from_nodes, "check_hu", lambda hu, *rest, **more: checked.append(hu) or real(hu, *rest, **more))
    lines = [quality_line(*nodes) for _ in range(3)]
    nodes[1].Modified()
    assert len({*lines, quality_line(*nodes)}) == 1
    assert len(checked) == 1
    assert checked[0].shape[::-1] == nodes[0].GetImageData().GetDimensions()
    arrayFromVolume(nodes[0])[:] += 1024
    arrayFromVolumeModified(nodes[0])
    assert "the CT is not in HU" in quality_line(*nodes) == quality_line(*nodes)
    assert len(checked) == 3


def test_pieces_slices_and_another_grid_in_the_quality_line(nodes):
    from DeepRadScoreSlicer.scene.display.quality_line import quality_line
    from DeepRadScoreSlicer.scene.voxels import image_to_segmentation

    ct, _ = ball_case()
    values = np.zeros((24, 50, 60), dtype=np.uint8)
    values[4, 10:14, 10:14] = values[9, 30:33, 30:33] = 1
    image = sitk.GetImageFromArray(values)
    image.CopyInformation(ct)
    node = image_to_segmentation(image, "x", "t", (1, 0, 0))
    assert "· 2 slices ·" in quality_line(nodes[0], node, segment_ids(node)[0])
    assert "· 2 pieces ·" in quality_line(nodes[0], node, segment_ids(node)[0])
    shifted = sitk.Image(image)
    shifted.SetOrigin(np.add(image.GetOrigin(), 0.4).tolist())
    node = image_to_segmentation(shifted, "x", "t", (1, 0, 0))
    line = quality_line(nodes[0], node, segment_ids(node)[0])
    assert "same grid" not in line
    assert "another grid" in line


def test_memory_and_nodes_do_not_grow(nodes):
    import resource

    from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes, masks_from_nodes

    def turn(times):
        for _ in range(times):
            case_from_nodes(*nodes, "one")
            masks_from_nodes(*nodes, "one")
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    turn(20)
    before, count = turn(20), count_nodes()
    assert turn(150) < before + 3000, "kB: 150 copies of the CT would be 21000"
    assert count_nodes() == count


def test_the_review_needs_nothing_but_what_slicer_has():
    """In a bare Slicer there is no pandas, pydicom, torch, scikit-learn, pydantic or pyradiomics."""
    code = """
import sys
class Blocker:
    names = {"pandas", "pydicom", "torch", "torchvision", "sklearn", "pydantic", "radiomics", "matplotlib", "jinja2",
             "skops", "safetensors", "highdicom", "shap", "joblib", "gdcm", "pyarrow", "statsmodels", "typer", "rich"}
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocker())
import DeepRadScoreLib.errors
from DeepRadScoreLib.imaging import Case, case_from_segments, lattice_regions, masks_from_segments, prepare
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_quality_line_counts_axial_slices_however_the_ct_is_stored(scene):
    from DeepRadScoreSlicer.scene.display.quality_line import quality_line
    from DeepRadScoreSlicer.scene.voxels import image_to_segmentation, image_to_volume

    lines = []
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        ct, tumour = (sitk.PermuteAxes(image, order) for image in ball_case())
        node = image_to_segmentation(tumour, "x", "t", (1, 0, 0))
        lines.append(quality_line(image_to_volume(ct, "x"), node, segment_ids(node)[0]))
    assert lines[0] == lines[1] == lines[2]
