"""NSCLC-Radiomics (LUNG1): the clinical table as a cohort table, and a published pyradiomics table as features.

Aerts et al., Nature Communications 5, 4006 (2014), doi:10.7937/K9/TCIA.2015.PF0M9REI (CC BY-NC 3.0: not for commercial
use). The feature table is pyradiomics 2.2.0's, published with the precision-medicine-toolbox (Primakov et al. 2022).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from DeepRadScoreLib.cohort.public import label_notes, read_columns, recode
from DeepRadScoreLib.cohort.text_table import cell, require_columns
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.radscore.names import FEATURE_NAMES

TWO_YEARS_DAYS = 730
"""Died on day 730 or before: within two years. No patient died or was last seen on days 729 to 732."""

T4_OF_CODE = {"1": "0", "2": "0", "3": "0", "4": "1", "5": "", "na": "", "": ""}
UNDOCUMENTED_T = "5"
ENDPOINTS = ("T4", "died_within_2y")
COLUMNS = {
    "PatientID": "case_id",
    "age": "age",
    "gender": "sex",
    "Histology": "histology",
    "Overall.Stage": "overall_stage",
    "clinical.T.Stage": "clinical_t",
    "Clinical.N.Stage": "clinical_n",
    "Clinical.M.Stage": "clinical_m",
    "Survival.time": "survival_days",
    "deadstatus.event": "died",
}
VOLUME = "original_shape_VoxelVolume"


def cohort_table(clinical: Path) -> pd.DataFrame:
    """Cohort table of text cells of the collection: all 422 patients in the file's order, without images.

    Columns: `case_id` and `patient_id` (both the collection's PatientID), `T4` (clinical T code 4 is 1; 1 to 3 are 0;
    5, which the collection does not explain, and none are empty), `died_within_2y` (died by day 730 is 1, alive
    after it is 0, last seen alive before it is empty), and age (years), sex, histology, overall_stage, clinical_t,
    clinical_n, clinical_m, survival_days (from the start of radiotherapy) and died, in the values of the collection;
    NA is empty.

    Parameters
    ----------
    clinical: NSCLC-Radiomics-Lung1.clinical-version3-Oct-2019.csv.

    Raises
    ------
    CohortError: the file or a column is missing, a patient is repeated, a T code is none of 1 to 5 and NA, the
        survival time is no number, the event is neither 0 nor 1.
    """
    words = read_columns(clinical, COLUMNS)
    raw = words.rename(columns=COLUMNS)
    table = raw[["case_id"]].assign(patient_id=raw["case_id"])
    table["T4"] = recode(words["clinical.T.Stage"], T4_OF_CODE, clinical)
    died = recode(words["deadstatus.event"], {"0": "0", "1": "1"}, clinical) == "1"
    late = _days(words["Survival.time"], clinical) > TWO_YEARS_DAYS
    table["died_within_2y"] = np.select([late, died], ["0", "1"], "")
    others = raw.drop(columns="case_id")
    return pd.concat([table, others.where(others != "NA", "")], axis=1).reset_index(drop=True)


def notes(table: pd.DataFrame) -> tuple[str, ...]:
    """Sentences to print with any result on this cohort table: numbers of labels, and why some are missing."""
    undocumented = int((table["clinical_t"] == UNDOCUMENTED_T).sum())
    return (
        *label_notes(table, ENDPOINTS),
        f"T4 is left out where the T code is {UNDOCUMENTED_T} ({undocumented} patients), which the collection does not "
        f"explain, or none ({(table['clinical_t'] == '').sum()}); two-year survival where a patient was last seen "
        "alive within two years.",
    )


def read_gtvs(xlsx: Path) -> pd.DataFrame:
    """Features of every delineated volume of the pyradiomics table: (149 x 788), indexed by `case_id`, in file order.

    The columns are those of the 851 features that the table has, named `tumour_<pyradiomics name>`; others (LoG,
    diagnostics) are left out. `absent_features` names the missing ones.

    Parameters
    ----------
    xlsx: primakov_pyradiomics_149x1218.xlsx; the patient is the first 9 characters of `Patient`.

    Raises
    ------
    CohortError: the file cannot be read as an Excel table or lacks the column `Patient` or the volume.
    """
    mend = "give primakov_pyradiomics_149x1218.xlsx"
    try:
        raw = pd.read_excel(xlsx)
    except (OSError, ValueError) as error:
        what = f"this is not a readable Excel table ({str(error).splitlines()[0]})"
        raise CohortError(what, where=xlsx, mend=mend) from error
    require_columns(("Patient", VOLUME), raw, xlsx, mend)
    features = raw[[name for name in FEATURE_NAMES if name in raw]].add_prefix("tumour_").astype(float)
    return features.set_axis(pd.Index(raw["Patient"].astype(str).str[: len("LUNG1-001")], name="case_id"))


def feature_table(xlsx: Path) -> pd.DataFrame:
    """The largest volume of each patient in `read_gtvs`, the first of equal ones: (145 x 788), sorted by `case_id`.

    Raises
    ------
    CohortError: see `read_gtvs`.
    """
    by_volume = read_gtvs(xlsx).sort_values(f"tumour_{VOLUME}", ascending=False, kind="stable")
    return by_volume[~by_volume.index.duplicated()].sort_index()


def absent_features(table: pd.DataFrame) -> tuple[str, ...]:
    """Names (as in pyradiomics) of the tumour features, of 851, that a feature table lacks."""
    return tuple(name for name in FEATURE_NAMES if f"tumour_{name}" not in table)


def _days(words: pd.Series, clinical: Path) -> pd.Series:
    days = pd.to_numeric(words, errors="coerce")
    for row in words.index[days.isna()]:
        what = f'"{words[row]}" is not a number of days'
        raise CohortError(what, where=cell(clinical, row, str(words.name)), mend="correct the cell")
    return days
