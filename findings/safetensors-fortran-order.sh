#!/bin/sh
# safetensors stores a Fortran-ordered numpy array scrambled, without an error.
#
# Packages: safetensors 0.8.0, numpy 2.4.6, Python 3.11.
# Guess: `safetensors.numpy.save` of an array and `load` give the array back, or an error where its memory is laid out
#   otherwise, as `safetensors.torch` gives for a tensor that is not contiguous.
# Seen: the memory is written as it lies, with the array's shape: a transposed array, or what numpy.quantile along an axis
#   or a column-wise table gives, comes back with its values at other places. Nothing is said at either end.
# Output:
#   stored [[0, 1, 2], [3, 4, 5]], read [[0, 3, 1], [4, 2, 5]]
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from safetensors.numpy import load, save

stored = np.asfortranarray(np.arange(6).reshape(2, 3))
read = load(save({"array": stored}))["array"]
print(f"stored {stored.tolist()}, read {read.tolist()}")
assert read.shape == stored.shape and read.tolist() == [[0, 3, 1], [4, 2, 5]], read
in_c_order = load(save({"array": np.ascontiguousarray(stored)}))["array"]
assert in_c_order.tolist() == stored.tolist()
PYTHON
