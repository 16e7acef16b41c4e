"""The spline along each axis against ITK's B-spline."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.imaging.grids.spline import interpolate


def of_itk(voxels: np.ndarray, first: list[float], step: list[float], size: list[int]) -> np.ndarray:
    """Values at `first` + n `step` along z, y, x."""
    image = sitk.GetImageFromArray(voxels.astype(float))
    same, axes = sitk.Transform(), np.eye(3).ravel().tolist()
    grid = (first[::-1], step[::-1], axes, 0.0, sitk.sitkFloat64)
    return sitk.GetArrayFromImage(sitk.Resample(image, size[::-1], same, sitk.sitkBSpline, *grid))


def test_equal_to_itk_on_boxes_of_any_size():
    rng = np.random.default_rng(1)
    for _ in range(80):
        voxels = np.round(rng.normal(-300, 800, rng.integers(1, 90, 3))).astype(rng.choice([np.int16, np.float32]))
        first, step, size = [], [], []
        for count in voxels.shape:
            first.append(float(rng.uniform(0, count - 1)))
            step.append(float(rng.uniform(0.2, 3)))
            size.append(1 + int((count - 1 - first[-1]) / step[-1]))
        points = [f + s * np.arange(n) for f, s, n in zip(first, step, size, strict=True)]
        np.testing.assert_allclose(interpolate(voxels, points), of_itk(voxels, first, step, size), rtol=0, atol=2e-9)


def test_the_voxels_themselves_lie_on_the_spline():
    voxels = np.random.default_rng(2).integers(-1000, 1000, (70, 5, 33))
    found = interpolate(voxels, [np.arange(n, dtype=float) for n in voxels.shape])
    np.testing.assert_allclose(found, voxels, rtol=0, atol=1e-7)
