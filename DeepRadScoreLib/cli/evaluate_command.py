"""`evaluate`: judge the method on a cohort and leave what a journal asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from DeepRadScoreLib.cli.cohort_commands import (
    BackboneOption,
    Cd8aCut,
    CohortTable,
    DeviceOption,
    Epochs,
    NetworkOption,
    Pixels,
    RepeatsOption,
    WeightsHash,
    WeightsOption,
)
from DeepRadScoreLib.cli.workers_options import Jobs, Scheduler
from DeepRadScoreLib.display.progress_bar import shown_progress
from DeepRadScoreLib.models import NetworkForm, Preprocessing, Split

if TYPE_CHECKING:
    from DeepRadScoreLib.study.results.study import Study


def evaluate(
    cohort: CohortTable,
    out: Annotated[Path, typer.Option(help="Folder for results.json, report.html, tables, figures, predictions.csv.")],
    protocol: Annotated[
        Literal["strict", "paper", "both"],
        typer.Option(help="strict: nested; paper: as published; both."),
    ] = "strict",
    features: Annotated[
        Path | None, typer.Option(help="A feature table from elsewhere: CSV, Parquet or Excel, one row per case.")
    ] = None,
    case_column: Annotated[str | None, typer.Option(help="The feature table's case column, if not case_id.")] = None,
    tumour_prefix: Annotated[
        str | None, typer.Option(help='Prefix of the tumour\'s columns in the feature table; "" for none.')
    ] = None,
    peritumoral_prefix: Annotated[str | None, typer.Option(help="Prefix of the peritumoral columns.")] = None,
    endpoints: Annotated[str, typer.Option(help="Comma-separated: keys of the ten, or other 0/1 columns.")] = "",
    covariates: Annotated[str, typer.Option(help="Comma-separated columns of the clinical baseline.")] = "",
    split: Annotated[Split, typer.Option(help="Outer folds, the table's split, or each site left out.")] = Split.CV,
    folds: Annotated[int, typer.Option(min=2, help="Outer folds, and inner ones for what classifiers learn from.")] = 5,
    repeats: RepeatsOption = 10,
    preprocessing: Annotated[Preprocessing, typer.Option(help="How cases are prepared.")] = Preprocessing.CANONICAL,
    network: NetworkOption = NetworkForm.SHARED,
    backbone: BackboneOption = "densenet121",
    backbones: Annotated[
        Literal["all"] | None, typer.Option(help="all: also compare the five backbones on the first endpoint.")
    ] = None,
    weights: WeightsOption = "imagenet",
    weights_sha256: WeightsHash = None,
    epochs: Epochs = 60,
    pixels: Pixels = 160,
    cd8a_cut: Cd8aCut = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same results.")] = 0,
    device: DeviceOption = "auto",
    jobs: Jobs = None,
    scheduler: Scheduler = None,
) -> None:
    """Train and judge the method on a cohort, with baselines, tables and figures; a killed run goes on where it was.

    Example: `deepradscore evaluate cohort.csv --protocol both --covariates age,sex --out study`
    """
    options = locals().copy()
    from DeepRadScoreLib import api

    with shown_progress() as report:
        study = api.evaluate(progress=report, **options)
    _print_findings(study)
    for case_id in study.failed:
        typer.echo(f"left out: {case_id}: {study.left_out[case_id]}", err=True)
    without = len(study.left_out) - len(study.failed)
    if without:
        typer.echo(f"left out: {without} of {study.cases} cases have no usable row in {features}", err=True)
    if study.columns_left_out:
        typer.echo(f"left out: {len(study.columns_left_out)} columns of {features}; the report says why", err=True)
    typer.echo(f"report: {out / 'report.html'}")
    if study.failed:
        raise typer.Exit(1)


def _print_findings(study: Study) -> None:
    width = max((len(key) for key in study.flow), default=0)
    for protocol, found in study.protocols.items():
        typer.echo(f"\n{protocol} protocol ({found.split})" + (f"; {study.label}" if study.label else ""))
        for key, endpoint in found.endpoints.items():
            for name, card in endpoint.models.items():
                if card.not_run is not None:
                    continue
                if card.auc is None or card.auc_ci is None:
                    typer.echo(f"  {key:{width}s}  {name:18s}{card.auc_note}")
                    continue
                low, high = card.auc_ci
                note = f"   {card.auc_note}" if card.auc_note else ""
                typer.echo(f"  {key:{width}s}  {name:18s}{card.auc:.3f} [{low:.3f}, {high:.3f}]{note}")
    for key, flow in study.flow.items():
        if flow.not_run:
            typer.echo(f"not evaluated: {key}: {flow.not_run}")
    for name, reason in study.models_not_run.items():
        typer.echo(f"not run: {name}: {reason}")
