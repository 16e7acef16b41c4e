"""Features of prepared cases on disk, by their voxels and masks: no other change of the program computes them anew."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from DeepRadScoreLib.imaging import PreparedCase
from DeepRadScoreLib.models import DEFAULT_ENGINE
from DeepRadScoreLib.provenance import ENGINE_PACKAGES, versions
from DeepRadScoreLib.radscore.extraction import extract_features
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from DeepRadScoreLib.writing import replacing

VERSION = 1
"""Another number where the engine's features change."""


@dataclass(frozen=True)
class FeatureStore:
    """The folder of the features."""

    folder: Path

    def features(self, prepared: PreparedCase) -> np.ndarray:
        """The (1702,) features of a case, loaded or computed. Raises RegionError as `extract_features`."""
        path = self.folder / f"{_digest(prepared)}.npy"
        if path.is_file():
            return np.load(path, allow_pickle=False)
        found = extract_features(prepared)
        values = np.array([found[column] for column in FEATURE_COLUMNS])
        with replacing(path) as temporary, temporary.open("wb") as stream:
            np.save(stream, values)
        return values


def _digest(prepared: PreparedCase) -> str:
    digest = hashlib.sha256(json.dumps([VERSION, versions(ENGINE_PACKAGES[DEFAULT_ENGINE])], sort_keys=True).encode())
    for image in (prepared.image, prepared.tumour, prepared.peritumoral):
        array = sitk.GetArrayViewFromImage(image)
        digest.update(f"{array.shape} {array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
