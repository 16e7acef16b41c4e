"""What one case gives a study, computed from its files or found in the cache by their content."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import platformdirs

from DeepRadScoreLib.errors import InputError, OutputError, WorkersError, case_sentence, file_of
from DeepRadScoreLib.imaging import Case, PreparedCase, prepare, read_case, shuffled_voxels
from DeepRadScoreLib.imaging.origin import is_synthetic
from DeepRadScoreLib.models import Preprocessing
from DeepRadScoreLib.provenance import FEATURE_PACKAGES, content_digest, versions
from DeepRadScoreLib.radscore.engine import extract_features
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from DeepRadScoreLib.writing import replacing

CACHE_VERSION = 1
Wants = Literal["features", "patches", "both", "shuffled"]
"""The features alone; the patch alone; both; the features of the case with shuffled voxels."""


@dataclass(frozen=True)
class CaseTask:
    """All that decides what a case gives: its files or folders (empty where there is none), segment and settings.

    `series` is the CT's SeriesInstanceUID where its DICOM folder holds several, else empty.
    `seed` is that of the shuffled voxels and decides nothing else.
    """

    case_id: str
    ct: str
    mask: str
    segment: str
    lung_mask: str
    repeat_mask: str
    preprocessing: Preprocessing
    shell_mm: float
    series: str = ""
    wants: Wants = "both"
    seed: int = 0


@dataclass(frozen=True)
class CaseRecord:
    """What one case gives a study: 1702 features, the patch (160, 160) in HU (each empty where it was not wanted),
    features from the second mask, quality codes; or the error."""

    case_id: str
    features: np.ndarray = field(default_factory=lambda: np.empty(0))
    patch: np.ndarray = field(default_factory=lambda: np.empty(0))
    repeat: np.ndarray | None = None
    quality: tuple[str, ...] = ()
    synthetic: bool = False
    error: str = ""


def cache_folder() -> Path:
    """Where computed cases are kept: $DEEPRADSCORE_CACHE, or the user's cache folder."""
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


def compute_case(task: CaseTask, cache: Path) -> CaseRecord:
    """One case from its files, or from `cache` if the same files were computed with the same settings before.

    A patch is also taken from the cache of the same case with its features. Whatever goes wrong is the record's error,
    in which no path of the case stands (see `case_sentence`).
    """
    problem: Exception
    try:
        return _asked_for(_kept_or_computed(task, cache), task)
    except OSError as error:
        problem = InputError(f"the file cannot be read ({error.strerror})", where=file_of(error))
    except MemoryError:
        problem = WorkersError("there is not enough memory for it", mend="use fewer --jobs")
    except Exception as error:
        problem = error
    return CaseRecord(task.case_id, error=case_sentence(problem, _files(task)))


def _kept_or_computed(task: CaseTask, cache: Path) -> CaseRecord:
    digests = _digests(task)
    stored = _stored(task, digests, task.wants, cache)
    record = _from_cache(stored, task.case_id)
    if record is None and task.wants == "patches":
        record = _from_cache(_stored(task, digests, "both", cache), task.case_id)
    if record is None:
        record = _compute(task)
        _to_cache(stored, record)
    return record


def _asked_for(record: CaseRecord, task: CaseTask) -> CaseRecord:
    """The record without what was not wanted: a patch is eight times as large as the features."""
    if task.wants == "both":
        return record
    if task.wants == "patches":
        return replace(record, features=np.empty(0), repeat=None)
    return replace(record, patch=np.empty(0))


def _compute(task: CaseTask) -> CaseRecord:
    case, prepared = _prepared(task, task.mask)
    features, repeat = np.empty(0), None
    if task.wants != "patches":
        features = _features(task, prepared)
        repeat = _features(task, _prepared(task, task.repeat_mask)[1]) if task.repeat_mask else None
    return CaseRecord(
        task.case_id,
        features=features,
        patch=prepared.patch.hu,
        repeat=repeat,
        quality=tuple(note.code for note in prepared.quality),
        synthetic=is_synthetic(case.ct),
    )


def _prepared(task: CaseTask, mask: str) -> tuple[Case, PreparedCase]:
    case = read_case(
        Path(task.ct),
        Path(mask),
        case_id=task.case_id,
        segment=task.segment or None,
        lung_mask=Path(task.lung_mask) if task.lung_mask else None,
        series=task.series or None,
    )
    return case, prepare(case, preprocessing=task.preprocessing, shell_mm=task.shell_mm)


def _features(task: CaseTask, prepared: PreparedCase) -> np.ndarray:
    features = extract_features(shuffled_voxels(prepared, task.seed) if task.wants == "shuffled" else prepared)
    return np.array([features[column] for column in FEATURE_COLUMNS])


def _files(task: CaseTask) -> dict[str, str]:
    return {"ct": task.ct, "mask": task.mask, "lung_mask": task.lung_mask, "repeat_mask": task.repeat_mask}


def _digests(task: CaseTask) -> dict[str, bytes]:
    """SHA-256 of each file or folder of the case, empty where it is not there."""
    roles = {"ct": "ct", "mask": "mask", "lung": "lung_mask", "repeat": "repeat_mask"}
    files = _files(task)
    digests = dict.fromkeys(roles, b"")
    for role, column in roles.items():
        name = files[column]
        if name and Path(name).exists():
            digests[role] = content_digest(Path(name))
    return digests


def _stored(task: CaseTask, digests: dict[str, bytes], wants: Wants, cache: Path) -> Path:
    """Where the cache keeps that of the case: named by all that decides it, and by nothing else."""
    settings = {
        "segment": task.segment,
        "preprocessing": task.preprocessing,
        "shell_mm": task.shell_mm,
        "cache": str(CACHE_VERSION),
        **versions(FEATURE_PACKAGES),
    }
    if task.series:
        settings["series"] = task.series
    if wants in ("patches", "shuffled"):
        settings["wants"] = wants
    if wants == "shuffled":
        settings["seed"] = task.seed
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for role, content in digests.items():
        digest.update(f"|{role}:".encode())
        if wants != "patches" or role != "repeat":
            digest.update(content)
    key = digest.hexdigest()
    return cache / "cases" / key[:2] / f"{key}.npz"


def _from_cache(stored: Path, case_id: str) -> CaseRecord | None:
    if not stored.is_file():
        return None
    try:
        with np.load(stored, allow_pickle=False) as data:
            return CaseRecord(
                case_id,
                features=data["features"],
                patch=data["patch"],
                repeat=data["repeat"] if data["repeat"].size else None,
                quality=tuple(data["quality"].tolist()),
                synthetic=bool(data["synthetic"]),
            )
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None  # damaged by a crash: it is computed and written anew


def _to_cache(stored: Path, record: CaseRecord) -> None:
    try:
        with replacing(stored) as part:
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
            where=stored.parent,
            mend="free some space, or set DEEPRADSCORE_CACHE to a folder that can be written",
        ) from error
