"""Computation of one case: reads, prepares and measures its files, or loads its record from the cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from DeepRadScoreLib.computing.case_record import CaseRecord, CaseTask, load_record, store_record
from DeepRadScoreLib.errors import InputError, WorkersError, case_sentence, file_of
from DeepRadScoreLib.imaging import Case, PreparedCase, prepare, read_case, shuffled_voxels
from DeepRadScoreLib.imaging.fingerprint import image_fingerprint
from DeepRadScoreLib.imaging.origin import is_synthetic
from DeepRadScoreLib.likeness.measures import case_measures
from DeepRadScoreLib.radscore.extraction import extract_features
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS


def compute_case(task: CaseTask, cache: Path, threads: int = 1) -> CaseRecord:
    """Compute a case from its files, or load it from the folder `cache` if files and settings are the same as before.

    A patch is also loaded from the record of the same case with its features. Any error becomes the record's `error`,
    without a path of the case (see `case_sentence`). `threads`: of our own engine; no value depends on it.
    """
    problem: Exception
    try:
        record = _load_or_compute(task, cache, threads)
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


def _load_or_compute(task: CaseTask, cache: Path, threads: int) -> CaseRecord:
    digests = task.digests()
    path = task.record_path(digests, cache)
    record = load_record(path, task.case_id)
    if record is None and task.wants == "patches":
        record = load_record(replace(task, wants="both").record_path(digests, cache), task.case_id)
    if record is None:
        record = _compute(task, threads)
        store_record(path, record)
    return record


def _compute(task: CaseTask, threads: int) -> CaseRecord:
    case, prepared = _prepared(task, task.mask)
    features, repeat = np.empty(0), None
    if task.wants != "patches":
        features = _features(task, prepared, threads)
        repeat = _repeat(task, case, threads)
    return CaseRecord(
        task.case_id,
        features=features,
        patch=prepared.patch.hu,
        repeat=repeat,
        quality=prepared.quality,
        synthetic=is_synthetic(case.ct),
        measures=np.array(list(case_measures(prepared).values())),
        acquisition=case.acquisition,
        fingerprint=image_fingerprint(case.ct),
    )


def _repeat(task: CaseTask, case: Case, threads: int) -> np.ndarray | None:
    """Features from the case's second mask, or from a jittered one if the task asks for it; else None."""
    if task.repeat_mask:
        return _features(task, _prepared(task, task.repeat_mask)[1], threads)
    if not task.jitters:
        return None
    from DeepRadScoreLib.imaging.masks.mask_variants import jittered_mask

    jittered = jittered_mask(case, task.seed)
    return _features(task, prepare(jittered, preprocessing=task.preprocessing, shell_mm=task.shell_mm), threads)


def _prepared(task: CaseTask, mask: str) -> tuple[Case, PreparedCase]:
    for column, path in (("ct", task.ct), ("mask", mask)):
        if not path:
            raise InputError("the cell is empty", where=f'column "{column}"', mend="fill it in, or remove the row")
    case = read_case(
        Path(task.ct),
        Path(mask),
        case_id=task.case_id,
        segment=task.segment or None,
        lung_mask=Path(task.lung_mask) if task.lung_mask else None,
        series=task.series or None,
        other_labels=task.other_labels,
        mask_grid=task.mask_grid or None,
    )
    return case, prepare(case, preprocessing=task.preprocessing, shell_mm=task.shell_mm)


def _features(task: CaseTask, prepared: PreparedCase, threads: int) -> np.ndarray:
    measured = shuffled_voxels(prepared, task.seed) if task.wants == "shuffled" else prepared
    features = extract_features(measured, task.engine, threads=threads)
    return np.array([features[column] for column in FEATURE_COLUMNS])
