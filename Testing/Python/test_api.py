"""The functions for Python users: what they give, how they print, what they refuse and how they are cancelled."""

from __future__ import annotations

import inspect
import io
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk
from rich.console import Console
from sklearn import config_context
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline

from DeepRadScoreLib import (
    FusionModel,
    RadScore,
    analyze,
    api,
    evaluate,
    extract,
    read_bundle,
    read_case,
    read_cohort,
    train,
)
from DeepRadScoreLib.cli import study_commands
from DeepRadScoreLib.cohort.case_notes import notes_file, read_notes
from DeepRadScoreLib.cohort.feature_table import read_feature_table
from DeepRadScoreLib.cohort.frames import cohort_file, feature_file
from DeepRadScoreLib.display import progress_bar
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.errors import InputError
from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL
from DeepRadScoreLib.progress import Progress, Stage
from support.imaging_phantoms import tumour_case
from support.small_evaluation import write_small_cohort
from support.small_models import trained

QUICK = {"endpoints": "EGFR", "split": "column", "folds": 2, "repeats": 1, "jobs": 1}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, str]:
    """Paths, as text, of a CT, its mask and a bundle."""
    folder = tmp_path_factory.mktemp("face")
    for image, name in zip(tumour_case(), ("ct", "mask"), strict=True):
        sitk.WriteImage(image, str(folder / f"{name}.nrrd"))
    return {
        "ct": str(folder / "ct.nrrd"),
        "mask": str(folder / "mask.nrrd"),
        "model": str(trained(folder, 3, ("EGFR",))),
    }


@pytest.fixture(scope="module")
def case(files):
    return read_case(files["ct"], files["mask"], case_id="<b>one</b>")


@pytest.fixture(scope="module")
def profile(files, case):
    return analyze(case, files["model"])


class _Page(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)

    def handle_data(self, data) -> None:
        self.texts.append(data)


# --- what is given ---------------------------------------------------------------------------------------------------


def test_a_profile_as_a_table_holds_what_its_file_holds(profile, tmp_path):
    table = profile.to_frame()
    assert list(table.index) == list(KEYS)
    assert set(table["label"]) == {SYNTHETIC_LABEL}
    for key, finding in profile.findings.items():
        row = table.loc[key]
        assert row["flags"] == ", ".join(finding.flags)
        assert pd.isna(row["probability"]) == (finding.probability is None)
        if finding.probability is not None:
            assert row["probability"] == finding.probability
            assert (row["spread_low"], row["spread_high"]) == finding.spread
            assert (row["interval_low"], row["interval_high"]) == finding.interval
            assert row["label_set"] == " or ".join(finding.label_set.labels)
    profile.save(str(tmp_path / "out"))
    assert {"profile.json", "report.html", "features.csv"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_a_bundle_predicts_what_analyze_finds(files, profile, case):
    without = analyze(read_case(files["ct"], files["mask"], case_id="two"))
    features = pd.DataFrame([profile.features, without.features], index=pd.Index(["one", "two"], name="case_id"))
    patches = np.stack([profile.prepared.patch.hu, without.prepared.patch.hu])
    bundle = read_bundle(Path(files["model"]))
    found = bundle.predict_proba(features, patches)
    assert (list(found.index), list(found.columns)) == (["one", "two"], list(KEYS))
    expected = [np.nan if one.probability is None else one.probability for one in profile.findings.values()]
    assert np.isfinite(expected).any()
    assert np.isnan(expected).any()
    for row in found.to_numpy():
        np.testing.assert_allclose(row, expected, rtol=1e-12)
    pd.testing.assert_frame_equal(bundle.predict_proba(features.reset_index(), patches), found)
    assert found.attrs["label"] == SYNTHETIC_LABEL


def test_a_bundle_saved_is_the_same_file(files, tmp_path):
    read_bundle(files["model"]).save(str(tmp_path / "copy.zip"))
    assert (tmp_path / "copy.zip").read_bytes() == Path(files["model"]).read_bytes()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A cohort table without images, its features, and the study that both give as DataFrames."""
    cohort, features = write_small_cohort(tmp_path_factory.mktemp("study"))
    frames = pd.read_csv(cohort), pd.read_csv(features, float_precision="round_trip").set_index("case_id")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPRADSCORE_CACHE", str(cohort.parent / "cache"))
        yield cohort, features, evaluate(frames[0], features=frames[1], out=str(cohort.parent / "out"), **QUICK)


def test_dataframes_are_read_as_the_files_that_they_came_from(small):
    paths = small[:2]
    frames = pd.read_csv(paths[0]), pd.read_csv(paths[1], float_precision="round_trip")
    with cohort_file(frames[0]) as cohort, feature_file(frames[1]) as features:
        ours, theirs = read_cohort(cohort), read_cohort(paths[0])
        pd.testing.assert_frame_equal(ours.labels, theirs.labels)
        numbers = ours.table["age"].astype(float), theirs.table["age"].astype(float)
        pd.testing.assert_series_equal(*numbers)
        pd.testing.assert_frame_equal(ours.table.drop(columns="age"), theirs.table.drop(columns="age"))
        tables = read_feature_table(features, ours).features, read_feature_table(paths[1], theirs).features
        pd.testing.assert_frame_equal(*tables, rtol=1e-15)
    assert (small[2].settings["cohort"], small[2].settings["features"]) == (cohort.name, features.name)


def test_a_study_as_a_table_holds_what_its_results_hold(small):
    cohort, _, study = small
    stored = json.loads((cohort.parent / "out" / "results.json").read_text())
    table = study.to_frame()
    models = stored["protocols"]["strict"]["endpoints"]["EGFR"]["models"]
    assert list(table.loc[("strict", "EGFR")].index) == list(models)
    for model, card in models.items():
        row = table.loc[("strict", "EGFR", model)]
        if card["auc"] is None:
            assert pd.isna(row["auc"])
            assert row["not_run"] == card["not_run"]
        else:
            assert [row["auc"], row["auc_low"], row["auc_high"], row["n"]] == [card["auc"], *card["auc_ci"], card["n"]]
    assert repr(study) == "StudyReport(EGFR: strict protocol, 80 patients)"
    page = _Page(study._repr_html_())
    remarks = "interval not to be relied on; interval not calibrated (8 events)"
    assert {"strict", "EGFR mutation", "Radiomics-Score", "21 (8)", remarks} <= set(page.texts)
    assert SYNTHETIC_LABEL not in page.texts
    assert _Page(replace(study, synthetic=True)._repr_html_()).texts[0] == SYNTHETIC_LABEL


def test_extract_takes_a_table_or_a_dataframe_and_gives_what_the_file_holds(files, profile, tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPRADSCORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(Path(files["ct"]).parent)
    table = pd.DataFrame({"case_id": [7, 8], "ct": ["ct.nrrd", "none.nrrd"], "mask": ["mask.nrrd", "mask.nrrd"]})
    events: list[Progress] = []
    features = extract(table, out=str(tmp_path / "features.parquet"), jobs=1, progress=events.append)
    assert list(features.index) == ["7"]
    assert features.loc["7"].to_dict() == profile.features
    assert "does not exist" in features.attrs["left_out"]["8"]
    assert sum(bool(event.failure) for event in events) == 1
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "features.parquet").set_index("case_id"), features)
    codes = {note.code: note.severity for note in profile.quality}
    assert features.attrs["notes"] == (tmp_path / "features.notes.csv").read_text()
    row = read_notes(tmp_path / "features.parquet", features.index)
    assert row is not None
    assert (row.rows, row.synthetic.tolist()) == ([codes], [False])
    with feature_file(features) as path:
        assert notes_file(path).read_text() == (tmp_path / "features.notes.csv").read_text()
    with feature_file(features.iloc[:0]) as path:
        assert len(notes_file(path).read_text().splitlines()) == 1
    assert features.attrs["quality"] == dict.fromkeys(codes, 1)
    assert extract(table, jobs=1, exclude_quality=["off_axial"]).attrs["excluded"] == {}
    with pytest.raises(InputError, match=f"no case is left.*{next(iter(codes))} 1 of 1 case"):
        extract(table, jobs=1, exclude_quality=next(iter(codes)))


# --- the command line calls the same functions ---


@pytest.mark.parametrize("name", ["extract", "train", "evaluate"])
def test_every_option_of_the_command_is_a_keyword_of_the_function_with_the_same_default(name):
    options = inspect.signature(getattr(study_commands, name)).parameters
    keywords = inspect.signature(getattr(api, name)).parameters
    assert set(keywords) == {*options, "progress"}
    for option, parameter in options.items():
        if option not in ("cohort", "out"):
            assert parameter.default == keywords[option].default


# --- how it prints ---------------------------------------------------------------------------------------------------


def test_every_object_prints_in_one_short_line(files, profile, case, tmp_path):
    cohort, _ = write_small_cohort(tmp_path)
    objects = [profile, case, read_bundle(files["model"]), read_cohort(str(cohort))]
    objects += [RadScore(repeatable=np.ones(851, bool)), FusionModel(), profile.prepared]
    for each in objects:
        assert "\n" not in repr(each)
        assert len(repr(each)) < (500 if each is profile.prepared else 160), repr(each)


def test_in_a_notebook_everything_is_escaped_and_labelled_and_no_number_is_without_its_flags(files, profile):
    flagged = replace(profile.findings["EGFR"], flags=("outside_spread", "<i>new</i>"))
    changed = replace(profile, findings={**profile.findings, "EGFR": flagged})
    page = _Page(changed._repr_html_())
    assert set(page.tags) <= {"div", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    assert page.texts[0] == SYNTHETIC_LABEL
    assert "Molecular profile of <b>one</b>" in page.texts
    (remarks,) = (text for text in page.texts if "<i>new</i>" in text)
    assert "it lies outside their range." in remarks
    bundle = _Page(read_bundle(files["model"])._repr_html_())
    assert bundle.texts[0] == SYNTHETIC_LABEL
    assert any("not a medical device" in text for text in bundle.texts)
    patients = _Page(replace(profile, synthetic_case=False, model=None)._repr_html_())
    assert SYNTHETIC_LABEL not in patients.texts


# --- progress and cancelling -----------------------------------------------------------------------------------------


def test_progress_is_reported_and_what_the_function_raises_cancels(case):
    events: list[Progress] = []
    analyze(case, progress=events.append)
    assert {event.stage for event in events} == {Stage.ANALYSING}
    assert [event.done for event in events] == sorted(event.done for event in events)

    class Cancelled(Exception):
        pass

    def cancel(event: Progress) -> None:
        if event.done > 20:
            raise Cancelled

    with pytest.raises(Cancelled):
        analyze(case, progress=cancel)


@pytest.mark.parametrize("widgets", [True, False])
def test_a_notebook_gets_a_bar_where_it_can_draw_one_and_lines_elsewhere(monkeypatch, widgets):
    stream = io.StringIO()
    monkeypatch.setattr(progress_bar, "Console", lambda **_: Console(file=stream, force_jupyter=True))
    monkeypatch.setattr(progress_bar, "_draws_in_notebook", lambda: widgets)
    drawn: list[object] = []
    monkeypatch.setattr(progress_bar.Bars, "start", lambda bars: drawn.extend([bars]))
    monkeypatch.setattr(progress_bar.Bars, "stop", lambda _: None)
    lines: list[str] = []
    monkeypatch.setattr(Console, "print", lambda _, *objects, **__: lines.extend(map(str, objects)))
    with progress_bar.reporting(True) as report:
        report(Progress(Stage.READING, done=1))
    assert (len(drawn), lines) == ((1, []) if widgets else (0, ["reading the case (1/1)"]))


# --- scikit-learn's own way ------------------------------------------------------------------------------------------


def score_of_two_regions(*, routed: bool):
    estimators = [RadScore(), RadScore(), FusionModel(search="quick", folds=3, repeats=1, classifiers=("LR",))]
    if routed:
        estimators = [estimator.set_fit_request(groups=True) for estimator in estimators]
    regions = ("tumour", "peritumoral")
    columns = [
        (region, estimator, make_column_selector(f"^{region}_"))
        for region, estimator in zip(regions, estimators[:2], strict=True)
    ]
    return make_pipeline(ColumnTransformer(columns), estimators[2])


def patients_with_two_cases(n: int = 100):
    rng = np.random.default_rng(0)
    patients = np.arange(n) // 2
    labels = rng.integers(0, 2, n // 2)[patients]
    names = [f"{region}_f{i}" for region in ("tumour", "peritumoral") for i in range(10)]
    features = pd.DataFrame(rng.normal(size=(n, 20)), columns=names)
    features["tumour_f0"] += 2 * labels
    return features, labels, patients


def test_in_a_pipeline_with_patients_as_groups():
    features, labels, patients = patients_with_two_cases()
    settings = {"cv": StratifiedGroupKFold(3), "scoring": "roc_auc"}
    plain = cross_val_score(score_of_two_regions(routed=False), features, labels, groups=patients, **settings)
    assert plain.min() > 0.75
    with config_context(enable_metadata_routing=True):
        params = {"params": {"groups": patients}, "return_estimator": True}
        found = cross_validate(score_of_two_regions(routed=True), features, labels, **params, **settings)
    assert found["test_score"].min() > 0.75
    names = found["estimator"][0][:-1].get_feature_names_out()
    assert list(names) == ["tumour__radscore", "peritumoral__radscore"]


# --- what is refused -------------------------------------------------------------------------------------------------


def frame(**changes):
    from DeepRadScoreLib.radscore.names import FEATURE_COLUMNS

    table = pd.DataFrame(0.0, index=["a"], columns=list(FEATURE_COLUMNS))
    return table.assign(**changes) if changes else table


PATCH = np.zeros((1, 160, 160))
NOT_THERE = "does not exist"
REFUSED = {
    "read_case, no text": (lambda f: read_case(3, f["mask"]), TypeError, "ct: a path (str or Path) is needed, not int"),
    "read_case, mask": (lambda f: read_case(f["ct"], b"x"), TypeError, "mask: a path (str or Path) is needed"),
    "read_case, missing": (lambda f: read_case("none.nrrd", f["mask"]), InputError, "none.nrrd: the file " + NOT_THERE),
    "read_case, no mask": (lambda f: read_case(f["ct"]), InputError, "no mask was given"),
    "read_case, a table": (lambda f: read_case(f["ct"], __file__), InputError, "this kind of file cannot be read"),
    "read_bundle, type": (lambda f: read_bundle(None), TypeError, "the bundle: a path (str or Path) is needed"),
    "read_bundle, missing": (lambda f: read_bundle("none.zip"), InputError, "none.zip: the file " + NOT_THERE),
    "read_bundle, a CT": (lambda f: read_bundle(f["ct"]), InputError, "this is not a whole bundle"),
    "read_cohort, type": (lambda f: read_cohort(4), TypeError, "the cohort table: a path (str or Path) is needed"),
    "read_cohort, missing": (lambda f: read_cohort("none.csv"), InputError, "none.csv: the file " + NOT_THERE),
    "analyze, a path": (lambda f: analyze(f["ct"]), TypeError, "case: a Case is needed, as read_case gives it"),
    "analyze, no bundle": (lambda f: analyze(f["case"], "none.zip"), InputError, "none.zip: the file " + NOT_THERE),
    "analyze, way": (lambda f: analyze(f["case"], preprocessing="x"), InputError, "choose canonical or pyradiomics"),
    "analyze, shell": (lambda f: analyze(f["case"], f["model"], shell_mm=5), InputError, "with a shell of 3 mm"),
    "extract, type": (
        lambda f: extract(5),
        TypeError,
        "cohort: a path (str or Path) or a DataFrame is needed, not int",
    ),
    "extract, missing": (lambda f: extract("none.csv"), InputError, "none.csv: the file " + NOT_THERE),
    "extract, column": (
        lambda f: extract(pd.DataFrame({"case_id": ["a"]})),
        InputError,
        'cohort DataFrame.csv: the column "ct" is missing; add it; the table has case_id.',
    ),
    "extract, ending": (lambda f: extract("none.csv", out="a.txt"), InputError, 'the ending ".txt" is not known'),
    "extract, jobs": (lambda f: extract("none.csv", jobs=0), InputError, "--jobs 0: no process cannot do it"),
    "train, type": (lambda f: train(None), TypeError, "cohort: a path (str or Path) or a DataFrame is needed"),
    "train, missing": (lambda f: train("none.csv"), InputError, "none.csv: the file " + NOT_THERE),
    "train, column": (
        lambda f: train(frame().rename_axis("case_id")),
        InputError,
        'the column "patient_id" is missing',
    ),
    "train, network": (lambda f: train("none.csv", network="x"), InputError, "choose shared or per-endpoint or frozen"),
    "train, folds": (
        lambda f: train("none.csv", folds=1),
        InputError,
        "folds: 1 is too small; give a number from 2 on",
    ),
    "train, repeats": (
        lambda f: train("none.csv", repeats="2"),
        TypeError,
        "repeats: a whole number is needed, not str",
    ),
    "evaluate, type": (lambda f: evaluate([1]), TypeError, "cohort: a path (str or Path) or a DataFrame is needed"),
    "evaluate, missing": (lambda f: evaluate("none.csv"), InputError, "none.csv: the file " + NOT_THERE),
    "evaluate, features": (
        lambda f: evaluate(f["cohort"], features="none.csv"),
        InputError,
        "none.csv: the file " + NOT_THERE,
    ),
    "evaluate, feature type": (lambda f: evaluate(f["cohort"], features=2), TypeError, "features: a path"),
    "evaluate, column": (
        lambda f: evaluate(f["cohort"], features=pd.DataFrame({"x": [1.0]})),
        InputError,
        'features DataFrame.parquet: the column "case_id" is missing',
    ),
    "evaluate, doubled": (
        lambda f: evaluate(pd.DataFrame([["a", "b"]], columns=["x", "x"])),
        InputError,
        'the column "x" stands twice',
    ),
    "evaluate, prefix": (lambda f: evaluate(f["cohort"], tumour_prefix="a"), InputError, "describe a feature table"),
    "evaluate, split": (lambda f: evaluate(f["cohort"], split="x"), InputError, "choose cv or column or site"),
    "predict, type": (lambda f: f["bundle"].predict_proba(PATCH, PATCH), TypeError, "a DataFrame is needed"),
    "predict, column": (
        lambda f: f["bundle"].predict_proba(frame().iloc[:, 1:], PATCH),
        InputError,
        'features: the column "tumour_original_shape_Elongation" is missing',
    ),
    "predict, a gap": (
        lambda f: f["bundle"].predict_proba(frame(tumour_original_shape_Flatness=np.nan), PATCH),
        InputError,
        'the case "a" has no finite number in column "tumour_original_shape_Flatness"',
    ),
    "predict, patches": (lambda f: f["bundle"].predict_proba(frame(), PATCH[0]), InputError, "not (1, 160, 160)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_used_is_refused_in_a_sentence(name, files, case, tmp_path):
    call, kind, words = REFUSED[name]
    given = {**files, "case": case, "cohort": write_small_cohort(tmp_path)[0]}
    if name.startswith("predict"):
        given["bundle"] = read_bundle(files["model"])
    with pytest.raises(kind) as caught:
        call(given)
    sentence = str(caught.value)
    assert words in sentence
    assert " DataFrame." not in sentence or sentence.startswith(
        ("cohort DataFrame.csv: ", "features DataFrame.parquet: ")
    )
    assert kind is TypeError or isinstance(caught.value, ValueError)
