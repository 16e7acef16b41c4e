"""`analyze` and `inspect`: one case, or one bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from zipfile import is_zipfile

import typer

from DeepRadScoreLib.endpoints import BY_KEY
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.models import DEFAULT_ENGINE, Engine, MaskGrid, OtherLabels, Preprocessing
from DeepRadScoreLib.numerals import counted
from DeepRadScoreLib.progress import Progress, Stage
from DeepRadScoreLib.report.dicom import PageForm

if TYPE_CHECKING:
    from DeepRadScoreLib.analyses.findings import MolecularProfile
    from DeepRadScoreLib.bundles.files import BundleFiles
    from DeepRadScoreLib.bundles.manifest import Manifest
    from DeepRadScoreLib.bundles.signatures import Signature
    from DeepRadScoreLib.imaging import Case

OtherLabelsOption = Annotated[
    OtherLabels,
    typer.Option(
        help="The mask's other labels are other tumours, cut out of the shell: auto (by name, shape and size), "
        "tumours (all of them) or ignore (none)."
    ),
]
MaskGridOption = Annotated[
    MaskGrid | None,
    typer.Option(
        help="Where a mask lies that has the CT's size and another place by its header: same (on the CT, voxel by "
        "voxel) or as-stored (where its header says); without the option such a mask is refused."
    ),
]
ENGINE_HELP = "What computes the features: the program itself, or pyradiomics, whose values are the same to 1e-6."
NOT_ORIGIN = "The hashes show damage, not origin: whoever changes a bundle can make them anew."


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
    require_signature: Annotated[
        Path | None,
        typer.Option(metavar="KEYS", help="Use the bundle only if signed by this public key, or one of this folder."),
    ] = None,
    shell_mm: Annotated[float, typer.Option(help="Thickness of the peritumoral shell in mm.")] = 3.0,
    lung_mask: Annotated[Path | None, typer.Option(help="A mask of the lungs, which confines the shell.")] = None,
    other_labels: OtherLabelsOption = OtherLabels.AUTO,
    mask_grid: MaskGridOption = None,
    preprocessing: Annotated[
        Preprocessing, typer.Option(help="canonical or pyradiomics (a bundle brings its own).")
    ] = Preprocessing.CANONICAL,
    engine: Annotated[Engine, typer.Option(help=ENGINE_HELP)] = DEFAULT_ENGINE,
    case_id: Annotated[
        str | None, typer.Option(help="Name of the case in the results (default: the CT's, without _ct).")
    ] = None,
    mask_variants: Annotated[
        int, typer.Option(min=0, help="Also show each finding's range over so many plausible other masks (2 to 50).")
    ] = 0,
    occlusion: Annotated[
        bool,
        typer.Option("--occlusion", help="Also make finer maps than Grad-CAM: the finding with each place hidden."),
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the other masks.")] = 0,
    prevalence: Annotated[
        list[str],
        typer.Option(
            metavar="KEY=P", help="Share of positives among your patients, as EGFR=0.15; once for each endpoint."
        ),
    ] = [],  # noqa: B006 - typer copies it
    dicom_out: Annotated[
        bool, typer.Option("--dicom-out", help="Also write DICOM SEG, SR and parametric maps for the CT's study.")
    ] = False,
    dicom_out_as: Annotated[
        PageForm | None,
        typer.Option(
            help="Write the report's page as DICOM, for archives without SEG and SR: a secondary capture or a PDF."
        ),
    ] = None,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="In what is written as DICOM, pseudonyms for patient, study and UIDs.")
    ] = False,
) -> None:
    """Analyse one case and write its profile, report, features, shell, patch and heat maps.

    Example: `deepradscore analyze --ct ct.nrrd --mask tumour.nrrd --model model.zip --out results`
    """
    from DeepRadScoreLib import api
    from DeepRadScoreLib.bundles.bundle import read_bundle
    from DeepRadScoreLib.display.progress_bar import show_progress
    from DeepRadScoreLib.imaging import read_case
    from DeepRadScoreLib.prevalence import checked_prevalence, parse_prevalence
    from DeepRadScoreLib.report.log import log_analysis
    from DeepRadScoreLib.writing import check_folder

    as_dicom = dicom_out or dicom_out_as is not None
    _check_dicom_options(ct, as_dicom, anonymous)
    if require_signature is not None and model is None:
        raise InputError("there is no model to be signed", where="--require-signature", mend="give a bundle as --model")
    shares = parse_prevalence(prevalence)
    check_folder(out)
    bundle = None if model is None else read_bundle(model, require_signature)
    checked_prevalence(shares, () if bundle is None else tuple(bundle.endpoints))
    with show_progress() as report:
        report(Progress(Stage.READING))
        case = read_case(
            ct,
            mask,
            case_id=case_id or "",
            segment=segment,
            label=label,
            lung_mask=lung_mask,
            series=series,
            other_labels=other_labels,
            mask_grid=mask_grid,
        )
        to_files = _dicom_maker(case, out, dicom_out, dicom_out_as, anonymous) if as_dicom else None
        report(Progress(Stage.READING, done=1))
        profile = api.analyze(
            case,
            bundle,
            preprocessing=preprocessing,
            shell_mm=shell_mm,
            engine=engine,
            mask_variants=mask_variants,
            occlusion=occlusion,
            seed=seed,
            prevalence=shares,
            progress=report,
        )
        objects = None if to_files is None else to_files(profile)
    profile.save(out)
    log_analysis(out, profile.case_id, out / "profile.json", bundle)
    if objects is not None:
        from DeepRadScoreLib.report.dicom.writing import FOLDER, write_dicom

        write_dicom(objects, out / FOLDER)
    _print_profile(profile)
    if occlusion and not profile.occlusion:
        typer.echo("no occlusion map: no finding has a probability")
    typer.echo(f"report: {out / 'report.html'}")


def _check_dicom_options(ct: Path, dicom_out: bool, anonymous: bool) -> None:
    from DeepRadScoreLib.imaging.formats.files import is_dicom

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


def _dicom_maker(
    case: Case, out: Path, objects: bool, page: PageForm | None, anonymous: bool
) -> Callable[[MolecularProfile], dict[str, bytes]]:
    """A function from a profile to its DICOM files (name -> bytes); CT, folder and key are checked beforehand."""
    from DeepRadScoreLib.pseudonyms import Pseudonyms, pseudonym_key
    from DeepRadScoreLib.report.dicom.references import check_source
    from DeepRadScoreLib.report.dicom.writing import FOLDER, to_dicom, to_dicom_pages
    from DeepRadScoreLib.writing import check_folder

    assert case.source is not None
    folder = (out / FOLDER).resolve()
    if any(path.resolve().is_relative_to(folder) for path in (*case.source.files, case.source.mask)):
        raise InputError(
            "the DICOM objects would be written among the files that they are made from",
            where=out / FOLDER,
            mend="choose another folder for the results",
        )
    check_source(case.source)
    check_folder(out / FOLDER)
    pseudonyms = Pseudonyms(pseudonym_key()) if anonymous else None

    def files(profile: MolecularProfile) -> dict[str, bytes]:
        made = to_dicom(profile, case, pseudonyms=pseudonyms) if objects else {}
        return made if page is None else made | to_dicom_pages(profile, case, page, pseudonyms=pseudonyms)

    return files


def _print_profile(profile: MolecularProfile) -> None:
    from rich.console import Console

    from DeepRadScoreLib.display.tables import uncut_table
    from DeepRadScoreLib.report.wording import flag_sentence

    console = Console(markup=False, emoji=False)
    if profile.label:
        console.print(profile.label, style="bold")
    for note in profile.quality:
        console.print(f"{note.severity}: {note.message}", highlight=False)
    if profile.model is None:
        console.print("No model was given: regions, features and quality only.")
        return
    for line in _likeness_lines(profile):
        console.print(line, highlight=False)
    table = uncut_table("finding", "probability", "decision", "validated AUC")
    remarks: dict[str, list[str]] = {}
    synthetic = " synthetic" if profile.label else ""
    for key, finding in profile.findings.items():
        probability = "-" if finding.probability is None else f"{finding.probability:.0%}{synthetic}"
        auc = None if finding.validation is None else finding.validation.auc
        table.add_row(BY_KEY[key].name, probability, finding.decision or "-", "-" if auc is None else f"{auc:.2f}")
        for flag in finding.flags:
            remarks.setdefault(flag_sentence(flag), []).append(BY_KEY[key].name)
    console.print(table)
    for sentence, names in remarks.items():
        console.print(f"{', '.join(names)}: {sentence}", highlight=False)


def _likeness_lines(profile: MolecularProfile) -> Iterator[str]:
    from DeepRadScoreLib.report.trust_words import NO_LIMITS, likeness_sentence, reason_sentence

    if profile.model is not None and not profile.model.limits:
        yield NO_LIMITS
    if profile.likeness is not None:
        yield likeness_sentence(profile.likeness.percentile)
        for reason in profile.likeness.reasons:
            yield f"  {reason_sentence(reason.what, reason.value, reason.low, reason.high)}"


def inspect(
    what: Annotated[
        Path,
        typer.Argument(
            metavar="BUNDLE | CASE | PROFILE | FOLDER",
            help="A bundle; a CT, NRRD or NIfTI; a profile.json; or a folder of results with its log.",
        ),
    ],
    trusted: Annotated[
        Path | None,
        typer.Option(metavar="KEYS", help="Check that this public key, or one of this folder, signed the bundle."),
    ] = None,
    card: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the bundle's model card and data sheet (Markdown).")
    ] = None,
) -> None:
    """Say what a bundle is, what it was trained on and what it may not be used for; what an image file holds; a profile
    as plain text; or whether the log of a folder of results is whole.

    Example: `deepradscore inspect model.zip`
    """
    from DeepRadScoreLib.bundles.files import read_files
    from DeepRadScoreLib.imaging import describe_image
    from DeepRadScoreLib.report.log import LOG_NAME
    from DeepRadScoreLib.report.plain_text import to_plain_text
    from DeepRadScoreLib.report.profile import from_profile_json

    log = (what / LOG_NAME).exists()
    image = what.is_file() and not is_zipfile(what) and what.suffix.lower() != ".zip"
    profile = what.is_file() and what.suffix.lower() == ".json"
    if trusted is not None and (log or image):
        raise InputError("only a bundle has a signature", where=what, mend="leave --trusted out")
    if card is not None and (log or image):
        raise InputError("only a bundle has a model card", where=what, mend="leave --card out")
    if card is not None and what.resolve() in (card.resolve(), *card.resolve().parents):
        raise InputError("the model card would be written into the bundle", where=card, mend="give another file")
    if log:
        _print_log(what)
    elif profile:
        typer.echo(to_plain_text(from_profile_json(what.read_bytes(), where=what)), nl=False)
    elif image:
        for name, value in describe_image(what).items():
            typer.echo(f"{name:14s} {value}")
    else:
        stored = read_files(what, trusted)
        print_manifest(stored.manifest)
        typer.echo(f"{'signature':14s} {_signature_sentence(stored.signature, trusted is not None)}")
        if card is not None:
            _write_card(stored, card)


def _write_card(stored: BundleFiles, path: Path) -> None:
    from DeepRadScoreLib.report.model_card import to_model_card
    from DeepRadScoreLib.writing import check_file, write_atomically

    check_file(path)
    write_atomically(path, to_model_card(stored.manifest, stored.sha256))
    typer.echo(f"model card: {path}; fill in what it leaves open")


def _signature_sentence(signature: Signature | None, verified: bool) -> str:
    if signature is None:
        return f"none. {NOT_ORIGIN}"
    if verified:
        return f"by the trusted key {signature.short_key}: the bundle is as the owner of this key signed it."
    return f"said to be by the key {signature.short_key}, not checked: give --trusted KEYS. {NOT_ORIGIN}"


def _print_log(folder: Path) -> None:
    from DeepRadScoreLib.report.log import changed_profiles, read_log

    entries = read_log(folder)
    cases = {entry.case_id for entry in entries}
    span = f", {entries[0].time} to {entries[-1].time}" if entries else ""
    entered = "1 entry" if len(entries) == 1 else f"{len(entries)} entries"
    typer.echo(f"The log is whole: {entered} on {counted(len(cases), 'case')}{span}.")
    typer.echo("Its chain of hashes shows accidents; it stops nobody who makes all of it anew.")
    for case_id in changed_profiles(folder, entries):
        typer.echo(f"{case_id}: its profile.json is gone or is not the one that was logged last.")


def print_manifest(manifest: Manifest) -> None:
    """Print what a bundle says of itself, a table with a row per endpoint, and why an endpoint is not modelled."""
    from rich.console import Console

    from DeepRadScoreLib.display.tables import uncut_table

    console = Console(markup=False, emoji=False)
    if manifest.label:
        console.print(manifest.label, style="bold")
    for name, value in manifest.facts().items():
        console.print(f"{name:14s} {value}", highlight=False)
    rows = manifest.endpoint_rows()
    table = uncut_table(*rows[0])
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row["modelled"] != "yes":
            reasons.setdefault(row["modelled"], []).append(row["endpoint"])
        table.add_row(*(row | {"modelled": "yes" if row["modelled"] == "yes" else "no"}).values())
    console.print(table)
    for reason, names in reasons.items():
        console.print(f"not modelled   {', '.join(names)}: {reason}", highlight=False)
