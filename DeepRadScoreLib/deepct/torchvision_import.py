"""Import of torchvision, also beside a torch that it was not compiled for.

A CUDA build of torchvision on a CPU build of torch cannot load its compiled operators, and its import ends in
`RuntimeError: operator torchvision::nms does not exist`. The network definitions are plain Python and need no operator.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_declared: list[Any] = []


def import_torchvision() -> ModuleType:
    """Import torchvision; where exactly that error occurs, declare the missing operators and import it again.

    Raises
    ------
    ImportError: torchvision or torch is not installed.
    RuntimeError: any other error of its import.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "operator torchvision::" not in str(error) or _declared:
            raise
    import torch

    for name in [name for name in sys.modules if name == "torchvision" or name.startswith("torchvision.")]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    _declared.append(library)
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return importlib.import_module("torchvision")
