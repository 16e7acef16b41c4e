"""Public collections: their words become labels, and the counts are those of the collections' own descriptions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from DeepRadScoreLib.cohort.public import lung1, nsclc_radiogenomics, read_columns
from DeepRadScoreLib.cohort.table import read_cohort
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.radscore.names import FEATURE_NAMES
from support.null_study import exactly, judge, noise, summarise

LABELS = "NSCLCR01Radiogenomic_DATA_LABELS_2018-05-22_1500-shifted.csv"
LUNG1_CLINICAL = "NSCLC-Radiomics-Lung1.clinical-version3-Oct-2019.csv"


@pytest.fixture(scope="module")
def radiogenomics(shared: Path) -> Path:
    return shared / "data" / "nsclc-radiogenomics"


@pytest.fixture(scope="module")
def clinical(radiogenomics: Path) -> Path:
    return radiogenomics / "clinical" / LABELS


@pytest.fixture(scope="module")
def expression(radiogenomics: Path) -> Path:
    return radiogenomics / "expression" / "rnaseq_CD8A_CD274_CD8B_fpkm.csv"


@pytest.fixture(scope="module")
def table(clinical: Path, expression: Path) -> pd.DataFrame:
    return nsclc_radiogenomics.cohort_table(clinical, expression)


@pytest.fixture(scope="module")
def lung1_folder(shared: Path) -> Path:
    return shared / "data" / "nsclc-radiomics-lung1"


@pytest.fixture(scope="module")
def lung1_table(lung1_folder: Path) -> pd.DataFrame:
    return lung1.cohort_table(lung1_folder / "clinical" / LUNG1_CLINICAL)


@pytest.fixture(scope="module")
def lung1_features(lung1_folder: Path) -> pd.DataFrame:
    return lung1.feature_table(lung1_folder / "features" / "primakov_pyradiomics_149x1218.xlsx")


def edited(source: Path, target: Path, row: int, column: str, word: str) -> Path:
    """A copy of a CSV with one other cell; `row` is the file's line."""
    table = pd.read_csv(source, dtype=str, keep_default_na=False)
    table.loc[row - 2, column] = word
    table.to_csv(target, index=False)
    return target


@pytest.mark.parametrize(
    ("endpoint", "positives", "negatives"),
    [("EGFR", 43, 129), ("KRAS", 38, 133), ("ALK", 2, 155), ("LVI", 21, 133), ("PI", 42, 117), ("T4", 7, 155)],
)
def test_labels_are_counted_as_the_collection_is_described(table, endpoint, positives, negatives):
    counts = table[endpoint].value_counts()
    assert len(table) == 211
    assert (counts["1"], counts["0"], counts[""]) == (positives, negatives, 211 - positives - negatives)


def test_labels_of_the_87_with_features_are_counted_as_described(table, radiogenomics):
    features = pd.read_csv(radiogenomics / "features" / "kasikci_radiomics_87x32_unnamed.txt", sep="\t", index_col=0)
    part = table[table["case_id"].isin(features.index)]
    counts = {key: tuple((part[key] == label).sum() for label in "10") for key in ("EGFR", "KRAS", "LVI", "T4")}
    assert counts == {"EGFR": (10, 62), "KRAS": (17, 52), "LVI": (12, 72), "T4": (4, 83)}


def test_egfr_agrees_with_another_groups_reading_but_for_one_patient(table, radiogenomics):
    theirs = pd.read_excel(radiogenomics / "features" / "morgado_whole_lung_pyradiomics_117x1316_egfr.xlsx")
    name = next(column for column in theirs if "egfr" in str(column).lower())
    patients = next(column for column in theirs if theirs[column].astype(str).str.startswith("R01-").all())
    ours = table.set_index("case_id")["EGFR"].reindex(theirs[patients])
    known = (ours != "").to_numpy()
    positive = theirs[name].astype(str).str.lower().isin(["mutant", "1", "1.0"]).to_numpy()
    assert known.sum() >= 116
    assert ((ours == "1").to_numpy() != positive)[known].sum() <= 1


def test_sites_are_the_prefixes_and_the_second_site_has_no_stage(table):
    assert table["site"].value_counts().to_dict() == {"R01": 162, "AMC": 49}
    assert (table.loc[table["site"] == "AMC", ["T4", "LVI", "PI", "pathological_t"]] == "").all(axis=None)
    assert (table["patient_id"] == table["case_id"]).all()


def test_clinical_columns_keep_the_collections_values_and_say_nothing_where_not_known(table):
    assert table["histology"].value_counts().to_dict() == {
        "Adenocarcinoma": 172,
        "Squamous cell carcinoma": 35,
        "NSCLC NOS (not otherwise specified)": 4,
    }
    stages = table["pathological_t"].value_counts()
    assert stages.to_dict() == {"": 49, "T2a": 47, "T1a": 40, "T1b": 31, "T3": 21, "T2b": 10, "T4": 7, "Tis": 6}
    assert table["smoking_status"].value_counts().to_dict() == {"Former": 130, "Nonsmoker": 48, "Current": 33}
    assert (table["location"] != "").all()
    text = table.drop(columns="histology").to_numpy().ravel()
    assert not any("not " in cell.lower() or cell in ("N/A", "Unknown", "Unchecked") for cell in text)
    assert not any("date" in column.lower() or "surviv" in column.lower() for column in table)


def test_pdl1_labels_come_from_cd8a_above_its_median(table, tmp_path):
    table.to_csv(tmp_path / "cohort.csv", index=False)
    cohort = read_cohort(tmp_path / "cohort.csv", needs=("case_id", "patient_id"))
    measured = pd.to_numeric(table["CD8A"]).dropna()
    assert len(measured) == 110
    assert cohort.pdl1_rules == {"PDL1": 0, "TPS": 0, "CD8A": 110}
    assert cohort.cd8a_cut == np.median(measured)
    assert np.nansum(cohort.labels["PDL1"]) == 55


def test_without_an_expression_table_there_is_no_cd8a(clinical):
    assert "CD8A" not in nsclc_radiogenomics.cohort_table(clinical)


def test_notes_give_the_counts(table):
    said = " ".join(nsclc_radiogenomics.notes(table))
    assert "211 patients (R01 162, AMC 49)" in said
    assert "138" in said
    assert "EGFR: 43 positive, 129 negative, 39 without a label." in said
    assert "CD8A expression is known of 110 patients." in said


@pytest.mark.parametrize(
    ("row", "column", "word"),
    [
        (7, "EGFR mutation status", "Mutated"),
        (9, "Pathological T stage", "T1c"),
        (100, "Lymphovascular invasion", "Yes"),
        (3, "Case ID", "XYZ-001"),
        (12, "Tumor Location (choice=RUL)", "maybe"),
    ],
)
def test_an_unknown_word_is_named_with_file_row_and_column(clinical, tmp_path, row, column, word):
    path = edited(clinical, tmp_path / "edited.csv", row, column, word)
    with pytest.raises(CohortError) as caught:
        nsclc_radiogenomics.cohort_table(path)
    assert f'{path}, row {row}, column "{column}"' in str(caught.value)
    assert f'"{word}"' in str(caught.value)


def test_words_count_in_either_case(clinical, tmp_path):
    path = edited(clinical, tmp_path / "edited.csv", 2, "EGFR mutation status", "mutant")
    assert nsclc_radiogenomics.cohort_table(path)["EGFR"][0] == "1"


def test_a_case_that_stands_twice_is_refused(clinical, tmp_path):
    path = edited(clinical, tmp_path / "edited.csv", 3, "Case ID", "AMC-001")
    with pytest.raises(CohortError, match='row 3, column "Case ID": the case "AMC-001" stands twice'):
        nsclc_radiogenomics.cohort_table(path)


def test_tables_of_something_else_are_refused(tmp_path, clinical):
    with pytest.raises(CohortError, match="cannot be read"):
        read_columns(tmp_path / "nowhere.csv", ["a"])
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(CohortError, match="not a readable CSV"):
        read_columns(tmp_path / "empty.csv", ["a"])
    (tmp_path / "other.csv").write_text("Case ID,CD8A\nR99-001,1.0\n")
    with pytest.raises(CohortError, match='the column "Lymphovascular invasion" is missing'):
        nsclc_radiogenomics.cohort_table(tmp_path / "other.csv")
    with pytest.raises(CohortError, match="none of its cases"):
        nsclc_radiogenomics.cohort_table(clinical, tmp_path / "other.csv")


def test_lung1_labels_equal_the_published_two_year_flags(lung1_table, lung1_folder):
    published = pd.read_excel(lung1_folder / "clinical" / "primakov_extended_clinical_df.xlsx").set_index("PatientID")
    survived = published["2yearsurvival"].reindex(lung1_table["case_id"])
    expected = survived.map({0.0: "1", 1.0: "0"}).fillna("")
    assert (lung1_table["died_within_2y"].to_numpy() == expected.to_numpy()).all()
    assert (expected == "").sum() == 2


def test_lung1_t4_leaves_out_the_code_nobody_explains(lung1_table):
    counts = lung1_table["T4"].value_counts()
    assert (counts["1"], counts["0"], counts[""]) == (117, 302, 3)
    assert set(lung1_table.loc[lung1_table["T4"] == "", "clinical_t"]) == {"5", ""}
    assert any("5 (2 patients)" in note for note in lung1.notes(lung1_table))


def test_lung1_of_the_145_with_features(lung1_table, lung1_features):
    part = lung1_table[lung1_table["case_id"].isin(lung1_features.index)]
    assert len(part) == len(lung1_features) == 145
    assert part["died_within_2y"].value_counts().to_dict() == {"1": 93, "0": 52}
    assert part["T4"].value_counts().to_dict() == {"0": 107, "1": 37, "": 1}


@pytest.mark.parametrize(
    ("column", "word"), [("clinical.T.Stage", "6"), ("Survival.time", "long"), ("deadstatus.event", "2")]
)
def test_lung1_cells_that_cannot_be_are_named(lung1_folder, tmp_path, column, word):
    path = edited(lung1_folder / "clinical" / LUNG1_CLINICAL, tmp_path / "edited.csv", 5, column, word)
    with pytest.raises(CohortError, match=f'row 5, column "{column}".*"{word}"'):
        lung1.cohort_table(path)


def test_lung1_features_are_788_of_the_851_and_the_others_are_named(lung1_features):
    absent = lung1.absent_features(lung1_features)
    assert lung1_features.shape == (145, 788)
    assert len(absent) == 63
    assert {name.split("_", 1)[1] for name in absent} == {
        "glcm_MCC",
        "glcm_SumAverage",
        *(f"ngtdm_{name}" for name in ("Busyness", "Coarseness", "Complexity", "Contrast", "Strength")),
    }
    assert {column.removeprefix("tumour_") for column in lung1_features} < set(FEATURE_NAMES)
    assert np.isfinite(lung1_features.to_numpy()).all()


def test_lung1_takes_the_largest_volume_of_a_patient(lung1_features):
    volume = lung1_features["tumour_original_shape_VoxelVolume"]
    assert volume["LUNG1-003"] == 38052
    assert volume["LUNG1-002"] == 358563
    assert lung1_features.index.is_monotonic_increasing


def test_a_feature_table_without_patients_is_refused(tmp_path):
    pd.DataFrame({"a": [1]}).to_excel(tmp_path / "other.xlsx", index=False)
    with pytest.raises(CohortError, match='the column "Patient" is missing'):
        lung1.feature_table(tmp_path / "other.xlsx")
    (tmp_path / "text.xlsx").write_text("no workbook")
    with pytest.raises(CohortError, match="not a readable Excel table"):
        lung1.feature_table(tmp_path / "text.xlsx")


@pytest.mark.parametrize(("positives", "columns", "draws"), [(17, 300, 20), (40, 60, 4)], ids=["single", "lasso"])
def test_on_noise_strict_stays_near_one_half_and_the_inner_cross_validation_does_not(positives, columns, draws):
    summary = summarise(
        [judge(noise(80, columns, ("tumour",), seed), exactly(positives, 80, [seed, 1]), seed) for seed in range(draws)]
    )
    assert abs(summary.strict - 0.5) < 4 * summary.strict_se
    assert summary.inner > 0.7
    assert summary.inner - summary.strict > 0.15


def test_a_planted_effect_is_found_by_strict():
    labels = exactly(17, 80, [3])
    features = noise(80, 300, ("tumour", "peritumoral"), 3)
    assert judge(features, labels, 0).strict < 0.75
    features["peritumoral_noise_5"] += 3.0 * labels
    assert judge(features, labels, 0).strict > 0.85
