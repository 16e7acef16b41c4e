"""Tables saved as text: cells, numbers of rows, what is refused, and that the standard library is enough."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from DeepRadScoreLib.cohort.text_table import read_cohort_text, read_text_table
from DeepRadScoreLib.errors import CohortError


def _file(folder: Path, text: str) -> Path:
    path = folder / "table.csv"
    path.write_bytes(text.encode())
    return path


def test_cells_are_stripped_short_rows_filled_and_blank_lines_counted(tmp_path):
    table = read_text_table(_file(tmp_path, '\ufeffa; b ;\r\n\r\n 1 ; "x;\ny"\r\n  \r\n2\r\n'), "table")
    assert table.columns == ("a", "b", "Unnamed: 2")
    assert table.rows == ({"a": "1", "b": "x;\ny", "Unnamed: 2": ""}, {"a": "2", "b": "", "Unnamed: 2": ""})
    assert table.numbered("a") == [(3, "1"), (5, "2")]
    assert table.numbered("c") == []


def test_a_sentence_names_the_row_of_the_file(tmp_path):
    with pytest.raises(CohortError, match='row 4 has nothing in column "ct"'):
        read_cohort_text(_file(tmp_path, "case_id,ct\na,x\n\nb,\n"), ("ct",))


def test_a_quotation_mark_that_is_not_closed_is_refused(tmp_path):
    with pytest.raises(CohortError, match=r"not a readable CSV table \(a quotation mark is not closed\)"):
        read_text_table(_file(tmp_path, 'case_id,ct\na,"x\nb,y\n'), "table")


def test_nothing_but_the_standard_library_is_needed():
    code = """
import sys
import DeepRadScoreLib.cohort.text_table
assert not {"numpy", "pandas"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
