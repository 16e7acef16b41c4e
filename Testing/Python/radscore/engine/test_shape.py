"""Shape features against pyradiomics, on synthetic regions and on every shared case, and against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.imaging.carriers import PreparedCase
from DeepRadScoreLib.radscore.engine.mesh import mesh_of
from DeepRadScoreLib.radscore.engine.shape import shape_features
from DeepRadScoreLib.radscore.names import FEATURES_OF_CLASS, REGIONS, Region
from support.engine_oracle import compared, pyradiomics_shape
from support.synthetic_regions import synthetic_cases

WORST = 1e-11
REGIONS_AT_LEAST = 300


def shape_of_regions(prepared: PreparedCase) -> dict[Region, dict[str, float]]:
    return {
        region: by_full_names(
            shape_features(sitk.GetArrayViewFromImage(getattr(prepared, region)), prepared.image.GetSpacing())
        )
        for region in REGIONS
    }


def by_full_names(features: dict[str, float]) -> dict[str, float]:
    return {f"original_shape_{name}": value for name, value in features.items()}


def voxels(*at: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros((6, 7, 8), np.uint8)
    mask[tuple(np.transpose(at))] = 1
    return mask


def test_equal_to_pyradiomics_on_synthetic_regions(capsys: pytest.CaptureFixture[str]) -> None:
    cases = [case.prepared() for case in synthetic_cases()]
    comparison = compared(shape_of_regions, pyradiomics_shape, cases)
    with capsys.disabled():
        print(f"\n{len(cases)} synthetic cases: {comparison.report()}")
    assert not comparison.failures
    assert len(cases) * len(REGIONS) >= REGIONS_AT_LEAST
    assert comparison.worst["shape"][0] < WORST


def test_the_synthetic_regions_have_every_cube_pattern() -> None:
    patterns = [mesh_of(np.pad(mask.astype(np.uint8), 1)).patterns for case in synthetic_cases() for mask in case.masks]
    assert set(np.concatenate(patterns)) == set(range(1, 255))


def test_names_are_those_of_the_feature_table() -> None:
    assert tuple(shape_features(voxels((2, 3, 4)), (1, 1, 1))) == FEATURES_OF_CLASS["shape"]


def test_one_voxel_is_an_octahedron_over_the_middles_of_its_edges() -> None:
    found = shape_features(voxels((2, 3, 4)), (2.0, 2.0, 2.0))
    assert found["MeshVolume"] == pytest.approx(8 / 6, rel=1e-15)
    assert found["SurfaceArea"] == pytest.approx(4 * math.sqrt(3), rel=1e-15)
    assert found["Sphericity"] == pytest.approx(
        (36 * math.pi * (8 / 6) ** 2) ** (1 / 3) / (4 * math.sqrt(3)), rel=1e-15
    )
    assert found["VoxelVolume"] == 8
    assert {found[name] for name in found if name.startswith("Maximum")} == {2.0}
    assert found["MajorAxisLength"] == 0
    assert math.isnan(found["Elongation"])


def test_a_box_has_the_diameters_and_axes_of_a_box() -> None:
    mask = np.zeros((20, 20, 20), bool)
    mask[2:6, 3:15, 1:19] = True
    found = shape_features(mask, (0.5, 2.0, 3.0))
    x, y, z = 18 * 0.5, 12 * 2.0, 4 * 3.0
    one_less_x, one_less_z = 17 * 0.5, 3 * 3.0
    assert found["VoxelVolume"] == pytest.approx(x * y * z, rel=1e-15)
    assert found["Maximum2DDiameterSlice"] == pytest.approx(math.hypot(one_less_x, y), rel=1e-15)
    assert found["Maximum2DDiameterColumn"] == pytest.approx(math.hypot(one_less_x, z), rel=1e-15)
    assert found["Maximum2DDiameterRow"] == pytest.approx(math.hypot(y, one_less_z), rel=1e-15)
    assert found["Maximum3DDiameter"] == pytest.approx(math.hypot(one_less_x, y, one_less_z), rel=1e-15)
    axes = [4 * size * math.sqrt((n * n - 1) / 12) for size, n in ((0.5, 18), (2.0, 12), (3.0, 4))]
    found_axes = [found[f"{name}AxisLength"] for name in ("Least", "Minor", "Major")]
    assert found_axes == pytest.approx(sorted(axes), rel=1e-14)


def test_a_flat_region_has_no_third_axis() -> None:
    found = shape_features(voxels((2, 3, 4), (2, 3, 5), (2, 4, 4), (2, 5, 4)), (0.7, 0.7, 3.1))
    assert found["LeastAxisLength"] == found["Flatness"] == 0


def test_values_depend_on_the_voxels_alone() -> None:
    mask = np.random.default_rng(0).random((9, 8, 7)) < 0.4
    values = shape_features(mask, (1.0, 1.5, 2.0))
    elsewhere = np.zeros((30, 31, 32), np.uint8, order="F")
    elsewhere[20:29, 3:11, 7:14] = mask
    assert shape_features(elsewhere, (1.0, 1.5, 2.0)) == values
    assert shape_features(mask[:, ::-1][:, ::-1].astype(np.float32) * 7, (1.0, 1.5, 2.0)) == values
