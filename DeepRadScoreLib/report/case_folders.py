"""Analysis of every case of a cohort table, each into a folder: finished cases are reused, failed ones are reported."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from DeepRadScoreLib.analyses.analysis import steps
from DeepRadScoreLib.cohort.csv_text import csv_text
from DeepRadScoreLib.cohort.table import Cohort
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.errors import CohortError, InputError, case_sentence, file_of
from DeepRadScoreLib.imaging import read_case
from DeepRadScoreLib.imaging.formats.files import input_digest
from DeepRadScoreLib.models import DEFAULT_ENGINE, Engine, MaskGrid, OtherLabels
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreLib.provenance import CASE_PACKAGES, code_digest, content_digest, versions
from DeepRadScoreLib.report.log import log_analysis
from DeepRadScoreLib.report.profile import ProfileDocument, from_profile_json, to_document
from DeepRadScoreLib.report.writing import write_profile
from DeepRadScoreLib.writing import check_folder, locked, write_atomically

if TYPE_CHECKING:
    from DeepRadScoreLib.bundles.bundle import Bundle

SUMMARY = "summary.csv"
RECORDS = ".finished"
PATH_COLUMNS = ("ct", "mask", "lung_mask")
FORBIDDEN_NAME = re.compile(
    r"""[<>:"/\\|?*\x00-\x1f] | ^\. | [. ]$ | ^(con|prn|aux|nul|com\d|lpt\d)(\.|$) | ^summary\.csv$""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True)
class CaseOutcome:
    """Result of one case.

    Attributes
    ----------
    status: waiting (not reached yet), done, failed.
    step, message: of a failed case: the step that failed, and the error's sentence, in which the names of the columns
        stand for the paths of the files.
    document: of a case that is done: its profile.
    earlier: whether the result of an earlier run was reused: same files, model and program.
    """

    case_id: str
    status: Literal["waiting", "done", "failed"]
    step: str = ""
    message: str = ""
    document: ProfileDocument | None = None
    earlier: bool = False


def analyse_cases(
    cohort: Cohort,
    bundle: Bundle | None,
    out: Path,
    engine: Engine = DEFAULT_ENGINE,
    other_labels: OtherLabels = OtherLabels.AUTO,
    mask_grid: MaskGrid | None = None,
) -> Generator[CaseOutcome, None, tuple[CaseOutcome, ...]]:
    """Analyse every case of a cohort table; yields the outcome of each, in the table's order, and returns all.

    `out/<case_id>/` holds the files of `write_profile`, written whole or not at all; `out/summary.csv` has a row for
    every case from the first finished case on. A finished result is reused if CT, mask, lung mask, segment, series,
    other labels, mask grid, model, engine and program are the same, so that an interrupted run resumes, and two runs
    into one folder share the cases. A case that failed is tried again. The columns `ct`, `mask`, `segment`, `series`,
    `lung_mask` and `mask_grid` are read; `mask` may be empty where the DICOM folder of the CT holds it. `mask_grid` is
    that of the cases whose cell is empty.

    Raises
    ------
    OutputError: the results of the run cannot be written; a single case that cannot be written only fails.
    """
    check_folder(out)
    rows = cohort.with_mask_grid(mask_grid).table.to_dict("records")
    outcomes = [CaseOutcome(row["case_id"], "waiting") for row in rows]
    folders: dict[str, str] = {}
    for number, row in enumerate(rows):
        outcomes[number] = _outcome(row, bundle, out, folders, engine, other_labels)
        if not outcomes[number].earlier or number == len(rows) - 1:
            write_atomically(out / SUMMARY, summary_csv(outcomes))
        yield outcomes[number]
    return tuple(outcomes)


def summary_csv(outcomes: Sequence[CaseOutcome]) -> str:
    """One row per case: status, step and message of a failed one, label, quality codes, probabilities and flags.

    The codes of the quality notes are separated by blanks, those of warnings first.
    """
    findings = [f"{key}_{name}" for key in KEYS for name in ("probability", "flags")]
    columns = ["case_id", "status", "step", "message", "label", "quality", *findings]
    return csv_text(pd.DataFrame(map(_summary_row, outcomes), columns=columns))


def _summary_row(outcome: CaseOutcome) -> dict[str, str | float | None]:
    row: dict[str, str | float | None] = {
        name: getattr(outcome, name) for name in ("case_id", "status", "step", "message")
    }
    if outcome.document is not None:
        row["label"] = outcome.document.label
        notes = sorted(outcome.document.quality, key=lambda note: note.severity != "warning")
        row["quality"] = " ".join(dict.fromkeys(note.code for note in notes))
        for key, entry in outcome.document.endpoints.items():
            row |= {f"{key}_probability": entry.probability, f"{key}_flags": " ".join(entry.flags)}
    return row


def _outcome(
    row: dict[str, str],
    bundle: Bundle | None,
    out: Path,
    folders: dict[str, str],
    engine: Engine,
    other_labels: OtherLabels,
) -> CaseOutcome:
    """One case, reused or computed; an error of whatever kind ends only this case."""
    case_id, steps_begun = row["case_id"], ["naming its folder"]
    try:
        _check_name(case_id, folders)
        steps_begun.append("looking for an earlier result")
        key, record = _key(row, bundle, engine, other_labels), out / RECORDS / f"{case_id}.json"
        record.parent.mkdir(parents=True, exist_ok=True)
        with locked(record.with_suffix(".lock")):
            document = _read_finished(record, key, out / case_id)
            earlier = document is not None
            if document is None:
                document = _analyse(row, bundle, out / case_id, record, key, engine, other_labels, steps_begun)
        return CaseOutcome(case_id, "done", document=document, earlier=earlier)
    except Exception as error:
        message = _message(error, row)
    if len(steps_begun) > 1 and (out / case_id / "profile.json").exists():
        message += " Its folder still holds the result of an earlier run."
    return CaseOutcome(case_id, "failed", steps_begun[-1], message)


def _message(error: Exception, row: dict[str, str]) -> str:
    """The error's sentence in one line, without the paths of the case."""
    if isinstance(error, OSError):
        error = InputError(f"it cannot be read or written ({error.strerror})", where=file_of(error))
    return " ".join(case_sentence(error, {column: row.get(column, "") for column in PATH_COLUMNS}).split())


def _analyse(
    row: dict[str, str],
    bundle: Bundle | None,
    folder: Path,
    record: Path,
    key: str,
    engine: Engine,
    other_labels: OtherLabels,
    steps_begun: list[str],
) -> ProfileDocument:
    """Read, analyse and write one case; each step is appended to `steps_begun` when it begins."""
    steps_begun.append("reading the case")
    case = read_case(
        row["ct"],
        row.get("mask") or None,
        case_id=row["case_id"],
        segment=row.get("segment") or None,
        lung_mask=row.get("lung_mask") or None,
        series=row.get("series") or None,
        other_labels=other_labels,
        mask_grid=row["mask_grid"] or None,
    )
    profile = run_to_end(steps(case, bundle, engine=engine), lambda event: steps_begun.append(event.detail))
    steps_begun.append("writing the results")
    record.unlink(missing_ok=True)
    paths = write_profile(profile, folder)
    files = {path.relative_to(folder).as_posix(): content_digest(path).hex() for path in paths}
    write_atomically(record, json.dumps({"key": key, "files": files}, indent=1))
    log_analysis(folder.parent, row["case_id"], folder / "profile.json", bundle)
    return to_document(profile)


def _read_finished(record: Path, key: str, folder: Path) -> ProfileDocument | None:
    """The profile of a finished case, if it was made from the same inputs and none of its files has changed."""
    try:
        recorded = json.loads(record.read_text(encoding="utf-8"))
        files = recorded["files"]
        if recorded["key"] != key or not files:
            return None
        if any(content_digest(folder / name).hex() != digest for name, digest in files.items()):
            return None
        return from_profile_json((folder / "profile.json").read_bytes())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # no record, or it is damaged or its files are gone: the case is computed


def _key(row: dict[str, str], bundle: Bundle | None, engine: Engine, other_labels: OtherLabels) -> str:
    """SHA-256 of every input that affects a case's results: the contents of its files, not their names."""
    inputs = {
        "case_id": row["case_id"],
        "segment": row.get("segment", ""),
        "series": row.get("series", ""),
        "model": "" if bundle is None else bundle.sha256,
        "engine": engine,
        "other_labels": other_labels,
        "mask_grid": row["mask_grid"],
        "program": code_digest(),
        "packages": versions(CASE_PACKAGES),
    }
    for column in PATH_COLUMNS:
        path = Path(row[column]) if row.get(column) else None
        inputs[column] = input_digest(path).hex() if path is not None and path.exists() else ""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def _check_name(case_id: str, folders: dict[str, str]) -> None:
    """Refuse a case_id that cannot name a folder on every system, or whose folder is that of another case.

    `folders` maps case-folded names to the cases seen so far; the case is added to it.
    """
    if FORBIDDEN_NAME.search(case_id) or len(case_id.encode()) > 200:
        raise CohortError(
            "the case_id cannot be the name of a folder", where="case_id", mend="use letters, digits, - and _"
        )
    other = folders.setdefault(case_id.casefold(), case_id)
    if other != case_id:
        raise CohortError(
            f'on some systems its folder would be that of the case "{other}"',
            where="case_id",
            mend="give it a name that differs by more than capitals",
        )
