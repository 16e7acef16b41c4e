"""The number of threads changes no bit of a bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_limits

from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.study.training.train import train_bundle
from support.small_bundle import small_densenet
from support.small_study import small_plan, small_study


def trained(form: str, threads: int, folder: Path) -> bytes:
    """The file of a bundle that was trained in a program that may use so many threads."""
    plan = small_plan(form=form)
    if form == "shared":
        plan = replace(plan, network=replace(plan.network, backbone="densenet121", pixels=64, epochs=2))
    cohort, computed = small_study(50, keys=("EGFR",))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with small_densenet(), threadpool_limits(threads, "blas"):
            train_bundle(cohort, computed, plan, Run(folder / f"work{threads}")).bundle.save(folder / f"{threads}.zip")
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    return (folder / f"{threads}.zip").read_bytes()


@pytest.mark.parametrize("form", ["frozen", "shared"])
def test_one_thread_and_two_give_the_same_bundle(tmp_path, form):
    assert trained(form, 1, tmp_path) == trained(form, 2, tmp_path)
