"""The cohort table: what it holds, and one sentence for each thing that can be wrong with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from DeepRadScoreLib.endpoints import KEYS, pdl1_label
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.study.cohort import read_cohort

ROOT = Path(__file__).resolve().parents[2]
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
    assert np.isnan(cohort.labels["TP53"][1])
    assert cohort.labels["PDL1"][:2].tolist() == [0.0, 1.0]
    assert np.isnan(cohort.labels["PDL1"][2])
    assert cohort.pdl1_rules == {"PDL1": 0, "TPS": 2, "CD8A": 0}
    assert Path(cohort.table["ct"][0]) == (ROOT / "Resources" / "images" / "P001_ct.nrrd").resolve()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("case_id,ct\na,b\n", ['column "mask" is missing', "add it"]),
        ("case_id,ct,mask\na,c,m\na,d,n\n", ['case "a" stands in rows 2 and 3']),
        ("case_id,ct,mask,EGFR\na,c,m,maybe\n", ['"maybe" is neither 0, 1 nor empty', 'row 2, column "EGFR"']),
        ("case_id,ct,mask\na,,m\n", ['row 2 has nothing in column "ct"']),
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
