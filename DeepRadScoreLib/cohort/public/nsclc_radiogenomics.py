"""NSCLC Radiogenomics: the collection's label table, and gene expression, as a cohort table.

Bakr et al., A radiogenomic dataset of non-small cell lung cancer, Scientific Data 5, 180202 (2018),
doi:10.7937/K9/TCIA.2017.7hs46erv; RNA sequencing of some of the patients is GEO GSE103584.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from DeepRadScoreLib.cohort.public import MEND, label_notes, read_columns, recode
from DeepRadScoreLib.cohort.text_table import cell
from DeepRadScoreLib.endpoints import ENDPOINTS
from DeepRadScoreLib.errors import CohortError

SITES = ("R01", "AMC")
PATIENTS_IN_PAPER = 138
"""Number of patients of this collection in the Deep-RadScore paper, which does not say which ones."""

NOT_KNOWN = ("", "n/a", "unknown", "not collected", "not recorded in database", "not assessed")
UNLABELLED = dict.fromkeys(NOT_KNOWN, "")
LOWER_T = ("tis", "t1a", "t1b", "t2a", "t2b", "t3")

ENDPOINT_WORDS: dict[str, tuple[str, dict[str, str]]] = {
    "LVI": ("Lymphovascular invasion", {"present": "1", "absent": "0"}),
    "PI": ("Pleural invasion (elastic, visceral, or parietal)", {"yes": "1", "no": "0"}),
    "T4": ("Pathological T stage", {"t4": "1", **dict.fromkeys(LOWER_T, "0")}),
    "EGFR": ("EGFR mutation status", {"mutant": "1", "wildtype": "0"}),
    "KRAS": ("KRAS mutation status", {"mutant": "1", "wildtype": "0"}),
    "ALK": ("ALK translocation status", {"translocated": "1", "wildtype": "0"}),
}
"""Endpoint -> column of the collection and meaning of its words; the words of `NOT_KNOWN` leave the cell empty."""

CLINICAL_COLUMNS: dict[str, str] = {
    "Age at Histological Diagnosis": "age",
    "Gender": "sex",
    "Ethnicity": "ethnicity",
    "Weight (lbs)": "weight_lbs",
    "Smoking status": "smoking_status",
    "Pack Years": "pack_years",
    "Patient affiliation": "affiliation",
    "Histology": "histology",
    "Histopathological Grade": "grade",
    "%GG": "ground_glass",
    "Pathological T stage": "pathological_t",
    "Pathological N stage": "pathological_n",
    "Pathological M stage": "pathological_m",
}
LOBES: dict[str, str] = {
    f"Tumor Location (choice={lobe})": lobe for lobe in ("RUL", "RML", "RLL", "LUL", "LLL", "L Lingula")
}


def cohort_table(clinical: Path, expression: Path | None = None) -> pd.DataFrame:
    """Cohort table of text cells of the collection: all 211 patients in the file's order, without images.

    Columns: `case_id` and `patient_id` (both the collection's Case ID), `site` (its prefix, R01 or AMC), the endpoints
    LVI PI T4 EGFR KRAS ALK (1, 0, or empty where the collection says that it is not known; T4 is pathological T4, below
    it Tis to T3), `CD8A` (FPKM as given, if `expression` is), and for Table 1 and covariates `CLINICAL_COLUMNS`
    in the values of the collection (empty where not known; pack years also where the patient never smoked) and
    `location`, the ticked lobes. Treatment, recurrence, survival and all dates are left out: they come after the CT or
    may identify a person.

    Parameters
    ----------
    clinical: NSCLCR01Radiogenomic_DATA_LABELS_2018-05-22_1500-shifted.csv.
    expression: a CSV with the columns "Case ID" and "CD8A"; its cases that are not in `clinical` do not count.

    Raises
    ------
    CohortError: a file or column is missing, a case is repeated, has another prefix than R01 or AMC, or has a word
        that the collection does not use in that column; no case of `expression` is in `clinical`.
    """
    labelled = [column for column, _ in ENDPOINT_WORDS.values()]
    raw = read_columns(clinical, ["Case ID", *labelled, *CLINICAL_COLUMNS, *LOBES])
    cases = raw["Case ID"]
    table = pd.DataFrame({"case_id": cases, "patient_id": cases, "site": _sites(cases, clinical)})
    for key, (column, meaning) in ENDPOINT_WORDS.items():
        table[key] = recode(raw[column], meaning | UNLABELLED, clinical)
    if expression is not None:
        table["CD8A"] = _cd8a(cases, expression)
    for column, name in CLINICAL_COLUMNS.items():
        table[name] = raw[column].where(~raw[column].str.lower().isin(NOT_KNOWN), "")
    ticked = [recode(raw[column], {"checked": lobe, "unchecked": ""}, clinical) for column, lobe in LOBES.items()]
    table["location"] = [", ".join(filter(None, lobes)) for lobes in zip(*ticked, strict=True)]
    return table.reset_index(drop=True)


def notes(table: pd.DataFrame) -> tuple[str, ...]:
    """Sentences to print with any result on this cohort table: numbers of patients, sites, labels, expressions."""
    sites = ", ".join(f"{site} {(table['site'] == site).sum()}" for site in SITES)
    no_stage = table.loc[table["pathological_t"] == "", "site"].value_counts()
    *absent, last = (one.name.rpartition(" ")[0] for one in ENDPOINTS if one.key not in ENDPOINT_WORDS)
    sentences = [
        f"The collection has {len(table)} patients ({sites}); the Deep-RadScore paper had {PATIENTS_IN_PAPER} of them "
        "and does not say which.",
        *label_notes(table, tuple(ENDPOINT_WORDS)),
        "Without a pathological T stage: " + ", ".join(f"{site} {count}" for site, count in no_stage.items()) + ".",
        f"The collection has no status of {', '.join(absent)} or {last}.",
    ]
    if "CD8A" in table:
        sentences.append(f"CD8A expression is known of {(table['CD8A'] != '').sum()} patients.")
    return tuple(sentences)


def _sites(cases: pd.Series, clinical: Path) -> pd.Series:
    sites = cases.str.partition("-")[0]
    for row in sites.index[~sites.isin(SITES)]:
        what = f'the case "{cases[row]}" begins with neither {" nor ".join(SITES)}'
        raise CohortError(what, where=cell(clinical, row, str(cases.name)), mend=MEND)
    return sites


def _cd8a(cases: pd.Series, expression: Path) -> pd.Series:
    measured = read_columns(expression, ["Case ID", "CD8A"]).set_index("Case ID")["CD8A"]
    if not cases.isin(measured.index).any():
        what = "none of its cases is in the clinical table"
        raise CohortError(what, where=expression, mend="give the expression table of this collection")
    return cases.map(measured).fillna("")
