"""Features and patches of a whole cohort: parallel, cached by content, so that a killed run goes on where it was."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from DeepRadScoreLib.cohort.table import Cohort
from DeepRadScoreLib.computing.cache import check_cache
from DeepRadScoreLib.computing.case_record import CaseRecord, CaseTask, Wants
from DeepRadScoreLib.computing.one_case import compute_case
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.computing.workers import Crashed
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.models import Preprocessing
from DeepRadScoreLib.progress import Progress, Stage
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS

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
    features: (n x 1702), float64, indexed by case_id, columns named; no columns where only patches were wanted.
    patches: (n, 160, 160), float32, HU, of the cases of `features`; (n, 0) where only features were wanted.
    repeats: (n, 1702) features from the second masks of these cases, rows of NaN where there is none, or None.
    quality: codes of each of these cases.
    failed: case_id -> the error's sentence.
    """

    features: pd.DataFrame
    patches: np.ndarray
    repeats: np.ndarray | None
    quality: list[tuple[str, ...]]
    synthetic: bool
    failed: dict[str, str]

    def of_cases(self, case_ids: pd.Index) -> CohortFeatures:
        """The same of these cases alone, in this order. Raises KeyError where one could not be computed."""
        if case_ids.equals(self.features.index):
            return self
        features = self.features.loc[case_ids]
        at = self.features.index.get_indexer(case_ids)
        return replace(
            self,
            features=features,
            patches=self.patches[at],
            repeats=None if self.repeats is None else self.repeats[at],
            quality=[self.quality[position] for position in at],
        )


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
            case_id=row["case_id"],
            ct=row["ct"],
            mask=row["mask"],
            segment=row.get("segment", ""),
            lung_mask=row.get("lung_mask", ""),
            repeat_mask=row.get("repeat_mask", ""),
            preprocessing=preprocessing,
            shell_mm=shell_mm,
            series=row.get("series", ""),
            wants=wants,
            seed=seed,
        )
        for row in cohort.table.to_dict("records")
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
        features=pd.DataFrame(table[rows] if failed else table, index=index, columns=list(columns), copy=False),
        patches=np.stack([record.patch for record in good]),
        repeats=repeats,
        quality=[record.quality for record in good],
        synthetic=any(record.synthetic for record in good),
        failed=failed,
    )
