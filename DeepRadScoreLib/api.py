"""The method in Python, one function for each step; the command line calls the same functions.

Each has `progress`: True shows a bar in a terminal or notebook; a function is called with every `Progress` event in the
caller's thread. To cancel, raise an exception in it, which ends the work and reaches the caller; Ctrl-C and a
notebook's stop button end the work with KeyboardInterrupt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from DeepRadScoreLib.display.progress_bar import reporting
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.checks.quality_codes import checked_codes
from DeepRadScoreLib.models import (
    DEFAULT_ENGINE,
    Coordinates,
    Engine,
    MaskGrid,
    NetworkForm,
    OtherLabels,
    Preprocessing,
    Protocol,
    Split,
    chosen,
)
from DeepRadScoreLib.paths import AnyPath, as_path
from DeepRadScoreLib.prevalence import NO_PREVALENCE, checked_prevalence
from DeepRadScoreLib.progress import Report, run_to_end

if TYPE_CHECKING:
    import pandas as pd

    from DeepRadScoreLib.bundles.bundle import Bundle
    from DeepRadScoreLib.cohort.frames import TableLike
    from DeepRadScoreLib.cohort.table import Cohort
    from DeepRadScoreLib.computing.run import Run
    from DeepRadScoreLib.imaging import Case, Outline
    from DeepRadScoreLib.publication.study_report import StudyReport
    from DeepRadScoreLib.report.profile_view import Profile
    from DeepRadScoreLib.study.training.train import TrainingResult


def analyze(
    case: Case,
    model: Bundle | AnyPath | None = None,
    *,
    preprocessing: Preprocessing | str = Preprocessing.CANONICAL,
    engine: Engine | str = DEFAULT_ENGINE,
    shell_mm: float = 3.0,
    mask_variants: int = 0,
    occlusion: bool = False,
    seed: int = 0,
    prevalence: Mapping[str, float] = NO_PREVALENCE,
    progress: Report | bool = False,
) -> Profile:
    """The molecular profile of one case: regions, features and quality, and with a model its findings.

    Parameters
    ----------
    case: from `read_case`.
    model: a bundle or its path; None: no findings.
    preprocessing: "canonical" or "pyradiomics"; with a model, that of its training is used.
    engine: "own" or "pyradiomics", which computes the features; their values are equal to 1e-6, so that a model trained
        with either can be used.
    shell_mm: thickness of the peritumoral shell in mm.
    mask_variants: over how many other masks, grown, shrunk and jittered by `seed`, the range of each finding is shown;
        each takes about as long as the analysis itself.
    occlusion: whether finer maps than Grad-CAM are made, see `occlusion_steps`; with five shared networks they take a
        minute.
    seed: of the jitter; it affects nothing else.
    prevalence: endpoint key -> share of positives among patients like this one, where it is not the training cohort's.

    Raises
    ------
    TypeError: `case` is no Case.
    InputError: an unknown preprocessing, a thickness that is not the bundle's, a number of masks (see
        `check_variants`), occlusion without a network, a share that is none, or one of an endpoint that is not
        modelled.
    RegionError: a tumour from which no region of interest can be made.
    BundleError: see `read_bundle`.

    Examples
    --------
    >>> from DeepRadScoreLib import analyze, read_case
    >>> profile = analyze(read_case("ct.nrrd", "tumour.nrrd"))
    >>> round(profile.prepared.volume_ml("tumour"), 1)  # a ball of 7 mm radius
    1.4
    >>> len(profile.features), *map(str, profile.findings["EGFR"].flags)
    (1702, 'no_model')
    """
    from DeepRadScoreLib.analyses.additions import Additions
    from DeepRadScoreLib.analyses.analysis import steps
    from DeepRadScoreLib.bundles.bundle import Bundle, read_bundle
    from DeepRadScoreLib.imaging import Case
    from DeepRadScoreLib.report.profile_view import Profile

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
        case,
        bundle,
        preprocessing=chosen(Preprocessing, preprocessing, "preprocessing"),
        shell_mm=shell_mm,
        engine=chosen(Engine, engine, "engine"),
        prevalence=checked_prevalence(prevalence, () if bundle is None else tuple(bundle.endpoints)),
    )
    additions = Additions(mask_variants, occlusion, seed)
    additions.check(bundle)
    with reporting(progress) as report:
        profile = run_to_end(analysis, report)
        return Profile(**vars(run_to_end(additions.steps(case, bundle, profile), report)))


def outline(
    ct: AnyPath,
    at: Sequence[float],
    *,
    coordinates: Coordinates | str = Coordinates.RAS,
    radius_mm: float | None = None,
    series: str | None = None,
    out: AnyPath | None = None,
    progress: Report | bool = False,
) -> Outline:
    """A proposal for the mask of a solid or part-solid lung tumour from one point in it; see `outline_at`.

    Parameters
    ----------
    ct: the CT as for `read_case`.
    at: the point in mm, three numbers.
    coordinates: "ras" (as 3D Slicer shows them) or "lps" (as in DICOM and ITK).
    radius_mm: how far from the point the mask may reach, 5 to 80 mm; None: by the size of what lies there.
    series: SeriesInstanceUID of the CT in DICOM; needed where there are several.
    out: an image file to which the mask is written too.

    Raises
    ------
    InputError: the CT cannot be read, an argument cannot be used, or no tumour can be told at the point: it lies
        outside the CT or the lung, on air, in a vessel.
    OutputError: `out` cannot be written.

    Examples
    --------
    >>> from DeepRadScoreLib import outline
    >>> outline("ct.nrrd", (24, 24, 20), coordinates="lps")  # a ball of 7 mm radius
    Outline(1.4 mL within ... mm of the point)
    """
    from DeepRadScoreLib.imaging.ct_files import read_ct_image
    from DeepRadScoreLib.imaging.formats.files import check_writable, write_image
    from DeepRadScoreLib.imaging.outlining import checked_point, checked_radius, outline_at
    from DeepRadScoreLib.progress import Progress, Stage

    target, path = _target(out, check_writable), as_path(ct, "ct")
    if target is not None and target.resolve() == path.resolve():
        raise InputError("this is the CT that is read", where=target, mend="choose another name for the mask")
    point, radius = checked_point(at, chosen(Coordinates, coordinates, "coordinates")), checked_radius(radius_mm)
    with reporting(progress) as report:
        report(Progress(Stage.READING))
        image = read_ct_image(path, series)
        report(Progress(Stage.READING, done=1))
        report(Progress(Stage.OUTLINING))
        made = outline_at(image, point, radius)
        if target is not None:
            write_image(made.mask, target)
        report(Progress(Stage.OUTLINING, done=1))
    return made


def extract(
    cohort: TableLike | Cohort,
    *,
    out: AnyPath | None = None,
    preprocessing: Preprocessing | str = Preprocessing.CANONICAL,
    engine: Engine | str = DEFAULT_ENGINE,
    shell_mm: float = 3.0,
    other_labels: OtherLabels | str = OtherLabels.AUTO,
    mask_grid: MaskGrid | str | None = None,
    exclude_quality: str | Sequence[str] = (),
    jobs: int | None = None,
    scheduler: str | None = None,
    progress: Report | bool = False,
) -> pd.DataFrame:
    """The 2 x 851 features of every case of a cohort, float64, index case_id. An interrupted call resumes.

    `.attrs` has "label" (the synthetic one, or None), "quality" (code -> number of cases), "notes" (the text of the
    notes file, which `evaluate` reads), "left_out" (case_id -> why it is not in the table) and, of these, "excluded"
    (case_id -> the code of `exclude_quality` that it has).

    Parameters
    ----------
    cohort: a table with case_id, ct and mask: a CSV file, a DataFrame or a `Cohort`.
    out: a file to which the feature table is written too, .csv or .parquet, with its notes file beside it.
    preprocessing, engine, shell_mm: see `analyze`.
    other_labels: "auto", "tumours" or "ignore": which other labels of a mask are other tumours, see `read_case`.
    mask_grid: "same" or "as-stored", for the cases whose cell `mask_grid` is empty, see `read_case`.
    exclude_quality: quality codes, a sequence or separated by commas; cases that have one are left out.
    jobs: number of processes; None: one for each core.
    scheduler: address or file of a Dask scheduler, or "local" for one on this machine.

    Raises
    ------
    InputError: the table or an argument cannot be used, or no case could be computed.
    OutputError: `out` cannot be written.

    Examples
    --------
    >>> import pandas as pd
    >>> from DeepRadScoreLib import extract
    >>> cohort = pd.DataFrame({"case_id": ["first"], "ct": ["ct.nrrd"], "mask": ["tumour.nrrd"]})
    >>> features = extract(cohort)
    >>> features.shape, features.attrs["left_out"]
    ((1, 1702), {})
    """
    codes = checked_codes(_names(exclude_quality))
    computed = chosen(Engine, engine, "engine")
    with _run(jobs, scheduler, progress, computed, _cases_at_most(cohort)) as run:
        from DeepRadScoreLib.cohort.case_notes import NOTES
        from DeepRadScoreLib.cohort.feature_table import check_feature_file, check_feature_space, write_feature_table
        from DeepRadScoreLib.cohort.frames import cohort_file
        from DeepRadScoreLib.cohort.table import read_cohort
        from DeepRadScoreLib.computing.case_record import case_settings
        from DeepRadScoreLib.computing.extraction import extract_cohort
        from DeepRadScoreLib.imaging.origin import synthetic_label

        target = _target(out, check_feature_file)
        settings = case_settings(preprocessing, computed, other_labels, mask_grid, shell_mm)
        with cohort_file(cohort) as path:
            table = read_cohort(path, needs=("ct", "mask"))
            if target is not None:
                check_feature_space(target, len(table))
            found = extract_cohort(table, run, settings, wants="features").excluding(codes, path)
    notes = found.notes
    if target is not None:
        write_feature_table(found.features, target, notes)
    label = synthetic_label(bool(notes.synthetic.any()))
    found.features.attrs |= {"label": label, "quality": notes.cases_by_code(), NOTES: notes.to_csv()}
    found.features.attrs |= {"left_out": found.left_out, "excluded": found.excluded}
    return found.features


def train(
    cohort: TableLike | Cohort,
    *,
    out: AnyPath | None = None,
    preprocessing: Preprocessing | str = Preprocessing.CANONICAL,
    engine: Engine | str = DEFAULT_ENGINE,
    other_labels: OtherLabels | str = OtherLabels.AUTO,
    mask_grid: MaskGrid | str | None = None,
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
    stable_features: bool = False,
    exclude_quality: str | Sequence[str] = (),
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
    backbone: "densenet121", "resnet50", "resnet101", "vgg19" or "inception_v3".
    weights: "imagenet" (downloaded once), "none", or a file.
    weights_sha256: SHA-256 that a weight file must have.
    epochs: at most so many for each network.
    pixels: to which the sides of the 160 x 160 patch are averaged.
    folds: for the out-of-fold scores.
    repeats: of the classifiers' cross-validation.
    cd8a_cut: CD8A above it counts as PD-1/PD-L1 expressed; None: the median.
    stable_features: only features with ICC(3,1) >= 0.75 between each case's mask and a jittered one may be selected; a
        case's `repeat_mask` takes the jittered one's place. Features are then extracted twice.
    seed: the same seed gives the same bundle.
    device: "auto", "cpu" or "cuda", for the networks.
    preprocessing, engine, other_labels, mask_grid, exclude_quality, jobs, scheduler: see `extract`.

    Raises
    ------
    InputError: the table or an argument cannot be used, or no endpoint can be modelled.
    OutputError: `out` cannot be written.

    Examples
    --------
    See `examples/2_own_cohort.py`, which takes seconds.
    """
    from DeepRadScoreLib.cohort.frames import cohort_file
    from DeepRadScoreLib.computing.case_record import case_settings
    from DeepRadScoreLib.study.plans import network_plan, training_plan
    from DeepRadScoreLib.study.training.train import train_from_table
    from DeepRadScoreLib.writing import check_file

    target = _target(out, check_file)
    codes = checked_codes(_names(exclude_quality))
    plan = training_plan(
        case_settings(preprocessing, engine, other_labels, mask_grid),
        network_plan(network, backbone, weights, weights_sha256, pixels, epochs, device),
        folds,
        repeats,
        seed,
    )
    plan = replace(plan, protocol=chosen(Protocol, protocol, "protocol"), stable_features=stable_features)
    with cohort_file(cohort) as path, _run(jobs, scheduler, progress) as run:
        return train_from_table(path, target, plan, run, cd8a_cut=cd8a_cut, exclude_quality=codes)


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
    engine: Engine | str = DEFAULT_ENGINE,
    other_labels: OtherLabels | str = OtherLabels.AUTO,
    mask_grid: MaskGrid | str | None = None,
    network: NetworkForm | str = NetworkForm.SHARED,
    backbone: str = "densenet121",
    backbones: Literal["all"] | None = None,
    weights: AnyPath = "imagenet",
    weights_sha256: str | None = None,
    epochs: int = 60,
    pixels: int = 160,
    cd8a_cut: float | None = None,
    exclude_quality: str | Sequence[str] = (),
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
    folds: outer folds of "cv", and folds for the out-of-fold scores within each.
    backbones: "all": also compare the five on the first endpoint.
    exclude_quality: see `extract`; of a feature table its notes file says who has a code.
    repeats, network, backbone, weights, weights_sha256, epochs, pixels, cd8a_cut, seed, device: see `train`.
    preprocessing, engine, other_labels, mask_grid, jobs, scheduler: see `extract`.

    Raises
    ------
    InputError: a table or an argument cannot be used, or no endpoint can be evaluated.
    OutputError: `out` cannot be written.

    Examples
    --------
    See `examples/3_features_only.py`, which takes seconds.
    """
    from DeepRadScoreLib.cohort.frames import cohort_file, feature_file
    from DeepRadScoreLib.computing.case_record import case_settings
    from DeepRadScoreLib.deepct.backbones import BACKBONES
    from DeepRadScoreLib.publication.study_report import StudyReport
    from DeepRadScoreLib.publication.writing import write_study
    from DeepRadScoreLib.study.data import StudyInputs
    from DeepRadScoreLib.study.evaluation.evaluate import evaluate_from_table
    from DeepRadScoreLib.study.plans import EvaluationPlan, network_plan, training_plan
    from DeepRadScoreLib.writing import check_folder

    target = _target(out, check_folder)
    codes = checked_codes(_names(exclude_quality))
    prefixes = {"tumour": tumour_prefix, "peritumoral": peritumoral_prefix}
    given = {region: prefix for region, prefix in prefixes.items() if prefix is not None}
    if features is None and (given or case_column is not None):
        raise InputError(
            "case column and prefixes describe a feature table", where="--case-column", mend="give --features too"
        )
    protocols = tuple(Protocol) if protocol == "both" else (chosen(Protocol, protocol, "protocol"),)
    training = training_plan(
        case_settings(preprocessing, engine, other_labels, mask_grid),
        network_plan(network, backbone, weights, weights_sha256, pixels, epochs, device),
        folds,
        repeats,
        seed,
    )
    plan = EvaluationPlan(protocols, training, chosen(Split, split, "split"), folds)
    compared = tuple(BACKBONES) if backbones else ()
    with (
        cohort_file(cohort) as table,
        nullcontext() if features is None else feature_file(features) as others,
        _run(jobs, scheduler, progress) as run,
    ):
        inputs = StudyInputs(
            table, others, case_column, given or None, _names(endpoints), _names(covariates), cd8a_cut, compared, codes
        )
        study = evaluate_from_table(
            inputs, plan, run, lambda study: None if target is None else write_study(study, target, run.report)
        )
    return StudyReport(**vars(study))


def _target(out: AnyPath | None, check: Callable[[Path], None]) -> Path | None:
    """The path to write to, checked, or None."""
    if out is None:
        return None
    path = as_path(out, "out")
    check(path)
    return path


@contextmanager
def _run(
    jobs: int | None,
    scheduler: str | None,
    progress: Report | bool,
    engine: Engine = DEFAULT_ENGINE,
    cases: int = 0,
) -> Iterator[Run]:
    """`cases`: for so many processes start at once, while this one imports what it needs itself."""
    from DeepRadScoreLib.computing.case_imports import import_for_cases
    from DeepRadScoreLib.computing.cluster import chosen_workers

    with chosen_workers(jobs, scheduler) as workers, reporting(progress) as report:
        workers.get_ready(cases, import_for_cases, {"engine": engine})
        from DeepRadScoreLib.computing.run import Run

        yield Run(workers=workers, report=report)


def _cases_at_most(cohort: TableLike | Cohort) -> int:
    """A number of cases that a cohort table does not exceed, told without reading it; 0 where that is not possible."""
    try:
        if not isinstance(cohort, str | PathLike):
            return len(cohort)
        with Path(cohort).open("rb") as stream:
            return sum(1 for _ in stream) - 1
    except (OSError, ValueError, TypeError):
        return 0


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    names = given.split(",") if isinstance(given, str) else given
    return tuple(name.strip() for name in names if name.strip())
