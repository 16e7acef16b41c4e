"""Provenance of a result besides its settings: versions of packages, the library's code, the content of files."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

PREPARING_PACKAGES = ("DeepRadScore", "SimpleITK", "numpy", "scipy")
"""Packages that decide regions and patch of a case."""
ENGINE_PACKAGES = {
    "own": (*PREPARING_PACKAGES, "numba"),
    "pyradiomics": (*PREPARING_PACKAGES, "pyradiomics-bhklab", "PyWavelets"),
}
"""Packages that decide the features of a case, by the engine that computes them."""
CASE_PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "torch",
    "torchvision",
    "pyradiomics-bhklab",
    "pyradiomics",
    "PyWavelets",
    "SimpleITK",
    "matplotlib",
)
"""Packages that decide what is written about a case."""
BUNDLE_PACKAGES = ("DeepRadScore", "numpy", "scikit-learn", "torch", "torchvision", "SimpleITK")
"""Packages whose versions a bundle records, beside those of its engine."""
LEARNING_PACKAGES = (
    "DeepRadScore",
    "numpy",
    "pandas",
    "scipy",
    "scikit-learn",
    "iterative-stratification",
    "torch",
    "torchvision",
)
"""Packages that decide what is learned from features and patches; a study records them beside those of its engine."""


@dataclass(frozen=True)
class Provenance:
    """What a case's profile was made from, and by what.

    Attributes
    ----------
    program: version of DeepRadScore.
    versions: distribution -> version, of the packages that decide the values.
    inputs: "ct", "mask", "lung_mask" -> SHA-256 of the image as it was read, see `image_digest`.
    settings: what was asked for; `mask_grid`, `mask_variants` and `mask_variants_seed` only where they were.
    """

    program: str
    versions: dict[str, str]
    inputs: dict[str, str]
    settings: dict[str, str | float]

    def with_settings(self, **settings: str | float) -> Provenance:
        """The same with more settings."""
        return replace(self, settings=self.settings | settings)


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
def code_digest(*packages: str) -> str:
    """SHA-256 of the library's code, or of some of its packages, by which results of another version are recognised."""
    root = Path(__file__).parent
    digest = hashlib.sha256()
    for folder in packages or (".",):
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()
