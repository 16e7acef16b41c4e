"""The batch: the bytes of `analyze`, failures recorded, runs taken up, and Slicer ended whatever happens."""

import csv
import filecmp
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.api import analyze
from DeepRadScoreLib.cli.case_commands import analyze as analyze_command
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.imaging import read_case
from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL
from DeepRadScoreLib.report import case_folders
from DeepRadScoreLib.report.log import LOG_NAME, read_log
from DeepRadScoreLib.report.writing import write_profile
from DeepRadScoreSlicer import batch, packages, requirements
from support import dicom_phantoms as made
from support.dicom_mask_makers import seg_file
from support.small_models import trained

ROOT = Path(__file__).parents[2]

SCRIPT = ROOT / "DeepRadScore" / "DeepRadScoreSlicer" / "batch.py"
STUDY = {
    "PatientSex": "F",
    "StudyTime": "120000",
    "StudyID": "1",
    "Manufacturer": "M",
    "PositionReferenceIndicator": "",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("bundle"), 0)


def ball(folder, name, radius=6.0):
    """CT, mask with the segments "vessel" and "tumour", and a mask of the lower half for the lung."""
    z, y, x = np.mgrid[:30, :40, :40] - np.array([15, 20, 20]).reshape(3, 1, 1, 1)
    inside = x**2 + y**2 + z**2 <= radius**2
    other = (x - 14) ** 2 + (y - 14) ** 2 + z**2 <= 9
    noise = np.random.default_rng(len(name)).normal(0, 20, inside.shape)
    ct = sitk.GetImageFromArray((np.where(inside | other, 30, -850) + noise).astype(np.int16))
    mask = sitk.GetImageFromArray((2 * inside + other).astype(np.uint8))
    lung = sitk.GetImageFromArray((z <= 0).astype(np.uint8))
    for number, segment in enumerate(("vessel", "tumour")):
        for key, value in {"ID": segment, "Name": segment, "LabelValue": str(number + 1), "Layer": "0"}.items():
            mask.SetMetaData(f"Segment{number}_{key}", value)
    paths = {"ct": folder / f"{name}_ct.nrrd", "mask": folder / f"{name}.seg.nrrd", "lung_mask": folder / "lung.nrrd"}
    for role, image in (("ct", ct), ("mask", mask), ("lung_mask", lung)):
        sitk.WriteImage(image, str(paths[role]))
    return paths


def table(folder, *rows, columns=("case_id", "ct", "mask", "segment")):
    path = folder / "cases.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([columns, *rows])
    return path


def row(name, paths):
    return (name, paths["ct"].name, paths["mask"].name, "tumour")


def run(cohort, out, model=None):
    return batch.main(["--cohort", str(cohort), "--out", str(out), *(["--model", str(model)] if model else [])])


def summary(out):
    with (out / "summary.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def same_files(one, other):
    names = {path.name for path in one.iterdir()}
    assert names == {path.name for path in other.iterdir()} - {LOG_NAME}
    assert set(filecmp.cmpfiles(one, other, names, shallow=False)[0]) == names
    return names


def times(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


# --- what it leaves --------------------------------------------------------------------------------------------------


def test_as_a_script_it_gives_the_bytes_of_analyze(tmp_path, model, shared):
    made_up = ball(tmp_path, "ball")
    real = {part: shared / "data" / "pyradiomics" / f"lung2_{part}.nrrd" for part in ("image", "label")}
    rows = [("one", made_up["ct"], made_up["mask"], "tumour"), ("two", real["image"], real["label"], "")]
    call = [sys.executable, SCRIPT, "--cohort", table(tmp_path, *rows), "--model", model, "--out", tmp_path / "out"]
    done = subprocess.run(list(map(str, call)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"1/2 one: done, {SYNTHETIC_LABEL}",
        f"2/2 two: done, {SYNTHETIC_LABEL}",
        f"2 done (0 of them in an earlier run), 0 failed: {tmp_path / 'out' / 'summary.csv'}",
    ]
    for name, ct, mask, segment in rows:
        analyze_command(ct, tmp_path / name, mask, segment=segment or None, model=model, case_id=name)
        assert "gradcam_EGFR.nrrd" in same_files(tmp_path / "out" / name, tmp_path / name)
    for cells in summary(tmp_path / "out"):
        profile = json.loads((tmp_path / "out" / cells["case_id"] / "profile.json").read_text())
        assert (cells["status"], cells["step"], cells["message"], cells["label"]) == ("done", "", "", SYNTHETIC_LABEL)
        for key in KEYS:
            found = profile["endpoints"][key]
            assert (float(cells[f"{key}_probability"]) if cells[f"{key}_probability"] else None) == found["probability"]
            assert cells[f"{key}_flags"].split() == found["flags"]
        assert cells["EGFR_probability"]
        codes = {note["code"] for note in profile["quality"]}
        assert codes
        assert set(cells["quality"].split()) == codes


def test_lung_mask_series_and_segment_are_those_of_the_table(tmp_path):
    paths = ball(tmp_path, "ball")
    hu = made.chest()
    first, second = (made.ct_series(hu + offset, **STUDY) for offset in (0, 7))
    made.save(first, tmp_path / "dicom" / "a")
    made.save(second, tmp_path / "dicom" / "b")
    tumour = np.zeros(hu.shape, np.uint8)
    tumour[4:8, 16:24, 20:28] = 1
    seg_file(tmp_path / "seg.dcm", second, tumour)
    uid = second[0].SeriesInstanceUID
    columns = ("case_id", "ct", "mask", "segment", "lung_mask", "series")
    cohort = table(
        tmp_path,
        ("free", paths["ct"].name, paths["mask"].name, "vessel", "", ""),
        ("confined", paths["ct"].name, paths["mask"].name, "vessel", paths["lung_mask"].name, ""),
        ("dicom", "dicom", "seg.dcm", "", "", uid),
        columns=columns,
    )
    assert run(cohort, tmp_path / "out") == 0
    expected = {
        "free": read_case(paths["ct"], paths["mask"], case_id="free", segment="vessel"),
        "confined": read_case(
            paths["ct"], paths["mask"], case_id="confined", segment="vessel", lung_mask=paths["lung_mask"]
        ),
        "dicom": read_case(tmp_path / "dicom", tmp_path / "seg.dcm", case_id="dicom", series=uid),
    }
    for name, case in expected.items():
        write_profile(analyze(case), tmp_path / "library" / name)
        same_files(tmp_path / "out" / name, tmp_path / "library" / name)
    volume = {
        name: json.loads((tmp_path / "out" / name / "profile.json").read_text())["regions"]["peritumoral"]["volume_ml"]
        for name in expected
    }
    assert volume["confined"] < 0.6 * volume["free"]


def test_a_failed_case_is_recorded_with_its_step_and_the_rest_goes_on(tmp_path, capsys):
    good = ball(tmp_path, "good")
    folder = tmp_path / "DOE^JOHN"
    folder.mkdir()
    bad = ball(folder, "bad")
    bad["mask"].write_bytes(b"no image")
    cohort = table(
        tmp_path,
        ("gone", "DOE^JOHN/none.nrrd", "DOE^JOHN/none.nrrd", ""),
        ("damaged", bad["ct"], bad["mask"], ""),
        ("segment", good["ct"], good["mask"], "none"),
        row("good", good),
    )
    assert run(cohort, tmp_path / "out") == batch.SOME_FAILED
    rows = {cells["case_id"]: cells for cells in summary(tmp_path / "out")}
    assert [cells["status"] for cells in rows.values()] == ["failed", "failed", "failed", "done"]
    assert rows["gone"]["step"] == "reading the case"
    assert rows["gone"]["message"].startswith("ct: the file does not exist; ")
    assert rows["damaged"]["message"].startswith("mask: ")
    assert all(cells["message"].endswith(".") for cells in rows.values() if cells["status"] == "failed")
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 5
    everything = [*out.splitlines()[:-1], (tmp_path / "out" / "summary.csv").read_text()]
    assert not any(word in line for line in everything for word in ("DOE", str(tmp_path)))
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"good", "summary.csv", ".finished", LOG_NAME}
    assert [(entry.event, entry.case_id) for entry in read_log(tmp_path / "out")] == [("analysed", "good")]


def test_an_error_that_nobody_foresaw_is_one_case_s_own(tmp_path, monkeypatch, capsys):
    rows = [row(name, ball(tmp_path, name)) for name in ("a", "bb")]

    def broken(case, bundle, *, engine):
        if case.case_id == "a":
            yield from ()
            raise ZeroDivisionError("division\nby zero")
        return (yield from steps(case, bundle, engine=engine))

    steps = case_folders.steps
    monkeypatch.setattr(case_folders, "steps", broken)
    assert run(table(tmp_path, *rows), tmp_path / "out") == batch.SOME_FAILED
    first, second = summary(tmp_path / "out")
    assert "(ZeroDivisionError in test_batch.py, line " in first["message"]
    assert second["status"] == "done"
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "division\nby zero" in shown


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "a\\b", "CON", "nul.txt", "a.", ".x", "summary.csv", "x" * 300])
def test_a_case_id_that_cannot_be_a_folder_is_refused(tmp_path, name):
    paths = ball(tmp_path, "good")
    assert run(table(tmp_path, row(name, paths)), tmp_path / "deep" / "out") == batch.SOME_FAILED
    (cells,) = summary(tmp_path / "deep" / "out")
    assert (cells["status"], cells["step"]) == ("failed", "naming its folder")
    assert [path.name for path in (tmp_path / "deep" / "out").iterdir()] == ["summary.csv"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_names_that_differ_by_capitals_alone_do_not_share_a_folder(tmp_path):
    paths = ball(tmp_path, "good")
    assert run(table(tmp_path, row("Case", paths), row("case", paths)), tmp_path / "out") == batch.SOME_FAILED
    first, second = summary(tmp_path / "out")
    assert (first["status"], second["status"]) == ("done", "failed")
    assert '"Case"' in second["message"]


# --- taking up -------------------------------------------------------------------------------------------------------


def test_what_is_finished_is_not_computed_again_and_what_changed_is(tmp_path, model, capsys):
    rows = [row(name, ball(tmp_path, name)) for name in ("a", "bb", "ccc")]
    cohort, out = table(tmp_path, *rows), tmp_path / "out"
    assert run(cohort, out) == 0
    first, before, told = times(out), (out / "summary.csv").read_bytes(), capsys.readouterr().out
    assert "earlier run\n" not in told
    assert run(cohort, out) == 0
    assert {path for path, when in times(out).items() if when != first[path]} == {out / "summary.csv"}
    assert (out / "summary.csv").read_bytes() == before
    assert len(re.findall(r": done in an earlier run$", capsys.readouterr().out, re.MULTILINE)) == 3

    ball(tmp_path, "bb", radius=8.0)  # another mask and CT under the same names
    (out / "ccc" / "report.html").write_text("damaged")
    assert run(cohort, out) == 0
    changed = {path.parent.name for path, when in times(out).items() if when != first[path]}
    assert {"bb", "ccc"} <= changed
    assert "a" not in changed
    assert (out / "ccc" / "report.html").read_text() != "damaged"

    (tmp_path / "moved").mkdir()
    for name in ("a_ct.nrrd", "a.seg.nrrd"):
        (tmp_path / name).rename(tmp_path / "moved" / name)
    moved = table(tmp_path, ("a", "moved/a_ct.nrrd", "moved/a.seg.nrrd", "tumour"), *rows[1:])
    capsys.readouterr()
    assert run(moved, out) == 0  # the content decides, not the place
    assert "3 done (3 of them in an earlier run)" in capsys.readouterr().out
    assert run(table(tmp_path, ("a", "moved/a_ct.nrrd", "moved/a.seg.nrrd", "tumour")), out, model) == 0
    assert "1 done (0 of them in an earlier run)" in capsys.readouterr().out
    assert (out / "a" / "gradcam_EGFR.nrrd").exists()


def test_a_case_that_fails_now_says_that_an_earlier_result_is_still_there(tmp_path):
    paths = ball(tmp_path, "a")
    cohort, out = table(tmp_path, row("a", paths)), tmp_path / "out"
    assert run(cohort, out) == 0
    sitk.WriteImage(sitk.ReadImage(str(paths["mask"])) * 0, str(paths["mask"]))
    assert run(cohort, out) == batch.SOME_FAILED
    (cells,) = summary(out)
    assert cells["message"].endswith("Its folder still holds the result of an earlier run.")
    assert (out / "a" / "profile.json").exists()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill a process at once")
def test_killed_at_any_point_nothing_is_half_written_and_the_next_run_ends_the_work(tmp_path):
    rows = [row(name, ball(tmp_path, name)) for name in ("a", "bb", "ccc")]
    cohort, out = table(tmp_path, *rows), tmp_path / "out"
    call = [sys.executable, str(SCRIPT), "--cohort", str(cohort), "--out", str(out)]
    for wait in (0.0, 0.4):
        process = subprocess.Popen(call, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        process.stdout.readline()  # the first case is done
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        for name in ("a", "bb", "ccc"):
            if (out / name).exists():
                assert {path.name for path in (out / name).iterdir()} == {
                    "features.csv", "features.notes.csv", "patch.png", "peritumoral.nrrd", "profile.json",
                    "regions.seg.nrrd", "report.html"
                }  # fmt: skip
        assert [cells["case_id"] for cells in summary(out)] == ["a", "bb", "ccc"]
    assert run(cohort, out) == 0
    assert run(cohort, tmp_path / "whole") == 0
    assert (out / "summary.csv").read_bytes() == (tmp_path / "whole" / "summary.csv").read_bytes()
    for name in ("a", "bb", "ccc"):
        same_files(out / name, tmp_path / "whole" / name)


def test_a_case_not_reached_is_told_as_waiting(tmp_path):
    rows = [row(name, ball(tmp_path, name)) for name in ("a", "bb")]
    from DeepRadScoreLib.cohort.table import read_cohort

    work = case_folders.analyse_cases(
        read_cohort(table(tmp_path, *rows), needs=("case_id", "ct"), endpoints=()), None, tmp_path / "out"
    )
    assert next(work).status == "done"
    work.close()
    assert [cells["status"] for cells in summary(tmp_path / "out")] == ["done", "waiting"]


# --- how it ends -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--cohort": "none.csv"}, ["none.csv", "does not exist"]),
        ({"--model": "cases.csv"}, ["cases.csv", "not a whole bundle"]),
        ({"--require-signature": "keys"}, ["--require-signature: there is no model to be signed"]),
        ({"--out": "cases.csv/out"}, ["cases.csv", "this is a file"]),
        ({"--out": None}, ["required: --out"]),
        ({"--nonsense": "x"}, ["--nonsense"]),
        ({"--engine": "mirp"}, ["--engine", "mirp", "choose"]),
        ({"--coh": "cases.csv", "--cohort": None}, ["required: --cohort"]),
    ],
)
def test_what_cannot_be_done_is_told_in_one_sentence(tmp_path, monkeypatch, capsys, change, words):
    table(tmp_path, row("a", ball(tmp_path, "a")))
    monkeypatch.chdir(tmp_path)
    options = {"--cohort": "cases.csv", "--out": "out", **change}
    given = [part for option in options.items() if option[1] is not None for part in option]
    assert batch.main(given) == batch.COULD_NOT
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert all(word in told for word in words)
    assert not (tmp_path / "out").exists()


def test_missing_packages_are_never_asked_for_and_the_command_is_told(tmp_path, monkeypatch, capsys):
    gone = [requirements.Missing("shap>=0.46", "evidence", "pip")]
    monkeypatch.setattr(requirements, "missing", lambda: gone)
    monkeypatch.setattr(packages, "application", lambda: None)
    cohort = table(tmp_path, row("a", ball(tmp_path, "a")))
    assert run(cohort, tmp_path / "out") == batch.COULD_NOT
    told = capsys.readouterr().err
    assert "shap>=0.46" in told
    assert f'"{sys.executable}" -m pip install' in told
    assert not (tmp_path / "out").exists()


def as_slicer_runs_it(arguments):
    """What ctkAbstractPythonManager::executeFile does, in the oldest Slicer that we support."""
    path, argv = list(sys.path), sys.argv
    sys.argv = [str(SCRIPT), *map(str, arguments)]
    try:
        sys.path.insert(0, str(SCRIPT.parent))
        scope = {"__name__": "__main__", "__file__": str(SCRIPT)}
        exec(SCRIPT.read_text(encoding="ascii"), scope)
        assert str(SCRIPT.parent) not in sys.path  # our files there must not hide others
    finally:
        sys.path[:], sys.argv = path, argv


@pytest.fixture
def without_window(slicer_app):
    import slicer_harness as harness

    with harness.batch():
        yield harness
    assert harness.exit_status() is not None


def test_slicer_ends_with_the_exit_code(tmp_path, without_window, capsys):
    good, bad = row("a", ball(tmp_path, "a")), ("b", "none.nrrd", "none.nrrd", "")
    cohort = table(tmp_path, good)
    as_slicer_runs_it(["--cohort", cohort, "--out", tmp_path / "out"])
    assert without_window.exit_status() == 0
    as_slicer_runs_it(["--cohort", table(tmp_path, good, bad), "--out", tmp_path / "out"])
    assert without_window.exit_status() == 1
    as_slicer_runs_it(["--out", tmp_path / "out"])
    assert without_window.exit_status() == 2
    import slicer

    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLVolumeNode") == 0


@pytest.mark.parametrize("error", [RuntimeError("broken"), MemoryError(), KeyboardInterrupt(), SystemExit("x")])
def test_slicer_ends_whatever_happens(tmp_path, without_window, monkeypatch, error, capsys):
    def fails(*_):
        raise error

    monkeypatch.setattr(case_folders, "analyse_cases", fails)
    cohort = table(tmp_path, row("a", ball(tmp_path, "a")))
    try:
        as_slicer_runs_it(["--cohort", cohort, "--out", tmp_path / "out"])
    except KeyboardInterrupt:
        assert isinstance(error, KeyboardInterrupt)
    assert without_window.exit_status() == 2


def test_in_slicer_missing_packages_are_told_with_slicers_own_command(tmp_path, without_window, monkeypatch, capsys):
    monkeypatch.setattr(requirements, "missing", lambda: [requirements.Missing("shap>=0.46", "evidence", "pip")])
    monkeypatch.setattr(packages, "install_command", lambda: '"/opt/Slicer" --python-code x')
    as_slicer_runs_it(["--cohort", table(tmp_path, row("a", ball(tmp_path, "a"))), "--out", tmp_path / "out"])
    assert without_window.exit_status() == 2
    assert 'get them with: "/opt/Slicer" --python-code x' in capsys.readouterr().err
    assert not without_window.installs
