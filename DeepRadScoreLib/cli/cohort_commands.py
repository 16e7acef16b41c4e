"""`cohort`: a folder of DICOM or of image files, or a public collection, as a cohort table."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.numerals import counted
from DeepRadScoreLib.progress import Stage

if TYPE_CHECKING:
    from DeepRadScoreLib.cohort.public.download import Downloads
    from DeepRadScoreLib.cohort.public.public_cohort import PublicCohort

NAMED = 4
cohort = typer.Typer(no_args_is_help=True, help="A cohort table of a folder or of a public collection.")


@cohort.command("dicom")
def dicom(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="DICOM files: CTs with their SEGs or RTSTRUCTs.")],
    out: Annotated[Path, typer.Option(metavar="COHORT.csv", help="The cohort table to write.")],
    labels: Annotated[
        Path | None, typer.Option(help="A CSV with PatientID and the endpoints; also TPS, CD8A, split, site.")
    ] = None,
    columns: Annotated[
        str, typer.Option(help="Further columns of the labels, separated by commas; dates become days since the CT.")
    ] = "",
    keep_paths: Annotated[
        bool, typer.Option("--keep-paths", help="Also write paths that hold a patient's name, number or date.")
    ] = False,
) -> None:
    """Make a cohort table of a hospital's folder: one row for each CT that a SEG or RTSTRUCT belongs to.

    No name, number or date of a patient gets into the table: cases and patients get pseudonyms by keyed hash (key:
    `$DEEPRADSCORE_KEY`, else a file in your home; keep it private), dates become days.

    Example: `deepradscore cohort dicom export/ --labels labels.csv --columns age,sex --out export/cohort.csv`
    """
    from DeepRadScoreLib.cohort.csv_text import csv_text
    from DeepRadScoreLib.cohort.dicom_cohort import cohort_table
    from DeepRadScoreLib.cohort.folders.by_header import search_folder
    from DeepRadScoreLib.cohort.labels import read_labels
    from DeepRadScoreLib.display.progress_bar import show_progress
    from DeepRadScoreLib.writing import check_file, write_atomically

    check_file(out)
    names = [name.strip() for name in columns.split(",") if name.strip()]
    if labels is None and names:
        raise InputError("there is no table to take columns from", where="--columns", mend="add --labels CSV")
    if labels is not None and out.resolve() == labels.resolve():
        raise InputError("this is the table of labels", where=out, mend="choose another name for the cohort table")
    given = None if labels is None else read_labels(labels, names)
    with show_progress() as report:
        found = search_folder(folder, report)
    made = cohort_table(found, out, labels=given, keep_paths=keep_paths)
    write_atomically(out, csv_text(made.table))
    for sentence in (*made.remarks, *made.problems):
        typer.echo(sentence, err=True)
    patients = made.table["patient_id"].nunique()
    typer.echo(f"{counted(len(made.table), 'case')} of {counted(patients, 'patient')}: {out}")
    if made.problems:
        raise typer.Exit(1)


@cohort.command("folder")
def folder(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Image files: CTs and their masks.")],
    out: Annotated[Path, typer.Option(metavar="COHORT.csv", help="The cohort table to write.")],
) -> None:
    """Make a cohort table of a folder of image files: one row for each CT that one mask belongs to by its name.

    Files side by side (`a.nii.gz`, `a_mask.nii.gz`), a sub-folder for each case, and data sets as nnU-Net, the Medical
    Segmentation Decathlon, BIDS and TotalSegmentator lay them out. What is left out gets a sentence. Add the columns of
    your endpoints, and `segment` where masks hold several labels.

    Example: `deepradscore cohort folder Task06_Lung --out Task06_Lung/cohort.csv`
    """
    from DeepRadScoreLib.cohort.csv_text import csv_text
    from DeepRadScoreLib.cohort.folder_cohort import cohort_of_folder
    from DeepRadScoreLib.writing import check_file, write_atomically

    check_file(out)
    made = cohort_of_folder(directory, out)
    write_atomically(out, csv_text(made.table))
    for sentence in made.remarks:
        typer.echo(sentence, err=True)
    typer.echo(f"{len(made.table)} cases of {made.table['patient_id'].nunique()} patients: {out}")
    if made.ambiguous:
        raise typer.Exit(1)


@cohort.command("nsclc-radiogenomics")
def nsclc_radiogenomics(
    clinical: Annotated[Path, typer.Option(help="The collection's own clinical table (CSV).")],
    out: Annotated[Path, typer.Option(help="Folder for cohort.csv, manifest.csv, left_out.csv and the images.")],
    expression: Annotated[Path | None, typer.Option(help="A CSV with the columns Case ID and CD8A.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many cases, the first ones by name.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    download: Annotated[bool, typer.Option("--download", help="Also fetch the images; asks first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before the download.")] = False,
) -> None:
    """Make a cohort table of NSCLC Radiogenomics, the paper's Cohort II; a killed download goes on where it was.

    CTs and tumour masks come from NCI Imaging Data Commons, whose index is installed with
    `pip install 'DeepRadScore[collections]'`; the clinical table comes from the collection's page at
    The Cancer Imaging Archive. Without `--download` nothing is sent or fetched.

    Example: `deepradscore cohort nsclc-radiogenomics --clinical labels.csv --out nsclc --download`
    """
    from DeepRadScoreLib.cohort.public.download import Downloads
    from DeepRadScoreLib.cohort.public.idc import ct_seg_pairs, index_file, index_version, read_series
    from DeepRadScoreLib.cohort.public.nsclc_radiogenomics import cohort_table, notes
    from DeepRadScoreLib.cohort.public.public_cohort import public_cohort
    from DeepRadScoreLib.display.progress_bar import show_progress
    from DeepRadScoreLib.writing import check_folder

    if download and not (dry_run or yes or sys.stdin.isatty()):
        raise InputError(
            "there is no terminal to ask at", where="--download", mend="add --yes to download without being asked"
        )
    check_folder(out)
    index = index_file()
    labels = cohort_table(clinical, expression)
    pairs = ct_seg_pairs(read_series("nsclc_radiogenomics", index))
    downloads = Downloads(out)
    found = public_cohort(labels, pairs, downloads, limit)
    typer.echo(
        f"{pairs['case_id'].nunique()} patients have an original tumour segmentation beside a CT "
        f"({len(pairs)} pairs of CT and SEG in idc-index-data {index_version()})."
    )
    typer.echo(notes(labels)[0])
    _say_size(found, downloads)
    if dry_run:
        _say_cohort(found)
        typer.echo(f"--dry-run: nothing was written to {out}")
        return
    found.write(out)
    failed: dict[str, str] = {}
    if download and _agreed(found, downloads, yes):
        with show_progress() as report:
            failed = downloads.fetch(found.series("seg"), Stage.FETCHING_SEGMENTATIONS, report)
            found = public_cohort(labels, pairs, downloads, limit)
            failed |= downloads.fetch(found.series("ct"), Stage.FETCHING_CTS, report)
        found = found.without(failed)
        found.write(out)
        _say_fetched(downloads)
    _say_cohort(found)
    typer.echo(f"cohort table: {out / 'cohort.csv'}")
    if failed:
        raise typer.Exit(1)


def _say_size(found: PublicCohort, downloads: Downloads) -> None:
    from DeepRadScoreLib.cohort.public.download import gigabytes

    seg, ct = found.series("seg"), found.series("ct")
    sizes = [sum(series.size for series in kind) for kind in (seg, ct)]
    there = sum(series.size for series in (*seg, *ct) if downloads.has(series))
    later = len(seg) - len(ct)
    typer.echo(
        f"Images: {gigabytes(sum(sizes))} ({len(ct)} CTs {gigabytes(sizes[1])}, {len(seg)} segmentations "
        f"{gigabytes(sizes[0])})"
        + (f", and the CT of {later} more when it is known which" if later else "")
        + (f"; {gigabytes(there)} are there." if there else ".")
    )
    licences = ", ".join(sorted(set(found.manifest["licence"].dropna())))
    sources = ", ".join(sorted("doi:" + doi for doi in set(found.manifest["source_doi"].dropna())))
    typer.echo(f"Licence of the images: {licences}; to be cited: {sources}.")


def _agreed(found: PublicCohort, downloads: Downloads, yes: bool) -> bool:
    """Whether to download: there is space, and the user said so or there is nothing to fetch."""
    from DeepRadScoreLib.cohort.public.download import gigabytes

    missing = sum(series.size for series in (*found.series("seg"), *found.series("ct")) if not downloads.has(series))
    downloads.check_space(missing)
    if not missing or yes or typer.confirm(f"Download {gigabytes(missing)} to {downloads.root}?"):
        return True
    typer.echo("nothing was downloaded")
    return False


def _say_fetched(downloads: Downloads) -> None:
    if downloads.size_alone:
        typer.echo(
            f"{len(downloads.size_alone)} files have no checksum that could be compared, only their sizes were: "
            f"{downloads.size_alone[0]}",
            err=True,
        )


def _say_cohort(found: PublicCohort) -> None:
    """The labels of the cases, and who is left out."""
    from DeepRadScoreLib.cohort.public import label_notes
    from DeepRadScoreLib.endpoints import KEYS

    table = found.table()
    typer.echo(f"{counted(len(table), 'case')}:")
    known = tuple(key for key in KEYS if key in table)
    lines = list(label_notes(table, known))
    if "CD8A" in table:
        lines.append(f"CD8A (in place of PDL1): known of {(table['CD8A'] != '').sum()}.")
    unknown = [key for key in KEYS if key not in known and (key != "PDL1" or "CD8A" not in table)]
    lines.append(f"No labels in this collection: {', '.join(unknown)}.")
    for line in lines:
        typer.echo(f"  {line}")
    cases: dict[str, list[str]] = defaultdict(list)
    for case_id, reason in found.left_out.items():
        cases[reason].append(case_id)
    for reason, those in cases.items():
        named = ", ".join(those[:NAMED]) + (f" and {len(those) - NAMED} more" if len(those) > NAMED else "")
        typer.echo(f"left out: {named}: {reason}", err=True)
