"""Analyse every case of a cohort table without a window, and end Slicer.

    Slicer --no-splash --no-main-window --python-script .../DeepRadScoreSlicer/batch.py
        --cohort cases.csv --model model.zip --out results

Leaves results/<case_id>/ with the files that `deepradscore analyze` writes and results/summary.csv; prints one line per
case. An interrupted run resumes. Exit code 0, 1 (some cases failed) or 2 (it could not be done). Nothing
is shown or asked. Works in Slicer's Python without the application, too.

This file holds ASCII only: Slicer reads a script in the system's encoding.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from DeepRadScoreLib.report.case_folders import CaseOutcome

SOME_FAILED, COULD_NOT = 1, 2
HERE = Path(__file__).resolve().parent


def main(arguments: list[str]) -> int:
    """Run the batch and return the exit code; raises nothing but what ends the program itself."""
    _find_packages()
    try:
        options = _parser().parse_args(arguments)
        return _run(options)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else COULD_NOT
    except Exception as error:
        if not _meant_for_the_user(error):
            traceback.print_exc()
        _say(f"DeepRadScore: {error}", sys.stderr)
        return COULD_NOT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="batch.py",
        description="Analyse every case of a cohort table. Not a medical device.",
        epilog="Example: Slicer --no-splash --no-main-window --python-script batch.py "
        "--cohort cases.csv --model model.zip --out results",
        allow_abbrev=False,
    )
    parser.add_argument("--cohort", type=Path, required=True, help="CSV with case_id, ct, mask: docs/cohort-tables.md.")
    parser.add_argument("--model", type=Path, help="A bundle made by `deepradscore train`; none: no findings.")
    parser.add_argument(
        "--require-signature",
        type=Path,
        metavar="KEYS",
        help="Use the bundle only if signed by this public key, or one of this folder.",
    )
    parser.add_argument("--out", type=Path, required=True, help="Folder for the results.")
    parser.add_argument("--engine", help="What computes the features: own (the default) or pyradiomics.")
    parser.add_argument(
        "--other-labels", help="Other labels of a mask: auto (by name, shape, size; the default), tumours or ignore."
    )
    parser.add_argument(
        "--mask-grid", help="Where a mask of the CT's size that lies elsewhere belongs: same (on the CT) or as-stored."
    )
    return parser


def _run(options: argparse.Namespace) -> int:
    from DeepRadScoreSlicer import packages

    packages.require_analysis()
    from DeepRadScoreLib.bundles.bundle import read_bundle
    from DeepRadScoreLib.cohort.table import read_cohort
    from DeepRadScoreLib.errors import InputError
    from DeepRadScoreLib.models import DEFAULT_ENGINE, Engine, MaskGrid, OtherLabels, chosen
    from DeepRadScoreLib.report.case_folders import SUMMARY, analyse_cases
    from DeepRadScoreLib.writing import check_folder

    model, out = options.model, options.out
    if options.require_signature is not None and model is None:
        raise InputError("there is no model to be signed", where="--require-signature", mend="give a bundle as --model")
    check_folder(out)
    used = chosen(Engine, options.engine or DEFAULT_ENGINE, "--engine")
    others = chosen(OtherLabels, options.other_labels or OtherLabels.AUTO, "--other-labels")
    grid = None if options.mask_grid is None else chosen(MaskGrid, options.mask_grid, "--mask-grid")
    cohort = read_cohort(options.cohort, needs=("case_id", "ct"), endpoints=())
    bundle = None if model is None else read_bundle(model, options.require_signature)
    failed = earlier = 0
    for number, outcome in enumerate(analyse_cases(cohort, bundle, out, used, others, grid), start=1):
        failed += outcome.status == "failed"
        earlier += outcome.earlier
        _say(f"{number}/{len(cohort)} {_line(outcome)}")
    done = len(cohort) - failed
    _say(f"{done} done ({earlier} of them in an earlier run), {failed} failed: {out / SUMMARY}")
    return SOME_FAILED if failed else 0


def _line(outcome: CaseOutcome) -> str:
    if outcome.status == "failed":
        return f"{outcome.case_id}: failed at: {outcome.step}: {outcome.message}"
    label = outcome.document.label if outcome.document is not None else None
    return f"{outcome.case_id}: done" + (" in an earlier run" if outcome.earlier else "") + (f", {label}" * bool(label))


def _say(line: str, stream: TextIO | None = None) -> None:
    """Print one line at once; a letter that the console does not have is printed as its number."""
    stream = sys.stdout if stream is None else stream
    encoding = getattr(stream, "encoding", None) or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)


def _meant_for_the_user(error: Exception) -> bool:
    try:
        from DeepRadScoreLib.errors import DeepRadScoreError
    except ImportError:
        return False
    return isinstance(error, DeepRadScoreError)


def _find_packages() -> None:
    """Append the folders of the module and of the library to `sys.path`, after Slicer's packages.

    The library lies beside the module's file where it is installed, and beside the module's folder in the sources.
    Slicer puts the folder of a script first on the path, where our files would hide others of the same names.
    """
    sys.path[:] = [path for path in sys.path if not path or Path(path).resolve() != HERE]
    for folder, package in ((HERE.parent, HERE.name), (HERE.parents[1], "DeepRadScoreLib")):
        if (folder / package).is_dir() and str(folder) not in sys.path:
            sys.path.append(str(folder))


def end(code: int) -> None:
    """End Slicer with this exit code, or Python where there is no application."""
    from DeepRadScoreSlicer.requirements import application

    if application() is None:
        sys.exit(code)
    import slicer

    slicer.util.exit(code)


if __name__ == "__main__":
    exit_code = COULD_NOT
    try:
        exit_code = main(sys.argv[1:])
    finally:
        end(exit_code)
