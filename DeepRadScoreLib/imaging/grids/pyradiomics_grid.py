"""pyradiomics' own 1 mm grid of a CT as it is stored: `radiomics.imageoperations.resampleImage` to the bit."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.errors import RegionError
from DeepRadScoreLib.imaging.grids.geometry import index_box

SPACING_MM = 1.0


def ct_on_pyradiomics_grid(ct: sitk.Image, tumour: sitk.Image, pad_voxels: int) -> sitk.Image:
    """The CT around a tumour in voxels of 1 mm, in the CT's pixel type, direction and order of axes.

    The image that pyradiomics 3 gives for `resampledPixelSpacing` [1, 1, 1], `interpolator` sitkBSpline, `padDistance`
    and `label` 1. Its grid hangs on the CT's first voxel; an axis along which the tumour has one voxel keeps its
    spacing, and a CT that has the spacing already is cut out and not interpolated. ITK cuts interpolated values of
    integer images toward zero, so that the last bit of a spline decides in flat parts: it is fitted to the whole CT, as
    by pyradiomics. For masks resample by nearest neighbour to the same grid.

    Parameters
    ----------
    tumour: uint8 image of 0 and 1 on the grid of `ct`.
    pad_voxels: voxels beyond the tumour on each side, where the CT has them.

    Raises
    ------
    RegionError: the tumour has no voxel.
    """
    box = index_box(sitk.GetArrayViewFromImage(tumour))
    if box is None:
        raise RegionError("the tumour mask is empty", mend="outline the tumour")
    first, last = (index[::-1] for index in box)
    size, stored = np.array(ct.GetSize()), np.array(ct.GetSpacing())
    spacing = np.where(last > first, SPACING_MM, stored)
    if np.allclose(stored, spacing):
        low, high = np.maximum(first - pad_voxels, 0), np.minimum(last + pad_voxels, size - 1)
        return ct[tuple(slice(a, b + 1) for a, b in zip(low.tolist(), high.tolist(), strict=True))]
    ratio = stored / spacing
    low = np.maximum(np.floor((first - 0.5) * ratio - pad_voxels), 0)
    high = np.minimum(np.ceil((last + 1 - 0.5) * ratio + pad_voxels), np.ceil(size * ratio) - 1)
    start = 0.5 * (spacing - stored) / stored + low / ratio
    return sitk.Resample(
        ct,
        (high - low + 1).astype(int).tolist(),
        sitk.Transform(),
        sitk.sitkBSpline,
        ct.TransformContinuousIndexToPhysicalPoint(start.tolist()),
        spacing.tolist(),
        ct.GetDirection(),
        0.0,
        ct.GetPixelID(),
    )
