"""CSV tables: cohorts, labels of hospitals, notes files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from DeepRadScoreLib.cohort.case_notes import notes_file, read_notes
from DeepRadScoreLib.cohort.covariates import clinical_columns, covariates
from DeepRadScoreLib.cohort.csv_text import csv_text
from DeepRadScoreLib.cohort.labels import read_labels
from DeepRadScoreLib.cohort.table import read_cohort
from DeepRadScoreLib.endpoints import KEYS, PDL1_SOURCES
from DeepRadScoreLib.errors import CohortError
from fuzzing.contract import Target
from fuzzing.strategies import mutated, odd_texts

COHORT_COLUMNS = (
    *("case_id", "patient_id", "site", "ct", "mask", "segment", "split", "series", "repeat_mask", "lung_mask"),
    *(*KEYS, *PDL1_SOURCES, "age", "sex", "date"),
)
LABEL_COLUMNS = ("PatientID", *KEYS[:4], *PDL1_SOURCES, "split", "site", "age", "surgery", "surgery_days")
NOTES_COLUMNS = ("case_id", "synthetic", "engine", "thick_slices", "unknown_code")
DAYS = ("2020-01-31", "20200131", "31.01.2020", "01/02/2020", "2020-13-01", "0000-00-00", "2020-01-31 10:00:00")
CELLS = ("0", "1", "", "", "0.0", "1.0", "2", "0.5", "45", "a", "b", "train", "test", "own", "warning", "info", *DAYS)


@st.composite
def csv_files(draw: DrawFn, columns: Sequence[str], identity: str) -> bytes:
    """A table of some of these columns and others; its cells are usual ones or odd texts."""
    names = [identity, *draw(st.lists(st.one_of(st.sampled_from(columns), odd_texts()), max_size=6, unique=True))]
    cells = st.one_of(st.sampled_from(CELLS), odd_texts())
    rows = [
        [draw(st.one_of(st.just(f"case-{number}"), cells)), *(draw(cells) for _ in names[1:])]
        for number in range(draw(st.integers(0, 5)))
    ]
    stream = io.StringIO()
    delimiter = draw(st.sampled_from(",;\t"))
    quoting = draw(st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)))
    csv.writer(stream, delimiter=delimiter, quoting=quoting).writerows([names, *rows])
    encoding = draw(st.sampled_from(("utf-8", "utf-8-sig", "utf-8", "utf-16", "latin-1")))
    return stream.getvalue().encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")


def _read_cohort(data: bytes, folder: Path) -> None:
    """Read a cohort, all labels and every covariate; what is written of it is read as the same."""
    path = folder / "cohort.csv"
    path.write_bytes(data)
    cohort = read_cohort(path)
    repr(cohort)
    for name in cohort.table:
        with suppress(CohortError):
            read_cohort(path, endpoints=[name], one_bad_label_stops=False)
        with suppress(CohortError):
            table = covariates(cohort, [name]).table
            clinical_columns(table, table)
    written = folder / "written.csv"
    written.write_bytes(csv_text(cohort.table).encode())
    again = read_cohort(written)
    pd.testing.assert_frame_equal(again.table, cohort.table)
    pd.testing.assert_frame_equal(again.labels, cohort.labels)


def _read_labels(data: bytes, folder: Path) -> None:
    path = folder / "labels.csv"
    path.write_bytes(data)
    header = data.decode("utf-8", "replace").splitlines() or [""]
    labels = read_labels(path)
    for name in header[0].split(","):
        with suppress(CohortError):
            labels = read_labels(path, [name.strip()])
    for patient in labels.rows:
        labels.of(patient, pd.Timestamp("2020-02-01").date(), lambda words: words == "secret")


def _read_notes(data: bytes, folder: Path) -> None:
    table = folder / "features.csv"
    notes_file(table).write_bytes(data)
    cases = pd.Index(["case-0", "case-1"], name="case_id")
    notes = read_notes(table, cases)
    assert notes is not None
    notes_file(table).write_bytes(notes.of_cases(cases).to_csv().encode())
    read_notes(table, cases)


def _cohorts() -> list[bytes]:
    plain = (
        "case_id,patient_id,ct,mask,EGFR,TPS,CD8A,split,age\na,p,ct.nrrd,m.nrrd,1,,2.5,train,60\nb,q,c,m,0,5,,test,x\n"
    )
    return [plain.encode(), plain.replace(",", ";").encode("utf-8-sig"), b'"case_id"\t"sex"\n"a ""b"""\tf\n']


def _label_tables() -> list[bytes]:
    plain = "PatientID,EGFR,TPS,site,surgery,age\n007,1,5,north,2020-01-31,60\n008,0,,south,2020-02-01,\n"
    return [plain.encode(), plain.replace("2020-01-31", "31.01.2020").replace("2020-02-01", "1.2.2020").encode()]


def _notes() -> list[bytes]:
    return [b"case_id,synthetic,engine,thick_slices\ncase-0,0,own,warning\ncase-1,1,pyradiomics,\n"]


TARGETS = (
    Target("cohort", _read_cohort, _cohorts, lambda: csv_files(COHORT_COLUMNS, "case_id") | mutated(_cohorts())),
    Target(
        "labels", _read_labels, _label_tables, lambda: csv_files(LABEL_COLUMNS, "PatientID") | mutated(_label_tables())
    ),
    Target("notes", _read_notes, _notes, lambda: csv_files(NOTES_COLUMNS, "case_id") | mutated(_notes())),
)
