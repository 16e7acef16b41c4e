"""Features and patches of a whole cohort: parallel, cached by content, so that a killed run goes on where it was."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from DeepRadScoreLib.cohort.table import Cohort
from DeepRadScoreLib.computing.case_record import (
    CaseRecord,
    CaseTask,
    Wants,
    cache_folder,
    check_cache,
    compute_case,
)
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.computing.workers import Crashed
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.models import Preprocessing
from DeepRadScoreLib.progress import Progress, Stage
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS

__all__ = [
    "CaseRecord",
    "CaseTask",
    "CohortFeatures",
    "Wants",
    "cache_folder",
    "compute_case",
    "extract_cohort",
]

STAGES: dict[Wants, Stage] = {
    "features": Stage.FEATURES,
    "both": Stage.FEATURES,
    "patches": Stage.PATCHES,
    "shuffled": Stage.SHUFFLED_VOXELS,
}


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
    run: Run,
    *,
    preprocessing: Preprocessing = Preprocessing.CANONICAL,
    shell_mm: float = 3.0,
    wants: Wants = "both",
    seed: int = 0,
) -> CohortFeatures:
    """Features and patches of every case; a case that fails is recorded and the rest goes on.

    Parameters
    ----------
    run: its folder is the cache, which has to be the same for all workers; its report is called after each case, whose
        case_id is the event's detail.
    wants: "features" alone; "patches" alone, which needs no radiomics; "both"; or "shuffled", the features of each case
        with its voxels shuffled by `seed` inside tumour and shell (method: baselines).

    Raises
    ------
    CohortError: no case at all could be computed; the first sentence is repeated.
    OutputError: the cache folder cannot be written.
    """
    check_cache(run.folder)
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
    columns = () if wants == "patches" else FEATURE_COLUMNS
    table = np.full((len(tasks), len(columns)), np.nan)
    records: dict[int, CaseRecord] = {}
    calls = [{"task": task, "cache": run.folder} for task in tasks]
    with closing(run.workers.each(compute_case, calls)) as found:
        for done, (row, result) in enumerate(found, start=1):
            record = CaseRecord(tasks[row].case_id, error=f"{result}.") if isinstance(result, Crashed) else result
            if not record.error:
                table[row] = record.features
            records[row] = replace(record, features=table[row])
            failure = f"{record.case_id}: {record.error}" if record.error else ""
            run.report(Progress(STAGES[wants], record.case_id, done, len(tasks), failure))
    return _gather(cohort, [records[row] for row in range(len(tasks))], table, columns)


def _gather(cohort: Cohort, records: list[CaseRecord], table: np.ndarray, columns: tuple[str, ...]) -> CohortFeatures:
    """`table`: the features of all cases (n x columns); they are many, and are not copied where no case failed."""
    rows = np.array([row for row, record in enumerate(records) if not record.error])
    failed = {record.case_id: record.error for record in records if record.error}
    if not len(rows):
        raise CohortError(
            f"no case could be computed ({next(iter(failed.values())).rstrip('.')})",
            where=cohort.path,
            mend="mend the cases and run the command again",
        )
    good = [records[row] for row in rows]
    index = pd.Index([record.case_id for record in good], name="case_id")
    repeats = None
    if any(record.repeat is not None for record in good):
        nothing = np.full(len(columns), np.nan)
        repeats = np.stack([nothing if record.repeat is None else record.repeat for record in good])
    return CohortFeatures(
        rows=rows,
        features=pd.DataFrame(table[rows] if failed else table, index=index, columns=list(columns), copy=False),
        patches=np.stack([record.patch for record in good]),
        repeats=repeats,
        quality=[record.quality for record in good],
        synthetic=any(record.synthetic for record in good),
        failed=failed,
    )
