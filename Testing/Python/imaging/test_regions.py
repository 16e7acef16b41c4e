"""The peritumoral shell and the deep patch, against brute force and closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial import cKDTree

from DeepRadScoreLib.errors import InputError, RegionError
from DeepRadScoreLib.imaging import (
    Case,
    case_from_images,
    deep_patch,
    lung_on_grid,
    peritumoral_shell,
    prepare,
)
from DeepRadScoreLib.imaging.grids.lps import LpsCase
from DeepRadScoreLib.models import OtherLabels
from support.imaging_phantoms import ball, image_of, lung_ct, rotation, tumour_case

SPACINGS = ((0.6, 0.6, 0.6), (0.75, 0.75, 1.25), (1.0, 1.0, 1.0), (0.8, 0.7, 2.5), (0.98, 0.98, 5.0))
BALL_SPACINGS = (
    (0.6, 0.6, 0.6),
    (0.7, 0.7, 1.0),
    (1.0, 1.0, 1.0),
    (0.8, 0.8, 1.25),
    (0.8, 0.8, 2.5),
    (0.7, 0.7, 3.0),
    (0.9, 0.9, 5.0),
)
ROTATIONS = ((0, 0), (30, 0), (17, 25))


def voxels(image):
    return sitk.GetArrayFromImage(image)


def brute_force_shell(tumour: sitk.Image, shell_mm: float) -> np.ndarray:
    """Nearest tumour voxel centre of every voxel centre in world coordinates, by a k-d tree."""
    inside = voxels(tumour) > 0
    z, y, x = np.indices(inside.shape).reshape(3, -1)
    scaled = np.array([x, y, z]) * np.array(tumour.GetSpacing())[:, None]
    world = (np.array(tumour.GetDirection()).reshape(3, 3) @ scaled).T + tumour.GetOrigin()
    distance, _ = cKDTree(world[inside.ravel()]).query(world)
    return ((distance > 1e-6) & (distance <= shell_mm + 1e-6)).reshape(inside.shape)


def shapes(size, spacing):
    extent = np.array(spacing) * (np.array(size) - 1)
    x = ball(size, spacing, 4.0)
    yield "ball", x
    yield "ellipsoid", ball(size, spacing, 4.0, stretch=(1.6, 0.8, 1.1))
    yield "two balls", ball(size, spacing, 3.0, centre=extent * 0.35) | ball(size, spacing, 3.0, centre=extent * 0.65)
    yield "hollow ball", ball(size, spacing, 6.5) & (1 - ball(size, spacing, 4.0))
    speckle = (np.random.default_rng(4).random(x.shape) < 0.02).astype(np.uint8)
    yield "speckles", speckle & ball(size, spacing, 7.0) | ball(size, spacing, 2.5)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("angles", ROTATIONS)
def test_shell_equals_brute_force(spacing, angles):
    size = [max(int(np.ceil(26 / s)), 8) for s in spacing]
    origin = (-12.3, 45.6, -78.9)
    for name, mask in shapes(size, spacing):
        ct = image_of(lung_ct(mask), spacing, origin, rotation(*angles))
        prepared = prepare(case_from_images(ct, image_of(mask, spacing, origin, rotation(*angles))))
        expected = brute_force_shell(prepared.tumour, 3.0)
        np.testing.assert_array_equal(voxels(prepared.peritumoral) > 0, expected, err_msg=name)


@pytest.mark.parametrize("shell_mm", [0.7, 1.0, 2.5, 5.0, 7.3])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.7, 2.5)])
def test_shell_of_any_thickness_on_any_grid_equals_brute_force(shell_mm, spacing):
    mask = image_of(ball((30, 32, 20), spacing, 5.0), spacing)
    np.testing.assert_array_equal(voxels(peritumoral_shell(mask, shell_mm)) > 0, brute_force_shell(mask, shell_mm))


def test_shell_volume_of_balls(capsys):
    """Printed as a table; the limits say what the definition gives on such grids, for balls off the lattice points."""
    lines = ["radius mm  spacing mm            tumour mL  shell mL  closed form  difference"]
    for radius in (5, 10, 20, 30):
        for spacing in BALL_SPACINGS:
            size = [int(np.ceil((2 * radius + 10) / s)) + 4 for s in spacing]
            centre = np.array(spacing) * (np.array(size) - 1) / 2 + (0.13, -0.21, 0.31)
            mask = ball(size, spacing, radius, centre=centre)
            ct = image_of(np.where(mask, 40, -800).astype(np.int16), spacing)
            prepared = prepare(case_from_images(ct, image_of(mask, spacing)))
            exact = 4 / 3 * np.pi * ((radius + 3) ** 3 - radius**3) / 1000
            shell = prepared.volume_ml("peritumoral")
            gap = shell / exact - 1
            lines.append(
                f"{radius:9d}  {' x '.join(map(str, spacing)):20s}  {prepared.volume_ml('tumour'):9.3f}"
                f"  {shell:8.3f}  {exact:11.3f}  {gap:+10.1%}"
            )
            limit = {5: 0.09, 10: 0.06}.get(radius, 0.05) if spacing[2] <= 1.25 else 0.15
            assert abs(gap) <= limit, lines[-1]
    with capsys.disabled():
        print("\n" + "\n".join(lines))


def two_balls(gap_mm):
    size, spacing = (60, 40, 40), (1.0, 1.0, 1.0)
    first = ball(size, spacing, 6, centre=(20, 20, 20))
    second = ball(size, spacing, 6, centre=(32 + gap_mm, 20, 20)) & (1 - first)
    labels = image_of(first + 2 * second)
    return image_of(lung_ct(first | second)), labels, first, second


@pytest.mark.parametrize("gap_mm", [0.0, 1.0, 2.0, 20.0])
def test_touching_tumours_are_taken_out_of_the_shell(gap_mm):
    ct, labels, first, second = two_balls(gap_mm)
    prepared = prepare(case_from_images(ct, labels, label=1))
    alone = prepare(case_from_images(ct, image_of(first)))
    start = np.array(prepared.image.GetOrigin()).astype(int)
    x, y, z = (slice(a, a + n) for a, n in zip(start, prepared.image.GetSize(), strict=True))
    np.testing.assert_array_equal(voxels(prepared.tumour), first[z, y, x])
    expected = voxels(alone.peritumoral) & (1 - second[z, y, x])
    np.testing.assert_array_equal(voxels(prepared.peritumoral), expected)
    codes = {note.code for note in prepared.quality}
    assert ("shell_shares_other_tumour" in codes) == (gap_mm < 3)


def test_a_tumour_nested_in_another():
    size, spacing = (50, 50, 50), (1.0, 1.0, 1.0)
    core, whole = ball(size, spacing, 6), ball(size, spacing, 12)
    ct = image_of(lung_ct(whole))
    ring = prepare(case_from_images(ct, image_of(whole + core), label=1))
    assert voxels(ring.tumour).sum() == whole.sum() - core.sum()
    z, y, x = np.nonzero(voxels(ring.peritumoral))
    centre = np.subtract((24.5, 24.5, 24.5), ring.image.GetOrigin())
    radii = np.linalg.norm(np.stack([x, y, z], 1) - centre, axis=1)
    assert radii.min() > 11, "the core is another tumour, not surroundings"
    nested = prepare(case_from_images(ct, image_of(whole + core), label=2))
    np.testing.assert_array_equal(
        voxels(nested.peritumoral), voxels(prepare(case_from_images(ct, image_of(core))).peritumoral)
    )
    with pytest.raises(RegionError, match="nothing is left of the peritumoral shell"):
        prepare(case_from_images(ct, image_of(whole + core), label=2, other_labels=OtherLabels.TUMOURS))


def test_a_hole_in_the_tumour_is_peritumoral():
    size, spacing = (50, 50, 50), (1.0, 1.0, 1.0)
    hollow = ball(size, spacing, 12) & (1 - ball(size, spacing, 6))
    prepared = prepare(case_from_images(image_of(lung_ct(hollow)), image_of(hollow)))
    np.testing.assert_array_equal(voxels(prepared.peritumoral) > 0, brute_force_shell(prepared.tumour, 3.0))


def test_tumour_at_the_edge_of_the_image():
    size, spacing = (40, 40, 30), (1.0, 1.0, 1.0)
    mask = ball(size, spacing, 7, centre=(3, 20, 29))
    prepared = prepare(case_from_images(image_of(lung_ct(mask)), image_of(mask)))
    assert prepared.image.GetOrigin()[0] == 0
    assert voxels(prepared.tumour).sum() == mask.sum()
    notes = {note.code: note.message for note in prepared.quality}
    assert "right and upper" in notes["tumour_at_image_edge"]
    assert "right and upper" in notes["shell_cut_by_image"]
    np.testing.assert_array_equal(voxels(prepared.peritumoral) > 0, brute_force_shell(prepared.tumour, 3.0))
    near = ball(size, spacing, 7, centre=(9, 20, 15))
    notes = {note.code for note in prepare(case_from_images(image_of(lung_ct(near)), image_of(near))).quality}
    assert "shell_cut_by_image" in notes
    assert "tumour_at_image_edge" not in notes


def test_lung_mask_confines_the_shell():
    ct, mask = tumour_case((50, 50, 50), radius=8)
    lung = np.zeros((50, 50, 50), np.uint8)
    free = prepare(case_from_images(ct, mask))
    for x_from, severity in ((24, "info"), (33, "warning")):
        lung[:] = 0
        lung[:, :, x_from:] = 1
        prepared = prepare(replace(case_from_images(ct, mask), lung=lung_on_grid(image_of(lung), ct, "lung mask")))
        columns = np.arange(prepared.image.GetSize()[0]) + int(prepared.image.GetOrigin()[0])
        np.testing.assert_array_equal(voxels(prepared.peritumoral), voxels(free.peritumoral) * (columns >= x_from))
        (note,) = (n for n in prepared.quality if n.code == "shell_lung_share")
        assert note.severity == severity
        share = voxels(prepared.peritumoral).sum() / voxels(free.peritumoral).sum()
        assert f"{share:.0%}" in note.message
    lung = lung_on_grid(image_of(np.pad(np.ones((1, 1, 1), np.uint8), ((0, 49),) * 3)), ct, "lung mask")
    with pytest.raises(RegionError, match="nothing is left"):
        prepare(replace(case_from_images(ct, mask), lung=lung))


@pytest.mark.parametrize("preprocessing", ["canonical", "pyradiomics"])
def test_regions_too_small_are_refused(preprocessing):
    for shape in ((1, 1, 1), (1, 1, 9), (1, 2, 3)):
        mask = np.zeros((30, 30, 30), np.uint8)
        mask[10 : 10 + shape[0], 10 : 10 + shape[1], 10 : 10 + shape[2]] = 1
        case = case_from_images(image_of(lung_ct(mask)), image_of(mask), case_id="tiny")
        with pytest.raises(RegionError, match="tiny"):
            prepare(case, preprocessing=preprocessing)


def test_the_smallest_region_has_finite_features():
    featureextractor = pytest.importorskip("radiomics.featureextractor")

    mask = np.zeros((30, 30, 30), np.uint8)
    mask[10:12, 10:12, 10:12] = 1
    prepared = prepare(case_from_images(image_of(lung_ct(mask)), image_of(mask)))
    extractor = featureextractor.RadiomicsFeatureExtractor(binWidth=25, additionalInfo=False)
    extractor.enableImageTypes(Original={}, Wavelet={})
    values = [float(v) for v in extractor.execute(prepared.image, prepared.tumour).values()]
    assert len(values) == 851
    assert np.isfinite(values).all()


def test_a_single_slice_is_refused():
    ct, mask = tumour_case((40, 40, 1), (1, 1, 5), 6.0, origin=(0, 0, 0.5))
    with pytest.raises(RegionError, match="too thin"):
        prepare(case_from_images(ct, mask))


@pytest.mark.parametrize("shell_mm", [0, -1, 20.1, float("nan"), float("inf")])
def test_shell_thickness_out_of_range(shell_mm):
    with pytest.raises(InputError, match="shell_mm"):
        prepare(case_from_images(*tumour_case()), shell_mm=shell_mm)


def test_unknown_preprocessing():
    with pytest.raises(InputError, match="choose canonical or pyradiomics"):
        prepare(case_from_images(*tumour_case()), preprocessing="native")


def patch_case(mask, spacing=(0.7, 0.7, 2.0), **geometry):
    hu = np.arange(mask.size, dtype=np.float32).reshape(mask.shape) % 2000 - 1000
    return Case("p", image_of(hu, spacing, **geometry), image_of(mask, spacing, **geometry))


def test_patch_lies_around_the_centroid_of_the_largest_slice():
    mask = np.zeros((6, 300, 320), np.uint8)
    mask[1, 100:110, 200:220] = 1
    mask[3, 140:151, 180:201] = 1
    mask[4, 20:31, 20:41] = 1
    case = patch_case(mask)
    patch = deep_patch(case)
    assert patch.centre_ijk == (190, 145, 3), "the first of two slices with equal area"
    assert patch.area_mm2 == pytest.approx(11 * 21 * 0.49)
    np.testing.assert_array_equal(patch.hu, voxels(case.ct)[3, 65:225, 110:270])
    np.testing.assert_array_equal(patch.tumour, mask[3, 65:225, 110:270] > 0)
    assert patch.hu.dtype == np.float32
    centre = patch.image.TransformIndexToPhysicalPoint((80, 80, 0))
    np.testing.assert_allclose(centre, case.ct.TransformIndexToPhysicalPoint(patch.centre_ijk))
    assert patch.cut_off_share == 0


def test_patch_centroid_rounds_half_up():
    mask = np.zeros((1, 200, 200), np.uint8)
    mask[0, 90:92, 101:105] = 1
    assert deep_patch(patch_case(mask)).centre_ijk == (103, 91, 0)


def test_patch_is_padded_where_it_leaves_the_ct():
    mask = np.zeros((3, 100, 120), np.uint8)
    mask[1, 2:9, 110:119] = 1
    case = patch_case(mask)
    patch = deep_patch(case)
    i, j, _ = patch.centre_ijk
    for row in range(160):
        for column in (0, 40, 79, 80, 85, 86, 159):
            y, x = j + row - 80, i + column - 80
            inside = 0 <= y < 100 and 0 <= x < 120
            assert patch.hu[row, column] == (voxels(case.ct)[1, y, x] if inside else -1000)
    notes = {n.code for n in prepare(case).quality}
    assert "patch_padded" in notes


def test_tumour_wider_than_the_patch():
    mask = np.zeros((24, 60, 260), np.uint8)
    mask[8:16, 20:40, 20:240] = 1
    case = Case("wide", image_of(lung_ct(mask)), image_of(mask))
    patch = deep_patch(case)
    assert patch.cut_off_share == pytest.approx(1 - 160 / 220)
    (note,) = (n for n in prepare(case).quality if n.code == "patch_cuts_tumour")
    assert "27.3%" in note.message


def test_patch_of_an_oblique_stack_lies_at_its_true_place():
    ct, mask = tumour_case((80, 70, 30), (0.9, 0.9, 1.5), 8, origin=(5, -60, 12), direction=rotation(10, 30))
    prepared = prepare(case_from_images(ct, mask))
    assert "off_axial" in {n.code for n in prepared.quality}
    case = case_from_images(ct, mask)
    lps = LpsCase.of(case)
    for i, j in ((80, 80), (70, 95)):
        point = prepared.patch.image.TransformIndexToPhysicalPoint((i, j, 0))
        index = ct.TransformPhysicalPointToIndex(point)
        assert prepared.patch.hu[j, i] == ct[index]
    assert prepared.slice_ct.GetSize() == (80, 70, 1)
    k = prepared.patch.centre_ijk[2]
    np.testing.assert_array_equal(voxels(prepared.slice_ct)[0], lps.ct.voxels[k])
    np.testing.assert_array_equal(voxels(prepared.slice_tumour)[0], lps.tumour.voxels[k])
    mild = prepare(case_from_images(*tumour_case((80, 70, 30), direction=rotation(0, 19))))
    assert "off_axial" not in {n.code for n in mild.quality}


def test_an_empty_mask_has_no_patch():
    with pytest.raises(RegionError, match="empty"):
        deep_patch(patch_case(np.zeros((3, 20, 20), np.uint8)))


def test_quality_codes():
    def codes(**changes):
        ct, mask = tumour_case((60, 60, 40), (1, 1, 1), 9.0)
        case = case_from_images(ct, mask)
        return {n.code for n in prepare(replace(case, **{k: image_of(v) for k, v in changes.items()})).quality}

    ct, mask = (voxels(i) for i in tumour_case((60, 60, 40), (1, 1, 1), 9.0))
    assert codes() == {"patch_padded"}
    assert "small_tumour" in codes(tumour=ball((60, 60, 40), (1, 1, 1), 4.0))
    pieces = mask.copy()
    pieces[5:7, 5:7, 5:7] = 1
    assert "several_pieces" in codes(tumour=pieces)
    assert "uniform_tumour" in codes(ct=np.full_like(ct, -700))
    flat = np.zeros_like(mask)
    flat[20, 20:40, 20:40] = 1
    assert "flat_tumour" in codes(tumour=flat)
    padded = ct.copy()
    padded[:, 41:, :] = -3024
    assert "padding_in_region" in codes(ct=padded)
    thick = prepare(case_from_images(*tumour_case((60, 60, 20), (0.7, 0.8, 5.0), 9.0)))
    assert {"thick_slices", "pixels_not_square"} <= {n.code for n in thick.quality}
