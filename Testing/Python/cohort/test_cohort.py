"""The cohort table: what it holds, and one sentence for each thing that can be wrong with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from DeepRadScoreLib.cohort.covariates import covariates
from DeepRadScoreLib.cohort.frames import cohort_file
from DeepRadScoreLib.cohort.table import read_cohort
from DeepRadScoreLib.endpoints import KEYS, pdl1_label
from DeepRadScoreLib.errors import CohortError

ROOT = Path(__file__).resolve().parents[3]
NEEDS = ("case_id", "ct", "mask")


def _table(folder: Path, text: str) -> Path:
    path = folder / "cohort.csv"
    path.write_text(text)
    return path


def test_the_example_table_can_be_read():
    cohort = read_cohort(ROOT / "Resources" / "example_cohort.csv", needs=(*NEEDS, "patient_id"))
    assert len(cohort) == 3
    assert list(cohort.labels.columns) == list(KEYS)
    assert cohort.labels["EGFR"].tolist() == [1.0, 0.0, 0.0]
    assert np.isnan(cohort.labels["TP53"].iloc[1])
    assert cohort.labels["PDL1"][:2].tolist() == [0.0, 1.0]
    assert np.isnan(cohort.labels["PDL1"].iloc[2])
    assert cohort.pdl1_rules == {"PDL1": 0, "TPS": 2, "CD8A": 0}
    assert Path(cohort.table["ct"].iloc[0]) == (ROOT / "Resources" / "images" / "P001_ct.nrrd").resolve()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("case_id,ct\na,b\n", ['column "mask" is missing', "add it"]),
        ("case_id,ct,mask\na,c,m\na,d,n\n", ['case "a" stands in rows 2 and 3']),
        ("case_id,ct,mask,EGFR\na,c,m,maybe\n", ['"maybe" is neither 0, 1 nor empty', 'row 2, column "EGFR"']),
        ("case_id,ct,mask\na,,m\n", ['row 2 has nothing in column "ct"']),
        ("case_id,ct,mask\na,c,m\nDoe^Jane,d,n\n", ["row 3", 'a patient\'s name in column "case_id"', "pseudonym"]),
        (
            "case_id,patient_id,ct,mask\na,Doe^Jane,c,m\n",
            ["row 2 has what looks like a patient's name in column \"pat"],
        ),
        ("case_id,ct,mask,split\na,c,m,tset\n", ['split "tset" in row 2']),
        ("case_id,ct,mask,TPS\na,c,m,high\n", ['"high" is not a number', 'column "TPS"']),
        ("case_id,ct,mask\n", ["no rows"]),
        ("", ["not a readable CSV"]),
        ("case_id,ct,mask\na,c,m,\n", ["row 2 has 4 cells, the header has 3"]),
        ("case_id,ct,mask,EGFR,EGFR\na,c,m,1,0\n", ['column "EGFR" stands twice']),
        (
            "case_id,patient_id,ct,mask,split\na,p,c,m,train\nb,p,c,m,test\n",
            ['cases of patient "p" stand in more than one split'],
        ),
    ],
)
def test_bad_tables_get_one_sentence_with_file_field_and_mend(tmp_path, text, words):
    with pytest.raises(CohortError) as caught:
        read_cohort(_table(tmp_path, text), needs=NEEDS)
    sentence = str(caught.value)
    assert "cohort.csv" in sentence
    assert sentence.endswith(".")
    for word in words:
        assert word in sentence


def test_case_id_is_one_name_to_pandas_and_the_table_can_be_handed_back(tmp_path):
    cohort = read_cohort(_table(tmp_path, "case_id,ct,EGFR\nb,x.nrrd,1\na,y.nrrd,0\n"))
    assert cohort.table.groupby("case_id")["EGFR"].first().to_dict() == {"a": "0", "b": "1"}
    assert list(cohort.labels.index) == list(cohort.table.index) == ["b", "a"]
    with cohort_file(cohort.table) as path:
        again = read_cohort(path)
    assert again.table.equals(cohort.table)
    assert again.labels.equals(cohort.labels)


def test_a_missing_table_and_a_folder_are_refused(tmp_path):
    with pytest.raises(CohortError, match="does not exist"):
        read_cohort(tmp_path / "none.csv", needs=NEEDS)
    with pytest.raises(CohortError, match="folder"):
        read_cohort(tmp_path, needs=NEEDS)


def test_cd8a_stands_in_where_tps_is_missing(tmp_path):
    rows = "case_id,patient_id,ct,mask,TPS,CD8A\na,p1,c,m,0,9\nb,p2,c,m,,3\nc,p2,c,m,,3\nd,p3,c,m,,1\ne,p4,c,m,,\n"
    cohort = read_cohort(_table(tmp_path, rows), needs=NEEDS)
    assert cohort.cd8a_cut == np.median([9, 3, 1])
    assert cohort.pdl1_rules == {"PDL1": 0, "TPS": 1, "CD8A": 3}
    assert cohort.labels["PDL1"].tolist()[:4] == [0.0, 0.0, 0.0, 0.0]
    lower = read_cohort(_table(tmp_path, rows), needs=NEEDS, cd8a_cut=2.0)
    assert lower.labels["PDL1"].tolist()[:4] == [0.0, 1.0, 1.0, 0.0]


def test_tps_of_one_percent_is_positive():
    assert pdl1_label(1.0, np.nan, np.nan) == (1.0, "TPS")
    assert pdl1_label(0.9, 50.0, 1.0) == (0.0, "TPS")


def test_endpoints_may_be_keys_or_other_columns_and_keep_their_order(tmp_path):
    path = _table(tmp_path, "case_id,EGFR,alive_2y,KRAS\na,1,0,\nb,0,1,1\nc,,,0\n")
    cohort = read_cohort(path, needs=("case_id",), endpoints=("alive_2y", "KRAS", "ALK"))
    assert list(cohort.labels) == ["alive_2y", "KRAS", "ALK"]
    np.testing.assert_array_equal(cohort.labels, [[0, np.nan, np.nan], [1, 1, np.nan], [np.nan, 0, np.nan]])
    assert cohort.bad_labels == {}
    with pytest.raises(CohortError, match=r'cohort.csv: the endpoint "alive_3y" is no column; .*EGFR, alive_2y, KRAS'):
        read_cohort(path, needs=("case_id",), endpoints=("EGFR", "alive_3y"))


def test_pdl1_is_made_from_its_sources_only_where_it_is_asked_for(tmp_path):
    path = _table(tmp_path, "case_id,EGFR,TPS\na,1,high\nb,0,50\n")
    assert list(read_cohort(path, needs=("case_id",), endpoints=("EGFR",)).labels) == ["EGFR"]
    with pytest.raises(CohortError, match="high"):
        read_cohort(path, needs=("case_id",), endpoints=("PDL1",))


def test_an_endpoint_with_a_bad_label_does_not_stop_the_others(tmp_path):
    path = _table(tmp_path, "case_id,EGFR,KRAS,ALK,TPS\na,1,maybe,1,high\nb,0,1,2,1\n")
    cohort = read_cohort(path, needs=("case_id",), one_bad_label_stops=False)
    assert cohort.labels["EGFR"].tolist() == [1.0, 0.0]
    assert cohort.labels[["KRAS", "ALK", "PDL1"]].isna().all(axis=None)
    assert set(cohort.bad_labels) == {"KRAS", "ALK", "PDL1"}
    assert str(cohort.bad_labels["KRAS"]) == (
        f'{path}, row 2, column "KRAS": the label "maybe" is neither 0, 1 nor empty; '
        "write 1, 0 or leave the cell empty."
    )
    assert 'row 3, column "ALK": the label "2"' in str(cohort.bad_labels["ALK"])
    assert 'row 2, column "TPS"' in str(cohort.bad_labels["PDL1"])


CLINICAL = """case_id,patient_id,split,ct,EGFR,TPS,age,stage,packs,nothing,grade
a,p,train,x,1,5,61,II,10.5,,1
b,q,test,y,0,0,Not Collected,unknown,,N/A,1e400
c,r,train,z,0,0,70,IV,N/A,,2
"""


def test_covariates_are_numbers_where_every_known_cell_is_one(tmp_path):
    cohort = read_cohort(_table(tmp_path, CLINICAL), needs=("case_id",), endpoints=("EGFR",))
    table = covariates(cohort, ["stage", "age", "packs", "TPS"]).table
    assert list(table) == ["stage", "age", "packs", "TPS"]
    assert table["stage"].tolist() == ["II", None, "IV"]
    np.testing.assert_array_equal(table["age"], [61, np.nan, 70])
    np.testing.assert_array_equal(table["packs"], [10.5, np.nan, np.nan])
    assert table["age"].dtype == table["TPS"].dtype == np.float64
    assert covariates(cohort, []).table.shape == (3, 0)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ages", 'the covariate "ages" is no column; name some of case_id, patient_id'),
        ("EGFR", "EGFR is an endpoint of this run and cannot predict itself; leave it out of --covariates"),
        ("TPS", "the labels of the endpoint PDL1 come from TPS"),
        ("split", "not a clinical variable"),
        ("case_id", "not a clinical variable"),
        ("patient_id", "not a clinical variable"),
        ("ct", "not a clinical variable"),
        ("nothing", "the column has no value"),
    ],
)
def test_a_covariate_that_gives_the_label_away_or_says_nothing_is_refused(tmp_path, name, words):
    cohort = read_cohort(_table(tmp_path, CLINICAL), needs=("case_id",))
    with pytest.raises(CohortError) as caught:
        covariates(cohort, ["age", name])
    assert words in str(caught.value)
    assert "cohort.csv" in str(caught.value)
