"""The sample: one synthetic case with a small bundle trained on other synthetic cases. Synthetic: not for patients."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL
from DeepRadScoreLib.models import NetworkForm
from DeepRadScoreLib.progress import Report, ignore

TRAIN, TEST, SEED = 80, 40, 120
"""Few enough cases for about a minute, and enough to find effects planted in tumour and shell: of ten seeds, this one
and 1 to 9, the interval of the validated AUC lay above 0.5 for LVI with ten, for EGFR, KRAS and ALK with nine each."""
CT, MASK, BUNDLE, NOTICE = "synthetic_ct.nrrd", "synthetic_tumour.nrrd", "synthetic_model.zip", "READ_ME.txt"


@dataclass(frozen=True)
class Sample:
    """Paths of the sample: a CT and its tumour mask (NRRD), and a bundle trained on other cases."""

    ct: Path
    mask: Path
    bundle: Path

    @classmethod
    def in_folder(cls, folder: Path) -> Sample:
        """The paths of a sample in that folder."""
        return cls(folder / CT, folder / MASK, folder / BUNDLE)

    def complete(self) -> bool:
        """Whether all files exist; `write_sample` writes all of them or none."""
        return all(path.is_file() for path in (self.ct, self.mask, self.bundle))


def write_sample(folder: Path, report: Report = ignore) -> Sample:
    """Make the sample in a folder that does not exist yet, all of it or nothing; the same on every run.

    The features of its cases are cached, as those of any cohort.

    Raises
    ------
    OutputError: it cannot be written.
    """
    from DeepRadScoreLib.writing import write_folder

    def write(fresh: Path) -> None:
        _make(fresh, fresh.parent / "work", report)

    write_folder(folder, write, lambda target, names: [])
    return Sample.in_folder(folder)


def _make(fresh: Path, work: Path, report: Report) -> None:
    from DeepRadScoreLib.cohort.table import read_cohort
    from DeepRadScoreLib.computing.run import Run
    from DeepRadScoreLib.study.plans import NetworkPlan, TrainingPlan
    from DeepRadScoreLib.study.training.train import train_from_table
    from DeepRadScoreLib.synthetic.cohort import write_cohort

    run = Run(report=report)
    table = write_cohort(work / "cohort", TRAIN, TEST, SEED, run.workers, report)
    network = NetworkPlan(form=NetworkForm.FROZEN, weights="none", pixels=64, device="cpu")
    plan = TrainingPlan(network=network, folds=2, repeats=1, search="quick", seed=SEED)
    train_from_table(table, fresh / BUNDLE, plan, run)
    cases = read_cohort(table, needs=("case_id", "ct", "mask"), endpoints=()).table
    case = cases[cases["split"] == "test"].iloc[0]
    shutil.copyfile(case["ct"], fresh / CT)
    shutil.copyfile(case["mask"], fresh / MASK)
    (fresh / NOTICE).write_text(
        f"{SYNTHETIC_LABEL}\n\nA made-up case and a model trained on {TRAIN} made-up cases, to try the program with.\n"
        "This folder can be deleted; it is made anew when it is needed.\n",
        encoding="utf-8",
    )
