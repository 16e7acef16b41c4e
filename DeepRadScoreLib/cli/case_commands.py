"""`analyze` and `inspect`: one case, or one bundle."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zipfile import is_zipfile

import typer
from rich.console import Console
from rich.table import Table

from DeepRadScoreLib.display.progress_bar import show_progress
from DeepRadScoreLib.endpoints import BY_KEY
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.models import Preprocessing
from DeepRadScoreLib.progress import Progress, Stage

if TYPE_CHECKING:
    from DeepRadScoreLib.analysis import MolecularProfile
    from DeepRadScoreLib.imaging import Case
    from DeepRadScoreLib.manifest import Manifest


def analyze(
    ct: Annotated[Path, typer.Option(help="The CT in HU: NRRD, NIfTI, or a folder of DICOM files.")],
    out: Annotated[Path, typer.Option(help="Folder for the results.")],
    mask: Annotated[
        Path | None,
        typer.Option(
            help="The tumour: NRRD, NIfTI, Slicer's .seg.nrrd, DICOM SEG or RTSTRUCT; none: the one in the CT's folder."
        ),
    ] = None,
    series: Annotated[str | None, typer.Option(help="SeriesInstanceUID of the CT, where DICOM holds several.")] = None,
    segment: Annotated[str | None, typer.Option(help="Name of the tumour's segment or ROI.")] = None,
    label: Annotated[int | None, typer.Option(help="The tumour's value in a labelmap, or its segment number.")] = None,
    model: Annotated[Path | None, typer.Option(help="A bundle made by `train`; none: no findings.")] = None,
    shell_mm: Annotated[float, typer.Option(help="Thickness of the peritumoral shell in mm.")] = 3.0,
    lung_mask: Annotated[Path | None, typer.Option(help="A lung labelmap that confines the shell.")] = None,
    preprocessing: Annotated[
        Preprocessing, typer.Option(help="canonical or pyradiomics (a bundle brings its own).")
    ] = Preprocessing.CANONICAL,
    case_id: Annotated[str | None, typer.Option(help="Name of the case in the results (default: the CT's).")] = None,
    dicom_out: Annotated[
        bool, typer.Option("--dicom-out", help="Also write DICOM SEG, SR and parametric maps for the CT's study.")
    ] = False,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="With --dicom-out: pseudonyms in place of the patient, study and UIDs.")
    ] = False,
) -> None:
    """Analyse one case and write its profile, report, features, shell, patch and heat maps.

    Example: `deepradscore analyze --ct ct.nrrd --mask tumour.nrrd --model model.zip --out results`
    """
    from DeepRadScoreLib import api
    from DeepRadScoreLib.bundle import read_bundle
    from DeepRadScoreLib.imaging import read_case
    from DeepRadScoreLib.writing import check_folder

    _check_dicom_options(ct, dicom_out, anonymous)
    check_folder(out)
    bundle = None if model is None else read_bundle(model)
    with show_progress() as report:
        report(Progress(Stage.READING))
        case = read_case(
            ct, mask, case_id=case_id or "", segment=segment, label=label, lung_mask=lung_mask, series=series
        )
        to_dicom = _dicom_maker(case, out, anonymous) if dicom_out else None
        report(Progress(Stage.READING, done=1))
        profile = api.analyze(case, bundle, preprocessing=preprocessing, shell_mm=shell_mm, progress=report)
        objects = None if to_dicom is None else to_dicom(profile)
    profile.save(out)
    if objects is not None:
        from DeepRadScoreLib.report.dicom.writing import FOLDER, write_dicom

        write_dicom(objects, out / FOLDER)
    _print_profile(profile)
    typer.echo(f"report: {out / 'report.html'}")


def _check_dicom_options(ct: Path, dicom_out: bool, anonymous: bool) -> None:
    from DeepRadScoreLib.imaging.files import is_dicom

    if anonymous and not dicom_out:
        raise InputError(
            "only DICOM objects can be made anonymous, all else names nobody",
            where="--anonymous",
            mend="add --dicom-out, or leave the option out",
        )
    if dicom_out and ct.exists() and not is_dicom(ct):
        raise InputError(
            "DICOM objects can be made only for a CT that is read from DICOM",
            where=ct,
            mend="give the folder of the CT's DICOM files as --ct, or leave --dicom-out out",
        )


def _dicom_maker(case: Case, out: Path, anonymous: bool) -> Callable[[MolecularProfile], dict[str, bytes]]:
    """A function from a profile to its DICOM files (name -> bytes); folder and key are checked beforehand."""
    from DeepRadScoreLib.pseudonyms import Pseudonyms, pseudonym_key
    from DeepRadScoreLib.report.dicom.writing import FOLDER, to_dicom
    from DeepRadScoreLib.writing import check_folder

    assert case.source is not None
    folder = (out / FOLDER).resolve()
    if any(path.resolve().is_relative_to(folder) for path in (*case.source.files, case.source.mask)):
        raise InputError(
            "the DICOM objects would be written among the files that they are made from",
            where=out / FOLDER,
            mend="choose another folder for the results",
        )
    check_folder(out / FOLDER)
    return partial(to_dicom, case=case, pseudonyms=Pseudonyms(pseudonym_key()) if anonymous else None)


def _print_profile(profile: MolecularProfile) -> None:
    console = Console()
    if profile.label:
        console.print(f"[bold]{profile.label}[/bold]")
    for note in profile.quality:
        console.print(f"{note.severity}: {note.message}", highlight=False, markup=False)
    if profile.model is None:
        console.print("No model was given: regions, features and quality only.")
        return
    table = Table("finding", "probability", "decision", "validated AUC", "flags")
    synthetic = " synthetic" if profile.label else ""
    for key, finding in profile.findings.items():
        probability = "-" if finding.probability is None else f"{finding.probability:.0%}{synthetic}"
        auc = None if finding.validation is None else finding.validation.auc
        cells = (probability, finding.decision or "-", "-" if auc is None else f"{auc:.2f}", ", ".join(finding.flags))
        table.add_row(BY_KEY[key].name, *cells)
    console.print(table)


def inspect(
    what: Annotated[Path, typer.Argument(metavar="BUNDLE | CASE", help="A bundle, or a CT, NRRD or NIfTI.")],
) -> None:
    """Say what a bundle is, what it was trained on and what it may not be used for; or what an image file holds.

    Example: `deepradscore inspect model.zip`
    """
    from DeepRadScoreLib.bundle import read_manifest
    from DeepRadScoreLib.imaging import describe_image

    if what.is_file() and not is_zipfile(what) and what.suffix.lower() != ".zip":
        for name, value in describe_image(what).items():
            typer.echo(f"{name:14s} {value}")
    else:
        print_manifest(read_manifest(what))


def print_manifest(manifest: Manifest) -> None:
    """Print what a bundle says of itself, and a table with a row per endpoint."""
    console = Console()
    if manifest.label:
        console.print(f"[bold]{manifest.label}[/bold]")
    for name, value in manifest.facts().items():
        console.print(f"{name:14s} {value}", highlight=False, markup=False)
    rows = manifest.endpoint_rows()
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*row.values())
    console.print(table)
