"""A model described in one sentence, from its manifest alone: the analysis' packages are not needed for it."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from DeepRadScoreSlicer.translation import tr as _


@dataclass(frozen=True)
class ModelText:
    """One sentence on a model, and the thickness of its shell in mm; None where the file is no model."""

    sentence: str
    shell_mm: float | None


def model_text(path: Path) -> ModelText:
    """Describe the model of a file; whether the rest of the file is sound is checked when it is used."""
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read("manifest.json"))
        shell_mm = float(manifest["shell_mm"])
        label = f"{manifest['label']}. " if manifest["label"] else ""
        name, protocol = manifest["name"], manifest["protocol"]
    except (zipfile.BadZipFile, zlib.error, RuntimeError, OSError, KeyError, TypeError, ValueError, EOFError):
        return ModelText(_('This is not a model: choose a bundle made by "deepradscore train".'), None)
    text = _("{name}, protocol {protocol}, shell {shell_mm:g} mm.")
    return ModelText(label + text.format(name=name, protocol=protocol, shell_mm=shell_mm), shell_mm)
