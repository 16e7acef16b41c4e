"""The canonical frame: one patient, one set of voxels; and pyradiomics' frame, against the oracle."""

from __future__ import annotations

import csv
from itertools import permutations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from DeepRadScoreLib.imaging import case_from_images, prepare, prepare_steps, read_case
from DeepRadScoreLib.imaging.frame import canonical_lattice, ct_on_lattice, mask_on_lattice
from DeepRadScoreLib.imaging.grids.geometry import direction_of, half_up
from DeepRadScoreLib.imaging.grids.lps import LpsImage
from support.imaging_phantoms import image_of, rotation, tumour_case

CASES = ("lung1", "lung2", "ibsi_ct_phantom", "pat_2", "LUNG1-001")
MASKS = ("tumour", "peritumoral")


def oracle_case(shared, name):
    folder = shared / "reference" / "oracle"
    with (folder / "cases.csv").open() as stream:
        row = next(r for r in csv.DictReader(stream) if r["case"] == name)
    return read_case(folder / row["image"], folder / row["mask"])


def lung1_001(shared, suffix=""):
    folder = shared / "data" / "nsclc-radiomics-lung1" / "ct"
    return read_case(folder / f"LUNG1-001_ct{suffix}.nii.gz", folder / f"LUNG1-001_gtv1{suffix}.nii.gz")


def voxels(image):
    return sitk.GetArrayFromImage(image)


def fingerprint(prepared):
    """Everything that later steps see, as bytes."""
    facts = []
    for image in (prepared.image, prepared.tumour, prepared.peritumoral, prepared.patch.image):
        facts += [image.GetSize(), image.GetOrigin(), image.GetSpacing(), image.GetDirection(), image.GetPixelID()]
        facts.append(voxels(image).tobytes())
    return [*facts, prepared.patch.tumour.tobytes(), prepared.patch.centre_ijk, prepared.patch.area_mm2]


def stored_otherwise(image, order, flips):
    return sitk.Flip(sitk.PermuteAxes(image, order), flips, False)


@pytest.mark.parametrize("name", CASES)
def test_pyradiomics_frame_equals_the_oracle(shared, name):
    folder = shared / "reference" / "oracle"
    with (folder / "volumes.csv").open() as stream:
        row = next(r for r in csv.DictReader(stream) if r["case"] == name)
    prepared = prepare(oracle_case(shared, name), preprocessing="pyradiomics")
    shell = prepared.peritumoral
    assert shell.GetSize() == tuple(map(int, row["grid_size_xyz"].split()))
    assert shell.GetOrigin() == tuple(map(float, row["grid_origin_xyz_mm"].split()))
    assert shell.GetDirection() == tuple(map(float, row["grid_direction"].split()))
    assert prepared.image.GetPixelIDTypeAsString() == row["ct_pixel_type"]
    assert voxels(prepared.tumour).sum() == int(row["tumour_voxels"])
    expected = sitk.ReadImage(str(folder / f"{name}_shell3mm.nii.gz"))
    np.testing.assert_array_equal(voxels(shell), voxels(expected))


@pytest.fixture(scope="module")
def oblique():
    """A synthetic oblique CT with uneven spacings, and its mask."""
    size, spacing = (44, 40, 26), (0.83, 0.91, 1.7)
    return tumour_case(
        size, spacing, 7.0, origin=(-31.2345, 12.3456, -480.001), direction=rotation(23, 11), stretch=(1, 1.3, 0.8)
    )


@pytest.fixture(scope="module")
def images(request, shared, oblique):
    if request.param == "oblique":
        return oblique
    case = oracle_case(shared, request.param)
    return case.ct, case.tumour


@pytest.mark.parametrize("images", ["pat_2", "oblique"], indirect=True)
def test_storage_does_not_matter(images, tmp_path):
    ct, mask = images
    expected = fingerprint(prepare(case_from_images(ct, mask)))
    seen = 0
    for pixel in (sitk.sitkInt16, sitk.sitkInt32, sitk.sitkFloat32, sitk.sitkFloat64):
        for suffix in (".nrrd", ".nii", ".nii.gz"):
            paths = tmp_path / f"ct{seen}{suffix}", tmp_path / f"mask{seen}{suffix}"
            sitk.WriteImage(sitk.Cast(ct, pixel), str(paths[0]))
            sitk.WriteImage(mask, str(paths[1]))
            assert fingerprint(prepare(read_case(*paths))) == expected, (pixel, suffix)
            seen += 1
    for order in permutations(range(3)):
        for flips in np.ndindex(2, 2, 2):
            flipped = [stored_otherwise(image, order, [bool(f) for f in flips]) for image in (ct, mask)]
            assert fingerprint(prepare(case_from_images(*flipped))) == expected, (order, flips)
            seen += 1
    assert seen == 60


def test_axes_at_equal_angles_do_not_depend_on_storage():
    ct, mask = tumour_case((30, 30, 20), (0.8, 0.8, 1.5), 5.0, direction=rotation(45, 0))
    expected = fingerprint(prepare(case_from_images(ct, mask)))
    for order in permutations(range(3)):
        flipped = [stored_otherwise(image, order, [True, False, True]) for image in (ct, mask)]
        assert fingerprint(prepare(case_from_images(*flipped))) == expected


def test_mask_on_another_grid_does_not_depend_on_storage():
    ct, mask = tumour_case((40, 40, 20), (0.8, 0.8, 2.0), 6.0)
    fine = sitk.Resample(
        mask, [80, 80, 40], sitk.Transform(), sitk.sitkNearestNeighbor, (0.2, 0.2, 0.5), (0.4, 0.4, 1.0)
    )
    expected = prepare(case_from_images(ct, fine))
    assert "mask_resampled" in {note.code for note in expected.quality}
    for order in permutations(range(3)):
        stored = stored_otherwise(ct, order, [False, True, True])
        assert fingerprint(prepare(case_from_images(stored, fine))) == fingerprint(expected)
        turned = stored_otherwise(fine, order, [True, True, False])
        assert fingerprint(prepare(case_from_images(ct, turned))) == fingerprint(expected)


def inside_regions(prepared):
    return (voxels(prepared.tumour) + voxels(prepared.peritumoral)) > 0


def assert_same_but_for_the_margin(full, cropped, margin_share):
    for region in MASKS:
        np.testing.assert_array_equal(voxels(getattr(full, region)), voxels(getattr(cropped, region)))
    assert full.image.GetOrigin() == cropped.image.GetOrigin()
    gap = np.abs(voxels(full.image).astype(int) - voxels(cropped.image))
    assert gap[inside_regions(full)].max() == 0
    print(f"outside the regions {np.count_nonzero(gap)} of {gap.size} voxels differ, at most by {gap.max()} HU")
    assert gap.max() <= 1
    assert np.count_nonzero(gap) <= margin_share * gap.size


def test_cropping_does_not_matter(shared):
    assert_same_but_for_the_margin(prepare(lung1_001(shared)), prepare(lung1_001(shared, "_crop40")), 1e-5)


@pytest.mark.parametrize("images", ["pat_2", "oblique"], indirect=True)
def test_any_crop_with_room_for_the_spline_changes_nothing(images):
    ct, mask = images
    shape = sitk.LabelShapeStatisticsImageFilter()
    shape.Execute(mask)
    x, y, z, *extent = shape.GetBoundingBox(1)
    room = [int(np.ceil(40 / s)) for s in ct.GetSpacing()]
    bounds = [
        slice(max(low - r, 0), min(low + n + r, size))
        for low, n, r, size in zip((x, y, z), extent, room, ct.GetSize(), strict=True)
    ]
    cropped = [image[bounds[0], bounds[1], bounds[2]] for image in (ct, mask)]
    assert_same_but_for_the_margin(prepare(case_from_images(ct, mask)), prepare(case_from_images(*cropped)), 1e-4)


def test_nifti_and_dicom_of_one_patient_agree(shared):
    for dicom, nifti, mask in (
        ("pat_2/dicom", "pat_2/pat_2_ct.nii.gz", "pat_2/pat_2_gtv.nii.gz"),
        ("dicom/image", "nifti/image/phantom.nii.gz", "nifti/mask/mask.nii.gz"),
    ):
        root = shared / "data" / ("ct-radiomics-phantom" if "pat_2" in dicom else "ibsi/ct_phantom")
        reader = sitk.ImageSeriesReader()
        folder = str(root / dicom)
        names = max((reader.GetGDCMSeriesFileNames(folder, uid) for uid in reader.GetGDCMSeriesIDs(folder)), key=len)
        reader.SetFileNames(names)
        case = read_case(root / nifti, root / mask)
        assert fingerprint(prepare(case_from_images(reader.Execute(), case.tumour))) == fingerprint(prepare(case))


def test_float32_geometry_at_a_tie(tmp_path):
    """Positions that end on half a micrometre in decimal: exact in NRRD, just beside it in NIfTI's float32."""
    ct, mask = tumour_case((60, 60, 20), (0.977, 0.977, 3.0), 8.0, origin=(-174.3945, -79.6255, -100.4))
    for suffix in (".nrrd", ".nii.gz"):
        sitk.WriteImage(ct, str(tmp_path / f"ct{suffix}"))
        sitk.WriteImage(mask, str(tmp_path / f"mask{suffix}"))
    first, second = (prepare(read_case(tmp_path / f"ct{s}", tmp_path / f"mask{s}")) for s in (".nrrd", ".nii.gz"))
    assert fingerprint(first) == fingerprint(second)


def test_the_repeat_mask_sees_the_same_voxels(oblique):
    ct, mask = oblique
    grown = sitk.BinaryDilate(mask, (1, 1, 1))
    first, second = prepare(case_from_images(ct, mask)), prepare(case_from_images(ct, grown))
    start = np.round(direction_of(first.image).T @ np.subtract(first.image.GetOrigin(), second.image.GetOrigin()))
    x, y, z = start.astype(int)
    n = voxels(first.image).shape
    common = voxels(second.image)[z : z + n[0], y : y + n[1], x : x + n[2]]
    assert (common != voxels(first.image)).mean() < 1e-4


def test_lattice_holds_whole_mm_points_from_margin_to_margin(oblique):
    _, mask = tumour_case((90, 90, 60), (0.7, 0.7, 1.3), 8.0, origin=(0.3, -20.6, 4.4))
    lattice = canonical_lattice(LpsImage.of(mask), shell_mm=3.0)
    z, y, x = np.nonzero(voxels(mask))
    for axis, index in enumerate((x, y, z)):
        centres = mask.GetOrigin()[axis] + mask.GetSpacing()[axis] * index
        assert lattice.first[axis] == int(np.ceil(centres.min() - 13))
        assert lattice.last[axis] == int(np.floor(centres.max() + 13))
    prepared = prepare(case_from_images(*oblique))
    along = direction_of(prepared.image).T @ np.array(prepared.image.GetOrigin())
    np.testing.assert_allclose(along, np.round(along), atol=1e-9)


def test_lattice_ends_with_the_ct():
    ct, mask = tumour_case((30, 30, 12), (1, 1, 2), 5.0, origin=(0.5, 0.5, 0.5))
    prepared = prepare(case_from_images(ct, mask))
    assert prepared.image.GetOrigin() == (1.0, 1.0, 1.0)
    assert prepared.image.GetSize() == (29, 29, 22)


def test_ct_equals_scipys_spline_of_the_whole_volume():
    stored = tumour_case(
        (90, 90, 60), (0.83, 0.91, 1.1), 5.0, origin=(-31.2345, 12.3, -480), direction=rotation(23, 11)
    )
    ct, mask = (LpsImage.of(image) for image in stored)
    lattice = canonical_lattice(mask, 3.0)
    image = ct_on_lattice(ct, lattice)
    corner = ct.direction.T @ np.array(ct.origin)
    axes = [(np.arange(lattice.first[a], lattice.last[a] + 1) - corner[a]) / ct.spacing[a] for a in range(3)]
    points = np.meshgrid(*axes[::-1], indexing="ij")
    expected = map_coordinates(ct.voxels.astype(float), points, order=3, mode="mirror")
    np.testing.assert_array_equal(voxels(image), np.floor(np.round(expected, 4) + 0.5))


def test_tumour_equals_the_nearest_voxel_of_a_tree(oblique):
    ordered = LpsImage.of(oblique[1])
    lattice = canonical_lattice(ordered, 3.0)
    result = mask_on_lattice(ordered, lattice)
    mask = ordered.wrap(ordered.voxels)
    z, y, x = np.indices(voxels(mask).shape).reshape(3, -1)

    def world(image, index):
        return (direction_of(image) @ (np.array(image.GetSpacing())[:, None] * index)).T + image.GetOrigin()

    tree = cKDTree(world(mask, np.array([x, y, z])))
    k, j, i = np.indices(voxels(result).shape).reshape(3, -1)
    _, nearest = tree.query(world(result, np.array([i, j, k])))
    np.testing.assert_array_equal(voxels(result).ravel(), voxels(mask).ravel()[nearest])


def test_halves_go_up_and_noise_does_not_decide():
    assert half_up([2.5e-3, -2.5e-3], 1e-3).tolist() == [3e-3, -2e-3]
    assert half_up(0.0005 - 1e-12, 1e-3) == half_up(0.0005 + 1e-12, 1e-3) == 1e-3
    ct, mask = tumour_case()
    values = voxels(ct).astype(float)
    for noise in (-1e-6, 0, 1e-6):
        prepared = prepare(case_from_images(image_of(values + 0.5 + noise), mask))
        start = np.array(prepared.image.GetOrigin()).astype(int)
        x, y, z = (slice(a, a + n) for a, n in zip(start, prepared.image.GetSize(), strict=True))
        np.testing.assert_array_equal(voxels(prepared.image), values[z, y, x] + 1)


def test_lps_order(oblique):
    for order in permutations(range(3)):
        stored = stored_otherwise(oblique[0], order, [True, False, True])
        ordered = LpsImage.of(stored)
        direction = ordered.direction
        assert (np.diag(direction) > np.abs(direction - np.diag(np.diag(direction))).max()).all()
        np.testing.assert_array_equal(ordered.voxels, voxels(oblique[0]))
        np.testing.assert_allclose(ordered.origin, oblique[0].GetOrigin(), atol=2e-3)
        assert ordered.size == oblique[0].GetSize()


def test_lps_order_is_a_view(oblique):
    other = np.zeros(voxels(oblique[0]).shape)
    LpsImage.of(oblique[0], voxels=other).voxels[:] = 1
    assert other.all()
    assert np.shares_memory(LpsImage.of(oblique[0]).voxels, sitk.GetArrayViewFromImage(oblique[0]))


def test_lps_order_agrees_with_itk(oblique):
    for order in permutations(range(3)):
        stored = stored_otherwise(oblique[0], order, [False, True, True])
        expected = sitk.DICOMOrient(stored, "LPS")
        ordered = LpsImage.of(stored)
        np.testing.assert_array_equal(ordered.voxels, voxels(expected))
        part = ordered.wrap(ordered.voxels[3:, 4:, 5:], (5, 4, 3))
        position = expected.TransformIndexToPhysicalPoint((5, 4, 3))
        np.testing.assert_allclose(part.GetOrigin(), position, atol=2e-3)


def test_the_slices_are_the_planes_nearest_to_axial():
    for tilt in (30, 40, 44, 46, 60, 80):
        ct, _ = tumour_case((12, 12, 12), (1, 1, 1), 3.0, direction=rotation(37, tilt))
        third = LpsImage.of(ct).direction[2]
        assert third[2] == pytest.approx(np.abs(direction_of(ct)[2]).max(), abs=1e-5)


def test_steps_name_themselves_and_return_the_case(oblique):
    case = case_from_images(*oblique, case_id="phantom")
    steps, labels = prepare_steps(case), []
    while True:
        try:
            labels.append(next(steps))
        except StopIteration as end:
            prepared = end.value
            break
    assert len(labels) == len(set(labels)) >= 4
    assert prepared.case_id == "phantom"
    assert fingerprint(prepared) == fingerprint(prepare(case))


def test_wide_values_are_cut_to_int16():
    ct, mask = tumour_case()
    values = voxels(ct).astype(np.int32)
    values[15, 20:, 20] = 32767
    prepared = prepare(case_from_images(image_of(values), mask))
    assert voxels(prepared.image).max() <= 32767
    assert "metal_in_region" in {note.code for note in prepared.quality}
