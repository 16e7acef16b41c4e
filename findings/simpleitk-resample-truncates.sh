#!/bin/sh
# SimpleITK resamples a CT of integers with a bias: each interpolated value loses its fraction, towards 0 HU.
#
# Packages: simpleitk 2.5.7, numpy 2.4.6, Python 3.11.
# Guess: where the pixel type is kept, as `Resample` does when none is asked for (pyradiomics asks for it),
#   interpolated values are rounded to the next integer, as IBSI asks, and as `scipy.ndimage.zoom` does.
# Seen: they are cut: -850.9 is -850 and 40.9 is 40. Lung comes out 0.5 HU too dense and soft tissue 0.5 HU too thin,
#   the same lung stored with an offset of 1024 is 0.5 HU too thin, and 0 HU, which values from both sides fall into,
#   is twice as frequent as its neighbours. A mask loses its whole border to a shift of a hundredth of a voxel.
# Output:
#   mean of lung: floating point -849.98, int16 -849.48, uint16 with an offset of 1024 -850.48
#   mean of soft tissue: floating point 40.02, int16 39.52, uint16 with an offset of 1024 39.52
#   voxels of -1, 0 and 1 HU in water: floating point, rounded 1402 1433 1459, int16 1398 2871 1423
#   ball of 4169 voxels, shifted by 0.01 voxels: linear 3280 (floating point, half or more: 4169)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet simpleitk==2.5.7 numpy==2.4.6
cd "$folder"
venv/bin/python - > seen <<'PYTHON'
import numpy as np
import SimpleITK as sitk


def resampled(values, step, start):
    """Linear, on a grid whose first voxel and steps are given in voxels."""
    image = sitk.GetImageFromArray(values)
    size = [int((n - 1 - start) / step) for n in image.GetSize()]
    grid = [start] * 3, [step] * 3, image.GetDirection()
    return sitk.GetArrayFromImage(sitk.Resample(image, size, sitk.Transform(), sitk.sitkLinear, *grid))


def three_ways(mean):
    hu = np.random.default_rng(0).normal(mean, 20, (40, 40, 40)).round().astype(np.int16)
    floats = resampled(hu.astype(np.float64), 1.1, 2.413)
    signed = resampled(hu, 1.1, 2.413)
    offset = resampled((hu.astype(np.int32) + 1024).astype(np.uint16), 1.1, 2.413).astype(np.int32) - 1024
    return floats, signed, offset


for name, mean in (("lung", -850), ("soft tissue", 40)):
    floats, signed, offset = three_ways(mean)
    print(
        f"mean of {name}: floating point {floats.mean():.2f}, int16 {signed.mean():.2f}, "
        f"uint16 with an offset of 1024 {offset.mean():.2f}"
    )
    assert np.array_equal(signed, np.trunc(floats)) and np.array_equal(offset, np.floor(floats))
floats, signed, _ = three_ways(0)
counts = [" ".join(str(np.count_nonzero(values == n)) for n in (-1, 0, 1)) for values in (floats.round(), signed)]
print(f"voxels of -1, 0 and 1 HU in water: floating point, rounded {counts[0]}, int16 {counts[1]}")

ball = ((np.indices((31, 31, 31)) - 15) ** 2).sum(axis=0) <= 100
linear = np.count_nonzero(resampled(ball.astype(np.uint8), 1, 0.01))
half = np.count_nonzero(resampled(ball.astype(np.float64), 1, 0.01) >= 0.5)
print(f"ball of {ball.sum()} voxels, shifted by 0.01 voxels: linear {linear} (floating point, half or more: {half})")
PYTHON
cat seen
cat > expected <<'TEXT'
mean of lung: floating point -849.98, int16 -849.48, uint16 with an offset of 1024 -850.48
mean of soft tissue: floating point 40.02, int16 39.52, uint16 with an offset of 1024 39.52
voxels of -1, 0 and 1 HU in water: floating point, rounded 1402 1433 1459, int16 1398 2871 1423
ball of 4169 voxels, shifted by 0.01 voxels: linear 3280 (floating point, half or more: 4169)
TEXT
cmp seen expected
