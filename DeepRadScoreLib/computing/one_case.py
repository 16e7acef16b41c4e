"""Computation of one case: reads, prepares and measures its files, or loads its record from the cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from DeepRadScoreLib.computing.case_record import CaseRecord, CaseTask, load_record, store_record
from DeepRadScoreLib.errors import InputError, WorkersError, case_sentence, file_of
from DeepRadScoreLib.imaging import Case, PreparedCase, prepare, read_case, shuffled_voxels
from DeepRadScoreLib.imaging.origin import is_synthetic
from DeepRadScoreLib.radscore.engine import extract_features
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS


def compute_case(task: CaseTask, cache: Path) -> CaseRecord:
    """Compute a case from its files, or load it from the folder `cache` if files and settings are the same as before.

    A patch is also loaded from the record of the same case with its features. Any error becomes the record's `error`,
    without a path of the case (see `case_sentence`).
    """
    problem: Exception
    try:
        record = _load_or_compute(task, cache)
        # a patch is eight times as large as the features
        if task.wants == "patches":
            return replace(record, features=np.empty(0), repeat=None)
        return record if task.wants == "both" else replace(record, patch=np.empty(0))
    except OSError as error:
        problem = InputError(f"the file cannot be read ({error.strerror})", where=file_of(error))
    except MemoryError:
        problem = WorkersError("there is not enough memory for it", mend="use fewer --jobs")
    except Exception as error:
        problem = error
    return CaseRecord(task.case_id, error=case_sentence(problem, task.files))


def _load_or_compute(task: CaseTask, cache: Path) -> CaseRecord:
    digests = task.digests()
    path = task.record_path(digests, cache)
    record = load_record(path, task.case_id)
    if record is None and task.wants == "patches":
        record = load_record(replace(task, wants="both").record_path(digests, cache), task.case_id)
    if record is None:
        record = _compute(task)
        store_record(path, record)
    return record


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
