"""`extract` and `train`: a cohort table in, a feature table or a bundle out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from DeepRadScoreLib.cli.workers_options import Jobs, Scheduler
from DeepRadScoreLib.display.progress_bar import shown_progress
from DeepRadScoreLib.models import NetworkForm, Preprocessing, Protocol
from DeepRadScoreLib.progress import Progress, Report

CohortTable = Annotated[Path, typer.Argument(metavar="COHORT.csv", help="The cohort table.")]
RepeatsOption = Annotated[int, typer.Option(min=1, help="Repeats of the classifiers' cross-validation.")]
NetworkOption = Annotated[NetworkForm, typer.Option(help="One trunk, ten networks, or no fine-tuning.")]
BackboneOption = Annotated[str, typer.Option(help="densenet121, resnet50, resnet101, vgg19 or inception_v3.")]
WeightsOption = Annotated[str, typer.Option(help="imagenet (needs the network once), none, or a file.")]
WeightsHash = Annotated[str | None, typer.Option(help="SHA-256 of a weight file with a name of its own.")]
Epochs = Annotated[int, typer.Option(min=1, help="At most this many epochs for each network.")]
Pixels = Annotated[int, typer.Option(min=32, max=160, help="The 160 x 160 patch is averaged to this many pixels.")]
Cd8aCut = Annotated[float | None, typer.Option(help="CD8A expression above which PDL1 counts as positive.")]
DeviceOption = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where networks are trained.")]


def extract(
    cohort: CohortTable,
    out: Annotated[Path, typer.Option(help="The feature table: a name ending in .parquet or .csv.")],
    preprocessing: Annotated[Preprocessing, typer.Option(help="How cases are prepared.")] = Preprocessing.CANONICAL,
    shell_mm: Annotated[float, typer.Option(help="Thickness of the peritumoral shell in mm.")] = 3.0,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
) -> None:
    """Compute the 2 x 851 features of every case of a cohort; a killed run goes on where it was.

    Example: `deepradscore extract cohort.csv --out features.parquet`
    """
    options = locals().copy()
    from DeepRadScoreLib import api

    with shown_progress() as report:
        features = api.extract(progress=_with_failures(report), **options)
    typer.echo(f"{len(features)} cases x {features.shape[1]} features: {out}")
    _end(features.attrs["left_out"])


def train(
    cohort: CohortTable,
    out: Annotated[Path, typer.Option(help="The bundle to write.")],
    preprocessing: Annotated[Preprocessing, typer.Option(help="How cases are prepared.")] = Preprocessing.CANONICAL,
    protocol: Annotated[Protocol, typer.Option(help="strict: out of fold; paper: as published.")] = (Protocol.STRICT),
    network: NetworkOption = NetworkForm.SHARED,
    backbone: BackboneOption = "densenet121",
    weights: WeightsOption = "imagenet",
    weights_sha256: WeightsHash = None,
    epochs: Epochs = 60,
    pixels: Pixels = 160,
    folds: Annotated[int, typer.Option(min=2, help="Folds for the out-of-fold scores.")] = 5,
    repeats: RepeatsOption = 10,
    cd8a_cut: Cd8aCut = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bundle.")] = 0,
    device: DeviceOption = "auto",
    jobs: Jobs = None,
    scheduler: Scheduler = None,
) -> None:
    """Train a bundle on a cohort and judge it on its held-out part; a killed run goes on where it was.

    Example: `deepradscore train cohort.csv --weights imagenet --out model.zip`
    """
    options = locals().copy()
    from DeepRadScoreLib import api

    if network == NetworkForm.PER_ENDPOINT:
        typer.echo(f"ten networks ({backbone}) for each of {folds if protocol == 'strict' else 2} parts", err=True)
    with shown_progress() as report:
        result = api.train(progress=report, **options)
    from DeepRadScoreLib.cli.case_commands import _print_manifest

    _print_manifest(result.bundle.manifest)
    for key, card in result.bundle.manifest.endpoints.items():
        moved = ", ".join(f"{name} {shift:+.2f} SD, SD x {ratio:.2f}" for name, (shift, ratio) in card.shift.items())
        if moved:
            typer.echo(f"shift of the held-out scores, {key}: {moved}")
    typer.echo(f"bundle: {out}")
    _end(result.left_out)


def _with_failures(report: Report) -> Report:
    """The same report, and a line for each case that fails."""

    def show(event: Progress) -> None:
        if event.failure:
            typer.echo(event.failure, err=True)
        report(event)

    return show


def _end(failed: dict[str, str]) -> None:
    if failed:
        for case_id, sentence in failed.items():
            typer.echo(f"left out: {case_id}: {sentence}", err=True)
        raise typer.Exit(1)
