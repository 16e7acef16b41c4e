"""Packages that the analysis needs beside the library: which are missing, and which versions are in use.

pydicom comes with Slicer: its DICOM module depends on it, and a second one cannot be imported. Where it is too
old for the library's DICOM reader (Slicer 5.10 has 2.4), only that reader is unavailable; all else works.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from DeepRadScoreSlicer.translation import tr as _

Source = Literal["PyTorch extension", "pip", "Slicer 5.12 or newer"]
REQUIREMENTS = Path(__file__).parents[1] / "Resources" / "requirements.txt"
TORCH = ("torch>=2.3", "torchvision>=0.18")
PYDICOM = "pydicom>=3.0"
REPORTED = ("numba", "numpy", "scipy", "SimpleITK", "pydicom", "torch", "torchvision", "pandas", "scikit-learn")


@dataclass(frozen=True)
class Missing:
    """A package that is needed and that is not there, or too old.

    Attributes
    ----------
    name: as pip writes it, with its floor ("pandas>=2.2").
    needed_for: in a few words.
    source: how it is got.
    found: the version that is there and too old.
    hinders: whether there is no analysis with a model without it; else only what it is needed for cannot be done.
    """

    name: str
    needed_for: str
    source: Source
    found: str | None = None
    hinders: bool = True

    @property
    def for_models_only(self) -> bool:
        """Whether an analysis without a model (regions, features, quality) does without it."""
        return self.name in TORCH

    @property
    def sentence(self) -> str:
        """Packages that are missing or too old, in one line."""
        if self.found is None:
            return f"{self.name}: {self.needed_for} ({self.source})"
        bare, _sign, floor = self.name.partition(">=")
        text = _("{name} {found} is too old for {use}; {floor} or newer is needed ({source})")
        return text.format(name=bare, found=self.found, use=self.needed_for, floor=floor, source=self.source)


def hindering() -> list[Missing]:
    """Missing packages without which there is no analysis with a model."""
    return [each for each in missing() if each.hinders]


def missing() -> list[Missing]:
    """Needed packages that are absent or too old; none is imported to find out."""
    importlib.invalidate_caches()
    use = _("findings of a model, deep features, Grad-CAM")
    if (platform.system(), platform.machine()) == ("Darwin", "x86_64"):
        use = _("findings of a model; PyTorch is not offered any more for Intel builds of Slicer on macOS")
    found = [_missing(name, use, "PyTorch extension") for name in TORCH if not _there(name)]
    found += [_missing(name, use, "pip") for name, use in pip_requirements().items() if not _there(name)]
    if not _there(PYDICOM):
        found.append(_missing(PYDICOM, _("DICOM segmentations"), "Slicer 5.12 or newer", hinders=False))
    return found


def _missing(name: str, needed_for: str, source: Source, hinders: bool = True) -> Missing:
    return Missing(name, needed_for, source, installed_version(bare_name(name)), hinders)


def pip_requirements() -> dict[str, str]:
    """Use of each requirement in `Resources/requirements.txt`, by requirement."""
    lines = (line for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    parted = (line.partition("#") for line in lines if line.strip())
    return {name.strip(): use.strip() for name, _sign, use in parted}


def application() -> Any | None:
    """Slicer's application; None in a Python without it."""
    return getattr(sys.modules.get("slicer"), "app", None)


def information() -> str:
    """One line with the versions that a report of a problem needs; nothing about patients, no path, no user name."""
    import slicer

    from DeepRadScoreLib import __version__

    versions = [
        f"DeepRadScore {__version__}",
        f"Slicer {slicer.app.applicationVersion} (revision {slicer.app.revision})",
        f"Python {platform.python_version()}",
        f"{platform.system()} {platform.machine()}",
        *(f"{name} {installed_version(name) or 'absent'}" for name in REPORTED),
        f"radiomics {_radiomics_version()}",
    ]
    return " · ".join(versions)


def _there(requirement: str) -> bool:
    from packaging.requirements import Requirement

    wanted = Requirement(requirement)
    version = installed_version(wanted.name)
    return version is not None and wanted.specifier.contains(version, prereleases=True)


def installed_version(name: str) -> str | None:
    """The installed version of a distribution, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        if name != "SimpleITK":
            return None
    import SimpleITK as sitk

    return sitk.Version.VersionString()


def _radiomics_version() -> str:
    if importlib.util.find_spec("radiomics") is None:
        return "absent"
    return next(
        (found for name in ("pyradiomics", "pyradiomics-bhklab") if (found := installed_version(name))), "present"
    )


def bare_name(requirement: str) -> str:
    """The name of a distribution without its floor, in lower case."""
    from packaging.requirements import Requirement

    return Requirement(requirement).name.lower()
