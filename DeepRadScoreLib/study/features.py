"""Features and patches of a whole cohort: parallel, cached by content, so that a killed run goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.imaging import Preprocessing
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from DeepRadScoreLib.study.case_record import (
    CaseRecord,
    CaseTask,
    Wants,
    cache_folder,
    check_cache,
    compute_case,
    installed_version,
)
from DeepRadScoreLib.study.cohort import Cohort
from DeepRadScoreLib.study.workers import Lost, Workers

__all__ = [
    "CaseRecord",
    "CaseTask",
    "CohortFeatures",
    "Wants",
    "cache_folder",
    "compute_case",
    "extract_cohort",
    "installed_version",
]


@dataclass(frozen=True)
class CohortFeatures:
    """The cases of a cohort that could be computed, in the table's order, and the sentences of those that could not.

    Attributes
    ----------
    rows: positions of these cases in the cohort table.
    features: (n x 1702), float64, columns named; no columns where only patches were wanted.
    patches: (n, 160, 160), float32, HU; (n, 0) where only features were wanted.
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


def extract_cohort(
    cohort: Cohort,
    *,
    preprocessing: Preprocessing = "canonical",
    shell_mm: float = 3.0,
    workers: Workers,
    progress: Callable[[int, int, CaseRecord], None] | None = None,
    wants: Wants = "both",
    seed: int = 0,
) -> CohortFeatures:
    """Features and patches of every case; a case that fails is recorded and the rest goes on.

    Parameters
    ----------
    workers: who does it; `cache_folder` has to be the same folder for all of them.
    wants: "features" alone; "patches" alone, which needs no radiomics; "both"; or "shuffled", the features of each case
        with its voxels shuffled by `seed` inside tumour and shell (method: baselines).

    Raises
    ------
    CohortError: no case at all could be computed; the first sentence is repeated.
    OutputError: the cache folder cannot be written.
    """
    check_cache()
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
            series=cohort.column("series")[row],
            wants=wants,
            seed=seed,
        )
        for row in range(len(cohort))
    ]
    records: dict[str, CaseRecord] = {}
    calls = [{"task": task, "cache": cache_folder()} for task in tasks]
    for done, (position, result) in enumerate(workers.each(compute_case, calls), start=1):
        case_id = tasks[position].case_id
        record = CaseRecord(case_id, error=f"{result}.") if isinstance(result, Lost) else result
        records[case_id] = record
        if progress is not None:
            progress(done, len(tasks), record)
    return _gather(cohort, records, () if wants == "patches" else FEATURE_COLUMNS)


def _gather(cohort: Cohort, records: dict[str, CaseRecord], columns: tuple[str, ...]) -> CohortFeatures:
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
    features = pd.DataFrame(np.stack([record.features for _, record in good]), index=index, columns=list(columns))
    repeats = None
    if any(record.repeat is not None for _, record in good):
        nothing = np.full(len(columns), np.nan)
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
