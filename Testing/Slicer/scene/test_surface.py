"""The closed surface against the outline that it is made of."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
import vtk

from DeepRadScoreSlicer.scene import voxels
from DeepRadScoreSlicer.scene.display import surface


def ball_of(diameter, spacing):
    counts = [int(diameter / step) + 9 for step in spacing]
    axes = [(np.arange(count) - count / 2 + 0.37) * step for count, step in zip(counts, spacing, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    image = sitk.GetImageFromArray((x * x + y * y + z * z <= (diameter / 2) ** 2).astype(np.uint8).transpose(2, 1, 0))
    image.SetSpacing(spacing)
    return image


def surface_volume(segmentation):
    data = segmentation.GetSegmentation().GetNthSegment(0).GetRepresentation("Closed surface")
    triangles = vtk.vtkTriangleFilter()
    triangles.SetInputData(data)
    triangles.Update()
    inside = vtk.vtkMassProperties()
    inside.SetInputData(triangles.GetOutput())
    return inside.GetVolume()


@pytest.mark.parametrize(
    ("diameter", "least"), [(4.0, 0.92), (6.0, 0.96), (10.0, 0.97), (20.0, 0.98)], ids=lambda value: f"{value:g}"
)
def test_a_surface_holds_the_volume_of_its_outline(scene, diameter, least):
    spacing = (0.7, 0.7, 0.6)
    image = ball_of(diameter, spacing)
    count = int(sitk.GetArrayViewFromImage(image).sum())
    segmentation = voxels.image_to_segmentation(image, "ball", "tumour", (1, 0, 0))
    surface.show_surface(segmentation, count)
    assert least <= surface_volume(segmentation) / (count * np.prod(spacing)) <= 1.02


def test_another_size_makes_another_surface(scene):
    segmentation = voxels.image_to_segmentation(ball_of(4.0, (1.0, 1.0, 1.0)), "ball", "tumour", (1, 0, 0))
    surface.show_surface(segmentation, 5000)
    smoothed = surface_volume(segmentation)
    surface.show_surface(segmentation, 30)
    assert smoothed < 0.3 * 30 < 0.8 * 30 < surface_volume(segmentation)


def test_a_large_labelmap_gets_none_unasked(scene, monkeypatch):
    monkeypatch.setattr(surface, "MAX_VOXELS", 100)
    segmentation = voxels.image_to_segmentation(ball_of(4.0, (1.0, 1.0, 1.0)), "ball", "tumour", (1, 0, 0))
    surface.show_surface(segmentation, 30)
    assert not segmentation.GetSegmentation().ContainsRepresentation("Closed surface")


def test_the_factor_is_slicers_parameter():
    name = slicer.vtkBinaryLabelmapToClosedSurfaceConversionRule.GetSmoothingFactorParameterName()
    assert name == "Smoothing factor"
