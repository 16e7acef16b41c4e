"""Feature tables from elsewhere: what is taken, what is left out and said, what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from DeepRadScoreLib.cohort.case_notes import CaseNotes
from DeepRadScoreLib.cohort.feature_table import read_feature_table, write_feature_table
from DeepRadScoreLib.cohort.table import Cohort, read_cohort
from DeepRadScoreLib.cohort.table_files import read_table
from DeepRadScoreLib.errors import CohortError, InputError, OutputError
from DeepRadScoreLib.imaging import QualityNote
from DeepRadScoreLib.models import Engine
from DeepRadScoreLib.radscore.names import FEATURE_NAMES

NAN = float("nan")


@pytest.fixture
def cohort(tmp_path) -> Cohort:
    return _cohort(tmp_path, ["c", "001", "b", "a"])


def _cohort(folder: Path, case_ids: list[str], **columns: list) -> Cohort:
    path = folder / "cohort.csv"
    pd.DataFrame({"case_id": case_ids, **columns}).to_csv(path, index=False)
    return read_cohort(path, needs=("case_id",), endpoints=("EGFR", *(name for name in columns if name == "alive")))


def _features() -> pd.DataFrame:
    """Five cases, one of them of another cohort, in another order than the cohort's."""
    rng = np.random.default_rng(1)
    columns = [f"{region}_original_firstorder_{name}" for region in ("tumour", "peritumoral") for name in "ABC"]
    return pd.DataFrame(
        rng.normal(size=(5, 6)), index=pd.Index(["a", "b", "other", "001", "c"], name="case_id"), columns=columns
    )


def _write(features: pd.DataFrame, path: Path) -> Path:
    table = features.reset_index()
    if path.suffix == ".parquet":
        table.to_parquet(path)
    elif path.suffix == ".xlsx":
        table.to_excel(path, index=False)
    else:
        table.to_csv(path, index=False, sep={".csv": ",", ".tsv": "\t", ".txt": ";"}[path.suffix])
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv", "txt", "parquet", "xlsx"])
def test_every_format_gives_the_same_numbers_in_the_cohorts_order(tmp_path, cohort, ending):
    features = _features()
    path = _write(features, tmp_path / f"features.{ending}")
    found = read_feature_table(path, cohort)
    pd.testing.assert_frame_equal(
        found.features, features.loc[["c", "001", "b", "a"]], check_exact=ending != "xlsx", check_index_type=False
    )
    assert found.features.index.name == "case_id"
    assert list(found.features.index) == ["c", "001", "b", "a"]
    assert (found.missing, found.extra, found.dropped) == ({}, 1, {})
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def _notes(features: pd.DataFrame) -> CaseNotes:
    thick = QualityNote.warning("thick_slices", "")
    quality = [(thick,) if case_id in ("a", "other") else () for case_id in features.index]
    return CaseNotes.of(features.index, features.index == "other", quality, Engine.PYRADIOMICS)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_comes_back_with_the_notes_on_the_cohorts_cases(tmp_path, cohort, ending):
    features = _features()
    write_feature_table(features, tmp_path / f"features.{ending}", _notes(features))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cohort.csv") == sorted(
        [f"features.{ending}", "features.notes.csv"]
    )
    found = read_feature_table(tmp_path / f"features.{ending}", cohort)
    pd.testing.assert_frame_equal(found.features, features.loc[["c", "001", "b", "a"]], check_index_type=False)
    assert found.notes is not None
    assert found.notes.quality.to_dict() == {"thick_slices": {"c": "", "001": "", "b": "", "a": "warning"}}
    assert not found.notes.synthetic.any()


def test_a_table_without_notes_has_none_and_notes_of_another_are_refused(tmp_path, cohort):
    features = _features()
    path = tmp_path / "features.csv"
    write_feature_table(features, path, _notes(features))
    _write(features.rename(index={"a": "new"}), path)
    assert 'another table than features.csv: it lacks the case "new"' in _refusal(path, cohort)
    (tmp_path / "features.notes.csv").unlink()
    assert read_feature_table(path, cohort).notes is None


def test_neither_table_nor_notes_are_left_if_one_of_them_cannot_be_written(tmp_path, monkeypatch):
    features, path = _features(), tmp_path / "new" / "features.csv"
    write_feature_table(features, path, _notes(features))
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CaseNotes, "to_csv", full)
    with pytest.raises(OutputError, match="No space left"):
        write_feature_table(features + 1, path, _notes(features))
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_an_index_in_parquet_and_a_byte_order_mark_are_understood(tmp_path, cohort):
    _features().to_parquet(tmp_path / "f.parquet")
    _features().to_csv(tmp_path / "f.csv", encoding="utf-8-sig")
    one, two = (read_feature_table(tmp_path / name, cohort).features for name in ("f.parquet", "f.csv"))
    pd.testing.assert_frame_equal(one, two)


def test_numbers_for_case_ids_and_nullable_columns_in_parquet(tmp_path):
    cohort = _cohort(tmp_path, ["1", "2", "3"])
    table = pd.DataFrame(
        {
            "case_id": [3.0, 1.0, 2.0],
            "tumour_x": pd.array([5, 6, 7], dtype="Int64"),
            "tumour_y": pd.array([1, None, 2], dtype="Int64"),
            "tumour_text": ["0.5", "1e3", "-2"],
        }
    )
    table.to_parquet(tmp_path / "f.parquet")
    found = read_feature_table(tmp_path / "f.parquet", cohort)
    np.testing.assert_array_equal(found.features, [[6, 1000], [7, -2], [5, 0.5]])
    assert found.dropped == {"tumour_y": "it has no value in 1 of 3 cases."}


def test_cases_that_the_table_lacks_are_named(tmp_path, cohort):
    found = read_feature_table(_write(_features().drop(index=["001"]), tmp_path / "f.csv"), cohort)
    assert list(found.features.index) == ["c", "b", "a"]
    assert found.missing == {"001": "f.csv has no row for this case."}


def test_constant_columns_gaps_and_text_are_left_out_and_counted(tmp_path, cohort):
    features = _features().astype(object)
    features.iloc[:, 0] = 7.0
    features.loc["other", features.columns[0]] = 8.0
    features.loc["b", features.columns[1]] = np.inf
    features.loc["a", features.columns[4]] = "array(3.2)"
    found = read_feature_table(_write(features, tmp_path / "f.csv"), cohort)
    names = list(features)
    assert found.dropped == {
        names[0]: "it has the same value in every case.",
        names[1]: "it has no value in 1 of 4 cases.",
        names[4]: "it holds something other than numbers.",
    }
    assert list(found.features) == [names[2], names[3], names[5]]
    assert found.features.shape == (4, 3)


def test_a_gap_or_a_text_in_another_cohorts_case_costs_nothing(tmp_path, cohort):
    features = _features().astype(object)
    features.loc["other"] = [NAN, "n. d.", np.inf, NAN, NAN, NAN]
    found = read_feature_table(_write(features, tmp_path / "f.csv"), cohort)
    assert found.features.shape == (4, 6)
    assert found.features.dtypes.eq(np.float64).all()


def test_a_case_without_a_region_does_not_cost_the_others_that_region(tmp_path, cohort):
    features = _features()
    features.loc["b", [name for name in features if name.startswith("peritumoral")]] = NAN
    found = read_feature_table(_write(features, tmp_path / "f.csv"), cohort)
    assert found.missing == {"b": "3 of its 3 peritumoral features have no value."}
    assert found.features.shape == (3, 6)
    assert list(found.features.index) == ["c", "001", "a"]


def test_a_region_that_most_cases_lack_costs_no_case(tmp_path, cohort):
    features = _features()
    features.loc[["a", "b", "c"], [name for name in features if name.startswith("peritumoral")]] = NAN
    found = read_feature_table(_write(features, tmp_path / "f.csv"), cohort)
    assert found.missing == {}
    assert found.features.shape == (4, 3)
    assert len(found.dropped) == 3
    assert set(found.dropped.values()) == {"it has no value in 3 of 4 cases."}


def test_nothing_is_imputed(tmp_path, cohort):
    features = _features()
    features.loc["b", features.columns[2]] = NAN
    found = read_feature_table(_write(features, tmp_path / "f.parquet"), cohort).features
    pd.testing.assert_frame_equal(found, features.drop(columns=features.columns[2]).loc[found.index])


def test_foreign_names_and_prefixes(tmp_path, cohort):
    features = _features()
    foreign = features.rename(columns=lambda name: name.replace("peritumoral_", "ring_").removeprefix("tumour_"))
    foreign["stage"] = [1.5, 2.0, 3.0, 1.0, 2.5]
    foreign["diagnostics_Mask-original_VoxelNum"] = range(5)
    foreign.index.name = "Case ID"
    path = _write(foreign, tmp_path / "f.csv")
    both = read_feature_table(path, cohort, case_column="Case ID", prefixes={"tumour": "", "peritumoral": "ring_"})
    pd.testing.assert_frame_equal(both.features, features.loc[both.features.index])
    one = read_feature_table(path, cohort, case_column="Case ID", prefixes={"peritumoral": "ring_"})
    assert list(one.features) == list(features)[3:]


def test_the_longer_of_two_prefixes_that_fit_decides_and_diagnostics_are_no_features(tmp_path, cohort):
    table = pd.DataFrame(
        {"f_x": [1, 2], "f_ring_x": [3, 4], "f_diagnostics_y": [5, 6]}, index=pd.Index(["a", "b"], name="case_id")
    )
    path = _write(table, tmp_path / "f.csv")
    for prefixes in ({"tumour": "f_", "peritumoral": "f_ring_"}, {"peritumoral": "f_ring_", "tumour": "f_"}):
        found = read_feature_table(path, cohort, prefixes=prefixes).features
        assert list(found) == ["tumour_x", "peritumoral_x"]
        np.testing.assert_array_equal(found.loc[["a", "b"]], [[1, 3], [2, 4]])


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_case_ids_stay_text_and_numbers_keep_their_last_digit(tmp_path, ending):
    rng = np.random.default_rng(0)
    case_ids = [f"{number:03d}" for number in range(40)]
    features = pd.DataFrame(
        np.exp(rng.normal(0, 30, (40, 20))),
        index=pd.Index(case_ids, name="case_id"),
        columns=[f"tumour_{i}" for i in range(20)],
    )
    found = read_feature_table(_write(features, tmp_path / f"f.{ending}"), _cohort(tmp_path, case_ids))
    np.testing.assert_allclose(found.features, features, rtol=0 if ending == "csv" else 1e-14)


def test_names_unlike_pyradiomics_are_all_taken_but_never_the_cohorts_own_columns(tmp_path):
    cohort = _cohort(tmp_path, ["a", "b", "c"], age=[60, 70, 80], alive=[0, 1, 1])
    foreign = pd.DataFrame(
        {"deep_0": [1.0, 2.0, 3.0], "age": [60, 70, 80], "alive": [0, 1, 1], "KRAS": [0, 1, 1], "ward": list("xyz")},
        index=pd.Index(["a", "b", "c"], name="case_id"),
    )
    path = tmp_path / "f.csv"
    foreign.reset_index().to_csv(path)  # with row numbers in a column without a name
    assert list(read_feature_table(path, cohort, prefixes={"tumour": ""}).features) == ["tumour_deep_0"]


def test_a_label_column_is_not_taken_for_a_feature_whatever_its_prefix(tmp_path):
    path = tmp_path / "cohort.csv"
    pd.DataFrame({"case_id": list("ab"), "tumour_necrosis": [0, 1]}).to_csv(path, index=False)
    cohort = read_cohort(path, needs=("case_id",), endpoints=("tumour_necrosis",))
    both = pd.DataFrame({"tumour_x": [1.0, 2.0], "tumour_necrosis": [0, 1]}, index=pd.Index(["a", "b"], name="case_id"))
    assert list(read_feature_table(_write(both, tmp_path / "f.csv"), cohort).features) == ["tumour_x"]


def _refusal(path: Path, cohort: Cohort, **options) -> str:
    with pytest.raises(CohortError) as caught:
        read_feature_table(path, cohort, **options)
    sentence = str(caught.value)
    assert path.name in sentence
    assert sentence.endswith(".")
    assert "; " in sentence
    return sentence


def test_files_that_are_no_tables(tmp_path, cohort):
    assert "does not exist" in _refusal(tmp_path / "none.csv", cohort)
    assert "folder" in _refusal(tmp_path, cohort)
    for name in ("text.xlsx", "text.parquet"):
        (tmp_path / name).write_text("case_id,tumour_x\na,1\n")
        assert f"not a readable .{name.split('.')[1]} table" in _refusal(tmp_path / name, cohort)
    (tmp_path / "empty.csv").write_text("")
    assert "not a readable .csv table" in _refusal(tmp_path / "empty.csv", cohort)
    (tmp_path / "old.xls").write_text("")
    assert 'the ending ".xls" is not known' in _refusal(tmp_path / "old.xls", cohort)


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("patient,tumour_x\na,1\n", {}, ['column "case_id" is missing', "--case-column", "patient, tumour_x"]),
        ("case_id,tumour_x\nA,1\nB,2\n", {}, ['such as "A"', 'cohort.csv (such as "c")', "--case-column"]),
        ("case_id,tumour_x\na,1\nb,3\na,2\n", {}, ['case "a" has 2 rows', "1 such case", "keep one row per case"]),
        ("case_id,tumour_x\na,1\n,2\n", {}, ['row 3 has nothing in column "case_id"']),
        ("case_id,x\na,1\nb,2\n", {}, ['no column begins with "tumour_" or "peritumoral_"', "has x"]),
        ("case_id,tumour_x\na,1\nb,2\n", {"prefixes": {"tumour": "gtv_"}}, ['no column begins with "gtv_"']),
        ("case_id,x\na,p\nb,q\n", {"prefixes": {"tumour": ""}}, ["no numeric column", "tumour region"]),
        ("case_id,tumour_x\na,1\nb,2\n", {"prefixes": {"tumour": ""}}, ["name their region already"]),
        ('case_id,tumour_x\na,"1,5"\nb,"2,5"\n', {}, ["no feature column is numeric", "decimal point"]),
        ("case_id,tumour_x\na,1\nb,1\n", {}, ["no feature has a value in every case and differs"]),
        ("case_id,tumour_x,tumour_x\na,1,2\nb,3,4\n", {}, ['column "tumour_x" stands twice']),
        ("case_id,tumour_x\na,1,\nb,2,\n", {}, ["more cells than the header"]),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, cohort, text, options, words):
    path = tmp_path / "features.csv"
    path.write_text(text)
    sentence = _refusal(path, cohort, **options)
    for word in words:
        assert word in sentence


def test_prefixes_that_make_no_sense(tmp_path, cohort):
    path = _write(_features(), tmp_path / "f.csv")
    with pytest.raises(InputError, match='"lung" is no region'):
        read_feature_table(path, cohort, prefixes={"lung": "lung_"})
    with pytest.raises(InputError, match="a prefix of its own"):
        read_feature_table(path, cohort, prefixes={"tumour": "", "peritumoral": ""})


def test_the_public_lung1_table(tmp_path, shared):
    source = shared / "data" / "nsclc-radiomics-lung1" / "features" / "primakov_pyradiomics_149x1218.xlsx"
    raw, _ = read_table(source, text_column="Patient")
    assert raw.shape == (149, 1258)
    patients = sorted(set(raw["Patient"].str[:9]))
    assert len(patients) == 145
    cohort = _cohort(tmp_path, [*patients, "LUNG1-999"])
    raw = pd.concat([raw, raw["Patient"].str[:9].rename("case_id")], axis=1)
    doubled = tmp_path / "doubled.parquet"
    raw.to_parquet(doubled)
    assert "such cases)" in _refusal(doubled, cohort, prefixes={"tumour": ""})
    sentence = _refusal(doubled, cohort, case_column="Patient", prefixes={"tumour": ""})
    assert 'such as "LUNG1-001_20180209_CT_2_GTV-1_mask"' in sentence
    assert 'such as "LUNG1-001")' in sentence

    largest = raw.sort_values("original_shape_MeshVolume").drop_duplicates("case_id", keep="last")
    path = tmp_path / "largest.parquet"
    largest.to_parquet(path)
    found = read_feature_table(path, cohort, prefixes={"tumour": ""})
    assert set(found.missing) == {"LUNG1-999"}
    assert found.features.shape == (145, 1218)
    assert sum(f"tumour_{name}" in found.features for name in FEATURE_NAMES) == 788
    sphericity = largest.set_index("case_id")["original_shape_Sphericity"].loc[found.features.index]
    np.testing.assert_array_equal(found.features["tumour_original_shape_Sphericity"], sphericity)


def test_the_public_radiogenomics_tables(tmp_path, shared):
    folder = shared / "data" / "nsclc-radiogenomics"
    clinical = pd.read_csv(next((folder / "clinical").glob("*.csv")))
    cohort = _cohort(tmp_path, list(clinical["Case ID"]))
    prencipe = read_feature_table(
        folder / "features" / "prencipe_tumour_pyradiomics_60_8bit_images.csv",
        cohort,
        case_column="Case ID",
        prefixes={"tumour": ""},
    )
    assert prencipe.features.shape == (60, 1764)
    assert (len(prencipe.missing), prencipe.extra) == (151, 0)
    kasikci = read_feature_table(
        folder / "features" / "kasikci_radiomics_87x32_unnamed.txt",
        cohort,
        case_column="Unnamed: 0",
        prefixes={"tumour": ""},
    )
    assert kasikci.features.shape == (87, 32)
    assert kasikci.features.loc["R01-001", "tumour_3"] == -812
