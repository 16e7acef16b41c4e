"""Features and patches of a cohort, computed in parallel and cached, so that an interrupted run resumes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from DeepRadScoreLib.cohort.case_notes import CaseNotes, cases_to_exclude
from DeepRadScoreLib.cohort.table import Cohort
from DeepRadScoreLib.computing.case_record import (
    DEFAULT_SETTINGS,
    CaseRecord,
    CaseSettings,
    CaseTask,
    Wants,
    check_cache,
)
from DeepRadScoreLib.computing.one_case import compute_case
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.computing.workers import Crashed
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.imaging import QualityNote
from DeepRadScoreLib.imaging.acquisition import Acquisition
from DeepRadScoreLib.imaging.checks.quality_codes import left_out_text
from DeepRadScoreLib.likeness.measures import MEASURES
from DeepRadScoreLib.models import Engine
from DeepRadScoreLib.progress import Progress, Stage
from DeepRadScoreLib.radscore.extraction import engine_ready_steps
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS

CASE_COLUMNS = ["ct", "mask", "segment", "lung_mask", "repeat_mask", "series", "mask_grid"]
STAGES: dict[Wants, Stage] = {
    "features": Stage.FEATURES,
    "both": Stage.FEATURES,
    "patches": Stage.PATCHES,
    "shuffled": Stage.SHUFFLED_VOXELS,
}


@dataclass(frozen=True)
class CohortFeatures:
    """The computed cases of a cohort, in the table's order, and the errors of those that failed.

    Attributes
    ----------
    features: (n x 1702), float64, indexed by case_id; no columns if only patches were wanted.
    patches: (n, 160, 160), float32, HU, of the cases of `features`; (n, 0) if only features were wanted.
    repeats: (n, 1702) features from the second masks of these cases, rows of NaN where there is none, or None.
    quality: all remarks on each of these cases.
    synthetic: (n,) bool, whether each of these cases is synthetic.
    measures: (n x measures), index case_id, how image and outline of each case are, see `likeness.measures`.
    acquisitions: what the header of each of these CTs tells of the scan.
    fingerprints: of each of these CTs, see `image_fingerprint`.
    engine: what computed the features.
    failed: case_id -> sentence on the error.
    excluded: case_id -> quality code for which this case was left out.
    """

    features: pd.DataFrame
    patches: np.ndarray
    repeats: np.ndarray | None
    quality: list[tuple[QualityNote, ...]]
    synthetic: np.ndarray
    measures: pd.DataFrame
    acquisitions: list[Acquisition]
    fingerprints: list[str]
    engine: Engine
    failed: dict[str, str]
    excluded: dict[str, str] = field(default_factory=dict)

    @property
    def left_out(self) -> dict[str, str]:
        """Case_id -> why this case is not among `features`."""
        return self.failed | {case_id: left_out_text(code) for case_id, code in self.excluded.items()}

    @property
    def left_out_by_quality(self) -> dict[str, int]:
        """Code -> how many cases were left out for it; a case with several counts for the first that was named."""
        return dict(Counter(self.excluded.values()))

    @property
    def notes(self) -> CaseNotes:
        """Origin and quality codes of these cases."""
        return CaseNotes.of(self.features.index, self.synthetic, self.quality, self.engine)

    def of_cases(self, case_ids: pd.Index) -> CohortFeatures:
        """The given cases, in their order.

        Raises
        ------
        KeyError: one of them was not computed.
        """
        if case_ids.equals(self.features.index):
            return self
        features = self.features.loc[case_ids]
        positions = self.features.index.get_indexer(case_ids)
        repeats = None if self.repeats is None else self.repeats[positions]
        quality = [self.quality[position] for position in positions]
        return replace(
            self,
            features=features,
            patches=self.patches[positions],
            repeats=repeats,
            quality=quality,
            synthetic=self.synthetic[positions],
            measures=self.measures.loc[case_ids],
            acquisitions=[self.acquisitions[position] for position in positions],
            fingerprints=[self.fingerprints[position] for position in positions],
        )

    def excluding(self, codes: Sequence[str], where: Path) -> CohortFeatures:
        """The cases without any of the quality codes.

        Raises
        ------
        CohortError: no case of the cohort table `where` is left.
        """
        excluded = cases_to_exclude(self.notes, codes, where)
        return replace(self.of_cases(self.features.index.drop(list(excluded))), excluded=excluded)


def extract_cohort(
    cohort: Cohort,
    run: Run,
    settings: CaseSettings = DEFAULT_SETTINGS,
    *,
    wants: Wants = "both",
    jitter: bool = False,
    seed: int = 0,
) -> CohortFeatures:
    """Compute features and patches of every case; a case that fails does not stop the others.

    Parameters
    ----------
    run: its folder is the cache and has to be reachable for all workers; its report is called after each case, with the
        case_id as the event's detail.
    wants: "features" alone; "patches" alone, which needs no radiomics; "both"; or "shuffled", the features of each case
        with its voxels shuffled by `seed` inside tumour and shell (method: baselines).
    jitter: whether cases without a second mask get their `repeats` from a mask jittered by `seed` (`mask_variants`).

    Raises
    ------
    CohortError: every case failed; the error repeats the first sentence.
    OutputError: the cache folder cannot be written.
    """
    check_cache(run.folder)
    table = cohort.with_mask_grid(settings.mask_grid).table.reindex(columns=CASE_COLUMNS, fill_value="")
    tasks = [
        CaseTask(str(case_id), **(vars(settings) | cells), wants=wants, jitter=jitter, seed=seed)
        for case_id, cells in table.to_dict("index").items()
    ]
    columns = () if wants == "patches" else FEATURE_COLUMNS
    if columns:
        for detail in engine_ready_steps(settings.engine):
            run.report(Progress(STAGES[wants], detail, 0, len(tasks)))
    values = np.full((len(tasks), len(columns)), np.nan)
    records: dict[int, CaseRecord] = {}
    calls = [{"task": task, "cache": run.folder, "threads": run.workers.threads_each} for task in tasks]
    with closing(run.workers.each(compute_case, calls)) as results:
        for done, (position, result) in enumerate(results, start=1):
            record = CaseRecord(tasks[position].case_id, error=f"{result}.") if isinstance(result, Crashed) else result
            if not record.error:
                values[position] = record.features
            records[position] = replace(record, features=values[position])
            failure = f"{record.case_id}: {record.error}" if record.error else ""
            run.report(Progress(STAGES[wants], record.case_id, done, len(tasks), failure))
    return _gathered(cohort, [records[position] for position in range(len(tasks))], values, columns, settings.engine)


def _gathered(
    cohort: Cohort, records: list[CaseRecord], table: np.ndarray, columns: tuple[str, ...], engine: Engine
) -> CohortFeatures:
    """`table`: the features of all cases (n x columns), large, and therefore not copied if no case failed."""
    failed = {record.case_id: record.error for record in records if record.error}
    good = [record for record in records if not record.error]
    if not good:
        raise CohortError(
            f"no case could be computed ({next(iter(failed.values())).rstrip('.')})",
            where=cohort.path,
            mend="mend the cases and run the command again",
        )
    index = pd.Index([record.case_id for record in good], name="case_id")
    if failed:
        table = table[[not record.error for record in records]]
    repeats = None
    if any(record.repeat is not None for record in good):
        nothing = np.full(len(columns), np.nan)
        repeats = np.stack([nothing if record.repeat is None else record.repeat for record in good])
    return CohortFeatures(
        features=pd.DataFrame(table, index=index, columns=list(columns), copy=False),
        patches=np.stack([record.patch for record in good]),
        repeats=repeats,
        quality=[record.quality for record in good],
        synthetic=np.array([record.synthetic for record in good]),
        measures=pd.DataFrame([record.measures for record in good], index=index, columns=list(MEASURES)),
        acquisitions=[record.acquisition for record in good],
        fingerprints=[record.fingerprint for record in good],
        engine=engine,
        failed=failed,
    )
