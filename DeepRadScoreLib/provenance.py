"""Provenance of a result besides its settings: versions of packages, the library's code, the content of files."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Iterable
from functools import cache
from pathlib import Path

FEATURE_PACKAGES = ("DeepRadScore", "pyradiomics-bhklab", "SimpleITK", "PyWavelets")
"""Packages that decide the features of a case."""
CASE_PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "torch",
    "torchvision",
    "shap",
    "pyradiomics-bhklab",
    "pyradiomics",
    "PyWavelets",
    "SimpleITK",
    "matplotlib",
)
"""Packages that decide what is written about a case."""
BUNDLE_PACKAGES = ("DeepRadScore", "numpy", "scikit-learn", "torch", "torchvision", "pyradiomics-bhklab", "SimpleITK")
"""Packages whose versions a bundle records."""
LEARNING_PACKAGES = (
    "DeepRadScore",
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "iterative-stratification",
    "statsmodels",
    "torch",
    "torchvision",
    "shap",
)
"""Packages that decide what is learned from features and patches."""
STUDY_PACKAGES = (*LEARNING_PACKAGES, "pyradiomics-bhklab", "SimpleITK")
"""Packages whose versions the results of a study record."""


def installed_version(name: str) -> str:
    """The version of an installed distribution, or "unknown"."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def versions(names: Iterable[str]) -> dict[str, str]:
    """Distribution -> its version, or "unknown", in the given order."""
    return {name: installed_version(name) for name in names}


def content_digest(path: Path) -> bytes:
    """SHA-256 of a file's content; of a folder, from the contents of its files without their names."""
    if path.is_dir():
        each = sorted(content_digest(inner) for inner in path.rglob("*") if inner.is_file())
        return hashlib.sha256(b"".join(each)).digest()
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


@cache
def code_digest() -> str:
    """SHA-256 of the library's code, by which stored results of another version are recognised."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()
