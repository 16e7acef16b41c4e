"""`extract`, `train` and `evaluate`: a cohort table in; a feature table, a bundle or a study out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from DeepRadScoreLib.cli.case_commands import ENGINE_HELP, MaskGridOption, OtherLabelsOption, print_manifest
from DeepRadScoreLib.models import DEFAULT_ENGINE, Engine, NetworkForm, OtherLabels, Preprocessing, Protocol, Split
from DeepRadScoreLib.numerals import counted
from DeepRadScoreLib.progress import Progress, Report

if TYPE_CHECKING:
    from DeepRadScoreLib.study.results.study import Study

CohortTable = Annotated[Path, typer.Argument(metavar="COHORT.csv", help="The cohort table.")]
RepeatsOption = Annotated[int, typer.Option(min=1, help="Repeats of the classifiers' cross-validation.")]
NetworkOption = Annotated[NetworkForm, typer.Option(help="One trunk, a network for each endpoint, or no fine-tuning.")]
BackboneOption = Annotated[str, typer.Option(help="densenet121, resnet50, resnet101, vgg19 or inception_v3.")]
WeightsOption = Annotated[str, typer.Option(help="imagenet (needs the network once), none, or a file.")]
WeightsHash = Annotated[str | None, typer.Option(help="SHA-256 of a weight file with a name of its own.")]
Epochs = Annotated[int, typer.Option(min=1, help="At most this many epochs for each network.")]
Pixels = Annotated[int, typer.Option(min=32, max=160, help="The 160 x 160 patch is averaged to this many pixels.")]
Cd8aCut = Annotated[float | None, typer.Option(help="CD8A expression above which PDL1 counts as positive.")]
ExcludeQuality = Annotated[
    list[str],
    typer.Option(metavar="CODE", help="Leave out cases with this quality code; may be given several times."),
]
DeviceOption = Annotated[Literal["auto", "cpu", "cuda"], typer.Option(help="Where networks are trained.")]
Jobs = Annotated[int | None, typer.Option(help="Parallel processes; without it, or with -1, one for each core.")]
EngineOption = Annotated[Engine, typer.Option(help=ENGINE_HELP)]
Scheduler = Annotated[
    str | None, typer.Option(help='A Dask scheduler: its address, its file, or "local" for one on this machine.')
]


def extract(
    cohort: CohortTable,
    out: Annotated[Path, typer.Option(help="The feature table: a name ending in .parquet or .csv.")],
    preprocessing: Annotated[Preprocessing, typer.Option(help="How cases are prepared.")] = Preprocessing.CANONICAL,
    engine: EngineOption = DEFAULT_ENGINE,
    other_labels: OtherLabelsOption = OtherLabels.AUTO,
    mask_grid: MaskGridOption = None,
    shell_mm: Annotated[float, typer.Option(help="Thickness of the peritumoral shell in mm.")] = 3.0,
    exclude_quality: ExcludeQuality = (),  # type: ignore[assignment]
    jobs: Jobs = None,
    scheduler: Scheduler = None,
) -> None:
    """Compute the 2 x 851 features of every case of a cohort; a killed run goes on where it was.

    Example: `deepradscore extract cohort.csv --out features.parquet`
    """
    options = locals().copy()
    from DeepRadScoreLib import api
    from DeepRadScoreLib.display.progress_bar import show_progress

    with show_progress() as report:
        features = api.extract(progress=_showing_failures(report), **options)
    typer.echo(f"{counted(len(features), 'case')} x {features.shape[1]} features: {out}")
    _print_quality(features.attrs["quality"], len(features), features.attrs["excluded"])
    failed = len(features.attrs["left_out"]) - len(features.attrs["excluded"])
    if failed:
        typer.echo(f"left out: {counted(failed, 'case')}, named above", err=True)
        raise typer.Exit(1)


def train(
    cohort: CohortTable,
    out: Annotated[Path, typer.Option(help="The bundle to write.")],
    preprocessing: Annotated[Preprocessing, typer.Option(help="How cases are prepared.")] = Preprocessing.CANONICAL,
    engine: EngineOption = DEFAULT_ENGINE,
    other_labels: OtherLabelsOption = OtherLabels.AUTO,
    mask_grid: MaskGridOption = None,
    protocol: Annotated[Protocol, typer.Option(help="strict: out of fold; paper: as published.")] = Protocol.STRICT,
    network: NetworkOption = NetworkForm.SHARED,
    backbone: BackboneOption = "densenet121",
    weights: WeightsOption = "imagenet",
    weights_sha256: WeightsHash = None,
    epochs: Epochs = 60,
    pixels: Pixels = 160,
    folds: Annotated[int, typer.Option(min=2, help="Folds for the out-of-fold scores.")] = 5,
    repeats: RepeatsOption = 10,
    cd8a_cut: Cd8aCut = None,
    stable_features: Annotated[
        bool, typer.Option("--stable-features", help="Select only features that a jittered mask hardly changes.")
    ] = False,
    exclude_quality: ExcludeQuality = (),  # type: ignore[assignment]
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
    from DeepRadScoreLib.display.progress_bar import show_progress

    if network == NetworkForm.PER_ENDPOINT:
        splits = folds if protocol == "strict" else 2
        typer.echo(f"a network ({backbone}) for each endpoint in each of {splits} parts", err=True)
    with show_progress() as report:
        result = api.train(progress=report, **options)
    print_manifest(result.bundle.manifest)
    _print_notes(result.column_notes)
    _print_duplicates(result.duplicates)
    for key, card in result.bundle.manifest.endpoints.items():
        moved = ", ".join(f"{name} {shift:+.2f} SD, SD x {ratio:.2f}" for name, (shift, ratio) in card.shift.items())
        if moved:
            typer.echo(f"shift of the held-out scores, {key}: {moved}")
    typer.echo(f"bundle: {out}")
    _exit_if_failed(result.left_out, result.excluded)


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
    endpoints: Annotated[str, typer.Option(help="Comma-separated: endpoint keys, or other 0/1 columns.")] = "",
    covariates: Annotated[str, typer.Option(help="Comma-separated columns of the clinical baseline.")] = "",
    split: Annotated[Split, typer.Option(help="Outer folds, the table's split, or each site left out.")] = Split.CV,
    folds: Annotated[int, typer.Option(min=2, help="Outer folds, and inner ones for what classifiers learn from.")] = 5,
    repeats: RepeatsOption = 10,
    preprocessing: Annotated[Preprocessing, typer.Option(help="How cases are prepared.")] = Preprocessing.CANONICAL,
    engine: EngineOption = DEFAULT_ENGINE,
    other_labels: OtherLabelsOption = OtherLabels.AUTO,
    mask_grid: MaskGridOption = None,
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
    exclude_quality: ExcludeQuality = (),  # type: ignore[assignment]
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
    from DeepRadScoreLib.display.progress_bar import show_progress

    with show_progress() as report:
        study = api.evaluate(progress=report, **options)
    _print_results(study)
    _print_notes(study.column_notes)
    if study.quality is None:
        typer.echo(f"quality: not known, {features} has no notes file")
    else:
        codes = Counter({card.code: 0 for card in study.quality})
        for card in study.quality:
            codes[card.code] += card.cases
        _print_quality(codes, len(study.cohort_table), study.excluded)
    _print_duplicates(study.duplicates)
    for case_id in study.failed:
        typer.echo(f"left out: {case_id}: {study.left_out[case_id]}", err=True)
    without = len(study.left_out) - len(study.failed) - len(study.excluded)
    if without:
        typer.echo(f"left out: {without} of {study.cases} cases have no usable row in {features}", err=True)
    if study.columns_left_out:
        typer.echo(
            f"left out: {counted(len(study.columns_left_out), 'column')} of {features}; the report says why", err=True
        )
    typer.echo(f"report: {out / 'report.html'}")
    if study.failed:
        raise typer.Exit(1)


def _showing_failures(report: Report) -> Report:
    """The report, preceded by a line for each of several cases that fails; a lone one is what the command ends with."""

    def show(event: Progress) -> None:
        if event.failure and event.total > 1:
            typer.echo(f"left out: {event.failure}", err=True)
        report(event)

    return show


def _print_quality(codes: Mapping[str, int], cases: int, excluded: Mapping[str, str]) -> None:
    from DeepRadScoreLib.imaging.checks.quality_codes import counts_text

    typer.echo(f"quality: {counts_text(codes, cases)}")
    for code, count in Counter(excluded.values()).items():
        typer.echo(f"left out by quality {code}: {count}")


def _print_notes(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        typer.echo(f"note: {sentence}", err=True)


def _print_duplicates(sentences: Sequence[str]) -> None:
    for sentence in sentences:
        typer.echo(f"warning: {sentence}; they are counted as two", err=True)


def _exit_if_failed(left_out: dict[str, str], excluded: dict[str, str]) -> None:
    failed = {case_id: sentence for case_id, sentence in left_out.items() if case_id not in excluded}
    if failed:
        for case_id, sentence in failed.items():
            typer.echo(f"left out: {case_id}: {sentence}", err=True)
        raise typer.Exit(1)


def _print_results(study: Study) -> None:
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
        for endpoint in found.endpoints.values():
            for sentence in endpoint.follows.values():
                typer.echo(f"  warning: {sentence}")
    for key, flow in study.flow.items():
        if flow.not_run:
            typer.echo(f"not evaluated: {key}: {flow.not_run}")
    for name, reason in study.models_not_run.items():
        typer.echo(f"not run: {name}: {reason}")
