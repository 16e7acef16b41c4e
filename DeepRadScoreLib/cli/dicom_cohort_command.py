"""`cohort dicom`: a hospital's folder as a cohort table that names nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from DeepRadScoreLib.display.progress_bar import shown_progress
from DeepRadScoreLib.errors import InputError


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
    from DeepRadScoreLib.cohort.dicom_cohort import cohort_table
    from DeepRadScoreLib.cohort.folders.by_header import search_folder
    from DeepRadScoreLib.cohort.labels import read_labels
    from DeepRadScoreLib.writing import check_file, write_atomically

    check_file(out)
    names = [name.strip() for name in columns.split(",") if name.strip()]
    if labels is None and names:
        raise InputError("there is no table to take columns from", where="--columns", mend="add --labels CSV")
    if labels is not None and out.resolve() == labels.resolve():
        raise InputError("this is the table of labels", where=out, mend="choose another name for the cohort table")
    given = None if labels is None else read_labels(labels, names)
    with shown_progress() as report:
        found = search_folder(folder, report)
    made = cohort_table(found, out, labels=given, keep_paths=keep_paths)
    write_atomically(out, made.table.to_csv(index=False, lineterminator="\n"))
    for sentence in (*made.remarks, *made.problems):
        typer.echo(sentence, err=True)
    typer.echo(f"{len(made.table)} cases of {made.table['patient_id'].nunique()} patients: {out}")
    if made.problems:
        raise typer.Exit(1)
