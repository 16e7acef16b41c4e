"""A training run from a cohort table to a bundle on disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from DeepRadScoreLib.bundle import write_bundle
from DeepRadScoreLib.study.cohort import read_cohort
from DeepRadScoreLib.study.features import CaseRecord, cache_folder, extract_cohort
from DeepRadScoreLib.study.parts import Progress
from DeepRadScoreLib.study.protocols import TrainingPlan
from DeepRadScoreLib.study.training import TrainingResult, check_plan, train_bundle, work_key


def train_from_table(
    table: Path, out: Path, plan: TrainingPlan, *, jobs: int, cd8a_cut: float | None, progress: Progress
) -> tuple[TrainingResult, dict[str, str]]:
    """Train on a cohort table and write the bundle; returns the result and the cases that were left out, with why."""
    cohort = read_cohort(table, needs=("case_id", "patient_id", "ct", "mask"), cd8a_cut=cd8a_cut)
    check_plan(plan)

    def case_done(done: int, total: int, record: CaseRecord) -> None:
        progress("regions and features", done, total)

    computed = extract_cohort(
        cohort, preprocessing=plan.preprocessing, shell_mm=plan.shell_mm, jobs=jobs, progress=case_done
    )
    work = cache_folder() / "runs" / work_key(cohort, computed, plan)
    work.mkdir(parents=True, exist_ok=True)
    result = train_bundle(cohort, computed, plan, work=work, jobs=jobs, progress=progress)
    write_bundle(result.bundle, out)
    shutil.rmtree(work)
    return result, computed.failed
