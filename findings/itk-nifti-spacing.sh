#!/bin/sh
# ITK takes place and axes of a NIfTI image from its sform, and the spacing from pixdim, where the two differ.
#
# Packages: simpleitk 2.5.7, nibabel 5.4.2, numpy 2.4.6, Python 3.11.
# Guess: of a file that has an sform and no qform, ITK takes the sform (method 3 of the NIfTI-1 standard), as nibabel
#   does, or refuses it where pixdim says otherwise. pixdim is 1, 1, 1 in a new header to which only an sform is given.
# Seen: voxels of 1 mm at the place and along the axes of the sform, the first voxel where it belongs and the last far
#   off: a volume of 0.7 x 0.7 x 3 mm voxels is 32 % smaller, with a warning on the terminal alone.
# Output:
#   ITK 1 x 1 x 1 mm, first voxel (-100, -120, -50); nibabel 0.7 x 0.7 x 3 mm, first voxel (-100, -120, -50)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet simpleitk==2.5.7 nibabel==5.4.2 numpy==2.4.6
"$folder/venv/bin/python" - "$folder/image.nii" <<'PYTHON'
import sys

import nibabel
import numpy as np
import SimpleITK as sitk

affine = np.array([[-0.7, 0, 0, 100], [0, -0.7, 0, 120], [0, 0, 3, -50], [0, 0, 0, 1.0]])
header = nibabel.Nifti1Header()
header.set_sform(affine, "scanner")
nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6), np.int16), None, header), sys.argv[1])

sitk.ProcessObject.SetGlobalWarningDisplay(False)
image, other = sitk.ReadImage(sys.argv[1]), nibabel.load(sys.argv[1]).affine


def text(values):
    return ", ".join(f"{value:g}" for value in values)


spacing = np.linalg.norm(other[:3, :3], axis=0).round(5)
print(
    f"ITK {text(image.GetSpacing()).replace(', ', ' x ')} mm, first voxel ({text(image.GetOrigin())}); "
    f"nibabel {text(spacing).replace(', ', ' x ')} mm, first voxel ({text(other[:3, 3] * (-1, -1, 1))})"
)
assert image.GetSpacing() == (1.0, 1.0, 1.0), image.GetSpacing()
assert image.GetOrigin() == (-100.0, -120.0, -50.0)
assert np.allclose(other, affine)
PYTHON
