"""Origin and quality of cases: counted by hand, written, read again, refused where they cannot be those of a table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from DeepRadScoreLib.cohort.case_notes import CaseNotes, QualityCount, notes_file, read_notes
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.imaging import QualityNote
from DeepRadScoreLib.models import Engine

CASES = pd.Index(["001", "b", "c", "d"], name="case_id")
THICK = QualityNote.warning("thick_slices", "5 mm.")
LUNG = (QualityNote.warning("shell_lung_share", "20 %."), QualityNote.info("shell_lung_share", "60 %."))
TEXT = """case_id,synthetic,engine,thick_slices,shell_lung_share
001,0,pyradiomics,warning,warning
b,1,pyradiomics,,info
c,0,pyradiomics,,
d,0,pyradiomics,warning,
"""


@pytest.fixture
def notes() -> CaseNotes:
    return CaseNotes.of(
        CASES, [False, True, False, False], [(THICK, *LUNG), (LUNG[1],), (), (THICK,)], Engine.PYRADIOMICS
    )


def _write(folder: Path, text: str) -> Path:
    (folder / "features.notes.csv").write_text(text, encoding="utf-8")
    return folder / "features.parquet"


def test_it_is_counted_by_code_and_severity(notes):
    assert notes.counts() == (
        QualityCount("thick_slices", "warning", 2),
        QualityCount("shell_lung_share", "info", 1),
        QualityCount("shell_lung_share", "warning", 1),
    )
    assert notes.cases_by_code() == {"thick_slices": 2, "shell_lung_share": 2}
    assert len(notes) == 4


def test_some_cases_in_another_order_have_their_own_codes_alone(notes):
    some = notes.of_cases(pd.Index(["c", "b"], name="case_id"))
    assert some.synthetic.tolist() == [False, True]
    assert some.quality.to_dict("list") == {"shell_lung_share": ["", "info"]}


def test_cases_are_found_by_the_first_of_the_codes_asked_for(notes):
    assert notes.with_codes(("shell_lung_share", "thick_slices")) == {
        "001": "shell_lung_share",
        "b": "shell_lung_share",
        "d": "thick_slices",
    }
    assert notes.with_codes(("flat_tumour",)) == {}
    assert notes.with_codes(()) == {}


def test_two_sources_on_the_same_cases_give_the_graver_note(notes):
    others = CaseNotes.of(
        CASES,
        [False, False, False, True],
        [(), (LUNG[0],), (QualityNote.info("patch_padded", ""),), ()],
        Engine.PYRADIOMICS,
    )
    both = notes.joined(others)
    assert both.synthetic.tolist() == [False, True, False, True]
    assert both.rows[1:3] == [{"shell_lung_share": "warning"}, {"patch_padded": "info"}]
    assert both.rows == others.joined(notes).rows


def test_the_file_holds_a_column_for_each_code_and_comes_back(notes, tmp_path):
    assert notes.to_csv() == TEXT
    found = read_notes(_write(tmp_path, TEXT), CASES)
    assert found is not None
    pd.testing.assert_frame_equal(found.quality, notes.quality)
    pd.testing.assert_series_equal(found.synthetic, notes.synthetic, check_names=False)
    pd.testing.assert_series_equal(found.engine, notes.engine, check_names=False)


def test_its_name_is_that_of_the_table_with_another_ending(tmp_path):
    assert [notes_file(Path(name)).name for name in ("a.parquet", "a.b.csv", "a")] == [
        "a.notes.csv",
        "a.b.notes.csv",
        "a.notes.csv",
    ]
    assert read_notes(tmp_path / "features.csv", CASES) is None


def test_a_code_of_another_program_is_kept(tmp_path):
    text = "case_id;engine;synthetic;of_tomorrow;thick_slices\na;pyradiomics;0;info;\n"
    found = read_notes(_write(tmp_path, text), pd.Index(["a"]))
    assert found is not None
    assert found.rows == [{"of_tomorrow": "info"}]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("b,1,", "b,yes,"), ['"yes" is not 0 or 1', 'row 3, column "synthetic"']),
        (("001,0,pyradiomics,", "001,0,mine,"), ['"mine" is not own or pyradiomics', 'row 2, column "engine"']),
        ((",info\n", ",bad\n"), ['"bad" is not nothing or info or warning', 'row 3, column "shell_lung_share"']),
        (("c,0", "x,0"), ["of another table than features.parquet", 'it lacks the case "c"']),
        (("c,0,pyradiomics,,\n", ""), ['it lacks the case "c"']),
        (("d,0", "e,0,pyradiomics,,\nd,0"), ['it has the case "e"']),
        (("d,0", "b,0"), ['the case "b" has several rows']),
        (("synthetic", "phantom"), ['the column "synthetic" is missing']),
        (("thick_slices", "engine"), ['the column "engine" stands twice']),
    ],
)
def test_a_file_that_cannot_be_is_refused_in_one_sentence(change, words, tmp_path):
    with pytest.raises(CohortError) as refused:
        read_notes(_write(tmp_path, TEXT.replace(*change, 1)), CASES)
    assert "features.notes.csv" in str(refused.value)
    for word in words:
        assert word in str(refused.value)
