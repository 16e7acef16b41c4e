"""Every case of a cohort table analysed into a folder of its own: what is finished stays, a case that fails is told."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from DeepRadScoreLib.analysis import steps
from DeepRadScoreLib.cohort.table import Cohort
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.errors import CohortError, InputError, case_sentence, file_of
from DeepRadScoreLib.imaging import read_case
from DeepRadScoreLib.progress import run_to_end
from DeepRadScoreLib.provenance import CASE_PACKAGES, code_digest, content_digest, versions
from DeepRadScoreLib.report.profile import ProfileDocument, from_profile_json, to_document
from DeepRadScoreLib.report.writing import write_profile
from DeepRadScoreLib.writing import check_folder, write_atomically

if TYPE_CHECKING:
    from DeepRadScoreLib.bundle import Bundle
    from DeepRadScoreLib.progress import Progress

SUMMARY = "summary.csv"
RECORDS = ".finished"
READ = ("ct", "mask", "lung_mask")
NO_FOLDER = re.compile(
    r"""[<>:"/\\|?*\x00-\x1f] | ^\. | [. ]$ | ^(con|prn|aux|nul|com\d|lpt\d)(\.|$) | ^summary\.csv$""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True)
class CaseOutcome:
    """What became of one case.

    Attributes
    ----------
    status: waiting (not reached yet), done, failed.
    step, message: of a failed case: what was being done, and the error's sentence, in which the names of the columns
        stand for the paths of the files.
    document: of a case that is done: its profile.
    earlier: the result was there already, made from the same files by the same model and program.
    """

    case_id: str
    status: Literal["waiting", "done", "failed"]
    step: str = ""
    message: str = ""
    document: ProfileDocument | None = None
    earlier: bool = False


def analyse_cases(
    cohort: Cohort, bundle: Bundle | None, out: Path
) -> Generator[CaseOutcome, None, tuple[CaseOutcome, ...]]:
    """Analyse every case of a cohort table; yields what became of each, in the table's order, and returns all.

    `out/<case_id>/` holds what `write_profile` leaves, written whole or not at all; `out/summary.csv` has a row for
    every case from the first finished case on. A case whose CT, mask, lung mask, segment, series, model and program are
    those of a finished result is not computed again: a run that was ended goes on where it was. A case that failed is
    tried again. The columns `ct`, `mask`, `segment`, `series` and `lung_mask` are read; `mask` may be empty where the
    DICOM folder of the CT holds it.

    Raises
    ------
    OutputError: the results of the run cannot be written; a single case that cannot be written only fails.
    """
    check_folder(out)
    rows = cohort.table.to_dict("records")
    outcomes = [CaseOutcome(row["case_id"], "waiting") for row in rows]
    seen: dict[str, str] = {}
    for number, row in enumerate(rows):
        outcomes[number] = _outcome(row, bundle, out, seen)
        if not outcomes[number].earlier or number == len(rows) - 1:
            write_atomically(out / SUMMARY, summary_csv(outcomes))
        yield outcomes[number]
    return tuple(outcomes)


def summary_csv(outcomes: Sequence[CaseOutcome]) -> str:
    """One row per case: status, step and message of a failed one, the synthetic label, ten probabilities and flags."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    findings = [f"{key}_{what}" for key in KEYS for what in ("probability", "flags")]
    writer.writerow(["case_id", "status", "step", "message", "label", *findings])
    for outcome in outcomes:
        document = outcome.document
        cells = [""] * (len(findings) + 1) if document is None else [document.label or "", *_cells(document)]
        writer.writerow([outcome.case_id, outcome.status, outcome.step, outcome.message, *cells])
    return stream.getvalue()


def _cells(document: ProfileDocument) -> list[str]:
    cells = []
    for key in KEYS:
        entry = document.endpoints[key]
        cells += ["" if entry.probability is None else repr(entry.probability), " ".join(entry.flags)]
    return cells


def _outcome(row: dict[str, str], bundle: Bundle | None, out: Path, seen: dict[str, str]) -> CaseOutcome:
    """One case, found or computed; an error of whatever kind is its own and ends only this case."""
    case_id, doing = row["case_id"], ["naming its folder"]
    problem: Exception
    try:
        _check_name(case_id, seen)
        doing.append("looking for an earlier result")
        key = _key(row, bundle)
        record = out / RECORDS / f"{case_id}.json"
        document = _finished(record, key, out / case_id)
        if document is not None:
            return CaseOutcome(case_id, "done", document=document, earlier=True)
        document = _analysed(row, bundle, out / case_id, record, key, doing)
    except OSError as error:
        problem = InputError(f"it cannot be read or written ({error.strerror})", where=file_of(error))
    except Exception as error:
        problem = error
    else:
        return CaseOutcome(case_id, "done", document=document)
    sentence = " ".join(case_sentence(problem, {column: row.get(column, "") for column in READ}).split())
    if len(doing) > 1 and (out / case_id / "profile.json").exists():
        sentence += " Its folder still holds the result of an earlier run."
    return CaseOutcome(case_id, "failed", doing[-1], sentence)


def _analysed(
    row: dict[str, str], bundle: Bundle | None, folder: Path, record: Path, key: str, doing: list[str]
) -> ProfileDocument:
    doing.append("reading the case")
    case = read_case(
        Path(row["ct"]),
        Path(row["mask"]) if row.get("mask") else None,
        case_id=row["case_id"],
        segment=row.get("segment") or None,
        lung_mask=Path(row["lung_mask"]) if row.get("lung_mask") else None,
        series=row.get("series") or None,
    )

    def show(event: Progress) -> None:
        doing.append(event.detail)

    profile = run_to_end(steps(case, bundle), show)
    doing.append("writing the results")
    record.unlink(missing_ok=True)
    paths = write_profile(profile, folder)
    files = {path.relative_to(folder).as_posix(): content_digest(path).hex() for path in paths}
    write_atomically(record, json.dumps({"key": key, "files": files}, indent=1))
    return to_document(profile)


def _finished(record: Path, key: str, folder: Path) -> ProfileDocument | None:
    """The profile of a finished case, if it was made from the same and all of its files are as they were written."""
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))
        if kept["key"] != key or not kept["files"]:
            return None
        for name, digest in kept["files"].items():
            if content_digest(folder / name).hex() != digest:
                return None
        return from_profile_json((folder / "profile.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError):
        return None  # no record, or one that is damaged or of files that are gone: the case is computed


def _key(row: dict[str, str], bundle: Bundle | None) -> str:
    """SHA-256 of all that decides a case's results: what its files hold, not what they are called."""
    decisive = {
        "case_id": row["case_id"],
        "segment": row.get("segment", ""),
        "series": row.get("series", ""),
        "model": "" if bundle is None else bundle.sha256,
        "program": code_digest(),
        "packages": versions(CASE_PACKAGES),
    }
    for column in READ:
        path = Path(row[column]) if row.get(column) else None
        decisive[column] = content_digest(path).hex() if path is not None and path.exists() else ""
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _check_name(case_id: str, seen: dict[str, str]) -> None:
    """Refuse a case_id that cannot name a folder on every system, or whose folder is that of another case."""
    if NO_FOLDER.search(case_id) or len(case_id.encode()) > 200:
        raise CohortError(
            "the case_id cannot be the name of a folder", where="case_id", mend="use letters, digits, - and _"
        )
    other = seen.setdefault(case_id.casefold(), case_id)
    if other != case_id:
        raise CohortError(
            f'on some systems its folder would be that of the case "{other}"',
            where="case_id",
            mend="give it a name that differs by more than capitals",
        )
