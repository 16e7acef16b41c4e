"""`demo`: the whole method on a synthetic cohort with planted effects, from images to a report."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from DeepRadScoreLib.cli.study_commands import Jobs
from DeepRadScoreLib.endpoints import ENDPOINTS
from DeepRadScoreLib.models import MODELS
from DeepRadScoreLib.progress import Report

if TYPE_CHECKING:
    import pandas as pd

    from DeepRadScoreLib.computing.workers import Workers
    from DeepRadScoreLib.study.plans import TrainingPlan
    from DeepRadScoreLib.study.training.train import TrainingResult


@dataclass(frozen=True)
class DemoSize:
    """How much smaller than a real study the demonstration is."""

    train: int
    test: int
    pixels: int
    epochs: int
    folds: int
    repeats: int


FULL = DemoSize(train=160, test=80, pixels=64, epochs=18, folds=3, repeats=1)
QUICK = DemoSize(train=90, test=40, pixels=48, epochs=8, folds=3, repeats=1)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the cohort, the bundle and the report.")] = Path("demo-out"),
    quick: Annotated[bool, typer.Option("--quick", help="Fewer cases and epochs; the AUCs are then poor.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another cohort.")] = 1,
    jobs: Jobs = None,
) -> None:
    """Make a synthetic cohort, train on it, judge on unseen cases, analyse one of them. About 5 minutes on two cores.

    It learns, so it needs `pip install 'DeepRadScore[study]'`.

    Example: `deepradscore demo --out demo-out`
    """
    from DeepRadScoreLib.computing.cluster import chosen_workers
    from DeepRadScoreLib.display.progress_bar import show_progress
    from DeepRadScoreLib.extras import LEARNING, require
    from DeepRadScoreLib.writing import check_folder

    require("study", "the demonstration", *LEARNING)
    check_folder(out)
    size = QUICK if quick else FULL
    with chosen_workers(jobs, None) as workers, show_progress() as report:
        result, case = run_demo(out, size, seed, workers, report)
    _print_table(result.held_out, size)
    typer.echo(f"bundle: {out / 'model.zip'}")
    typer.echo(f"report of case {case}: {out / 'analysis' / 'report.html'}")


def run_demo(out: Path, size: DemoSize, seed: int, workers: Workers, report: Report) -> tuple[TrainingResult, str]:
    """Cohort, bundle, held-out table and one analysed unseen case below `out`; returns the result and that case."""
    from DeepRadScoreLib.computing.run import Run
    from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL
    from DeepRadScoreLib.study.training.train import train_from_table
    from DeepRadScoreLib.synthetic.cohort import write_cohort
    from DeepRadScoreLib.writing import write_atomically

    os.environ.setdefault("DEEPRADSCORE_CACHE", str(out / "cache"))
    table = write_cohort(out / "cohort", size.train, size.test, seed, workers, report)
    result = train_from_table(table, out / "model.zip", training_plan(size, seed), Run(workers=workers, report=report))
    aucs = {"label": SYNTHETIC_LABEL, "auc": held_out_aucs(result.held_out)}
    write_atomically(out / "held_out.json", json.dumps(aucs, indent=1))
    return result, _analyse_one(table, out, report)


def training_plan(size: DemoSize, seed: int) -> TrainingPlan:
    """The settings of the demonstration's training."""
    from DeepRadScoreLib.study.plans import NetworkPlan, TrainingPlan

    return TrainingPlan(
        network=NetworkPlan(weights="none", pixels=size.pixels, epochs=size.epochs, batch=8, device="cpu"),
        folds=size.folds,
        repeats=size.repeats,
        search="quick",
        seed=seed,
    )


def _analyse_one(table: Path, out: Path, report: Report) -> str:
    from DeepRadScoreLib import analyze, read_case, read_cohort

    rows = read_cohort(table, needs=("ct", "mask")).table
    row = rows[rows["split"] == "test"].iloc[0]
    case = read_case(row["ct"], row["mask"], case_id=row["case_id"])
    analyze(case, out / "model.zip", progress=report).save(out / "analysis")
    return row["case_id"]


def held_out_aucs(held_out: pd.DataFrame) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Endpoint -> model -> (AUC, low, high) of the held-out patients."""
    from DeepRadScoreLib.statistics.auc import auc_interval

    table: dict[str, dict[str, tuple[float, float, float]]] = {}
    for (key, model), rows in held_out.groupby(["endpoint", "model"], sort=False):
        found = auc_interval(rows["label"].to_numpy(), rows["score"].to_numpy())
        table.setdefault(str(key), {})[str(model)] = (found.auc, found.low, found.high)
    return table


def _print_table(held_out: pd.DataFrame, size: DemoSize) -> None:
    from rich.console import Console
    from rich.table import Table

    from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL
    from DeepRadScoreLib.synthetic.causes import PLANTED, reachable_auc

    reachable, aucs = reachable_auc(), held_out_aucs(held_out)
    table = Table("endpoint", "signal planted in", *MODELS, "reachable", title=f"AUC, {SYNTHETIC_LABEL}")
    for endpoint in ENDPOINTS:
        key = endpoint.key
        cells = ["not modelled"] * len(MODELS)
        if key in aucs:
            cells = ["{:.2f} ({:.2f}-{:.2f})".format(*aucs[key][model]) for model in MODELS]
        table.add_row(key, PLANTED[key].where, *cells, f"{reachable[key]:.2f}")
    console = Console(width=None if Console().width >= 110 else 110)
    console.print(table)
    console.print(
        f"AUC with 95 % interval on {size.test} unseen synthetic cases. Smaller than a real study: "
        f"{size.train} training cases, the patch at {size.pixels} x {size.pixels} pixels, {size.epochs} epochs from "
        f"random weights, {size.folds} folds, {size.repeats} repeat of the classifiers' validation, a short search.",
        highlight=False,
    )
