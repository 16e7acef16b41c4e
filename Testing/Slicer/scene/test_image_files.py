"""Files as other programs write them, opened in the scene: as the library reads them, or refused by name."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import read_case
from DeepRadScoreLib.models import MaskGrid
from support.foreign_files import HU, MASK, ORIGIN, SIZE, SPACING, affine, moved, sheared, write_itk, write_nifti
from support.scene_tools import count_items, count_nodes

TRUE = affine()
TURNED = affine(origin=(ORIGIN[0], ORIGIN[1], ORIGIN[2] + SPACING[2] * (SIZE[2] - 1))) @ np.diag([1, 1, -1, 1])


def ct(folder, values=HU, **fields):
    return write_nifti(folder / "ct.nii", values, **fields)


def mask(folder, values=MASK, **fields):
    return write_nifti(folder / "m.nii", values, **fields)


def opened(ct, mask, **more):
    from DeepRadScoreSlicer.cases.worklist import ListedCase
    from DeepRadScoreSlicer.scene.opening import open_case

    return open_case(ListedCase("p", ct, mask, **more), mask)


MADE = {
    "plain": lambda f: (ct(f, sform=TRUE, qform=TRUE), mask(f, sform=TRUE, qform=TRUE)),
    "pixdim at its default": lambda f: (ct(f, sform=TRUE, pixdim=(1, 1, 1)), mask(f, sform=TRUE, pixdim=(1, 1, 1))),
    "axes off 3e-4": lambda f: (ct(f, sform=sheared(TRUE, 3e-4)), mask(f, sform=sheared(TRUE, 3e-4))),
    "left-handed, pixdim at its default": lambda f: (
        ct(f, HU[::-1], sform=TURNED, pixdim=(1, 1, 1)),
        write_itk(f / "m.seg.nrrd", MASK),
    ),
    "left-handed": lambda f: (ct(f, HU[::-1], sform=TURNED, qform=TURNED), write_itk(f / "m.seg.nrrd", MASK)),
    "mask in metres": lambda f: (
        write_itk(f / "ct.nrrd", HU),
        mask(f, sform=np.diag([1e-3, 1e-3, 1e-3, 1]) @ TRUE, units=1),
    ),
    "labels through floats": lambda f: (write_itk(f / "ct.nrrd", HU), write_itk(f / "m.nrrd", MASK * 0.996)),
    "metaimage": lambda f: (write_itk(f / "ct.mhd", HU), write_itk(f / "m.mha", MASK)),
}
LOST = {
    "its origin": lambda f: (write_itk(f / "ct.nrrd", HU), write_itk(f / "m.nrrd", MASK, origin=(0, 0, 0))),
    "its axes, left-handed CT": lambda f: (
        ct(f, HU[::-1], sform=TURNED, qform=TURNED),
        write_itk(f / "m.nrrd", MASK[::-1], direction=np.diag([-1.0, -1.0, 1.0])),
    ),
    "its origin, a mask of Slicer": lambda f: (
        write_itk(f / "ct.nrrd", HU),
        write_itk(f / "m.seg.nrrd", MASK, origin=(0, 0, 0)),
    ),
}


def check_same(scene, case, file):
    """The case of the nodes is that of the files: volume and place of the tumour, HU in it, remarks."""
    from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

    nodes = (scene.GetNodeByID(node) for node in (case.volume_id, case.segmentation_id))
    here = case_from_nodes(*nodes, case.segment_id, "p")
    place = sitk.LabelShapeStatisticsImageFilter(), sitk.LabelShapeStatisticsImageFilter()
    for one, shape in zip((here, file), place, strict=True):
        shape.Execute(one.tumour)
    assert place[0].GetPhysicalSize(1) == pytest.approx(place[1].GetPhysicalSize(1), rel=1e-6)
    np.testing.assert_allclose(place[0].GetCentroid(1), place[1].GetCentroid(1), atol=1e-4)
    hu = [sitk.GetArrayFromImage(one.ct)[sitk.GetArrayFromImage(one.tumour) > 0] for one in (here, file)]
    np.testing.assert_array_equal(np.sort(hu[0]), np.sort(hu[1]))
    codes = [{note.code for note in one.notes} - {"mask_resampled"} for one in (here, file)]
    assert codes[0] == codes[1]


@pytest.mark.parametrize("name", MADE)
def test_a_case_is_opened_as_the_library_reads_it(scene, name, tmp_path):
    files = MADE[name](tmp_path)
    check_same(scene, opened(*files), read_case(*files))


@pytest.mark.parametrize("name", LOST)
def test_lost_geometry_is_refused_or_placed_as_the_list_says(scene, name, tmp_path):
    files = LOST[name](tmp_path)
    before = count_nodes(), count_items()
    with pytest.raises(InputError, match=r"has the CT's size.* elsewhere"):
        opened(*files)
    assert (count_nodes(), count_items()) == before
    case = opened(*files, mask_grid=MaskGrid.SAME)
    check_same(scene, case, read_case(*files, mask_grid="same"))


def test_a_mask_left_where_its_header_says_is_remarked_on(scene, tmp_path):
    from DeepRadScoreSlicer.scene.from_nodes import case_from_nodes

    files = write_itk(tmp_path / "ct.nrrd", HU), write_itk(tmp_path / "m.nrrd", MASK, origin=np.add(ORIGIN, (3, 0, 0)))
    case = opened(*files, mask_grid=MaskGrid.AS_STORED)
    here = case_from_nodes(*(scene.GetNodeByID(n) for n in (case.volume_id, case.segmentation_id)), "Segment_1", "p")
    (note,) = (note for note in here.notes if note.code == "mask_elsewhere")
    assert note.severity == "warning"
    assert "up to 3 mm elsewhere" in note.message


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda f: (ct(f, sform=moved(TRUE, 5, 0, 0), qform=TRUE), mask(f, sform=TRUE)), "qform and sform place"),
        (lambda f: (ct(f, sform=TRUE), mask(f, sform=moved(TRUE, 5, 0, 0), qform=TRUE)), "qform and sform place"),
        (lambda f: (ct(f, sform=TRUE), write_itk(f / "m.nrrd", HU)), "this is no mask"),
        (lambda f: (ct(f, sform=TRUE), write_itk(f / "m.nrrd", MASK * 0.7)), "not whole numbers"),
        (lambda f: (ct(f, sform=TRUE, units=1), mask(f, sform=TRUE)), "xyzt_units says metre"),
    ],
)
def test_what_the_library_refuses_is_not_loaded(scene, make, match, tmp_path):
    before = count_nodes(), count_items()
    with pytest.raises(InputError, match=match):
        opened(*make(tmp_path))
    assert (count_nodes(), count_items()) == before


def test_a_lung_mask_of_lost_geometry(scene, tmp_path):
    from DeepRadScoreSlicer.scene.from_nodes import volume_image
    from DeepRadScoreSlicer.scene.image_files import LungMask

    files = MADE["left-handed"](tmp_path)
    half = np.zeros_like(MASK)
    half[: SIZE[2] // 2] = 1
    lung = write_itk(tmp_path / "lung.nrrd", half[::-1], origin=(0, 0, 0))
    volume = scene.GetNodeByID(opened(*files).volume_id)
    image = volume_image(volume)
    with pytest.raises(InputError, match="has the CT's size"):
        LungMask(lung, files[0]).on(image)
    here = LungMask(lung, files[0], MaskGrid.SAME).on(image)
    file = read_case(*files, lung_mask=lung, mask_grid="same")
    there = sitk.Resample(file.lung, image, sitk.Transform(), sitk.sitkNearestNeighbor)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(here), sitk.GetArrayFromImage(there))
    assert here.GetPixelID() == sitk.sitkUInt8
    assert sitk.GetArrayFromImage(here).sum() == half.sum()
