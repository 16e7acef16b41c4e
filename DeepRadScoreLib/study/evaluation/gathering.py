"""The cases of a study from whatever it is given: images, feature tables from elsewhere, clinical columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from DeepRadScoreLib.cohort.covariates import covariates
from DeepRadScoreLib.cohort.feature_table import read_feature_table
from DeepRadScoreLib.cohort.table import Cohort, read_cohort
from DeepRadScoreLib.computing.case_record import Wants
from DeepRadScoreLib.computing.extraction import CohortFeatures, extract_cohort
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.endpoints import KEYS, label_columns
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.models import BASELINES, DEEP_MODELS, Baseline, Model
from DeepRadScoreLib.study.evaluation.baselines import volume_column
from DeepRadScoreLib.study.evaluation.outer_folds import StudyCases
from DeepRadScoreLib.study.training.protocols import StudyData, TrainingPlan


@dataclass(frozen=True)
class StudyInputs:
    """Where a study's cases come from.

    Attributes
    ----------
    table: the cohort table.
    features: a feature table from elsewhere, or None: features are computed from the images.
    case_column, prefixes: how that table names cases and regions (see `read_feature_table`).
    endpoints: keys of the ten or other 0/1 columns; empty: those of the ten that the table has.
    covariates: columns of the clinical baseline.
    backbones: compared on the first endpoint; empty: not.
    """

    table: Path
    features: Path | None = None
    case_column: str | None = None
    prefixes: Mapping[str, str] | None = None
    endpoints: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    cd8a_cut: float | None = None
    backbones: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gathered:
    """The cases that can be used.

    Attributes
    ----------
    left_out: case_id -> why a case cannot be used; `failed` are those whose images could not be worked on.
    columns_left_out, rows_of_others: of a feature table from elsewhere, see `FeatureTable`.
    """

    cases: StudyCases
    left_out: dict[str, str]
    failed: tuple[str, ...]
    columns_left_out: dict[str, str]
    rows_of_others: int
    synthetic: bool


def read_labels(inputs: StudyInputs) -> Cohort:
    """The cohort table with the endpoints asked for; a label that cannot be read stops its own endpoint alone.

    Raises
    ------
    CohortError: the table cannot be read, lacks a column, or has no endpoint.
    """
    cohort = read_cohort(
        inputs.table,
        needs=("case_id", "patient_id"),
        cd8a_cut=inputs.cd8a_cut,
        endpoints=inputs.endpoints or KEYS,
        one_bad_label_stops=False,
    )
    if inputs.features is None and not has_images(cohort):
        raise CohortError(
            'the columns "ct" and "mask" are missing',
            where=inputs.table,
            mend="add them, or give a table of features by --features",
        )
    if inputs.endpoints:
        return cohort
    present = [key for key in KEYS if any(name in cohort.table for name in label_columns(key))]
    if not present:
        raise CohortError(
            "the table has no endpoint",
            where=inputs.table,
            mend=f"add a column of {', '.join(KEYS)}, or name your own 0/1 columns by --endpoints",
        )
    return replace(cohort, labels=cohort.labels[present])


def has_images(cohort: Cohort) -> bool:
    """Whether the cohort table names a CT and a mask."""
    return {"ct", "mask"} <= set(cohort.table)


def gather(inputs: StudyInputs, cohort: Cohort, plan: TrainingPlan, run: Run) -> Gathered:
    """Read the feature table and compute what comes from images; only cases that have everything are used.

    Raises
    ------
    CohortError: no case has everything, or what `read_feature_table`, `covariates` and `extract_cohort` raise.
    """
    clinical = covariates(cohort, inputs.covariates) if inputs.covariates else None
    table = images = shuffled = None
    if inputs.features is not None:
        table = read_feature_table(inputs.features, cohort, case_column=inputs.case_column, prefixes=inputs.prefixes)
    if has_images(cohort):
        images = extracted(cohort, plan, "both" if table is None else "patches", run)
        shuffled = extracted(cohort, plan, "shuffled", run) if table is None else None
    failed = {case_id: why for each in (images, shuffled) if each is not None for case_id, why in each.failed.items()}
    left_out = ({} if table is None else dict(table.missing)) | failed
    sources = [each for each in (table, images, shuffled) if each is not None]
    case_ids = cohort.table.index[np.all([cohort.table.index.isin(each.features.index) for each in sources], axis=0)]
    if not len(case_ids):
        raise CohortError("no case has both features and images", where=inputs.table, mend="check the tables")
    images = None if images is None else images.of_cases(case_ids)
    radiomics = images if table is None else table
    if radiomics is None:
        raise ValueError("a cohort without images needs a feature table")
    data = StudyData(
        radiomics.features.reindex(case_ids),
        None if images is None else images.patches,
        cohort.labels.loc[case_ids],
        cohort.table["patient_id"].loc[case_ids],
        images.repeats if images is not None and table is None else None,
    )
    cases = StudyCases(
        data,
        None if shuffled is None else shuffled.features.loc[case_ids],
        None if clinical is None else clinical.loc[case_ids],
        cohort.column("split").loc[case_ids],
        cohort.column("site").loc[case_ids],
    )
    return Gathered(
        cases,
        left_out,
        tuple(failed),
        {} if table is None else table.dropped,
        0 if table is None else table.extra,
        images is not None and images.synthetic,
    )


def extracted(cohort: Cohort, plan: TrainingPlan, wants: Wants, run: Run) -> CohortFeatures:
    """`extract_cohort` with the plan's settings."""
    return extract_cohort(
        cohort,
        run,
        preprocessing=plan.preprocessing,
        shell_mm=plan.shell_mm,
        wants=wants,
        seed=plan.seed,
    )


def models_not_run(cases: StudyCases) -> dict[str, str]:
    """Model or baseline -> why it cannot be run with these sources."""
    reasons: dict[str, str] = {}
    if not cases.data.features.shape[1]:
        of_radiomics = (Model.RADIOMICS, Model.FUSED, *(name for name in BASELINES if name != Baseline.CLINICAL))
        reasons |= dict.fromkeys(of_radiomics, "there are no radiomics features")
    if cases.data.patches is None:
        reasons |= dict.fromkeys(DEEP_MODELS, "the cohort table has no images (columns ct and mask)")
    if cases.shuffled is None:
        reasons[Baseline.SHUFFLED_VOXELS] = "the features come from a table; shuffling voxels needs the images"
    if volume_column(cases.data.features) is None:
        reasons[Baseline.VOLUME] = "the feature table has no volume of the tumour"
    if cases.clinical is None:
        reasons[Baseline.CLINICAL] = "no covariates were named"
    return reasons
