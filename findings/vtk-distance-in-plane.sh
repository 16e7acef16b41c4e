#!/bin/sh
# VTK's Euclidean distance takes the spacing of the slices alone: within a slice each voxel counts 1 mm.
#
# Packages: vtk 9.7.2, scipy 1.17.1, numpy 2.4.6, Python 3.11.
# Guess: `vtkImageEuclideanDistance`, which considers the spacing of an image unless told not to
#   (`ConsiderAnisotropy`), gives squared distances in mm, as scipy's `distance_transform_edt` with `sampling` does.
# Seen: the spacing along the third axis is used, 1 along the first two, with either algorithm: the passes over these
#   two see a spacing of 1. A shell of 3 mm around a tumour in a CT with 0.7 x 0.7 x 3 mm voxels is one of 2.1 mm
#   within the slices. Slices less than 0.7 mm apart (here on x86-64) have no distance at all where they do not meet
#   the object: the largest 32-bit number divided by the squared spacing does not fit into the integer that is made of
#   it.
# Output:
#   1 x 1 x 3 mm: 4 voxels off along x, y, z: 4 4 12 mm; scipy 4 4 12 mm
#   0.7 x 0.7 x 3 mm: 4 voxels off along x, y, z: 4 4 12 mm; scipy 2.8 2.8 12 mm
#   1 x 1 x 0.5 mm: 4 voxels off along x, y, z: 4 4 46341 mm; scipy 4 4 2 mm
#   shell of 3 mm around a ball of 10 mm in 0.7 x 0.7 x 3 mm: 3.10 mL; scipy 4.07 mL
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-deps vtk==9.7.2 scipy==1.17.1 numpy==2.4.6
cd "$folder"
venv/bin/python - > seen <<'PYTHON'
import numpy as np
from scipy.ndimage import distance_transform_edt
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkImagingGeneral import vtkImageEuclideanDistance


def distance(outside, spacing, algorithm):
    image = vtkImageData()
    image.SetDimensions(outside.shape[::-1])
    image.SetSpacing(spacing)
    image.GetPointData().SetScalars(numpy_to_vtk(outside.astype(np.uint8).ravel(), deep=True))
    found = vtkImageEuclideanDistance()
    assert found.GetConsiderAnisotropy()
    found.SetAlgorithm(algorithm)
    found.SetInputData(image)
    found.Update()
    squares = vtk_to_numpy(found.GetOutput().GetPointData().GetScalars())
    return np.sqrt(squares).reshape(outside.shape)


def text(distances):
    along = distances[4, 4, 8], distances[4, 8, 4], distances[8, 4, 4]
    return " ".join(f"{mm:.5g}" for mm in along)


point = np.ones((9, 9, 9), bool)
point[4, 4, 4] = False
for spacing in ((1, 1, 3), (0.7, 0.7, 3), (1, 1, 0.5)):
    found, cached = (distance(point, spacing, algorithm) for algorithm in (0, 1))
    assert np.array_equal(found, cached)
    expected = distance_transform_edt(point, sampling=spacing[::-1])
    size = " x ".join(map(str, spacing))
    print(f"{size} mm: 4 voxels off along x, y, z: {text(found)} mm; scipy {text(expected)} mm")

spacing = 0.7, 0.7, 3
z, y, x = np.ogrid[-6:7, -24:25, -24:25]
outside = (0.7 * x) ** 2 + (0.7 * y) ** 2 + (3 * z) ** 2 > 100
shells = (distance(outside, spacing, 0), distance_transform_edt(outside, sampling=spacing[::-1]))
ml = [np.count_nonzero(outside & (mm <= 3)) * np.prod(spacing) / 1000 for mm in shells]
print(f"shell of 3 mm around a ball of 10 mm in 0.7 x 0.7 x 3 mm: {ml[0]:.2f} mL; scipy {ml[1]:.2f} mL")
PYTHON
cat seen
cat > expected <<'TEXT'
1 x 1 x 3 mm: 4 voxels off along x, y, z: 4 4 12 mm; scipy 4 4 12 mm
0.7 x 0.7 x 3 mm: 4 voxels off along x, y, z: 4 4 12 mm; scipy 2.8 2.8 12 mm
1 x 1 x 0.5 mm: 4 voxels off along x, y, z: 4 4 46341 mm; scipy 4 4 2 mm
shell of 3 mm around a ball of 10 mm in 0.7 x 0.7 x 3 mm: 3.10 mL; scipy 4.07 mL
TEXT
cmp seen expected
