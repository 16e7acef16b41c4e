"""Tables as others write them: read with the right values, or refused by a sentence that says why."""

from __future__ import annotations

import csv
import re
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from openpyxl import Workbook

from DeepRadScoreLib.cohort.covariates import covariates, with_plain_numbers
from DeepRadScoreLib.cohort.labels import read_labels
from DeepRadScoreLib.cohort.table import Cohort, read_cohort
from DeepRadScoreLib.cohort.table_files import read_table
from DeepRadScoreLib.cohort.text_table import read_cohort_text
from DeepRadScoreLib.computing.case_record import CaseTask
from DeepRadScoreLib.computing.one_case import compute_case
from DeepRadScoreLib.errors import CohortError
from DeepRadScoreLib.models import Baseline
from DeepRadScoreLib.study.confounders import find_confounders
from DeepRadScoreLib.study.data import StudyInputs, has_images, read_study_cohort

AGES = [61, 58, 70, 66, 49, 83, 75, 62]


def cohort_of(folder: Path, **columns: list[str]) -> Cohort:
    """A cohort with these columns of text, two of whose last patients are one."""
    n = len(next(iter(columns.values())))
    table = pd.DataFrame(
        {"case_id": [f"c{i}" for i in range(n)], "patient_id": [f"p{min(i, n - 2)}" for i in range(n)]}
    )
    path = folder / "cohort.csv"
    table.assign(**columns).to_csv(path, index=False)
    return read_cohort(path, endpoints=("PDL1",) if {"TPS", "CD8A"} & set(columns) else ())


READ = {
    "plain": ("age", ["61", "58.5", "", ".5", "7e1", "NA"], [61, 58.5, np.nan, 0.5, 70, np.nan]),
    "decimal commas": ("fev1", ["2,5", "3,25", "1,123", "2", "-0,5"], [2.5, 3.25, 1.123, 2, -0.5]),
    "commas beside points": ("fev1", ["2,5", "3.25", "1.1"], [2.5, 3.25, 1.1]),
    "0,123 is no thousand": ("ratio", ["0,123", "0,456"], [0.123, 0.456]),
    "a true minus sign": ("delta", ["\u22123", "4", "5"], [-3, 4, 5]),
    "years": ("age", ["63 y", "58 yrs.", "70", "66 years", "49y"], [63, 58, 70, 66, 49]),
    "DICOM's age strings": ("PatientAge", ["063Y", "058Y", "070Y"], [63, 58, 70]),
    "one unit in all cells": ("diameter", ["30 mm", "25mm", "12,5 mm"], [30, 25, 12.5]),
    "the unit of the column's name": ("size_mm", ["30 mm", "25", "12"], [30, 25, 12]),
    "a bound of the highest ages": ("age", [*map(str, AGES), "> 89", ">89"], [*AGES, 89, 89]),
    "days before and after": ("surgery_date_days", ["-12", "0", "431"], [-12, 0, 431]),
    "percent": ("stroma", ["50 %", "12,5%", "0%"], [50, 12.5, 0]),
}
CATEGORIES = {
    "stages": ["1", "2", "3a", "3b", "2", "3a"],
    "words": ["II", "IV", "IV", "unknown", "II"],
    "open codes": ["0", "1", "2", ">2", "0", ">2"],
    "scores": ["0", "1+", "2+", "3+", "0", "2+"],
    "the collection's shares": ["0%", ">0 - 25%", "50 - 75%", "25 - 50%", "0%", "100%", "75 - < 100%", "0%"],
}
REFUSED = {
    "a letter in a number": ("age", [*map(str, AGES), "6o"], r'row 10, column "age": "6o" is not a number'),
    "a unit that is not known": ("age", [*map(str, AGES), "63 Lenze"], r'row 10, .*"63 Lenze" is not a number'),
    "months among years": (
        "age",
        [*map(str, AGES), "6 mo"],
        r'row 10, .*"6 mo" is in months, the column "age" in years',
    ),
    "the name's unit is another": ("size_mm", ["3 cm", "25", "12"], r'row 2, .*"3 cm" is in cm, .* in mm'),
    "two units": ("size", ["30 mm", "3 cm", "25 mm"], r'row 3, .*"3 cm" is in cm, another row in mm'),
    "a unit in some cells": ("size", ["30 mm", "25", "12"], r'row 2, .*"30 mm" has a unit, "25" has none'),
    "thousands or decimals": ("platelets", ["1,234", "2,345", "900"], r'row 2, .*"1,234" may be 1\.234 or 1234'),
    "both in one column": ("dose", ["61,5", "1.234", "2"], r'row 3, .*"1\.234" may be 1\.234 or 1234'),
    "points and commas": ("dose", ["1.234,5", *"123456"], r'row 2, .*"1\.234,5" is not a number'),
    "beyond a double": ("dose", ["1", "1e400", "2"], r'row 3, .*"1e400" is too large for a number'),
    "infinite": ("dose", [*"123456", "inf"], r'row 8, .*"inf" is an infinite value'),
    "999 for unknown": ("age", ["61", "999", "70"], r'row 3, .*"999" lies outside 0 to 130 years'),
    "-9 for unknown": ("age", ["61", "-9", "70"], r'row 3, .*"-9" lies outside 0 to 130 years'),
    "a day in another calendar": ("study_day", ["0", "20190301", "5"], r'row 3, .*"20190301" lies outside'),
    "a bound that others exceed": (
        "age",
        [*map(str, AGES), "> 80"],
        r'row 10, .*"> 80" is a bound, and another .*"83"',
    ),
    "two bounds": (
        "age",
        [*map(str, AGES), "> 89", "≥ 90"],
        r'row 10, .*"> 89" is a bound, and another row has "≥ 90"',
    ),
    "names": ("surgeon", ["Ito", "Ray", "Oz", "Poe", "Poe"], r"as many categories \(4\) as patients, such as \"Ito\""),
    "dates": ("surgery", ["2019-03-01", "2019-05-02", "2020-01-09"], r"as many categories \(3\) as patients"),
}


@pytest.mark.parametrize(("name", "cells", "values"), READ.values(), ids=READ)
def test_numbers_are_read_as_they_are_written(tmp_path, name, cells, values):
    cohort = cohort_of(tmp_path, **{name: cells})
    found = covariates(cohort, [name])
    assert found.table[name].dtype == np.float64
    np.testing.assert_array_equal(found.table[name], values)
    noted = any(not re.fullmatch(r"|NA|-?[\d.e]+", text) for text in cells if text != "\u22123")
    assert bool(found.notes) == noted
    plain = pd.to_numeric(with_plain_numbers(cohort)[name], errors="coerce") if noted else found.table[name]
    np.testing.assert_array_equal(plain, values)


@pytest.mark.parametrize("cells", CATEGORIES.values(), ids=CATEGORIES)
def test_codes_stay_categories(tmp_path, cells):
    found = covariates(cohort_of(tmp_path, grade=cells), ["grade"])
    assert found.table["grade"].fillna("unknown").tolist() == cells
    assert found.notes == ()


@pytest.mark.parametrize(("name", "cells", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_by_row(tmp_path, name, cells, sentence):
    with pytest.raises(CohortError, match=rf"cohort\.csv, .*{sentence}.*; .*\.$"):
        covariates(cohort_of(tmp_path, **{name: cells}), [name])


def test_the_note_counts_what_was_read(tmp_path):
    cells = [*map(str, AGES), "61,5", "63 y", "> 89", "> 89"]
    assert covariates(cohort_of(tmp_path, age=cells), ["age"]).notes == (
        'cells of column "age" were read as numbers: 1 with a decimal comma, 1 in years, 2 as bounds ("> 89" as 89)',
    )


PDL1 = {
    "percent": ("TPS", ["50 %", "0%", "1 %", "0,5 %", ""], [1, 0, 1, 0, np.nan]),
    "bounds": ("TPS", ["<1%", "≥ 50", ">1", "<= 0.5", "0"], [0, 1, 1, 0, 0]),
    "not known": ("TPS", ["unknown", "80", "0", "2", "NA"], [np.nan, 1, 0, 1, np.nan]),
    "expression with decimal commas": ("CD8A", ["1,5", "2,25", "0,5", "3,125", "3,125"], [0, 1, 0, 1, 1]),
}
BAD_PDL1 = {
    "over 100": ("TPS", ["50", "120"], r'row 3, column "TPS": "120" lies outside 0 to 100 %'),
    "below 0": ("TPS", ["50", "-1"], r'row 3, .*"-1" lies outside 0 to 100 %'),
    "shares of 1": ("TPS", ["0", "0.5", "1"], r'row 3, .*"0\.5" may be a share or percent.*"50" for that share'),
    "an open bound": ("TPS", ["50", "<5"], r'row 3, .*"<5" leaves open whether TPS reaches 1 %'),
    "another unit": ("TPS", ["50", "5 mm"], r'row 3, .*"5 mm" is in mm, the column "TPS" in %'),
    "infinite TPS": ("TPS", ["50", "inf"], r'row 3, .*"inf" is an infinite value'),
    "infinite expression": ("CD8A", ["1.5", "-inf"], r'row 3, column "CD8A": "-inf" is an infinite value'),
    "a bound of expression": ("CD8A", ["1.5", "<0.1"], r'row 3, .*"<0.1" is not a number'),
    "thousands of expression": ("CD8A", ["1,234", "2,500"], r'row 2, .*"1,234" may be 1\.234 or 1234'),
}


@pytest.mark.parametrize(("name", "cells", "labels"), PDL1.values(), ids=PDL1)
def test_labels_come_from_tps_and_cd8a_as_they_are_written(tmp_path, name, cells, labels):
    np.testing.assert_array_equal(cohort_of(tmp_path, **{name: cells}).labels["PDL1"], labels)


@pytest.mark.parametrize(("name", "cells", "sentence"), BAD_PDL1.values(), ids=BAD_PDL1)
def test_sources_of_labels_are_refused_by_row(tmp_path, name, cells, sentence):
    with pytest.raises(CohortError, match=sentence):
        cohort_of(tmp_path, **{name: cells})


@pytest.mark.parametrize(
    ("column", "cells", "known"),
    [
        ("slice_thickness", ["1,25 mm", "5 mm", "2.5"], [1.25, 5, 2.5]),
        (
            "slice_thickness",
            ["1.25", "thin", "5"],
            r'cohort.csv, row 3, column "slice_thickness": "thin" is not a number',
        ),
        (
            "study_date",
            ["20190301", "01.05.2019", "20190401"],
            r'row 3, .*"01.05.2019" is no date of the form that most',
        ),
    ],
)
def test_a_confounder_that_cannot_be_read_says_which_row(tmp_path, column, cells, known):
    cohort = cohort_of(tmp_path, **{column: cells})
    found = find_confounders(cohort, cohort.table.index)
    name = Baseline.DATE if "date" in column else Baseline.THICKNESS
    if isinstance(known, str):
        assert re.search(known, found.absent[name])
    else:
        np.testing.assert_array_equal(found.tables[name][column], known)


ROWS = [
    ["case_id", "patient_id", "ct", "mask", "EGFR", "age", "note"],
    ["007", "p1", "a.nrrd", "b.nrrd", "1", "61.5", "x; y, z"],
    ["8", "p2", "c.nrrd", "d.nrrd", "0", "0.1", "ä\n\u202fé"],
]
LONG = "m" * 300_000


def csv_bytes(rows: list[list[str]], separator: str = ",", before: str = "", after: str = "") -> bytes:
    stream = BytesIO()
    text = pd.DataFrame(rows).to_csv(sep=separator, header=False, index=False, quoting=csv.QUOTE_MINIMAL)
    stream.write((before + text + after).encode())
    return stream.getvalue()


def workbook(rows: list[list[object]], **formats: str) -> Workbook:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    for cell, number_format in formats.items():
        book.active[cell].number_format = number_format
    return book


def xlsx_bytes(book: Workbook) -> bytes:
    stream = BytesIO()
    book.save(stream)
    return stream.getvalue()


TYPED = [ROWS[0], [7, "p1", "a.nrrd", "b.nrrd", 1, 61.5, "x; y, z"], [8, "p2", "c.nrrd", "d.nrrd", 0, 0.1, ROWS[2][-1]]]
SAME = {
    "comma": ("t.csv", csv_bytes(ROWS)),
    "semicolon": ("t.csv", csv_bytes(ROWS, ";")),
    "sep=;": ("t.csv", csv_bytes(ROWS, ";", before="sep=;\r\n")),
    "sep= in quotes, saved again by Excel": ("t.csv", csv_bytes(ROWS, before='"sep=,",,,,,\n')),
    "sep=|": ("t.csv", csv_bytes(ROWS, "|", before="SEP=|\n")),
    "Excel's Unicode text": ("t.txt", csv_bytes(ROWS, "\t").decode().encode("utf-16")),
    "empty rows at the end": ("t.csv", csv_bytes(ROWS, ";", after=";;;;;;\r\n;;;;;;\r\n;;;;;;;;;\r\n")),
    "Excel": ("t.xlsx", xlsx_bytes(workbook(TYPED, A2="000"))),
    "Excel named .csv": ("t.csv", xlsx_bytes(workbook(TYPED, A2="000"))),
    "Excel with empty ends": ("t.xlsx", xlsx_bytes(workbook([*([*row, None] for row in TYPED), [None]], A2="000"))),
}


@pytest.mark.parametrize(("name", "content"), SAME.values(), ids=SAME)
def test_the_same_table_is_the_same_however_it_is_saved(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    text = read_cohort_text(tmp_path / name, ("ct", "mask"))
    assert [list(row.values()) for row in text.rows] == [[cell.strip() for cell in row] for row in ROWS[1:]]
    assert text.row_numbers == (2, 3)
    cohort = read_cohort(tmp_path / name, needs=("ct", "mask"))
    assert cohort.labels["EGFR"].tolist() == [1, 0]
    assert covariates(cohort, ["age"]).table["age"].tolist() == [61.5, 0.1]


def test_a_feature_table_may_begin_with_its_separator(tmp_path):
    (tmp_path / "f.csv").write_text("sep=;\ncase_id;tumour_x\n007;1.5\n")
    table, _ = read_table(tmp_path / "f.csv", text_column="case_id")
    assert table.to_dict("list") == {"case_id": ["007"], "tumour_x": [1.5]}


@pytest.mark.parametrize("rows", [ROWS, TYPED], ids=["csv", "xlsx"])
def test_a_cell_may_be_of_any_length(tmp_path, rows):
    limit = csv.field_size_limit()
    longer = [*rows[:-1], [*rows[-1][:-1], LONG[: 32_767 if rows is TYPED else None]]]
    (tmp_path / "t").write_bytes(xlsx_bytes(workbook(longer)) if rows is TYPED else csv_bytes(longer))
    assert read_cohort_text(tmp_path / "t", ()).rows[-1]["note"] == longer[-1][-1]
    assert csv.field_size_limit() == limit


def test_excel_cells_are_read_as_they_are_shown(tmp_path):
    head = ["PatientID", "TPS", "surgery_date", "EGFR"]
    book = workbook([head, [12, 0.07, datetime(2019, 3, 1), 1], [13, 0.5, datetime(2020, 3, 1), 0]], A2="0000", B2="0%")
    (tmp_path / "labels.xlsx").write_bytes(xlsx_bytes(book))
    labels = read_labels(tmp_path / "labels.xlsx", ["surgery_date"])
    assert labels.rows["0012"][1]["TPS"] == "7%"
    assert {day.year for day in labels.dates["surgery_date"].values()} == {2019, 2020}


def _merged() -> bytes:
    book = workbook(TYPED)
    book.active.merge_cells("B2:B3")
    return xlsx_bytes(book)


BAD_FILES = {
    "Excel 97": (
        bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600),
        "a workbook of Excel 97 to 2003, or one with a password",
    ),
    "merged cells": (_merged(), "the cells B2:B3 are merged; unmerge them"),
    "a formula never computed": (
        xlsx_bytes(workbook([*TYPED, ["=A2+2", "p"]])),
        "formula in cell A4 has no stored value",
    ),
    "an empty sheet": (xlsx_bytes(Workbook()), "the first sheet is empty"),
    "a damaged workbook": (xlsx_bytes(workbook(TYPED))[:900], r"not a readable Excel workbook \("),
    "a repeated column": (xlsx_bytes(workbook([["case_id", "a", "a"], [1, 2, 3]])), 'column "a" stands twice'),
    "no rows": (xlsx_bytes(workbook([["case_id", "a"]])), "the table has no rows"),
    "sep= and nothing": (b"sep=;\n", "not a readable CSV table"),
    "a code page": ("case_id;note\na;ä\n".encode("cp1252"), "not a readable CSV table"),
}


@pytest.mark.parametrize(("content", "sentence"), BAD_FILES.values(), ids=BAD_FILES)
def test_files_that_cannot_be_read_say_why(tmp_path, content, sentence):
    (tmp_path / "t.xlsx").write_bytes(content)
    with pytest.raises(CohortError, match=rf"t\.xlsx: .*{sentence}"):
        read_cohort_text(tmp_path / "t.xlsx", ())


@pytest.mark.parametrize("header", ["case_id,patient_id,ct,mask,EGFR", "case_id,patient_id,EGFR"])
def test_columns_of_images_that_are_empty_throughout_count_as_absent(tmp_path, header):
    empty = ",,"[: 2 * ("ct" in header)]
    (tmp_path / "c.csv").write_text(f"{header}\n" + "".join(f"c{i},p{i},{empty}{i % 2}\n" for i in range(4)))
    with_features = StudyInputs(tmp_path / "c.csv", tmp_path / "features.csv")
    cohort = read_study_cohort(with_features)
    assert not has_images(cohort)
    assert cohort.labels["EGFR"].tolist() == [0, 1, 0, 1]
    with pytest.raises(CohortError, match='columns "ct" and "mask" are missing or empty'):
        read_study_cohort(StudyInputs(tmp_path / "c.csv"))


@pytest.mark.parametrize("column", ["ct", "mask"])
def test_a_case_without_an_image_reads_no_other_files(tmp_path, column):
    files = {"ct": "ct.nrrd", "mask": "mask.nrrd"} | {column: ""}
    record = compute_case(CaseTask("a", **files), tmp_path)
    assert record.error == f'column "{column}": the cell is empty; fill it in, or remove the row.'
