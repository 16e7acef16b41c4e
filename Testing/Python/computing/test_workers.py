"""This process, processes and a Dask cluster give the same results, and a crash costs one unit."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from DeepRadScoreLib.cohort.table import Cohort
from DeepRadScoreLib.computing import cluster as cluster_module
from DeepRadScoreLib.computing.cluster import Cluster, chosen_workers, cluster
from DeepRadScoreLib.computing.extraction import extract_cohort
from DeepRadScoreLib.computing.run import Run
from DeepRadScoreLib.computing.workers import TRIES, Crashed, InProcess, Processes
from DeepRadScoreLib.endpoints import KEYS
from DeepRadScoreLib.errors import InputError, RegionError, WorkersError
from DeepRadScoreLib.progress import Stage
from DeepRadScoreLib.study.data import StudyInputs
from DeepRadScoreLib.study.evaluation.evaluate import evaluate_from_table
from DeepRadScoreLib.study.plans import EvaluationPlan, TrainingPlan
from support.crashing_units import abs_of, case_or_death, deadly, dies, threads_of_libraries, tries, waits
from support.imaging_phantoms import image_of, tumour_case
from support.small_evaluation import write_small_cohort

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the tests send SIGKILL")
SECONDS_LONG_ENOUGH = 600


@pytest.fixture(scope="module", params=["processes", "cluster"])
def workers(request):
    if request.param == "processes":
        yield Processes(2)
    else:
        with cluster("local", 2) as of_cluster:
            yield of_cluster


def test_a_crash_costs_its_unit_alone_and_three_make_it_lost(workers, tmp_path):
    deaths = {2: 1, 3: TRIES - 1, 5: TRIES}
    tasks = [{"folder": tmp_path, "number": number, "deaths": deaths.get(number, 0)} for number in range(9)]
    found = list(workers.each(deadly, tasks))
    assert sorted(position for position, _ in found) == list(range(9))
    assert dict(found) == {number: f"{number} by 1 thread" for number in range(9)} | {5: Crashed()}
    assert tries(tmp_path, 5) == TRIES
    if isinstance(workers, Processes):
        assert [tries(tmp_path, number) for number in range(9)] == [1, 1, 2, TRIES, 1, TRIES, 1, 1, 1]
    again = list(workers.each(deadly, tasks[:2]))
    assert sorted(position for position, _ in again) == [0, 1]


def test_no_more_is_begun_than_can_be_taken(workers, tmp_path):
    tasks = [{"folder": tmp_path, "number": number, "deaths": 0} for number in range(40)]
    results = workers.each(deadly, tasks)
    next(results)
    before = -1
    while (begun := len(list(tmp_path.iterdir()))) != before:
        before = begun
        time.sleep(1)
    assert begun <= 4
    assert len(list(results)) == 39


def refuse() -> None:
    raise RegionError("the mask is empty", where="a.nrrd", mend="draw the tumour")


def test_what_a_unit_raises_is_raised_here(workers):
    with pytest.raises(RegionError, match=r"a\.nrrd: the mask is empty; draw the tumour\."):
        list(workers.each(refuse, [{}]))
    assert [result for _, result in workers.each(abs_of, [{"x": -3}])] == [3]


def test_a_fit_that_is_lost_ends_the_run_with_a_sentence(tmp_path):
    with pytest.raises(WorkersError, match=r"classifiers: .* ended 3 times .*memory; .*same command again"):
        Run(tmp_path, Processes(1)).load_or_compute_each(dies, [{}], Stage.CLASSIFIERS)


class Cancelled(Exception):
    pass


def test_a_report_that_raises_cancels_and_ends_the_unit_at_work_with_its_unfinished_file(tmp_path):
    workers, pid_file = Processes(2), tmp_path / "pid"

    def cancel(event):
        until(lambda: pid_file.exists() and pid_file.read_text())
        raise Cancelled

    begin = time.monotonic()
    with pytest.raises(Cancelled):
        Run(tmp_path, workers, cancel).load_or_compute_each(
            waits, [{"pid_file": None}, {"pid_file": pid_file}], Stage.CLASSIFIERS
        )
    until(lambda: not alive(int(pid_file.read_text())))
    assert time.monotonic() - begin < SECONDS_LONG_ENOUGH / 2
    assert not list(tmp_path.rglob("*.npz"))
    assert [result for _, result in workers.each(abs_of, [{"x": -3}])] == [3]


def until(condition, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_processes_that_are_made_ready_are_no_more_than_units_and_do_the_work(tmp_path):
    workers = Processes(3)
    workers.get_ready(2, waits, {"pid_file": tmp_path / "pid", "seconds": 0})
    until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    pids = {pid for _, pid in workers.each(os.getpid, [{}, {}])}
    assert int((tmp_path / "pid").read_text()) in pids
    workers.end()
    until(lambda: not any(map(alive, pids)))


def test_libraries_start_one_thread_in_each_process():
    assert [threads for _, threads in Processes(2).each(threads_of_libraries, [{}, {}])] == [{1}, {1}]


def test_cores_are_shared_among_processes(monkeypatch):
    for module in (os, joblib):
        monkeypatch.setattr(module, "cpu_count", lambda: 8)
    assert InProcess().threads_each == 8
    assert [Processes(jobs).threads_each for jobs in (1, 2, 3, 8, 12)] == [8, 4, 2, 1, 1]


class Disturbed:
    """Workers whose units die for some cases, or one of whose processes is killed now and then."""

    def __init__(self, workers, poisoned=(), kill_after=()):
        self.workers, self.poisoned, self.kill_after = workers, poisoned, kill_after
        self.threads_each = workers.threads_each

    def each(self, function, tasks):
        tasks = [{"poisoned": self.poisoned, **task} for task in tasks]
        for count, found in enumerate(self.workers.each(case_or_death, tasks), start=1):
            yield found
            if count in self.kill_after:
                os.kill(a_pid(self.workers), signal.SIGKILL)


def a_pid(workers) -> int:
    """The process of one of the workers."""
    if isinstance(workers, Cluster):
        return next(iter(workers.client.run(os.getpid).values()))
    return dict(workers.each(os.getpid, [{}]))[0]


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Cohort:
    folder = tmp_path_factory.mktemp("cases")
    rng = np.random.default_rng(0)
    rows = []
    for number in range(12):
        ct, mask = tumour_case(radius=4.0 + number / 4)
        values = sitk.GetArrayFromImage(ct) + rng.normal(0, 20, (30, 40, 40))
        row = {
            "case_id": f"c{number:02d}",
            "ct": str(folder / f"{number}.nrrd"),
            "mask": str(folder / f"{number}m.nrrd"),
        }
        sitk.WriteImage(image_of(values.astype(np.int16)), row["ct"])
        sitk.WriteImage(mask, row["mask"])
        rows.append(row)
    table = pd.DataFrame(rows).assign(patient_id=[row["case_id"] for row in rows])
    table = table.set_index("case_id", drop=False)
    return Cohort(Path("twelve.csv"), table, pd.DataFrame(np.nan, index=table.index, columns=list(KEYS)), {}, np.nan)


@pytest.fixture(scope="module")
def undisturbed(cohort, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DEEPRADSCORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        return extract_cohort(cohort, Run(), wants="patches")


def test_killed_workers_change_nothing(workers, cohort, undisturbed, tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPRADSCORE_CACHE", str(tmp_path))
    seen = []
    found = extract_cohort(
        cohort,
        Run(workers=Disturbed(workers, kill_after=(3, 5, 8)), report=lambda event: seen.append(event.detail)),
        wants="patches",
    )
    assert sorted(seen) == cohort.table["case_id"].tolist()
    assert found.patches.tobytes() == undisturbed.patches.tobytes()
    assert found.quality == undisturbed.quality
    assert found.failed == {}
    assert len(list(tmp_path.rglob("*.npz"))) == 12
    assert not list(tmp_path.rglob("*.part*"))


def test_a_cancelled_extraction_leaves_whole_files_alone_and_goes_on(cohort, undisturbed, tmp_path):
    def cancel(event):
        if event.done == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        extract_cohort(cohort, Run(tmp_path, Processes(2), cancel), wants="patches")
    assert 3 <= len(list(tmp_path.rglob("*.npz"))) < len(cohort)
    found = extract_cohort(cohort, Run(tmp_path), wants="patches")
    assert found.patches.tobytes() == undisturbed.patches.tobytes()
    assert not list(tmp_path.rglob("*.part*"))


def test_a_poisoned_case_is_recorded_and_the_rest_goes_on(workers, cohort, undisturbed, tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPRADSCORE_CACHE", str(tmp_path))
    found = extract_cohort(cohort, Run(workers=Disturbed(workers, poisoned=("c01", "c07"))), wants="patches")
    assert sorted(found.failed) == ["c01", "c07"]
    assert found.failed["c01"] == (
        "the process that worked on it ended 3 times without a result, by a crash or for want of memory."
    )
    whole = [0, 2, 3, 4, 5, 6, 8, 9, 10, 11]
    assert list(found.features.index) == list(undisturbed.features.index[whole])
    np.testing.assert_array_equal(found.patches, undisturbed.patches[whole])


def test_a_case_with_an_unforeseen_fault_is_recorded(cohort, tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPRADSCORE_CACHE", str(tmp_path))
    broken = dataclasses.replace(cohort, table=cohort.table.assign(segment=["", 7, *[""] * 10]))
    found = extract_cohort(broken, Run(), wants="patches")
    assert list(found.failed) == ["c01"]
    assert "not foreseen" in found.failed["c01"]


def test_a_study_gives_the_same_bytes_whoever_works_and_dies(workers, study, tmp_path, monkeypatch):
    inputs, plan, results = study
    monkeypatch.setenv("DEEPRADSCORE_CACHE", str(tmp_path))
    killed = []

    def kill_once(event):
        if event.stage == Stage.CLASSIFIERS and not killed:
            killed.append(a_pid(workers))
            os.kill(killed[0], signal.SIGKILL)

    found = evaluate_from_table(inputs, plan, Run(workers=workers, report=kill_once))
    assert killed
    assert found.to_json() == results


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study from a feature table, and its results without any other process."""
    table, features = write_small_cohort(tmp_path_factory.mktemp("study"), n=60)
    inputs = StudyInputs(table, features, endpoints=("EGFR",))
    plan = EvaluationPlan(("strict",), TrainingPlan(folds=2, repeats=1, search="quick"), "column", 2)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DEEPRADSCORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        found = evaluate_from_table(inputs, plan, Run())
    return inputs, plan, found.to_json()


def test_another_version_at_a_worker_is_refused(monkeypatch):
    with cluster("local", 1) as workers:
        monkeypatch.setattr(cluster_module, "code_digest", lambda: "another")
        with pytest.raises(WorkersError, match="another version of DeepRadScore; install the same version"):
            list(workers.each(abs_of, [{"x": 1}]))


@pytest.fixture(scope="module")
def running_scheduler(tmp_path_factory):
    """A scheduler with one worker, as a cluster's administrator starts them."""
    folder = tmp_path_factory.mktemp("dask")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address, file = f"tcp://127.0.0.1:{port}", folder / "scheduler.json"
    scheduler = ["scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--scheduler-file", file]
    worker = ["worker", address, "--nthreads", "1", "--no-dashboard", "--local-directory", folder]
    begun = []
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for call in (scheduler, worker):
        with (folder / f"{call[0]}.txt").open("w") as said:
            line = [sys.executable, "-m", f"distributed.cli.dask_{call[0]}", *map(str, call[1:])]
            begun.append(subprocess.Popen(line, stderr=said, env=environment))
    until = time.monotonic() + SECONDS_LONG_ENOUGH
    while not file.exists():
        assert time.monotonic() < until
        time.sleep(0.1)
    yield address, file, begun[0]
    for process in reversed(begun):
        process.terminate()
        process.wait()


def test_a_running_cluster_is_found_by_address_or_file_and_its_loss_is_said(running_scheduler):
    address, file, process = running_scheduler
    for scheduler in (address, str(file)):
        with chosen_workers(None, scheduler) as workers:
            assert dict(workers.each(abs_of, [{"x": -1}, {"x": 2}])) == {0: 1, 1: 2}
    with (
        pytest.raises(InputError, match="--jobs 2: a cluster that runs has its own number of processes"),
        chosen_workers(2, address),
    ):
        pass
    with chosen_workers(None, address) as workers:
        results = workers.each(abs_of, [{"x": x} for x in range(10)])
        next(results)
        process.kill()
        with pytest.raises(WorkersError, match="the connection with the scheduler was lost; start it again"):
            list(results)


@pytest.mark.parametrize("scheduler", ["tcp://127.0.0.1:9", "nonsense", "tcp://127.0.0.1", "setup.cfg"])
def test_where_no_scheduler_answers_one_sentence_says_so(scheduler, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("setup.cfg").write_text("[metadata]")
    with (
        pytest.raises(WorkersError, match=f"--scheduler {scheduler}: no Dask scheduler answers there"),
        cluster(scheduler, 1),
    ):
        pass
