"""The shap package, the oracle of Shapley values, beside another package that is called `slicer`."""

from __future__ import annotations

import importlib
from types import ModuleType

NAMES = ("Alias", "Obj", "Slicer")


def import_shap() -> ModuleType:
    """Import shap. It needs names of the small distribution "slicer", whose folder slicer-core shares and hides."""
    package = importlib.import_module("slicer")
    if not all(hasattr(package, name) for name in NAMES):
        inner = importlib.import_module("slicer.slicer")
        for name in NAMES:
            setattr(package, name, getattr(inner, name))
    return importlib.import_module("shap")
