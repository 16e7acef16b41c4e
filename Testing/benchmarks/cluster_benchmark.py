"""A Dask cluster of two workers beside plain processes, its workers killed, and the memory of a growing cohort.

    python Testing/benchmarks/cluster_benchmark.py --only speed kills memory

Cases are synthetic. `speed`: 60 cases, each way twice in turn, from an empty cache. `kills`: the same cases while one
worker is killed half-way, three times over; the feature table's bytes are compared with the undisturbed ones.
`memory`: the highest memory of the program and of its largest worker at 20 cases and at 200, for either way. The 200
are the same tumours ten times over, with another voxel in a corner of the CT: it depends on the largest tumour too.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import psutil
import SimpleITK as sitk

from DeepRadScoreLib.computing.workers import Processes
from DeepRadScoreLib.synthetic.cohort import write_cohort

WAYS = {"processes": ["--jobs", "2"], "cluster": ["--jobs", "2", "--scheduler", "local"]}


def cohort_of(folder: Path, cases: int) -> Path:
    return write_cohort(folder / f"cohort-{cases}", cases - 1, 1, seed=1, workers=Processes(2))


@contextmanager
def extraction(table: Path, out: Path, way: str) -> Iterator[subprocess.Popen]:
    """`deepradscore extract` at work, from an empty cache."""
    call = [sys.executable, "-m", "DeepRadScoreLib.cli.main", "extract", table, "--out", out, *WAYS[way]]
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "DEEPRADSCORE_CACHE": cache, "OMP_NUM_THREADS": "1"}
        run = subprocess.Popen(list(map(str, call)), env=environment, stderr=subprocess.DEVNULL)
        yield run
        assert run.wait() == 0, "the extraction failed"


def seconds(table: Path, out: Path, way: str) -> float:
    begun = time.perf_counter()
    with extraction(table, out, way):
        pass
    return time.perf_counter() - begun


def speed(folder: Path) -> None:
    table = cohort_of(folder, 60)
    taken: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(2):
        for way in WAYS:
            taken[way].append(seconds(table, folder / f"{way}-{turn}.csv", way))
    for way, each in taken.items():
        print(f"{way}: " + ", ".join(f"{value:.1f} s" for value in each))
    print(f"cluster / processes: {min(taken['cluster']) / min(taken['processes']):.3f}")
    written = {(folder / f"{way}-{turn}.csv").read_bytes() for way in WAYS for turn in range(2)}
    print(f"bytes of the four feature tables: {'equal' if len(written) == 1 else 'DIFFERENT'}")


def workers_of(run: subprocess.Popen) -> list[psutil.Process]:
    """The processes that compute cases, not those that look after them."""
    children = psutil.Process(run.pid).children(recursive=True)
    return [child for child in children if child.memory_info().rss > 100e6]


def kills(folder: Path) -> None:
    table = cohort_of(folder, 60)
    undisturbed = seconds(table, folder / "undisturbed.csv", "processes")
    for way in WAYS:
        for turn in range(3):
            killed = []
            out = folder / "killed.csv"
            with extraction(table, out, way) as run:
                for part in (0.4, 0.5, 0.6):
                    time.sleep(undisturbed * (0.4 if part == 0.4 else 0.1))
                    victim = workers_of(run)[turn % 2]
                    victim.send_signal(signal.SIGKILL)
                    killed.append(victim.pid)
            same = out.read_bytes() == (folder / "undisturbed.csv").read_bytes()
            names = pd.read_csv(out)["case_id"]
            print(
                f"{way}, workers {killed} killed: {len(names)} cases, {names.duplicated().sum()} twice, "
                f"bytes {'as undisturbed' if same else 'DIFFERENT'}"
            )


def peak_memory(table: Path, out: Path, way: str) -> tuple[float, float]:
    """Highest memory in MB of the program itself and of the largest of its workers.

    Not of all together: how often two workers are at their largest cases at once is a matter of chance.
    """
    peaks = [0.0, 0.0]
    with extraction(table, out, way) as run:
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(0.2):
                try:
                    program = psutil.Process(run.pid)
                    own = program.memory_info().rss
                    of_worker = max((child.memory_info().rss for child in program.children(recursive=True)), default=0)
                except psutil.NoSuchProcess:
                    continue
                peaks[:] = max(peaks[0], own / 1e6), max(peaks[1], of_worker / 1e6)

        watcher = threading.Thread(target=watch)
        watcher.start()
        run.wait()
        ended.set()
        watcher.join()
    return peaks[0], peaks[1]


def ten_times(table: Path) -> Path:
    """A cohort table of ten CTs for each of the table's, which differ in one voxel far from the tumour."""
    rows = []
    for row in pd.read_csv(table).itertuples():
        ct = sitk.ReadImage(str(table.parent / row.ct))
        for number in range(10):
            ct[0, 0, 0] = -1000 + number
            name = f"{row.case_id}-{number}"
            sitk.WriteImage(ct, str(table.parent / "images" / f"{name}.nrrd"))
            rows.append({"case_id": name, "ct": f"images/{name}.nrrd", "mask": row.mask})
    pd.DataFrame(rows).to_csv(table.with_name("ten-times.csv"), index=False)
    return table.with_name("ten-times.csv")


def memory(folder: Path) -> None:
    few_cases = cohort_of(folder, 20)
    tables = {20: few_cases, 200: ten_times(few_cases)}
    for way in WAYS:
        found = {cases: peak_memory(table, folder / "m.csv", way) for cases, table in tables.items()}
        for number, what in enumerate(("the program", "its largest worker")):
            few, many = found[20][number], found[200][number]
            print(f"{way}, {what}: {few:.0f} MB at 20 cases, {many:.0f} MB at 200: ratio {many / few:.3f}")


PARTS = {"speed": speed, "kills": kills, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for part in asked.only:
            PARTS[part](Path(folder))


if __name__ == "__main__":
    main()
