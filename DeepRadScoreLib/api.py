"""The method in Python, one function for each step; the command line calls the same ones.

Whatever takes long has `progress`: True shows a bar in a terminal or notebook; a function is called with every
`Progress` event, in the thread of the caller, and what it raises ends the work and reaches the caller. That is the way
to cancel; Ctrl-C and a notebook's stop button end it by KeyboardInterrupt.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Literal

from DeepRadScoreLib.analysis import steps
from DeepRadScoreLib.bundle import Bundle, read_bundle
from DeepRadScoreLib.display.progress_bar import reporting
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging import Case
from DeepRadScoreLib.imaging.origin import synthetic_label
from DeepRadScoreLib.models import NetworkForm, Preprocessing, Protocol, Split, chosen
from DeepRadScoreLib.paths import AnyPath, as_path
from DeepRadScoreLib.progress import Report, run_to_end
from DeepRadScoreLib.report.profile_view import Profile

if TYPE_CHECKING:
    import pandas as pd

    from DeepRadScoreLib.cohort.frames import TableLike
    from DeepRadScoreLib.cohort.table import Cohort
    from DeepRadScoreLib.computing.run import Run
    from DeepRadScoreLib.publication.study_report import StudyReport
    from DeepRadScoreLib.study.training.train import TrainingResult


def analyze(
    case: Case,
    model: Bundle | AnyPath | None = None,
    *,
    preprocessing: Preprocessing | str = Preprocessing.CANONICAL,
    shell_mm: float = 3.0,
    progress: Report | bool = False,
) -> Profile:
    """The molecular profile of one case: regions, features and quality, and with a model its findings.

    Parameters
    ----------
    case: as `read_case` gives it.
    model: a bundle or its path; None: no findings.
    preprocessing: "canonical" or "pyradiomics"; a bundle brings its own.
    shell_mm: thickness of the peritumoral shell in mm.

    Raises
    ------
    TypeError: `case` is no Case.
    InputError: an unknown preprocessing, or a thickness that is not the bundle's.
    RegionError: a tumour from which no region of interest can be made.
    BundleError: see `read_bundle`.
    """
    if not isinstance(case, Case):
        raise TypeError(f"case: a Case is needed, as read_case gives it, not {type(case).__name__}")
    bundle = model if model is None or isinstance(model, Bundle) else read_bundle(model)
    if bundle is not None and shell_mm != bundle.manifest.shell_mm:
        raise InputError(
            f"the bundle was trained with a shell of {bundle.manifest.shell_mm:g} mm",
            where="--shell-mm",
            mend="leave the option out",
        )
    way = chosen(Preprocessing, preprocessing, "preprocessing")
    with reporting(progress) as report:
        found = run_to_end(steps(case, bundle, preprocessing=way, shell_mm=shell_mm), report)
    return Profile(**vars(found))


def extract(
    cohort: TableLike | Cohort,
    *,
    out: AnyPath | None = None,
    preprocessing: Preprocessing | str = Preprocessing.CANONICAL,
    shell_mm: float = 3.0,
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: Report | bool = False,
) -> pd.DataFrame:
    """The 2 x 851 features of every case of a cohort, float64, index case_id; an interrupted call resumes.

    `.attrs` has "left_out" (case_id -> why it could not be computed) and "label" (the synthetic one, or None).

    Parameters
    ----------
    cohort: a table with case_id, ct and mask: a CSV file, a DataFrame, or what `read_cohort` gives.
    out: a feature table to write too, .csv or .parquet.
    jobs: processes; None: one for each core. `scheduler`: that of a Dask cluster, or "local".

    Raises
    ------
    InputError: the table or an argument cannot be used, or no case could be computed.
    OutputError: `out` cannot be written.
    """
    from DeepRadScoreLib.cohort.feature_table import check_feature_file, write_feature_table
    from DeepRadScoreLib.cohort.frames import cohort_file
    from DeepRadScoreLib.cohort.table import read_cohort
    from DeepRadScoreLib.computing.extraction import extract_cohort

    target = None if out is None else as_path(out, "out")
    if target is not None:
        check_feature_file(target)
    way = chosen(Preprocessing, preprocessing, "preprocessing")
    with cohort_file(cohort) as path, _run(jobs, scheduler, progress) as run:
        table = read_cohort(path, needs=("ct", "mask"))
        found = extract_cohort(table, run, preprocessing=way, shell_mm=shell_mm, wants="features")
    if target is not None:
        write_feature_table(found.features, target)
    found.features.attrs |= {"left_out": found.failed, "label": synthetic_label(found.synthetic)}
    return found.features


def train(
    cohort: TableLike | Cohort,
    *,
    out: AnyPath | None = None,
    preprocessing: Preprocessing | str = Preprocessing.CANONICAL,
    protocol: Protocol | str = Protocol.STRICT,
    network: NetworkForm | str = NetworkForm.SHARED,
    backbone: str = "densenet121",
    weights: AnyPath = "imagenet",
    weights_sha256: str | None = None,
    epochs: int = 60,
    pixels: int = 160,
    folds: int = 5,
    repeats: int = 10,
    cd8a_cut: float | None = None,
    seed: int = 0,
    device: str = "auto",
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: Report | bool = False,
) -> TrainingResult:
    """Train a bundle on a cohort and judge it on its held-out part; an interrupted call resumes.

    Parameters
    ----------
    cohort: a table with case_id, patient_id, ct, mask and labels; see `extract`.
    out: a file to which the bundle is written too.
    protocol: "strict" (out of fold) or "paper" (as published).
    network: "shared" (one trunk), "per-endpoint" or "frozen" (no fine-tuning).
    weights: "imagenet", which needs the network once, "none", or a file, whose SHA-256 may be given.
    epochs: at most; `pixels`: to which the 160 x 160 patch is averaged.
    folds: for the out-of-fold scores; `repeats`: of the classifiers' cross-validation.
    cd8a_cut: CD8A above it counts as PD-1/PD-L1 expressed; None: the median.
    jobs, scheduler: see `extract`.

    Raises
    ------
    InputError: the table or an argument cannot be used, or no endpoint can be modelled.
    OutputError: `out` cannot be written.
    """
    from DeepRadScoreLib.cohort.frames import cohort_file
    from DeepRadScoreLib.study.plans import training_plan
    from DeepRadScoreLib.study.training.train import train_from_table
    from DeepRadScoreLib.writing import check_file

    target = None if out is None else as_path(out, "out")
    if target is not None:
        check_file(target)
    plan = training_plan(
        protocol,
        preprocessing,
        network,
        backbone,
        weights,
        weights_sha256,
        epochs,
        pixels,
        folds,
        repeats,
        seed,
        device,
    )
    with cohort_file(cohort) as path, _run(jobs, scheduler, progress) as run:
        return train_from_table(path, target, plan, run, cd8a_cut=cd8a_cut)


def evaluate(
    cohort: TableLike | Cohort,
    *,
    out: AnyPath | None = None,
    features: TableLike | None = None,
    case_column: str | None = None,
    tumour_prefix: str | None = None,
    peritumoral_prefix: str | None = None,
    endpoints: str | Sequence[str] = "",
    covariates: str | Sequence[str] = "",
    protocol: Protocol | str = Protocol.STRICT,
    split: Split | str = Split.CV,
    folds: int = 5,
    repeats: int = 10,
    preprocessing: Preprocessing | str = Preprocessing.CANONICAL,
    network: NetworkForm | str = NetworkForm.SHARED,
    backbone: str = "densenet121",
    backbones: Literal["all"] | None = None,
    weights: AnyPath = "imagenet",
    weights_sha256: str | None = None,
    epochs: int = 60,
    pixels: int = 160,
    cd8a_cut: float | None = None,
    seed: int = 0,
    device: str = "auto",
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: Report | bool = False,
) -> StudyReport:
    """Train and judge the method on a cohort, with baselines; an interrupted call resumes.

    Parameters
    ----------
    cohort: a table with case_id, patient_id and labels, and ct and mask unless `features` are given; see `extract`.
    out: a folder to which the whole report is written too.
    features: a feature table from elsewhere (file or DataFrame); its case column, if it is not case_id, and the
        prefixes of its regions' columns ("" for none), see `read_feature_table`.
    endpoints: endpoint keys or other 0/1 columns; none: the endpoint keys that the table has.
    covariates: columns of the clinical baseline. Both are sequences, or text separated by commas.
    protocol: "strict" (nested), "paper" (as published) or "both".
    split: "cv" (outer folds), "column" (the table's split) or "site" (each left out).
    backbones: "all": also compare the five on the first endpoint.
    preprocessing, network ...: see `train`.

    Raises
    ------
    InputError: a table or an argument cannot be used, or no endpoint can be evaluated.
    OutputError: `out` cannot be written.
    """
    from DeepRadScoreLib.cohort.frames import cohort_file, feature_file
    from DeepRadScoreLib.deepct.backbones import BACKBONES
    from DeepRadScoreLib.publication.study_report import StudyReport
    from DeepRadScoreLib.publication.writing import write_study
    from DeepRadScoreLib.study.data import StudyInputs
    from DeepRadScoreLib.study.evaluation.evaluate import evaluate_from_table
    from DeepRadScoreLib.study.plans import EvaluationPlan, training_plan
    from DeepRadScoreLib.writing import check_folder

    target = None if out is None else as_path(out, "out")
    if target is not None:
        check_folder(target.absolute())
    prefixes = {"tumour": tumour_prefix, "peritumoral": peritumoral_prefix}
    given = {region: prefix for region, prefix in prefixes.items() if prefix is not None}
    if features is None and (given or case_column is not None):
        raise InputError(
            "case column and prefixes describe a feature table", where="--case-column", mend="give --features too"
        )
    protocols = tuple(Protocol) if protocol == "both" else (chosen(Protocol, protocol, "protocol"),)
    training = training_plan(
        Protocol.STRICT,
        preprocessing,
        network,
        backbone,
        weights,
        weights_sha256,
        epochs,
        pixels,
        folds,
        repeats,
        seed,
        device,
    )
    plan = EvaluationPlan(protocols, training, chosen(Split, split, "split"), folds)
    with (
        cohort_file(cohort) as table,
        nullcontext() if features is None else feature_file(features) as others,
        _run(jobs, scheduler, progress) as run,
    ):
        inputs = StudyInputs(
            table,
            others,
            case_column,
            given or None,
            _names(endpoints),
            _names(covariates),
            cd8a_cut,
            tuple(BACKBONES) if backbones else (),
        )
        found = evaluate_from_table(inputs, plan, run)
        if target is not None:
            write_study(found.study, target, run.report)
    shutil.rmtree(found.work)
    return StudyReport(**vars(found.study))


@contextmanager
def _run(jobs: int | None, scheduler: str | None, progress: Report | bool) -> Iterator[Run]:
    from DeepRadScoreLib.computing.run import Run
    from DeepRadScoreLib.computing.workers import chosen_workers

    with chosen_workers(jobs, scheduler) as workers, reporting(progress) as report:
        yield Run(workers=workers, report=report)


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    names = given.split(",") if isinstance(given, str) else given
    return tuple(name.strip() for name in names if name.strip())
