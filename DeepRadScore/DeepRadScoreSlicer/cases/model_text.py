"""What the panel says of a chosen model before it is used, read from its manifest without the analysis' packages."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ModelText:
    """One sentence on a model, and the shell thickness (mm) it brings; None where it is not a model."""

    sentence: str
    shell_mm: float | None


def model_text(path: Path) -> ModelText:
    """Read the manifest only; whether the model is whole is checked when it is used."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read("manifest.json"))
        shell_mm = float(manifest["shell_mm"])
        label = f"{manifest['label']}. " if manifest["label"] else ""
        name, protocol = manifest["name"], manifest["protocol"]
    except (zipfile.BadZipFile, zlib.error, RuntimeError, OSError, KeyError, TypeError, ValueError, EOFError):
        return ModelText('This is not a model: choose a bundle made by "deepradscore train".', None)
    return ModelText(f"{label}{name}, protocol {protocol}, shell {shell_mm:g} mm.", shell_mm)
