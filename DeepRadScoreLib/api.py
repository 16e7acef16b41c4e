"""The method in Python, one function for each step; the command line calls the same functions.

Each has `progress`: True shows a bar in a terminal or notebook; a function is called with every `Progress` event in the
caller's thread. To cancel, raise an exception in it, which ends the work and reaches the caller; Ctrl-C and a
notebook's stop button end the work with KeyboardInterrupt.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
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
    case: from `read_case`.
    model: a bundle or its path; None: no findings.
    preprocessing: "canonical" or "pyradiomics"; with a model, that of its training is used.
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
    analysis = steps(
        case, bundle, preprocessing=chosen(Preprocessing, preprocessing, "preprocessing"), shell_mm=shell_mm
    )
    with reporting(progress) as report:
        return Profile(**vars(run_to_end(analysis, report)))


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
    """The 2 x 851 features of every case of a cohort, float64, index case_id. An interrupted call resumes.

    `.attrs` has "left_out" (case_id -> why it could not be computed) and "label" (the synthetic one, or None).

    Parameters
    ----------
    cohort: a table with case_id, ct and mask: a CSV file, a DataFrame or a `Cohort`.
    out: a file to which the feature table is written too, .csv or .parquet.
    jobs: number of processes; None: one for each core.
    scheduler: address or file of a Dask scheduler, or "local" for one on this machine.

    Raises
    ------
    InputError: the table or an argument cannot be used, or no case could be computed.
    OutputError: `out` cannot be written.
    """
    from DeepRadScoreLib.cohort.feature_table import check_feature_file, write_feature_table
    from DeepRadScoreLib.cohort.frames import cohort_file
    from DeepRadScoreLib.cohort.table import read_cohort
    from DeepRadScoreLib.computing.extraction import extract_cohort

    target = _target(out, check_feature_file)
    chosen_preprocessing = chosen(Preprocessing, preprocessing, "preprocessing")
    with cohort_file(cohort) as path, _run(jobs, scheduler, progress) as run:
        table = read_cohort(path, needs=("ct", "mask"))
        found = extract_cohort(table, run, preprocessing=chosen_preprocessing, shell_mm=shell_mm, wants="features")
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
    """Train a bundle on a cohort and judge it on held-out patients. An interrupted call resumes.

    Parameters
    ----------
    cohort: a table with case_id, patient_id, ct, mask and labels; see `extract`.
    out: a file to which the bundle is written too.
    protocol: "strict" (out of fold) or "paper" (as published).
    network: "shared" (one trunk), "per-endpoint" or "frozen" (no fine-tuning).
    weights: "imagenet" (downloaded once), "none", or a file.
    weights_sha256: SHA-256 that a weight file must have.
    epochs: at most so many for each network.
    pixels: to which the sides of the 160 x 160 patch are averaged.
    folds: for the out-of-fold scores.
    repeats: of the classifiers' cross-validation.
    cd8a_cut: CD8A above it counts as PD-1/PD-L1 expressed; None: the median.
    seed: the same seed gives the same bundle.
    device: "auto", "cpu" or "cuda", for the networks.
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

    target = _target(out, check_file)
    plan = training_plan(
        preprocessing, network, backbone, weights, weights_sha256, epochs, pixels, folds, repeats, seed, device
    )
    plan = replace(plan, protocol=chosen(Protocol, protocol, "protocol"))
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
    """Train and judge the method on a cohort, with baselines. An interrupted call resumes.

    Parameters
    ----------
    cohort: a table with case_id, patient_id and labels, and ct and mask unless `features` are given; see `extract`.
    out: a folder to which the whole report is written too.
    features: a feature table from elsewhere (file or DataFrame), see `read_feature_table`.
    case_column: its case column, if it is not case_id.
    tumour_prefix, peritumoral_prefix: of its regions' columns; "" for none.
    endpoints: endpoint keys or other 0/1 columns, a sequence or separated by commas; none: the endpoint keys that the
        table has.
    covariates: columns of the clinical baseline, a sequence or separated by commas.
    protocol: "strict" (nested), "paper" (as published) or "both".
    split: "cv" (outer folds), "column" (the table's split) or "site" (each left out).
    backbones: "all": also compare the five on the first endpoint.
    preprocessing, network, ...: see `train`.

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

    target = _target(out, check_folder)
    prefixes = {"tumour": tumour_prefix, "peritumoral": peritumoral_prefix}
    given = {region: prefix for region, prefix in prefixes.items() if prefix is not None}
    if features is None and (given or case_column is not None):
        raise InputError(
            "case column and prefixes describe a feature table", where="--case-column", mend="give --features too"
        )
    protocols = tuple(Protocol) if protocol == "both" else (chosen(Protocol, protocol, "protocol"),)
    training = training_plan(
        preprocessing, network, backbone, weights, weights_sha256, epochs, pixels, folds, repeats, seed, device
    )
    plan = EvaluationPlan(protocols, training, chosen(Split, split, "split"), folds)
    compared = tuple(BACKBONES) if backbones else ()
    with (
        cohort_file(cohort) as table,
        nullcontext() if features is None else feature_file(features) as others,
        _run(jobs, scheduler, progress) as run,
    ):
        inputs = StudyInputs(
            table, others, case_column, given or None, _names(endpoints), _names(covariates), cd8a_cut, compared
        )
        found = evaluate_from_table(inputs, plan, run)
        if target is not None:
            write_study(found.study, target, run.report)
    shutil.rmtree(found.work)
    return StudyReport(**vars(found.study))


def _target(out: AnyPath | None, check: Callable[[Path], None]) -> Path | None:
    """The path to write to, checked, or None."""
    if out is None:
        return None
    path = as_path(out, "out")
    check(path)
    return path


@contextmanager
def _run(jobs: int | None, scheduler: str | None, progress: Report | bool) -> Iterator[Run]:
    from DeepRadScoreLib.computing.cluster import chosen_workers
    from DeepRadScoreLib.computing.run import Run

    with chosen_workers(jobs, scheduler) as workers, reporting(progress) as report:
        yield Run(workers=workers, report=report)


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    names = given.split(",") if isinstance(given, str) else given
    return tuple(name.strip() for name in names if name.strip())
