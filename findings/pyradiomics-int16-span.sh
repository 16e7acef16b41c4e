#!/bin/sh
# pyradiomics makes three grey levels of a whole int16 range under numpy 2, without an error, or none at all.
#
# Packages: pyradiomics-bhklab 3.1.4, numpy 2.4.6, SimpleITK 2.5.7, Python 3.11.
# Guess: the grey levels of an image do not depend on whether its integers are stored in 16 or in 32 bits.
# Seen: the edges of the bins are computed in the image's own type. Since numpy 2 an int16 scalar plus a Python integer
#   stays int16 (NEP 50): the upper edge, largest value + 2 x 25, wraps round for values over 32,717, and a span of more
#   than 32,767 (metal beside the padding of a CT) overflows too. Where both happen all voxels fall into three levels and
#   every texture feature is of those; else no edges are left. The same voxels as int32 have over a thousand levels.
# Output:
#   0 to 32767 as int16: 0 edges, 0 grey levels
#   0 to 32767 as int32: 1313 edges, 1311 grey levels
#   -20000 to 20000 as int16: 0 edges, 0 grey levels
#   -20000 to 20000 as int32: 1602 edges, 1601 grey levels
#   -32768 to 32767 as int16: 3 edges, 3 grey levels
#   -32768 to 32767 as int32: 2624 edges, 2622 grey levels
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyradiomics-bhklab==3.1.4 numpy==2.4.6 SimpleITK==2.5.7
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import logging

import numpy as np
import SimpleITK as sitk
from radiomics import imageoperations

logging.disable(logging.CRITICAL)
bins = {}
for low, high in ((0, 32767), (-20000, 20000), (-32768, 32767)):
    values = np.linspace(low, high, 4000).round()
    for dtype in (np.int16, np.int32):
        edges = imageoperations.getBinEdges(values.astype(dtype), binWidth=25)
        levels = len(np.unique(np.digitize(values, edges))) if len(edges) else 0
        bins[low, high, dtype.__name__] = levels
        print(f"{low} to {high} as {dtype.__name__}: {len(edges)} edges, {levels} grey levels")
assert [bins[low, high, "int16"] for low, high in ((0, 32767), (-20000, 20000))] == [0, 0], bins
assert bins[-32768, 32767, "int16"] == 3, bins
assert [levels for (*_, dtype), levels in bins.items() if dtype == "int32"] == [1311, 1601, 2622], bins
PYTHON
