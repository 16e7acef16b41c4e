#!/bin/sh
# In code compiled by numba the mean of a float32 CT is far off, and equal voxels have a standard deviation.
#
# Packages: numba 0.68.1, numpy 2.4.6, Python 3.11.
# Guess: `np.mean` and `np.std` of a float32 array give in a compiled function what they give outside, to rounding.
# Seen: the values are added up one after the other in a float32, whose steps are 64 HU and more after some millions of
#   voxels: the mean of 160 slices of lung is 240 HU too high, and a further voxel changes nothing in the end. Ten
#   slices of nothing but -700.3 HU have a standard deviation of 23 HU. numpy adds pairwise; integers and float64 are
#   right. Nothing is said here or among numba's differences from numpy (its issue 2855 of 2018 says so of sums).
# Output:
#   10 slices: mean -700.0, in numba -700.0; equal voxels: standard deviation 0, in numba 23
#   40 slices: mean -700.0, in numba -697.5; equal voxels: standard deviation 0, in numba 72
#   160 slices: mean -700.0, in numba -459.6; equal voxels: standard deviation 0, in numba 291
#   160 slices of int16: mean -700.0, in numba -700.0
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numba==0.68.1 numpy==2.4.6
cd "$folder"
venv/bin/python - > seen <<'PYTHON'
import numpy as np
from numba import njit


@njit
def statistics(values):
    return np.mean(values), np.std(values)


rng = np.random.default_rng(0)
for slices in (10, 40, 160):
    ct = rng.standard_normal((slices, 512, 512), np.float32) * 200 - 700
    equal = np.full_like(ct, -700.3)
    print(
        f"{slices} slices: mean {ct.mean():.1f}, in numba {statistics(ct)[0]:.1f}; equal voxels: standard deviation "
        f"{equal.std():.0f}, in numba {statistics(equal)[1]:.0f}"
    )
ct = ct.round().astype(np.int16)
print(f"{slices} slices of int16: mean {ct.mean():.1f}, in numba {statistics(ct)[0]:.1f}")
PYTHON
cat seen
cat > expected <<'TEXT'
10 slices: mean -700.0, in numba -700.0; equal voxels: standard deviation 0, in numba 23
40 slices: mean -700.0, in numba -697.5; equal voxels: standard deviation 0, in numba 72
160 slices: mean -700.0, in numba -459.6; equal voxels: standard deviation 0, in numba 291
160 slices of int16: mean -700.0, in numba -700.0
TEXT
cmp seen expected
