"""`evaluate`: judge the method on a cohort and leave what a journal asks for."""

from __future__ import annotations

import shutil
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
from DeepRadScoreLib.cli.workers_options import Jobs, Scheduler, chosen_workers
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.models import NetworkForm, Preprocessing, Protocol, Split
from DeepRadScoreLib.progress_bar import shown_progress

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
    from DeepRadScoreLib.computing.run import Run
    from DeepRadScoreLib.deepct.backbones import BACKBONES
    from DeepRadScoreLib.publication.writing import write_study
    from DeepRadScoreLib.study.evaluation.gathering import StudyInputs
    from DeepRadScoreLib.study.evaluation.outer_folds import EvaluationPlan
    from DeepRadScoreLib.study.run import evaluate_from_table
    from DeepRadScoreLib.study.training.networks import NetworkPlan
    from DeepRadScoreLib.study.training.protocols import TrainingPlan
    from DeepRadScoreLib.writing import check_folder

    check_folder(out.absolute())
    _check_table_options(features, case_column, tumour_prefix, peritumoral_prefix)
    training = TrainingPlan(
        preprocessing=preprocessing,
        network=NetworkPlan(network, backbone, weights, weights_sha256, pixels, epochs, device=device),
        folds=folds,
        repeats=repeats,
        seed=seed,
    )
    plan = EvaluationPlan(tuple(Protocol) if protocol == "both" else (Protocol(protocol),), training, split, folds)
    inputs = StudyInputs(
        cohort,
        features,
        case_column,
        _prefixes(tumour_prefix, peritumoral_prefix),
        _names(endpoints),
        _names(covariates),
        cd8a_cut,
        tuple(BACKBONES) if backbones else (),
    )
    with chosen_workers(jobs, scheduler) as workers, shown_progress() as report:
        evaluation = evaluate_from_table(inputs, plan, Run(workers=workers, report=report))
        write_study(evaluation.study, out, report)
    shutil.rmtree(evaluation.work)
    study = evaluation.study
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


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _prefixes(tumour: str | None, peritumoral: str | None) -> dict[str, str] | None:
    given = {
        region: prefix for region, prefix in (("tumour", tumour), ("peritumoral", peritumoral)) if prefix is not None
    }
    return given or None


def _check_table_options(features: Path | None, *given: str | None) -> None:
    if features is None and any(option is not None for option in given):
        raise InputError(
            "case column and prefixes describe a feature table", where="--case-column", mend="give --features too"
        )


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
