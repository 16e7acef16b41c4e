"""What does the program say of a case that is not what its training was? Shifts of unseen cases, and these unshifted.

    PYTHONPATH=Testing python Testing/benchmarks/shift_table.py --out soak-out

Makes the demonstration's bundle and 200 unseen synthetic cases of another seed, or takes those of --model and --cohort.
Every shift of `Testing/support/shifts` on the first 20 of them: share of cases refused, abstained from (no finding
left), warned of (a warning that the unshifted case lacks), and shown in silence; the largest change of a probability
that is shown without a word. Then all 200 unshifted: false alarms, and findings outside their fold models' spread.
Then the shared CTs of patients, where what the gate says counts: `--data`. Features are kept in the folder and are not
computed again. Exit 0 if every rule holds, else 1. `--page` also writes the first table and the rules as a page of the
documentation. No threshold of the program may be chosen by these cases.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from operator import itemgetter
from pathlib import Path

import pandas as pd
from measured_page import table, write_page

from DeepRadScoreLib.bundles.bundle import read_bundle
from DeepRadScoreLib.cli.demo_command import FULL, run_demo
from DeepRadScoreLib.cohort.table import read_cohort
from DeepRadScoreLib.computing.workers import Processes
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import Case, prepare, read_case
from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL
from DeepRadScoreLib.models import Flag
from DeepRadScoreLib.progress import Progress
from DeepRadScoreLib.synthetic.cohort import write_cohort
from support.shifts import SHIFTS, NotApplicableError, Shift, Volume
from support.shifts.judging import LARGE, Judge, Outcome, Row
from support.shifts.real_cts import real_files
from support.shifts.store import FeatureStore

ROOT = Path(__file__).resolve().parents[2]
SEED = 20142
MUST_STOP = ("place", "values")
SILENT_SHARE, FALSE_ALARMS, OUTSIDE_SHARE = 0.05, 0.07, 0.05
OLD_CODES = frozenset(
    {
        "mask_outside_ct",
        "thick_slices",
        "off_axial",
        "pixels_not_square",
        "small_tumour",
        "several_pieces",
        "flat_tumour",
        "tumour_at_image_edge",
        "shell_cut_by_image",
        "shell_lung_share",
        "patch_cuts_tumour",
        "uniform_tumour",
        "metal_in_region",
        "padding_in_region",
        "lung_mask_differs",
    }
)
"""Warnings that were given before a bundle knew the limits of its training."""
Verdict = tuple[bool, str]
SHIFTS_READING = f"""\
{SYNTHETIC_LABEL.capitalize()}. Unseen cases of the phantom cohort, each shifted in one way: share of cases refused,
abstained from (no finding left), warned of (a warning that the unshifted case lacks), and shown in silence; the largest
change of a probability that is shown without a word; the share of cases in which it is large."""


def say_when_done(event: Progress) -> None:
    if event.done == event.total:
        print(f"  {event.text}", flush=True)


def unseen_cases(table: Path, n: int) -> Iterator[Case]:
    """The first `n` test cases of a cohort."""
    rows = read_cohort(table, needs=("ct", "mask")).table
    for row in rows[rows["split"] == "test"].head(n).itertuples():
        yield read_case(row.ct, row.mask, case_id=row.case_id)


def shift_rows(judge: Judge, cases: list[Case], chosen: list[Shift]) -> list[Row]:
    """A row for each shift, printed when it is ready."""
    volumes = {case.case_id: Volume.of(case) for case in cases}
    before = {case.case_id: judge.outcome(case) for case in cases}
    heads = ("refused", "abstained", "warned", "silent", "largest", f">= {LARGE:g}")
    print(f"\n{'shift':26s}{'kind':13s}{'n':>3s}" + "".join(f"{head:>10s}" for head in heads))
    rows = []
    for shift in chosen:
        after = {case_id: judge.shifted(volume, case_id, shift) for case_id, volume in volumes.items()}
        pairs = [(before[case_id], outcome) for case_id, outcome in after.items() if outcome is not None]
        if not pairs:
            print(f"{shift.name:26s}{shift.kind:13s} applies to none of the cases", flush=True)
            continue
        rows.append(Row.of(shift, pairs))
        print(row_text(rows[-1]), flush=True)
    return rows


def row_text(row: Row) -> str:
    """One line of the table."""
    shares = "".join(f"{share:10.0%}" for share in row.shares.values())
    return f"{row.shift.name:26s}{row.shift.kind:13s}{row.n:3d}{shares}{row.largest:10.2f}{row.large_and_silent:10.0%}"


def page_parts(rows: list[Row], verdicts: list[Verdict]) -> list[str]:
    """What the page says: the table of shifted cases, and the rules."""
    shares = list(rows[0].shares) if rows else []
    cells = [
        [
            row.shift.name,
            row.shift.kind,
            row.n,
            *(f"{share:.0%}" for share in row.shares.values()),
            f"{row.largest:.2f}",
            f"{row.large_and_silent:.0%}",
        ]
        for row in rows
    ]
    held = [
        [sentence, "holds" if holds else "**does not hold**"] for holds, sentence in sorted(verdicts, key=itemgetter(0))
    ]
    return [
        SHIFTS_READING,
        table(["shift", "kind", "cases", *shares, "largest silent change", f"silent change of {LARGE:g}"], cells),
        "## The rules",
        f"{sum(holds for holds, _ in verdicts)} of {len(verdicts)} hold.",
        table(["rule", ""], held),
    ]


def shift_verdicts(rows: list[Row]) -> Iterator[Verdict]:
    """The rules on shifted cases."""
    for row in rows:
        stopped = row.shares["refused"] + row.shares["abstained"]
        if row.shift.kind in MUST_STOP:
            yield stopped == 1, f"{row.shift.name}: {stopped:.0%} refused or abstained from, 100% needed"
        if row.shift.kind == "acquisition":
            share = row.large_and_silent
            yield share <= SILENT_SHARE, f"{row.shift.name}: {share:.0%} changed by {LARGE:g} in silence, at most 5%"
        if row.shift.name.startswith("padding"):
            yield row.shares["refused"] == 0 and row.largest < 1e-9, f"{row.shift.name}: nothing changes"


def unshifted_verdicts(outcomes: list[Outcome]) -> Iterator[Verdict]:
    """The rules on unshifted cases: refusals, false alarms, findings outside the spread."""
    refused = [outcome.refused for outcome in outcomes if outcome.refused]
    alarms = [sorted(alarms_of(outcome)) for outcome in outcomes]
    share = sum(map(bool, alarms)) / len(outcomes)
    shown = [finding for outcome in outcomes for finding in outcome.shown.values()]
    outside = sum(Flag.OUTSIDE_SPREAD in finding.flags for finding in shown) / max(len(shown), 1)
    counts = pd.Series([alarm for found in alarms for alarm in found], dtype=str).value_counts()
    print(f"\n{len(outcomes)} unshifted cases; alarms: {counts.to_dict() or 'none'}")
    yield not refused, f"unshifted: {len(refused)} refused{''.join(f' ({why})' for why in refused[:1])}"
    yield share <= FALSE_ALARMS, f"unshifted: {share:.1%} with a new warning or unlike_training, at most 7%"
    yield outside <= OUTSIDE_SHARE, f"unshifted: {outside:.1%} of {len(shown)} findings outside the spread, at most 5%"


def alarms_of(outcome: Outcome) -> set[str]:
    """Warnings and flags that a program without limits of training does not give."""
    flags = {str(flag) for finding in outcome.findings.values() for flag in finding.flags}
    return (outcome.warnings - OLD_CODES) | (flags & {"unlike_training", "near_limits", "quality_failure"})


def real_verdicts(data: Path, chosen: list[Shift]) -> Iterator[Verdict]:
    """The gate on the CTs of patients: as they are, and shifted."""
    files = real_files(data)
    if not files:
        print(f"\nno CTs of patients below {data}")
        return
    cases = {name: read_case(*pair, case_id=name) for name, pair in files.items()}
    before = {name: gate(lambda case=case: case) for name, case in cases.items()}
    for name, found in before.items():
        yield not found.refused, f"{name}, as it is: {found.refused or 'passes'}"
    print(f"\n{'CTs of patients':26s}" + "".join(f"{name:>16s}" for name in cases))
    for shift in chosen:
        cells = {}
        for name, case in cases.items():
            try:
                cells[name] = gate(partial(shift.apply, Volume.of(case), name))
            except NotApplicableError:
                continue
        said = {name: gate_text(found, before[name]) for name, found in cells.items()}
        print(f"{shift.name:26s}" + "".join(f"{said.get(name, 'n/a'):>16s}" for name in cases), flush=True)
        if shift.kind in MUST_STOP and shift.name not in ("beside the tumour", "tumour painted out"):
            missed = [name for name, text in said.items() if text == "-"]
            yield not missed, f"{shift.name}: said of {len(said) - len(missed)} of {len(said)} CTs of patients"


def gate(make: Callable[[], Case]) -> Outcome:
    """What reading and preparation alone say of a case."""
    try:
        quality = prepare(make()).quality
    except InputError as error:
        return Outcome(refused=str(error))
    return Outcome(warnings=frozenset(note.code for note in quality if note.severity == "warning"))


def gate_text(after: Outcome, before: Outcome) -> str:
    """ "refused", the new codes, or "-"."""
    codes = sorted(after.warnings - before.warnings - OLD_CODES)
    return "refused" if after.refused else ",".join(code[:15] for code in codes) or "-"


def made_model(out: Path) -> Path:
    """The demonstration's bundle, made if it is not there."""
    path = out / "demo" / "model.zip"
    if not path.is_file():
        run_demo(out / "demo", FULL, 1, Processes(), say_when_done)
    return path


def main() -> None:
    data = Path(os.environ.get("DEEPRADSCORE_TEST_DATA", ROOT.parent / "shared")) / "data"
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", type=Path, help="a bundle, in place of the demonstration's")
    parser.add_argument("--cohort", type=Path, help="the table of another cohort, of which the test cases are used")
    parser.add_argument("--cases", type=int, default=20, help="cases that are shifted")
    parser.add_argument("--unshifted", type=int, default=200)
    parser.add_argument("--shifts", nargs="*", default=list(SHIFTS), help="a few only, for a trial")
    parser.add_argument("--page", type=Path, help="a page of the documentation to write")
    parser.add_argument("--data", type=Path, default=data, help="folder of the CTs of patients")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    cohort = args.cohort or write_cohort(args.out / "unseen", 1, args.unshifted, SEED, Processes(), say_when_done)
    judge = Judge(read_bundle(args.model or made_model(args.out)), FeatureStore(args.out / "features"))
    chosen = [SHIFTS[name] for name in args.shifts]
    rows = shift_rows(judge, list(unseen_cases(cohort, args.cases)), chosen)
    unshifted = [judge.outcome(case) for case in unseen_cases(cohort, args.unshifted)]
    verdicts = [*shift_verdicts(rows), *unshifted_verdicts(unshifted), *real_verdicts(args.data, chosen)]
    for holds, sentence in verdicts:
        print(("holds  " if holds else "FAILS  ") + sentence)
    if args.page is not None:
        title = "What is said of shifted cases"
        write_page(args.page, title, "measured-shifts", page_parts(rows, verdicts))
    sys.exit(0 if all(holds for holds, _ in verdicts) else 1)


if __name__ == "__main__":
    main()
