"""Tasks and records of single cases, and the cache of records, keyed by the content of files and by settings."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import platformdirs

from DeepRadScoreLib.errors import OutputError
from DeepRadScoreLib.models import Preprocessing
from DeepRadScoreLib.provenance import FEATURE_PACKAGES, content_digest, versions
from DeepRadScoreLib.writing import replacing

CACHE_VERSION = 1
MEND = "set DEEPRADSCORE_CACHE to a folder that can be written"
Wants = Literal["features", "patches", "both", "shuffled"]
"""The features alone; the patch alone; both; the features of the case with shuffled voxels."""


@dataclass(frozen=True)
class CaseTask:
    """Files and settings that determine the result of a case; a path is empty where there is no such file.

    Attributes
    ----------
    segment: name of the tumour's segment, or empty.
    series: SeriesInstanceUID of the CT if its DICOM folder holds several, else empty.
    seed: of the shuffled voxels; it affects nothing else.
    """

    case_id: str
    ct: str
    mask: str
    segment: str = ""
    lung_mask: str = ""
    repeat_mask: str = ""
    series: str = ""
    preprocessing: Preprocessing = Preprocessing.CANONICAL
    shell_mm: float = 3.0
    wants: Wants = "both"
    seed: int = 0

    @property
    def files(self) -> dict[str, str]:
        """Column of a cohort table -> path of the file or folder, empty where there is none."""
        return {"ct": self.ct, "mask": self.mask, "lung_mask": self.lung_mask, "repeat_mask": self.repeat_mask}

    def digests(self) -> dict[str, bytes]:
        """SHA-256 of each of `files`, empty where it does not exist."""
        existing = {column: Path(name) for column, name in self.files.items() if name and Path(name).exists()}
        return {column: content_digest(existing[column]) if column in existing else b"" for column in self.files}

    def record_path(self, digests: dict[str, bytes], cache: Path) -> Path:
        """Cache path of the record, derived from every input and setting that affects it."""
        settings = {
            "segment": self.segment,
            "preprocessing": self.preprocessing,
            "shell_mm": self.shell_mm,
            "cache": str(CACHE_VERSION),
            **versions(FEATURE_PACKAGES),
        }
        if self.series:
            settings["series"] = self.series
        if self.wants in ("patches", "shuffled"):
            settings["wants"] = self.wants
        if self.wants == "shuffled":
            settings["seed"] = self.seed
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for column, content in digests.items():
            digest.update(f"|{column.removesuffix('_mask')}:".encode())
            if self.wants != "patches" or column != "repeat_mask":
                digest.update(content)
        key = digest.hexdigest()
        return cache / "cases" / key[:2] / f"{key}.npz"


@dataclass(frozen=True)
class CaseRecord:
    """Result of one case of a study, or the sentence on its `error`.

    Attributes
    ----------
    features: (1702,), empty if not wanted.
    patch: (160, 160) in HU, empty if not wanted.
    repeat: (1702,) features from the second mask, or None.
    quality: codes of the quality notes.
    """

    case_id: str
    features: np.ndarray = field(default_factory=lambda: np.empty(0))
    patch: np.ndarray = field(default_factory=lambda: np.empty(0))
    repeat: np.ndarray | None = None
    quality: tuple[str, ...] = ()
    synthetic: bool = False
    error: str = ""


def cache_folder() -> Path:
    """Folder of computed cases and of interrupted runs: $DEEPRADSCORE_CACHE, or the user's cache folder."""
    return Path(os.environ.get("DEEPRADSCORE_CACHE") or platformdirs.user_cache_path("deepradscore"))


def check_cache(folder: Path) -> None:
    """Make the cache folder.

    Raises
    ------
    OutputError: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise OutputError("computed cases cannot be kept there", where=folder, mend=MEND)


def load_record(path: Path, case_id: str) -> CaseRecord | None:
    """The record stored in a file; None if there is none or it is damaged."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as data:
            return CaseRecord(
                case_id,
                features=data["features"],
                patch=data["patch"],
                repeat=data["repeat"] if data["repeat"].size else None,
                quality=tuple(data["quality"].tolist()),
                synthetic=bool(data["synthetic"]),
            )
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def store_record(path: Path, record: CaseRecord) -> None:
    """Store a record, whole or not at all.

    Raises
    ------
    OutputError: it cannot be written.
    """
    try:
        with replacing(path) as temporary:
            np.savez(
                temporary,
                features=record.features,
                patch=record.patch,
                repeat=np.empty(0) if record.repeat is None else record.repeat,
                quality=np.array(record.quality, dtype=str),
                synthetic=record.synthetic,
            )
    except OSError as error:
        what = f"the computed case cannot be kept ({error.strerror})"
        raise OutputError(what, where=path.parent, mend=f"free some space, or {MEND}") from error
