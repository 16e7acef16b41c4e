"""A text that a spreadsheet takes for a formula is written as text and read back as it was; numbers stay numbers."""

from __future__ import annotations

import csv
from io import StringIO
from itertools import product

import numpy as np
import pandas as pd
import pytest

from DeepRadScoreLib.cohort.case_notes import CaseNotes, notes_file, read_notes
from DeepRadScoreLib.cohort.csv_text import csv_text, restored_table
from DeepRadScoreLib.cohort.feature_table import write_feature_table
from DeepRadScoreLib.cohort.frames import cohort_file
from DeepRadScoreLib.cohort.table_files import read_table
from DeepRadScoreLib.cohort.text_table import defused, read_text_table, restored
from DeepRadScoreLib.models import Engine

FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "'=1", "''=1", "＝1", '=HYPERLINK("http://x")')
PLAIN = ("case-1", "'quoted'", "-5", "+3.5e2", "a=b", "007", "")
DANGEROUS = tuple("=+-@\t\r\n＝＋－＠")


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_written_as_text(text):
    assert defused(text) == f"'{text}" and restored(defused(text)) == text


@pytest.mark.parametrize("text", PLAIN)
def test_other_texts_are_written_as_they_are(text):
    assert defused(text) == text == restored(text)


def test_every_text_is_read_back_as_it_was_and_begins_like_no_formula():
    texts = ["".join(letters) for length in range(6) for letters in product("'=+-\t5.a", repeat=length)]
    written = [defused(text) for text in texts]
    assert [restored(text) for text in written] == texts
    assert len(set(written)) == len(texts)
    for text in written:
        if text.startswith(DANGEROUS):
            float(text)


def test_tables_are_read_back_by_both_readers(tmp_path):
    table = pd.DataFrame({"case_id": FORMULAS, "=name": range(len(FORMULAS)), "value": -np.arange(len(FORMULAS)) / 2.0})
    path = tmp_path / "table.csv"
    path.write_text(csv_text(table), encoding="utf-8", newline="")
    rows = list(csv.reader(StringIO(csv_text(table))))
    assert not any(cell.startswith(DANGEROUS) for row in rows for cell in row[:2])
    assert [float(row[2]) for row in rows[1:]] == list(table["value"])
    read, _ = read_table(path, text_column="case_id")
    pd.testing.assert_frame_equal(read, table, check_dtype=False)
    assert [row["case_id"] for row in read_text_table(path, "table").rows] == list(FORMULAS)
    pd.testing.assert_frame_equal(restored_table(pd.read_csv(StringIO(csv_text(table)))), table, check_dtype=False)


def test_a_feature_table_and_its_notes_keep_the_case_ids(tmp_path):
    ids = pd.Index(FORMULAS, name="case_id")
    features = pd.DataFrame({"tumour_original_firstorder_Mean": -np.arange(len(ids)) / 3.0}, index=ids)
    notes = CaseNotes.of(FORMULAS, [True] * len(ids), [()] * len(ids), Engine.OWN)
    path = tmp_path / "features.csv"
    write_feature_table(features, path, notes)
    for file in (path, notes_file(path)):
        assert all(line.startswith(("case_id", "'", "\"'")) for line in file.read_text(encoding="utf-8").splitlines())
    read, _ = read_table(path, text_column="case_id")
    pd.testing.assert_frame_equal(read.set_index("case_id"), features, check_exact=True)
    assert list(read_notes(path, ids).synthetic.index) == list(FORMULAS)


BROKEN = ("one\rtwo", "\rthree", "four\r", "five\r\nsix", "plain")
"""Texts with a carriage return, at which a reader ends a row where it is not quoted."""


def test_a_carriage_return_in_a_text_ends_no_row(tmp_path):
    table = pd.DataFrame({"case_id": BROKEN, "a\rb": range(len(BROKEN))})
    path = tmp_path / "table.csv"
    path.write_bytes(csv_text(table).encode())
    rows = list(csv.reader(StringIO(csv_text(table), newline="")))
    assert rows[0] == list(table.columns)
    assert [restored(row[0]) for row in rows[1:]] == list(BROKEN)
    read, _ = read_table(path, text_column="case_id")
    assert list(read["case_id"]) == list(BROKEN)
    assert len(read_text_table(path, "table").rows) == len(BROKEN)
    features = table.set_index("case_id")
    write_feature_table(features, path, CaseNotes.of(BROKEN, [True] * 5, [()] * 5, Engine.OWN))
    read, _ = read_table(path, text_column="case_id")
    assert list(read["case_id"]) == list(BROKEN)


def test_lines_of_other_tables_end_as_before():
    assert csv_text(pd.DataFrame({"case_id": ["one", "two\nlines"]})) == 'case_id\none\n"two\nlines"\n'


def test_a_data_frame_of_such_ids_becomes_the_same_cohort_table():
    table = pd.DataFrame({"case_id": FORMULAS, "site": "=A1"})
    with cohort_file(table) as path:
        rows = read_text_table(path, "cohort table").rows
    assert [(row["case_id"], row["site"]) for row in rows] == [(name, "=A1") for name in FORMULAS]
