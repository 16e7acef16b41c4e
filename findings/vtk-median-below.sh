#!/bin/sh
# VTK's median and percentiles of a CT are 1 HU too low, and the standard deviation of equal voxels is their value.
#
# Packages: vtk 9.7.2, numpy 2.4.6, Python 3.11. 3D Slicer's *Segment Statistics* takes its median and its percentiles
#   from this class, set up as here; its mean and standard deviation come from another.
# Guess: `vtkImageHistogramStatistics.GetMedian` of an odd number of integers is the one in the middle, of equal ones
#   that one, and never below the smallest. With 256 bins or more, 1 wide, its histogram holds each integer apart.
# Seen: the bin before that of the median (and before that of each percentile) is taken, also where it is empty: of
#   voxels with 5 HU the median is 4. It is exact only where the bin is the first there is, and of an even number with
#   exactly half of the voxels below. The standard deviation of voxels that differ little from each other beside their
#   size adds their squares to the squares of the differences: 0 HU become the value itself.
# Output:
#   5 5 5 5 5: median 4, minimum 5
#   0 100 200: median 99, numpy 100
#   a tumour of 4169 voxels: median 40, numpy 41; 5th percentile -11, numpy -10; 95th 89, numpy 90; mean equal
#   4169 voxels of 3000 HU: mean 3000, standard deviation 3000
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-deps vtk==9.7.2 numpy==2.4.6
cd "$folder"
venv/bin/python - > seen <<'PYTHON'
import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkImagingStatistics import vtkImageHistogramStatistics
from vtkmodules.vtkImagingStencil import vtkImageToImageStencil


def image(values):
    made = vtkImageData()
    made.SetDimensions(values.shape[::-1])
    made.GetPointData().SetScalars(numpy_to_vtk(values.ravel(), deep=True))
    return made


def statistics(values, inside=None):
    """As 3D Slicer calls it."""
    found = vtkImageHistogramStatistics()
    found.SetInputData(image(values))
    if inside is not None:
        stencil = vtkImageToImageStencil()
        stencil.SetInputData(image(inside.astype(np.uint8)))
        stencil.ThresholdByUpper(1)
        stencil.Update()
        found.SetStencilData(stencil.GetOutput())
    found.SetAutoRangePercentiles(5, 95)
    found.SetAutoRangeExpansionFactors(0, 0)
    found.Update()
    return found


def row(*values):
    return np.array(values, np.int16).reshape(1, 1, -1)


found = statistics(row(5, 5, 5, 5, 5))
print(f"5 5 5 5 5: median {found.GetMedian():g}, minimum {found.GetMinimum():g}")
print(f"0 100 200: median {statistics(row(0, 100, 200)).GetMedian():g}, numpy 100")

inside = (np.indices((21, 21, 21)) - 10) ** 2
inside = inside.sum(axis=0) <= 100
ct = np.random.default_rng(0).normal(40, 30, inside.shape).round().astype(np.int16)
ct[~inside] = -800
found, voxels = statistics(ct, inside), ct[inside]
low, high = found.GetAutoRange()
assert np.isclose(found.GetMean(), voxels.mean())
print(
    f"a tumour of {voxels.size} voxels: median {found.GetMedian():g}, numpy {np.median(voxels):g}; 5th percentile "
    f"{low:g}, numpy {np.percentile(voxels, 5):g}; 95th {high:g}, numpy {np.percentile(voxels, 95):g}; mean equal"
)
found = statistics(np.full(inside.shape, 3000, np.int16), inside)
print(
    f"{voxels.size} voxels of 3000 HU: mean {found.GetMean():g}, standard deviation {found.GetStandardDeviation():.0f}"
)
PYTHON
cat seen
cat > expected <<'TEXT'
5 5 5 5 5: median 4, minimum 5
0 100 200: median 99, numpy 100
a tumour of 4169 voxels: median 40, numpy 41; 5th percentile -11, numpy -10; 95th 89, numpy 90; mean equal
4169 voxels of 3000 HU: mean 3000, standard deviation 3000
TEXT
cmp seen expected
