"""Weights of a network read from safetensors, with the names, types and shapes of its layers, and all finite."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from DeepRadScoreLib.archive import MEND
from DeepRadScoreLib.errors import BundleError

HEADER_BYTES = 8
MAX_BATCHES = 2**31


def checked_weights(data: bytes, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name -> weights in a safetensors file.

    Parameters
    ----------
    wanted: name -> a tensor of the type and shape that the weights should have.

    Raises
    ------
    BundleError: the file is damaged; a layer is missing or not known, of another type or shape, holds NaN or infinity,
        or a variance or count that is negative.
    """
    try:
        found = load(data)
    except (SafetensorError, KeyError, ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise BundleError(f"the weights cannot be read ({str(error)[:100]})", mend=MEND) from error
    for name in sorted(set(found) ^ set(wanted)):
        raise _refused(name, "the layer is not known" if name in found else "the layer is missing")
    for name, tensor in found.items():
        if tensor.dtype != wanted[name].dtype or tensor.shape != wanted[name].shape:
            shapes = [f"{one.dtype} of {' x '.join(map(str, one.shape))}" for one in (tensor, wanted[name])]
            raise _refused(name, f"it is {shapes[0].replace('torch.', '')}, not {shapes[1].replace('torch.', '')}")
        if name.endswith("num_batches_tracked") and not 0 <= int(tensor) < MAX_BATCHES:
            raise _refused(name, "it is not a number of batches")
        if name.endswith("running_var") and float(tensor.min()) < 0:
            raise _refused(name, "a variance is negative")
    if not _all_finite(data):
        for name, tensor in found.items():
            if not bool(torch.isfinite(tensor).all()):
                raise _refused(name, "it holds NaN or infinity")
    return found


def _all_finite(data: bytes) -> bool:
    """Whether all numbers of a safetensors file of float32 and small int64 values are finite, in one pass."""
    start = HEADER_BYTES + int.from_bytes(data[:HEADER_BYTES], "little")
    values = np.frombuffer(data, dtype="<f4", offset=start, count=(len(data) - start) // 4)
    with np.errstate(invalid="ignore"):
        return bool(np.isfinite(values.min()) and np.isfinite(values.max())) if values.size else True


def _refused(name: str, what: str) -> BundleError:
    return BundleError(what, where=f'"{name[:100]}"', mend=MEND)
