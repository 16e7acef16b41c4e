"""The cache: records of cases, found again by what their files hold and by their settings."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import platformdirs

from DeepRadScoreLib.computing.case_record import CaseRecord, CaseTask
from DeepRadScoreLib.errors import OutputError
from DeepRadScoreLib.provenance import FEATURE_PACKAGES, content_digest, versions
from DeepRadScoreLib.writing import replacing

CACHE_VERSION = 1


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
        raise OutputError(
            "computed cases cannot be kept there",
            where=folder,
            mend="set DEEPRADSCORE_CACHE to a folder that can be written",
        )


def input_digests(task: CaseTask) -> dict[str, bytes]:
    """SHA-256 of each file or folder of the case, empty where it is not there."""
    roles = {"ct": "ct", "mask": "mask", "lung": "lung_mask", "repeat": "repeat_mask"}
    digests = dict.fromkeys(roles, b"")
    for role, column in roles.items():
        name = task.files[column]
        if name and Path(name).exists():
            digests[role] = content_digest(Path(name))
    return digests


def record_path(task: CaseTask, digests: dict[str, bytes], cache: Path) -> Path:
    """Cache path of a case, derived from every input and setting that affects its record, and from nothing else."""
    settings = {
        "segment": task.segment,
        "preprocessing": task.preprocessing,
        "shell_mm": task.shell_mm,
        "cache": str(CACHE_VERSION),
        **versions(FEATURE_PACKAGES),
    }
    if task.series:
        settings["series"] = task.series
    if task.wants in ("patches", "shuffled"):
        settings["wants"] = task.wants
    if task.wants == "shuffled":
        settings["seed"] = task.seed
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for role, content in digests.items():
        digest.update(f"|{role}:".encode())
        if task.wants != "patches" or role != "repeat":
            digest.update(content)
    key = digest.hexdigest()
    return cache / "cases" / key[:2] / f"{key}.npz"


def load_record(path: Path, case_id: str) -> CaseRecord | None:
    """The record stored there; None if there is none, or one that a crash damaged."""
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
    """Store a record, whole or not at all. Raises OutputError."""
    try:
        with replacing(path) as part:
            np.savez(
                part,
                features=record.features,
                patch=record.patch,
                repeat=np.empty(0) if record.repeat is None else record.repeat,
                quality=np.array(record.quality, dtype=str),
                synthetic=record.synthetic,
            )
    except OSError as error:
        raise OutputError(
            f"the computed case cannot be kept ({error.strerror})",
            where=path.parent,
            mend="free some space, or set DEEPRADSCORE_CACHE to a folder that can be written",
        ) from error
