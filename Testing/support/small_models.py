"""A model as quickly as it can be had, for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from support.small_study import small_plan, small_study


def trained(folder: Path, seed: int, keys: tuple[str, ...] = ("EGFR", "KRAS")) -> Path:
    """The file of a bundle that was trained on 60 made-up patients; it is said to be synthetic.

    Without limits of its training data: no image is like these made-up numbers.
    """
    from DeepRadScoreLib.computing.run import Run
    from DeepRadScoreLib.study.training.train import train_bundle

    cohort, computed = small_study(60, seed, keys)
    plan = small_plan()
    plan = replace(plan, network=replace(plan.network, backbone="densenet121"))
    done = train_bundle(cohort, replace(computed, synthetic=np.ones(60, bool)), plan, Run(folder / f"work{seed}"))
    done.bundle.with_limits(None).save(folder / f"model{seed}.zip")
    return folder / f"model{seed}.zip"
