"""Features and patches of a whole cohort: parallel, cached by content, so that a killed run goes on where it was."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import platformdirs
from joblib import Parallel, delayed

from DeepRadScoreLib.errors import CohortError, DeepRadScoreError, OutputError
from DeepRadScoreLib.imaging import Case, PreparedCase, Preprocessing, prepare, read_case
from DeepRadScoreLib.imaging.origin import is_synthetic
from DeepRadScoreLib.radscore.engine import extract_features
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from DeepRadScoreLib.study.cohort import Cohort

CACHE_VERSION = 1


@dataclass(frozen=True)
class CaseTask:
    """All that decides what a case gives: its files (paths, empty where there is none), segment and settings."""

    case_id: str
    ct: str
    mask: str
    segment: str
    lung_mask: str
    repeat_mask: str
    preprocessing: Preprocessing
    shell_mm: float


@dataclass(frozen=True)
class CaseRecord:
    """What one case gives a study: 1702 features, the patch (160, 160) in HU, quality codes; or the error."""

    case_id: str
    features: np.ndarray = field(default_factory=lambda: np.empty(0))
    patch: np.ndarray = field(default_factory=lambda: np.empty(0))
    repeat: np.ndarray | None = None
    quality: tuple[str, ...] = ()
    synthetic: bool = False
    error: str = ""


@dataclass(frozen=True)
class CohortFeatures:
    """The cases of a cohort that could be computed, in the table's order, and the sentences of those that could not.

    Attributes
    ----------
    rows: positions of these cases in the cohort table.
    features: (n x 1702), float64, columns named.
    patches: (n, 160, 160), float32, HU.
    repeats: features from the cohort's second masks, rows of NaN where there is none, or None.
    failed: case_id -> the error's sentence.
    """

    rows: np.ndarray
    features: pd.DataFrame
    patches: np.ndarray
    repeats: np.ndarray | None
    quality: list[tuple[str, ...]]
    synthetic: bool
    failed: dict[str, str]


def cache_folder() -> Path:
    """Where computed cases are kept: $DEEPRADSCORE_CACHE, or the user's cache folder."""
    return Path(os.environ.get("DEEPRADSCORE_CACHE") or platformdirs.user_cache_path("deepradscore"))


def _check_cache() -> None:
    try:
        cache_folder().mkdir(parents=True, exist_ok=True)
        writable = os.access(cache_folder(), os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise OutputError(
            "computed cases cannot be kept there",
            where=str(cache_folder()),
            mend="set DEEPRADSCORE_CACHE to a folder that can be written",
        )


def extract_cohort(
    cohort: Cohort,
    *,
    preprocessing: Preprocessing = "canonical",
    shell_mm: float = 3.0,
    jobs: int = -1,
    progress: Callable[[int, int, CaseRecord], None] | None = None,
) -> CohortFeatures:
    """Features and patches of every case; a case that fails is recorded and the rest goes on.

    Raises
    ------
    CohortError: no case at all could be computed; the first sentence is repeated.
    """
    _check_cache()
    tasks = [
        CaseTask(
            case_id=cohort.table["case_id"][row],
            ct=cohort.table["ct"][row],
            mask=cohort.table["mask"][row],
            segment=cohort.column("segment")[row],
            lung_mask=cohort.column("lung_mask")[row],
            repeat_mask=cohort.column("repeat_mask")[row],
            preprocessing=preprocessing,
            shell_mm=shell_mm,
        )
        for row in range(len(cohort))
    ]
    records: dict[str, CaseRecord] = {}
    for done, record in enumerate(_computed(tasks, jobs), start=1):
        records[record.case_id] = record
        if progress is not None:
            progress(done, len(tasks), record)
    return _gather(cohort, records)


def _computed(tasks: list[CaseTask], jobs: int) -> Iterator[CaseRecord]:
    yield from Parallel(n_jobs=jobs, return_as="generator_unordered", inner_max_num_threads=1, backend="loky")(
        delayed(compute_case)(task) for task in tasks
    )


def _gather(cohort: Cohort, records: dict[str, CaseRecord]) -> CohortFeatures:
    ordered = [records[case_id] for case_id in cohort.table["case_id"]]
    good = [(row, record) for row, record in enumerate(ordered) if not record.error]
    failed = {record.case_id: record.error for record in ordered if record.error}
    if not good:
        raise CohortError(
            f"no case could be computed ({next(iter(failed.values())).rstrip('.')})",
            where=str(cohort.path),
            mend="mend the cases and run the command again",
        )
    index = pd.Index([record.case_id for _, record in good], name="case_id")
    features = pd.DataFrame(np.stack([record.features for _, record in good]), index=index, columns=FEATURE_COLUMNS)
    repeats = None
    if any(record.repeat is not None for _, record in good):
        nothing = np.full(len(FEATURE_COLUMNS), np.nan)
        repeats = np.stack([nothing if record.repeat is None else record.repeat for _, record in good])
    return CohortFeatures(
        rows=np.array([row for row, _ in good]),
        features=features,
        patches=np.stack([record.patch for _, record in good]),
        repeats=repeats,
        quality=[record.quality for _, record in good],
        synthetic=any(record.synthetic for _, record in good),
        failed=failed,
    )


def compute_case(task: CaseTask) -> CaseRecord:
    """One case from its files, or from the cache if the same files were computed with the same settings before."""
    try:
        key = _content_key(task)
        stored = cache_folder() / "cases" / key[:2] / f"{key}.npz"
        found = _from_cache(stored, task.case_id)
        if found is not None:
            return found
        record = _compute(task)
        _to_cache(stored, record)
    except DeepRadScoreError as error:
        return CaseRecord(task.case_id, error=str(error))
    except OSError as error:
        return CaseRecord(task.case_id, error=f"{error.filename}: the file cannot be read ({error.strerror}).")
    return record


def _versions() -> dict[str, str]:
    packages = ("DeepRadScore", "pyradiomics-bhklab", "SimpleITK", "PyWavelets")
    return {"cache": str(CACHE_VERSION), **{name: installed_version(name) for name in packages}}


def installed_version(name: str) -> str:
    """The version of an installed distribution, or "unknown"."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _compute(task: CaseTask) -> CaseRecord:
    case, prepared = _prepared(task, task.mask)
    return CaseRecord(
        task.case_id,
        features=_as_row(extract_features(prepared)),
        patch=prepared.patch.hu,
        repeat=_as_row(extract_features(_prepared(task, task.repeat_mask)[1])) if task.repeat_mask else None,
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
    )
    return case, prepare(case, preprocessing=task.preprocessing, shell_mm=task.shell_mm)


def _as_row(features: dict[str, float]) -> np.ndarray:
    return np.array([features[column] for column in FEATURE_COLUMNS])


def _content_key(task: CaseTask) -> str:
    settings = {"segment": task.segment, "preprocessing": task.preprocessing, "shell_mm": task.shell_mm, **_versions()}
    files = {"ct": task.ct, "mask": task.mask, "lung": task.lung_mask, "repeat": task.repeat_mask}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for role, name in files.items():
        digest.update(f"|{role}:".encode())
        path = Path(name)
        if name and path.is_file():
            with path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


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
    part = stored.with_name(f"{stored.name}.{os.getpid()}.part")
    try:
        stored.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream:
            np.savez(
                stream,
                features=record.features,
                patch=record.patch,
                repeat=np.empty(0) if record.repeat is None else record.repeat,
                quality=np.array(record.quality, dtype=str),
                synthetic=record.synthetic,
            )
        part.replace(stored)
    except OSError as error:
        raise OutputError(
            f"the computed case cannot be kept ({error.strerror})",
            where=str(stored.parent),
            mend="free some space, or set DEEPRADSCORE_CACHE to a folder that can be written",
        ) from error
    finally:
        part.unlink(missing_ok=True)
