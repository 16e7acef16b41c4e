"""What a complete strict study costs, and where the time goes: 508 patients x 1702 features, the paper's ten
prevalences, 3 models, all classifiers, 5 outer folds, frozen deep features, all baselines.

    python Testing/benchmarks/whole_study.py --folds-run 1

Features and patches are random with a weak signal; extraction is not part of it. With fewer folds than five the time is
also multiplied up.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd

from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.computing.workers import Processes
from DeepRadScoreLib.progress import Progress, Stage
from DeepRadScoreLib.publication.writing import write_study
from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS
from DeepRadScoreLib.study.data import StudyCases, StudyData
from DeepRadScoreLib.study.evaluation import evaluate as evaluation
from DeepRadScoreLib.study.plans import EvaluationPlan, NetworkPlan, TrainingPlan
from DeepRadScoreLib.study.results.study import Study
from DeepRadScoreLib.study.results.summary import summarise
from DeepRadScoreLib.study.splits import outer_folds

N = 508
POSITIVES = {
    "LVI": 163,
    "PI": 320,
    "T4": 124,
    "EGFR": 186,
    "KRAS": 57,
    "ALK": 27,
    "TP53": 120,
    "PIK3CA": 47,
    "ROS1": 26,
    "PDL1": 85,
}
"""The paper's training and test positives of each endpoint together."""


def random_cases(seed: int = 0) -> StudyCases:
    rng = np.random.default_rng(seed)
    labels = pd.DataFrame(
        {key: rng.permutation(np.arange(N) < count).astype(float) for key, count in POSITIVES.items()}
    )
    tables = []
    for _ in range(2):
        values = rng.normal(size=(N, len(FEATURE_COLUMNS)))
        for position, key in enumerate(POSITIVES):
            values[:, 40 * position : 40 * position + 5] += 0.5 * labels[key].to_numpy()[:, None]
        table = pd.DataFrame(values, columns=list(FEATURE_COLUMNS), index=[f"case-{i:03d}" for i in range(N)])
        table["tumour_original_shape_VoxelVolume"] = rng.lognormal(8, 1, N)
        tables.append(table)
    patches = rng.normal(-600, 250, (N, 160, 160)).astype(np.float32)
    clinical = pd.DataFrame({"age": rng.normal(65, 9, N), "sex": rng.choice(["f", "m"], N)}, index=tables[0].index)
    patients = np.array([f"p{i:03d}" for i in range(N)])
    data = StudyData(tables[0], patches, labels.set_axis(tables[0].index), pd.Series(patients, tables[0].index))
    nothing = pd.Series("", index=tables[0].index)
    return StudyCases(data, tables[1], clinical, nothing, nothing)


class Clock:
    """Adds up the time until each event under its stage."""

    def __init__(self) -> None:
        self.seconds: defaultdict[Stage, float] = defaultdict(float)
        self.last = time.perf_counter()

    def __call__(self, event: Progress) -> None:
        now = time.perf_counter()
        self.seconds[event.stage] += now - self.last
        self.last = now
        if event.stage == Stage.OUTER_FOLDS:
            print(f"{event.text} ({event.done}/{event.total}) {now:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds-run", type=int, default=5, help="how many of the five outer folds are run")
    args = parser.parse_args()
    cases = random_cases()
    training = TrainingPlan(network=NetworkPlan(form="frozen", weights="none", device="cpu"))
    plan = EvaluationPlan(("strict",), training)
    some = outer_folds(cases, plan, "strict")[: args.folds_run]
    clock = Clock()
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(evaluation, "outer_folds", lambda *_: some):
        folds, flow = evaluation.evaluate_cases(cases, plan, {}, Run(Path(folder), Processes(), clock))
        folds_s = time.perf_counter() - begin
        settings = {"seed": 0, "split": "cv"}
        table = pd.DataFrame({"case_id": cases.data.features.index, "patient_id": cases.data.patients})
        figures = summarise(folds, flow, {}, settings)
        study = Study(folds, figures, flow, table, {}, {}, patients=N, cases=N, settings=settings)
        write_study(study, Path(folder) / "out", clock)
    whole_s = time.perf_counter() - begin
    for stage, seconds in sorted(clock.seconds.items(), key=lambda item: -item[1]):
        print(f"{seconds:8.0f} s  {100 * seconds / whole_s:5.1f} %  {stage}")
    print(f"{len(some)} outer folds {folds_s:.0f} s, tables and figures {whole_s - folds_s:.0f} s")
    print(f"five folds: {(5 * folds_s / len(some) + whole_s - folds_s) / 60:.1f} min")


if __name__ == "__main__":
    main()
