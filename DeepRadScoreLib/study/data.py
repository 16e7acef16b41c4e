"""Cases of a study, read and computed from images, feature tables from elsewhere and clinical columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from DeepRadScoreLib.cohort.covariates import covariates
from DeepRadScoreLib.cohort.feature_table import read_feature_table
from DeepRadScoreLib.cohort.table import Cohort, read_cohort
from DeepRadScoreLib.computing.case_record import Wants
from DeepRadScoreLib.computing.extraction import CohortFeatures, extract_cohort
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.endpoints import KEYS, label_columns
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.models import BASELINES, DEEP_MODELS, Baseline, Model
from DeepRadScoreLib.radscore.selection import MIN_ICC, icc31
from DeepRadScoreLib.study.plans import TrainingPlan

VOLUME_COLUMNS = ("tumour_original_shape_VoxelVolume", "tumour_original_shape_MeshVolume")


@dataclass(frozen=True)
class StudyInputs:
    """Inputs of a study: its tables, and what is read from them.

    Attributes
    ----------
    table: the cohort table.
    features: a feature table from elsewhere, or None: features are computed from the images.
    case_column, prefixes: how that table names cases and regions (see `read_feature_table`).
    endpoints: endpoint keys or other 0/1 columns; empty: the endpoint keys that the table has.
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
class StudyData:
    """The computed cases of a cohort: tables indexed by case_id, and arrays in the order of that index.

    Attributes
    ----------
    features: (n x p), columns named `tumour_...` and `peritumoral_...`; no columns where radiomics are not known.
    patches: (n, 160, 160) HU, or None where there are no images.
    labels: (n x endpoints) 0, 1, NaN.
    patients: (n,) patient_id of each case.
    repeats: (n, p) features from second masks, NaN where there is none, or None.
    """

    features: pd.DataFrame
    patches: np.ndarray | None
    labels: pd.DataFrame
    patients: pd.Series
    repeats: np.ndarray | None = None

    @classmethod
    def of(cls, cohort: Cohort, computed: CohortFeatures) -> StudyData:
        """The cases of a cohort that were computed, with its labels."""
        case_ids = computed.features.index
        return cls(
            computed.features,
            computed.patches,
            cohort.labels.loc[case_ids],
            cohort.table["patient_id"].loc[case_ids],
            computed.repeats,
        )

    @property
    def case_ids(self) -> pd.Index:
        """The cases, in the order of all tables and arrays."""
        return self.features.index

    @property
    def repeatable(self) -> np.ndarray | None:
        """Which features agree between two masks of a tumour, bool (p,); None with fewer than 3 cases that have two."""
        if self.repeats is None:
            return None
        both = ~np.isnan(self.repeats).any(axis=1)
        if both.sum() < 3:
            return None
        return icc31(self.features.to_numpy()[both], self.repeats[both]) >= MIN_ICC

    def subset(self, rows: np.ndarray) -> StudyData:
        """The cases at `rows` (positions or a bool mask)."""
        return StudyData(
            self.features.iloc[rows],
            None if self.patches is None else self.patches[rows],
            self.labels.iloc[rows],
            self.patients.iloc[rows],
            None if self.repeats is None else self.repeats[rows],
        )

    def labels_of_patients(self, key: str) -> np.ndarray:
        """Labels (patients,) without gaps; a patient with several cases is positive if one of them is."""
        return self.labels[key].groupby(self.patients).max().dropna().to_numpy()

    @property
    def volume(self) -> np.ndarray | None:
        """Logarithm of the tumour's volume in mm3, (n, 1); None where the feature table has no volume."""
        for name in VOLUME_COLUMNS:
            if name in self.features and (self.features[name] > 0).all():
                return np.log(self.features[[name]].to_numpy())
        return None

    def with_shuffled_labels(self, subsets: list[np.ndarray], seed: int) -> StudyData:
        """The same cases with each endpoint's labels permuted over the patients of each of the `subsets` (positions).

        Each subset has as many positive patients as before, so that an endpoint that can be modelled stays so.
        """
        labels = self.labels.copy()
        for number, subset in enumerate(subsets):
            for position, key in enumerate(labels.columns):
                known = subset[self.labels[key].iloc[subset].notna().to_numpy()]
                patients, of_case = np.unique(self.patients.iloc[known], return_inverse=True)
                of_patient = np.zeros(len(patients))
                np.maximum.at(of_patient, of_case, self.labels[key].to_numpy()[known])
                rng = np.random.default_rng([seed, 3, number, position])
                labels.iloc[known, position] = rng.permutation(of_patient)[of_case]
        return StudyData(self.features, None, labels, self.patients, self.repeats)


@dataclass(frozen=True)
class StudyCases:
    """The cases of a study: tables indexed by case_id, all in the same order.

    Attributes
    ----------
    data: features, patches, labels of the endpoints asked for, patients.
    shuffled: (n x p) features of the same cases with shuffled voxels, or None.
    clinical: (n x covariates), or None.
    split, site: (n,) text of the cohort table's columns, empty where there is none.
    """

    data: StudyData
    shuffled: pd.DataFrame | None
    clinical: pd.DataFrame | None
    split: pd.Series
    site: pd.Series

    def models_not_run(self) -> dict[str, str]:
        """Model or baseline -> why it cannot be run with these sources."""
        reasons: dict[str, str] = {}
        if not self.data.features.shape[1]:
            of_radiomics = (Model.RADIOMICS, Model.FUSED, *(name for name in BASELINES if name != Baseline.CLINICAL))
            reasons |= dict.fromkeys(of_radiomics, "there are no radiomics features")
        if self.data.patches is None:
            reasons |= dict.fromkeys(DEEP_MODELS, "the cohort table has no images (columns ct and mask)")
        if self.shuffled is None:
            reasons[Baseline.SHUFFLED_VOXELS] = "the features come from a table; shuffling voxels needs the images"
        if self.data.volume is None:
            reasons[Baseline.VOLUME] = "the feature table has no volume of the tumour"
        if self.clinical is None:
            reasons[Baseline.CLINICAL] = "no covariates were named"
        return reasons


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


def read_study_cohort(inputs: StudyInputs) -> Cohort:
    """The cohort table with the endpoints asked for; a label that cannot be read stops its endpoint alone.

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
        images = extract_planned(cohort, plan, "both" if table is None else "patches", run)
        shuffled = extract_planned(cohort, plan, "shuffled", run) if table is None else None
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


def extract_planned(cohort: Cohort, plan: TrainingPlan, wants: Wants, run: Run) -> CohortFeatures:
    """`extract_cohort` with the plan's settings."""
    return extract_cohort(
        cohort,
        run,
        preprocessing=plan.preprocessing,
        shell_mm=plan.shell_mm,
        wants=wants,
        seed=plan.seed,
    )
