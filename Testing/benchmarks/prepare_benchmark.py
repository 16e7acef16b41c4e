"""Steps and memory of reading and preparing a large CT.

    python Testing/benchmarks/prepare_benchmark.py [--slices 600]

In a process of its own: time of each step of preparing a synthetic CT of 512 x 512 x `--slices` voxels with a tumour of
359 mL, and the peak of its memory beyond the imports. `bench.py prepare` compares the shared cases with the program
before.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LARGE = """
import sys, time
from peak_memory import peak_mib
from DeepRadScoreLib.imaging import prepare_steps, read_case

imports, start = peak_mib(), time.perf_counter()
case = read_case(*sys.argv[1:3])
print(f"{1000 * (time.perf_counter() - start):7.0f} ms  reading")
steps, label = prepare_steps(case), "checking the options"
while True:
    start = time.perf_counter()
    try:
        following = next(steps)
    except StopIteration:
        following = None
    print(f"{1000 * (time.perf_counter() - start):7.0f} ms  {label}")
    if following is None:
        break
    label = following
print(f"peak memory beyond the imports: {peak_mib() - imports:.0f} MiB")
"""


def large(slices: int) -> None:
    sys.path.insert(0, str(ROOT / "Testing"))
    from support.big_case import write_big_case

    with tempfile.TemporaryDirectory() as folder:
        paths = write_big_case(Path(folder), slices=slices, volume_ml=359)
        print(f"512 x 512 x {slices} voxels, a tumour of 359 mL:", flush=True)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "Testing" / "benchmarks")])}
        subprocess.run([sys.executable, "-c", LARGE, *map(str, paths)], check=True, env=environment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slices", type=int, default=600)
    given = parser.parse_args()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    large(given.slices)


if __name__ == "__main__":
    main()
