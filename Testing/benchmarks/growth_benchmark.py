"""How time and peak memory grow with the tumour's volume, the number of slices and the size of a cohort.

    python Testing/benchmarks/growth_benchmark.py --out DIR [--only volume slices cohort] [--largest-cohort 100]

`volume`: 1 to 1000 mL in a CT of 512 x 512 x 260; `slices`: 50 to 1000 slices of 512 x 512, a tumour of 48 mL; `cohort`
(only where it is named): 10 to `--largest-cohort` synthetic cases, `deepradscore extract` with two jobs, from an empty
cache. A case is read, prepared and measured in a process of its own, with one thread. Printed: processor seconds, peak
memory beyond the imports, and the exponent of each, fitted to the upper half of the range on a log-log scale, where the
fixed cost hardly counts; over 1.1 the program ends with 1. DIR gets `growth.csv`, `growth.svg` and `growth.png`.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]

VOLUMES_ML = (1, 3, 10, 30, 100, 300, 1000)
SLICES = (50, 100, 200, 400, 700, 1000)
COHORTS = (10, 20, 50, 100, 200, 500, 1000)
MAX_EXPONENT = 1.1
ONE_CASE = """
import json, sys, time
from peak_memory import peak_mib
from DeepRadScoreLib.imaging import prepare, read_case
from DeepRadScoreLib.likeness.measures import case_measures
from DeepRadScoreLib.radscore.extraction import extract_features
small, large = sys.argv[1:3], sys.argv[3:5]
extract_features(prepare(read_case(*small)))
imports, start = peak_mib(), time.process_time()
prepared = prepare(read_case(*large))
case_measures(prepared)
extract_features(prepared)
print(json.dumps([time.process_time() - start, peak_mib() - imports]))
"""


@dataclass(frozen=True)
class Growth:
    """Processor seconds and peak memory (MiB beyond the imports) at each value of what grows."""

    name: str
    values: tuple[float, ...]
    seconds: tuple[float, ...]
    memory_mib: tuple[float, ...]

    @property
    def exponents(self) -> dict[str, float]:
        """Exponent of time and of memory over the upper half of the range."""
        upper = slice(len(self.values) // 2, None)
        logs = {"time": self.seconds, "memory": self.memory_mib}
        return {
            what: float(np.polyfit(np.log(self.values[upper]), np.log(np.maximum(found[upper], 1e-6)), 1)[0])
            for what, found in logs.items()
        }


def grown(name: str, values: Iterable[float], measure: Callable[[float], tuple[float, float]]) -> Growth:
    """Measure at each value and print it."""
    found = []
    for value in values:
        found.append((value, *measure(value)))
        print(f"{name} {value:6g}: {found[-1][1]:8.2f} s {found[-1][2]:7.0f} MiB", flush=True)
    return Growth(name, *zip(*found, strict=True))


def one_case(small: tuple[Path, Path], large: tuple[Path, Path]) -> tuple[float, float]:
    """Processor seconds and memory of a case in a process that has computed a small one."""
    folders = [ROOT, ROOT / "Testing" / "benchmarks"]
    threads = {"OMP_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}
    environment = {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    command = [sys.executable, "-c", ONE_CASE, *map(str, (*small, *large))]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    seconds, memory = json.loads(done.stdout.splitlines()[-1])
    return seconds, memory


def by_volume(folder: Path) -> Growth:
    from support.big_case import write_big_case

    small = write_big_case(folder / "small", slices=60, volume_ml=1, spacing=(0.7, 0.7, 1.0))

    def measure(volume_ml: float) -> tuple[float, float]:
        return one_case(
            small, write_big_case(folder / "large", slices=260, volume_ml=volume_ml, spacing=(0.7, 0.7, 1.0))
        )

    return grown("volume (mL)", VOLUMES_ML, measure)


def by_slices(folder: Path) -> Growth:
    from support.big_case import write_big_case

    small = write_big_case(folder / "small", slices=60, volume_ml=1)
    return grown(
        "slices",
        SLICES,
        lambda slices: one_case(small, write_big_case(folder / "large", slices=int(slices), volume_ml=48)),
    )


def by_cohort(folder: Path, largest: int) -> Growth:
    """Processor seconds of all processes; the memory is that of the largest one, imports included."""
    from DeepRadScoreLib.computing.workers import Processes
    from DeepRadScoreLib.synthetic.cohort import write_cohort

    def measure(cases: float) -> tuple[float, float]:
        table = write_cohort(folder / f"cohort-{cases:g}", int(cases) - 1, 1, seed=1, workers=Processes(2))
        command = [sys.executable, "-m", "DeepRadScoreLib.cli.main", "extract", table, "--out", folder / "features.csv"]
        watched = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True)\n"
        watched += "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        watched += "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)"
        with tempfile.TemporaryDirectory() as cache:
            environment = {**os.environ, "DEEPRADSCORE_CACHE": cache, "PYTHONPATH": str(ROOT)}
            arguments = [*map(str, command), "--jobs", "2"]
            call = [sys.executable, "-c", watched, *arguments]
            done = subprocess.run(call, env=environment, check=True, capture_output=True, text=True)
        seconds, memory = map(float, done.stdout.split())
        return seconds, memory

    return grown("cases", [size for size in COHORTS if size <= largest], measure)


def draw(found: list[Growth], path: Path) -> None:
    """Time and memory over what grows, with the line of the fitted exponent, on log-log scales."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(found), figsize=(4.2 * len(found), 6.4), squeeze=False, layout="constrained")
    for column, growth in enumerate(found):
        rows = (("processor time (s)", growth.seconds, "time"), ("peak memory (MiB)", growth.memory_mib, "memory"))
        for axis, (label, values, what) in zip(axes[:, column], rows, strict=True):
            axis.loglog(growth.values, np.maximum(values, 1e-6), "o", color="C0")
            exponent = growth.exponents[what]
            upper = np.array(growth.values[len(growth.values) // 2 :], dtype=float)
            middle = np.exp(np.mean(np.log(np.maximum(values[len(growth.values) // 2 :], 1e-6))))
            axis.loglog(upper, middle * (upper / np.exp(np.mean(np.log(upper)))) ** exponent, "-", color="C1")
            axis.set_title(f"exponent {exponent:.2f}", fontsize=10)
            axis.set(xlabel=growth.name, ylabel=label)
            axis.set_xticks(growth.values, [f"{value:g}" for value in growth.values], fontsize=8)
            axis.set_ylim(min(values) / 3, max(values) * 3)
            axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
            for each in (axis.xaxis, axis.yaxis):
                each.set_minor_formatter("")
            axis.grid(which="major", alpha=0.3)
    for suffix in (".svg", ".png"):
        figure.savefig(path.with_suffix(suffix))
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=("volume", "slices", "cohort"), default=["volume", "slices"])
    parser.add_argument("--largest-cohort", type=int, default=100)
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT / "Testing"))
    given.out.mkdir(parents=True, exist_ok=True)
    parts = {"volume": by_volume, "slices": by_slices, "cohort": lambda f: by_cohort(f, given.largest_cohort)}
    found = []
    for part in given.only:
        with tempfile.TemporaryDirectory() as folder:
            found.append(parts[part](Path(folder)))
    with (given.out / "growth.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["what", "value", "processor_seconds", "peak_mib"])
        for growth in found:
            writer.writerows(
                [growth.name, *row] for row in zip(growth.values, growth.seconds, growth.memory_mib, strict=True)
            )
    draw(found, given.out / "growth.svg")
    for growth in found:
        print(f"{growth.name}: " + ", ".join(f"exponent of {what} {n:.2f}" for what, n in growth.exponents.items()))
    steepest = max(exponent for growth in found for exponent in growth.exponents.values())
    sys.exit(steepest > MAX_EXPONENT)


if __name__ == "__main__":
    main()
