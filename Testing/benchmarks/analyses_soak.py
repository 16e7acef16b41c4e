"""Many analyses in one process: memory stays within 5 % after the first ones, and no file stays open. Linux.

    python Testing/benchmarks/analyses_soak.py [--analyses 500] [--first 50]

Each analysis reads case and bundle anew and writes all results, as a batch does.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Testing"))

from DeepRadScoreLib import analyze, read_case  # noqa: E402
from support.imaging_phantoms import tumour_case  # noqa: E402
from support.small_bundle import small_bundle, small_densenet  # noqa: E402

MAX_GROWTH = 0.05


def usage(folder: Path, analyses: int) -> Iterator[tuple[int, int]]:
    """Resident bytes and number of open files after each analysis."""
    process = psutil.Process()
    for name, image in zip(("ct", "mask"), tumour_case(), strict=True):
        sitk.WriteImage(image, str(folder / f"{name}.nrrd"))
    with small_densenet():
        small_bundle().save(folder / "model.zip")
        for number in range(analyses):
            read = read_case(folder / "ct.nrrd", folder / "mask.nrrd")
            analyze(read, folder / "model.zip").save(folder / f"out{number % 5}")
            gc.collect()
            yield process.memory_info().rss, process.num_fds()


def main() -> int:
    """Exit code 1 if memory grew or files stayed open."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--analyses", type=int, default=500)
    parser.add_argument("--first", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for number, (memory, files) in enumerate(usage(Path(folder), options.analyses), start=1):
            found.append((memory, files))
            if number % options.first == 0:
                print(f"{number} analyses: {memory / 2**20:.0f} MB, {files} open files", flush=True)
    memory, files = found[options.first - 1]
    growth = max(bytes_ for bytes_, _ in found[options.first :]) / memory - 1
    more = found[-1][1] - files
    print(f"after the first {options.first}: memory {growth:+.1%} at most, {more:+d} open files")
    return int(growth > MAX_GROWTH or more > 0)


if __name__ == "__main__":
    sys.exit(main())
