"""The synthetic sample: made by another process, whole or not at all, ended when told; offered in Sample Data."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.api import analyze
from DeepRadScoreLib.bundles.bundle import read_bundle
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.errors import MissingPackageError, OutputError
from DeepRadScoreLib.imaging import read_case
from DeepRadScoreLib.imaging.origin import SYNTHETIC_LABEL
from DeepRadScoreLib.synthetic import cohort, sample
from DeepRadScoreSlicer import packages, requirements, sample_data, sample_making

ROOT = Path(__file__).parents[2]

QUICK = """
    for stage, total in ((Stage.MAKING_CASES, 2), (Stage.FEATURES, 2), (Stage.HELD_OUT, 1)):
        report(Progress(stage, done=1, total=total))
        time.sleep(0.1)
    folder.mkdir()
    for name in (sample.CT, sample.MASK, sample.BUNDLE):
        (folder / name).write_bytes(b"made")
"""
ENDLESS = """
    report(Progress(Stage.MAKING_CASES, done=1, total=2))
    (folder.parent / "half").write_bytes(b"half")
    time.sleep(600)
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPRADSCORE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def made_by(monkeypatch):
    """The other process is a real one, in which `write_sample` has this body."""
    started = []
    popen = subprocess.Popen

    def use(body):
        code = textwrap.dedent(f"""
            import json, os, sys, time
            from pathlib import Path
            sys.path[:] = json.loads(sys.argv[1])
            from DeepRadScoreLib.errors import OutputError
            from DeepRadScoreLib.progress import Progress, Stage
            from DeepRadScoreLib.synthetic import sample
            from DeepRadScoreSlicer import sample_making
            def write_sample(folder, report):
            {textwrap.indent(textwrap.dedent(body), "    ").replace(chr(10), chr(10) + " " * 12)}
            sample.write_sample = write_sample
            sys.exit(sample_making.make_in_this_process(sys.argv[2], sys.argv[3]))
        """)

        def start(call, **options):
            python, *script = call[:3]
            arguments = call[3:]
            assert script == ["-c", sample_making.OTHER_PROCESS]
            started.append(popen([python, "-c", code, *arguments], **options))
            return started[-1]

        monkeypatch.setattr(subprocess, "Popen", start)
        return started

    return use


def left(cache):
    return sorted(path.name for path in (cache / "sample").iterdir())


def until(steps, word):
    for step in steps:
        if word in step.detail:
            return step
    raise AssertionError(f"no step {word}")


# --- the making ------------------------------------------------------------------------------------------------------


def test_it_is_made_once_and_what_an_older_program_made_goes(cache, made_by):
    started = made_by(QUICK)
    (cache / "sample" / "older").mkdir(parents=True)
    steps, shown = sample_making.sample_steps(), []
    with pytest.raises(StopIteration) as end:
        while True:
            shown.append(next(steps))
    made = end.value.value
    assert made.complete()
    assert {path.read_bytes() for path in (made.ct, made.mask, made.bundle)} == {b"made"}
    assert left(cache) == [made.ct.parent.name]
    fractions = [step.fraction for step in shown]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0.0
    assert 0.15 < fractions[-1] < 1.0
    assert any("making cases (1/2)" in step.detail for step in shown)
    assert list(sample_making.sample_steps()) == []
    assert sample_making.make_sample() == made
    assert len(started) == 1


def test_no_step_keeps_the_application(cache, made_by, monkeypatch):
    made_by(ENDLESS)
    slept = []
    monkeypatch.setattr(sample_making.time, "sleep", slept.append)
    steps = sample_making.sample_steps()
    for _ in range(20):
        next(steps)
    assert set(slept) == {sample_making.LOOK_S}
    assert sample_making.LOOK_S <= 0.1
    monkeypatch.undo()
    steps.close()


def test_closing_ends_the_process_and_leaves_nothing(cache, made_by):
    started = made_by(ENDLESS)
    steps = sample_making.sample_steps()
    until(steps, "making cases")
    assert started[0].poll() is None
    steps.close()
    assert started[0].returncode == 3  # by itself: Slicer's Python is a launcher, whose end would not be its end
    assert left(cache) == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('raise OutputError("no space", where="there", mend="make room")', "there: no space; make room"),
        ('raise RuntimeError("broken")', "RuntimeError: broken"),
        ("os._exit(9)", "exit code 9"),
        ("pass", "No such file or directory"),
    ],
)
def test_what_fails_there_is_told_here_and_leaves_nothing(cache, made_by, body, words):
    made_by(body)
    with pytest.raises(OutputError) as error:
        sample_making.make_sample()
    assert words in str(error.value)
    assert str(error.value).startswith("the synthetic sample: it could not be made (")
    assert left(cache) == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill a process at once")
def test_a_killed_making_leaves_no_half_sample(cache, made_by):
    code = textwrap.dedent("""
        import sys
        sys.path.append(sys.argv[1])
        from DeepRadScoreSlicer import sample_making
        for step in sample_making.sample_steps():
            print(step.detail, flush=True)
    """)
    call = [sys.executable, "-c", code, str(ROOT / "DeepRadScore")]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if "starting Python" in line:
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (work,) = (cache / "sample").glob(".making-*")
    (work / sample_making.GOING).unlink()  # so that the other process ends, too
    made_by(QUICK)
    assert not sample.Sample.in_folder(sample_making.sample_folder()).complete()
    long_ago = time.time() - 2 * sample_making.FORGOTTEN_S
    os.utime(work / sample_making.PROGRESS, (long_ago, long_ago))
    made = sample_making.make_sample()
    assert made.complete()
    assert left(cache) == [made.ct.parent.name]


def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DEEPRADSCORE_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="DEEPRADSCORE_CACHE"):
        sample_making.make_sample()


def test_missing_packages_are_told_before_anything_is_begun(cache, slicer_app, monkeypatch):
    monkeypatch.setattr(requirements, "missing", lambda: [requirements.Missing("shap>=0.46", "evidence", "pip")])
    monkeypatch.setattr(packages, "install_command", lambda: "the command")
    with pytest.raises(MissingPackageError, match=r"shap.*the command"):
        next(sample_making.sample_steps())
    assert not cache.exists()


# --- the sample itself -----------------------------------------------------------------------------------------------


def modelled(seed: int, patients: int) -> list[str]:
    """The endpoints with the ten training patients of either class that a model needs."""
    table = cohort._draw("train", patients, seed)[0].astype(str)
    return [key for key in KEYS if min((table[key] == cell).sum() for cell in "01") >= 10]


def test_every_endpoint_has_the_patients_that_a_model_needs():
    fits = (seed for seed in count() if modelled(seed, sample.TRAIN) == list(KEYS))
    assert modelled(sample.SEED, sample.TRAIN) == list(KEYS), f"SEED = {next(fits)} has them"


def test_a_smaller_one_is_made_by_the_library_and_says_that_it_is_synthetic(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(sample, "TRAIN", 20)
    monkeypatch.setattr(sample, "TEST", 1)
    seed = next(seed for seed in count() if modelled(seed, 20))
    monkeypatch.setattr(sample, "SEED", seed)
    stages = set()
    made = sample.write_sample(tmp_path / "made", lambda event: stages.add(event.stage.name))
    assert set(sample_making.STAGES) <= stages
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "made"]
    assert SYNTHETIC_LABEL in (tmp_path / "made" / sample.NOTICE).read_text()
    bundle = read_bundle(made.bundle)
    assert bundle.manifest.synthetic
    assert [key for key, card in bundle.manifest.endpoints.items() if card.modelled] == modelled(seed, 20)
    assert bundle.manifest.trained_on["training_patients"] == 20
    case = read_case(made.ct, made.mask)
    assert analyze(case, bundle).label == SYNTHETIC_LABEL
    assert analyze(case).label == SYNTHETIC_LABEL


# --- in Sample Data --------------------------------------------------------------------------------------------------


@pytest.fixture
def there(cache):
    """A sample that is there already, with a CT and mask that can be loaded."""
    made = sample.Sample.in_folder(sample_making.sample_folder())
    made.ct.parent.mkdir(parents=True)
    hu = np.full((6, 12, 12), -800, np.int16)
    hu[2:4, 4:8, 4:8] = 40
    sitk.WriteImage(sitk.GetImageFromArray(hu), str(made.ct))
    sitk.WriteImage(sitk.GetImageFromArray((hu > 0).astype(np.uint8)), str(made.mask))
    made.bundle.write_bytes(b"")
    return made


@pytest.fixture
def source(slicer_app):
    import slicer

    for _ in range(2):
        sample_data.register()
    (source,) = slicer.modules.sampleDataSources["DeepRadScore"]
    return source


def test_it_is_offered_once_and_needs_nothing_for_it(source):
    assert source.sampleName == sample_data.NAME
    assert len(source.uris) == len(source.fileNames) == len(source.nodeNames) == len(source.loadFileTypes) == 2
    assert Path(source.thumbnailFileName).is_file()
    code = "import sys; sys.path.append(sys.argv[1]); import DeepRadScoreSlicer.sample_data, DeepRadScoreLib; "
    code += "print(sorted({name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))"
    call = [sys.executable, "-S", "-c", code, str(ROOT / "DeepRadScore")]
    done = subprocess.run(call, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.stdout.strip() == "['DeepRadScoreLib', 'DeepRadScoreSlicer', '__main__']"


def test_its_addresses_become_those_of_files(source, there):
    import slicer

    rule = slicer.modules.sampleDataUrlRewriteRules["DeepRadScore"]
    assert [rule(uri) for uri in source.uris] == [there.ct.as_uri(), there.mask.as_uri()]
    assert rule("https://github.com/x.nrrd") == "https://github.com/x.nrrd"


def test_its_button_loads_the_case(source, there):
    import slicer

    import slicer_harness as harness

    source.customDownloader(source)
    harness.wait_for(lambda: not sample_data._running[0].running, 20)
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    segmentations = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert [node.GetName() for node in volumes] == ["synthetic-sample CT"]
    assert len(segmentations) == 1
    assert segmentations[0].GetSegmentation().GetNumberOfSegments() == 1


def test_its_button_tells_what_failed_and_a_second_press_starts_nothing_new(source, cache, made_by):
    import slicer_harness as harness

    started = made_by("time.sleep(0.5); raise RuntimeError('broken')")
    with harness.main_window(), harness.answering("could not be made.*broken"):
        source.customDownloader(source)
        harness.wait_for(lambda: len(started) == 1)
        source.customDownloader(source)
        harness.wait_for(lambda: not sample_data._running[0].running)
    assert len(started) == 1
    assert left(cache) == []
