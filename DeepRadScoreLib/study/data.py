"""Cases of a study, read and computed from images, feature tables from elsewhere and clinical columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd

from DeepRadScoreLib.cohort.case_notes import CaseNotes, cases_to_exclude, notes_file
from DeepRadScoreLib.cohort.covariates import covariates
from DeepRadScoreLib.cohort.feature_table import read_feature_table
from DeepRadScoreLib.cohort.table import Cohort, read_cohort
from DeepRadScoreLib.computing.case_record import Wants
from DeepRadScoreLib.computing.extraction import CohortFeatures, extract_cohort
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.endpoints import KEYS, label_columns
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.imaging.checks.quality_codes import left_out_text
from DeepRadScoreLib.models import DEEP_MODELS, Baseline, Model
from DeepRadScoreLib.radscore.selection import MIN_ICC, icc31
from DeepRadScoreLib.study.confounders import Confounders, find_confounders
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
    exclude_quality: cases with one of these quality codes are left out.
    """

    table: Path
    features: Path | None = None
    case_column: str | None = None
    prefixes: Mapping[str, str] | None = None
    endpoints: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    cd8a_cut: float | None = None
    backbones: tuple[str, ...] = ()
    exclude_quality: tuple[str, ...] = ()


@dataclass(frozen=True)
class Labelled:
    """The cases that have a label of one endpoint.

    Attributes
    ----------
    rows: which these are among all cases, bool (n,).
    labels: 0 or 1, (m,).
    patients: (m,) patient_id of each.
    """

    rows: np.ndarray
    labels: np.ndarray
    patients: np.ndarray


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

    def labelled(self, key: str) -> Labelled:
        """The cases with a label of an endpoint."""
        rows = self.labels[key].notna().to_numpy()
        return Labelled(rows, self.labels[key].to_numpy()[rows].astype(int), self.patients.to_numpy()[rows])

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
    confounders: where, how and when the CTs were made.
    """

    data: StudyData
    shuffled: pd.DataFrame | None
    clinical: pd.DataFrame | None
    split: pd.Series
    site: pd.Series
    confounders: Confounders = field(default_factory=Confounders)

    def models_not_run(self) -> dict[str, str]:
        """Model or baseline -> why it cannot be run with these sources."""
        reasons: dict[str, str] = {}
        if not self.data.features.shape[1]:
            shuffled = (Baseline.SHUFFLED_VOXELS, Baseline.SHUFFLED_LABELS)
            of_radiomics = (Model.RADIOMICS, Model.FUSED, Baseline.VOLUME, *shuffled)
            reasons |= dict.fromkeys(of_radiomics, "there are no radiomics features")
        if self.data.patches is None:
            reasons |= dict.fromkeys(DEEP_MODELS, "the cohort table has no images (columns ct and mask)")
        if self.shuffled is None:
            reasons[Baseline.SHUFFLED_VOXELS] = "the features come from a table; shuffling voxels needs the images"
        if self.data.volume is None:
            reasons[Baseline.VOLUME] = "the feature table has no volume of the tumour"
        if self.clinical is None:
            reasons[Baseline.CLINICAL] = "no covariates were named"
        return reasons | self.confounders.absent


@dataclass(frozen=True)
class Gathered:
    """The cases that can be used.

    Attributes
    ----------
    left_out: case_id -> why a case cannot be used; `failed` are those whose images could not be worked on.
    columns_left_out, rows_of_others: of a feature table from elsewhere, see `FeatureTable`.
    notes: on the cases that can be used; None: nothing is known of their origin and quality.
    excluded: case_id -> quality code for which this case was left out.
    fingerprints: of the cases' CTs; none without images.
    column_notes: a sentence on each column of the cohort table that holds more than numbers but was read as such.
    """

    cases: StudyCases
    left_out: dict[str, str]
    failed: tuple[str, ...]
    columns_left_out: dict[str, str]
    rows_of_others: int
    notes: CaseNotes | None
    excluded: dict[str, str]
    fingerprints: tuple[str, ...] = ()
    column_notes: tuple[str, ...] = ()


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
            'the columns "ct" and "mask" are missing or empty',
            where=inputs.table,
            mend="fill them in, or give a table of features by --features",
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
    CohortError: no case has everything, every case is left out for its quality, the quality is not known, or what
        `read_feature_table`, `covariates` and `extract_cohort` raise.
    """
    named = covariates(cohort, inputs.covariates)
    clinical = named.table if inputs.covariates else None
    table = images = shuffled = None
    if inputs.features is not None:
        table = read_feature_table(inputs.features, cohort, case_column=inputs.case_column, prefixes=inputs.prefixes)
    if has_images(cohort):
        wants: Wants = "both" if table is None else "patches"
        images = extract_cohort(cohort, run, plan.cases, wants=wants, jitter=plan.stable_features, seed=plan.seed)
    case_ids = _cases_of_all([each.features.index for each in (table, images) if each is not None], cohort)
    notes = _joined_notes([each.notes for each in (table, images) if each is not None], case_ids)
    excluded = _excluded(inputs, notes)
    case_ids = case_ids.drop(list(excluded))
    if table is None:
        shuffled = extract_cohort(cohort.of_cases(case_ids), run, plan.cases, wants="shuffled", seed=plan.seed)
        case_ids = _cases_of_all([case_ids, shuffled.features.index], cohort)
    failed = {case_id: why for each in (images, shuffled) if each is not None for case_id, why in each.failed.items()}
    left_out = ({} if table is None else dict(table.missing)) | failed
    left_out |= {case_id: left_out_text(code) for case_id, code in excluded.items()}
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
        find_confounders(cohort, case_ids)
        if images is None
        else find_confounders(cohort, case_ids, images.acquisitions, images.measures),
    )
    return Gathered(
        cases,
        left_out,
        tuple(failed),
        {} if table is None else table.dropped,
        0 if table is None else table.extra,
        None if notes is None else notes.of_cases(case_ids),
        excluded,
        fingerprints=() if images is None else tuple(images.fingerprints),
        column_notes=(*cohort.notes, *named.notes),
    )


def _cases_of_all(sources: Sequence[pd.Index], cohort: Cohort) -> pd.Index:
    """The cases that every source has, in the cohort's order."""
    known = cohort.table.index
    case_ids = known[np.all([known.isin(each) for each in sources], axis=0)]
    if not len(case_ids):
        raise CohortError("no case has both features and images", where=cohort.path, mend="check the tables")
    return case_ids


def _joined_notes(sources: Sequence[CaseNotes | None], case_ids: pd.Index) -> CaseNotes | None:
    """What all sources that have notes say of these cases; None if none has."""
    known = [notes.of_cases(case_ids) for notes in sources if notes is not None]
    return reduce(CaseNotes.joined, known) if known else None


def _excluded(inputs: StudyInputs, notes: CaseNotes | None) -> dict[str, str]:
    """Case_id -> quality code for which this case is left out."""
    if not inputs.exclude_quality:
        return {}
    if notes is None and inputs.features is not None:
        raise CohortError(
            "the table has no notes file, so the quality of its cases is not known",
            where=inputs.features,
            mend=f"put {notes_file(inputs.features).name} beside it, or leave out --exclude-quality",
        )
    return {} if notes is None else cases_to_exclude(notes, inputs.exclude_quality, inputs.table)
