"""Feature tables of other programs: CSV, Parquet, Excel."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from openpyxl.utils.exceptions import IllegalCharacterError

from DeepRadScoreLib.cohort.feature_table import read_feature_table
from DeepRadScoreLib.cohort.table import Cohort, read_cohort
from fuzzing.contract import Target
from fuzzing.strategies import mutated, odd_texts, odd_values
from fuzzing.tables import csv_files

NAMES = ("original_firstorder_Mean", "original_shape_MeshVolume", "wavelet-LLL_glcm_Contrast", "diagnostics_Versions")
COLUMNS = ("case_id", *(f"{region}_{name}" for region in ("tumour", "peritumoral") for name in NAMES), *NAMES, "EGFR")
CASES = ("case-0", "case-1", "case-2", "007")


def _table() -> pd.DataFrame:
    values = np.random.default_rng(0).normal(size=(len(CASES), len(COLUMNS) - 2))
    table = pd.DataFrame(values, columns=list(COLUMNS[1:-1]))
    table.insert(0, "case_id", CASES)
    return table


@cache
def _cohort(folder: Path) -> Cohort:
    path = folder.parent / f"{folder.name}.cohort.csv"
    path.write_text("case_id,EGFR,age\n" + "".join(f"{case},{number % 2},60\n" for number, case in enumerate(CASES)))
    return read_cohort(path)


def reader(ending: str) -> Callable[[bytes, Path], None]:
    """Reads a table of this ending with the usual prefixes and with none."""

    def read(data: bytes, folder: Path) -> None:
        path = folder / f"features{ending}"
        path.write_bytes(data)
        cohort = _cohort(folder)
        for prefixes in ({"tumour": ""}, None):
            found = read_feature_table(path, cohort, prefixes=prefixes)
            assert np.isfinite(found.features.to_numpy()).all()
            assert found.features.index.isin(cohort.table.index).all()

    return read


ARROW_TYPES: tuple[Any, ...] = (
    *(pa.float64(), pa.float64(), pa.float32(), pa.float16(), pa.int64(), pa.uint64(), pa.int8(), pa.bool_()),
    *(pa.string(), pa.binary(), pa.null(), pa.date32(), pa.timestamp("ns"), pa.timestamp("s", "UTC"), pa.time64("us")),
    *(pa.duration("ms"), pa.decimal128(30, 4), pa.list_(pa.float64()), pa.struct([("a", pa.int8())])),
    *(pa.dictionary(pa.int8(), pa.string()), pa.large_string(), pa.map_(pa.string(), pa.int8()), pa.decimal256(70, 0)),
)


def _cell_of(kind: Any, number: int) -> Any:
    """A value that every type takes, or one of the type."""
    text = CASES[number % len(CASES)]
    if pa.types.is_list(kind):
        return [float(number)]
    if pa.types.is_struct(kind):
        return {"a": number}
    if pa.types.is_map(kind):
        return [("a", number)]
    if pa.types.is_boolean(kind):
        return bool(number % 2)
    if pa.types.is_binary(kind):
        return text.encode()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind):
        return text
    return None if pa.types.is_null(kind) else number


@st.composite
def parquet_files(draw: DrawFn) -> bytes:
    """A Parquet file with columns of any type, some with gaps, and with the index of a DataFrame or without."""
    rows = draw(st.integers(0, 5))
    names = draw(st.lists(st.one_of(st.sampled_from(COLUMNS), odd_texts()), min_size=1, max_size=6))
    names = [name.encode("utf-8", "replace").decode() for name in ["case_id", *names]]
    arrays = []
    for position in range(len(names)):
        kind = pa.string() if position == 0 and draw(st.booleans()) else draw(st.sampled_from(ARROW_TYPES))
        cells = [None if draw(st.integers(0, 5)) == 0 else _cell_of(kind, number) for number in range(rows)]
        if pa.types.is_floating(kind) and rows:
            cells[0] = np.float16(draw(st.floats(width=16))) if kind == pa.float16() else draw(st.floats(width=32))
        if kind == pa.float16():
            cells = [None if cell is None else np.float16(cell) for cell in cells]
        arrays.append(pa.array(cells, type=kind))
    table = pa.Table.from_arrays(arrays, names=names)
    if draw(st.booleans()):
        index = draw(st.sampled_from((["b", "a", "c", "d", "e"], pd.date_range("2020", periods=5), [5, 3, 1, 1, 0])))
        frame = pd.DataFrame({"case_id": list(CASES[:rows])[:4], "tumour_x": 1.5}, index=list(index)[: min(rows, 4)])
        frame.index.name = draw(st.sampled_from((None, "case_id ", "x")))
        table = pa.Table.from_pandas(frame)
    stream = io.BytesIO()
    pq.write_table(table, stream, compression=draw(st.sampled_from(("none", "snappy", "zstd"))))
    return stream.getvalue()


@st.composite
def workbooks(draw: DrawFn) -> bytes:
    """An Excel workbook with odd cells, or with the XML of one part changed."""
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    cells = st.one_of(
        st.floats(), st.sampled_from(CASES), odd_texts(), st.datetimes(), st.none(), st.booleans(), odd_values()
    )
    names = ["case_id", *draw(st.lists(st.one_of(st.sampled_from(COLUMNS), cells), max_size=5))]
    for row in (names, *([draw(cells) for _ in names] for _ in range(draw(st.integers(0, 5))))):
        sheet.append([_storable(cell) for cell in row])
    if draw(st.booleans()):
        sheet.merge_cells("A1:B2")
    stream = io.BytesIO()
    book.save(stream)
    return draw(changed_parts([stream.getvalue()])) if draw(st.booleans()) else stream.getvalue()


def _storable(cell: Any) -> Any:
    if isinstance(cell, list | dict):
        return str(cell)[:1]
    if isinstance(cell, int) and abs(cell) > 1e300:
        return 1e300
    try:
        openpyxl.Workbook().active.append([cell])
        str(cell).encode()
    except (IllegalCharacterError, UnicodeEncodeError):
        return "?"
    return cell


def changed_parts(seeds: Sequence[bytes]) -> SearchStrategy[bytes]:
    """A zip archive with the bytes of one part changed."""

    @st.composite
    def draw_one(draw: DrawFn) -> bytes:
        with zipfile.ZipFile(io.BytesIO(draw(st.sampled_from(seeds)))) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        name = draw(st.sampled_from(sorted(parts)))
        parts[name] = draw(mutated([parts[name]]))
        return packed(parts)

    return draw_one()


def packed(parts: dict[str, bytes]) -> bytes:
    """A zip archive of these parts."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return stream.getvalue()


@cache
def _parquet() -> bytes:
    stream = io.BytesIO()
    _table().to_parquet(stream, index=False)
    return stream.getvalue()


@cache
def _excel() -> bytes:
    stream = io.BytesIO()
    _table().to_excel(stream, index=False)
    with zipfile.ZipFile(stream) as archive:
        return packed({name: archive.read(name) for name in archive.namelist()})


def _csv() -> bytes:
    return _table().to_csv(index=False).encode()


TARGETS = (
    Target("features-csv", reader(".csv"), lambda: [_csv()], lambda: csv_files(COLUMNS, "case_id") | mutated([_csv()])),
    Target(
        "features-parquet", reader(".parquet"), lambda: [_parquet()], lambda: parquet_files() | mutated([_parquet()])
    ),
    Target("features-xlsx", reader(".xlsx"), lambda: [_excel()], lambda: workbooks() | mutated([_excel()])),
)
