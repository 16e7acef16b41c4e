"""Time and peak memory of reading a CT series from DICOM, side by side with SimpleITK's own series reader.

    python Testing/benchmarks/dicom_benchmark.py [FOLDER]

Default: a made-up series of 300 slices of 512 x 512. Each way reads the folder (finding the series included) in a
process of its own, by turns; the medians of wall and CPU time and their ratio are printed. Both must give the same
voxels and geometry.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 7
SLICES, PIXELS = 300, 512


def with_deepradscore(folder: Path) -> object:
    from DeepRadScoreLib.imaging.dicom.ct import read_ct

    return read_ct(folder).image


def with_simpleitk(folder: Path) -> object:
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


WAYS = {"DeepRadScore": with_deepradscore, "SimpleITK": with_simpleitk}


def measured(way: str, folder: Path) -> dict:
    import SimpleITK as sitk

    import DeepRadScoreLib.imaging.dicom.ct  # noqa: F401

    wall, cpu = time.perf_counter(), time.process_time()
    image = WAYS[way](folder)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "wall": wall,
        "cpu": cpu,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "hash": sitk.Hash(image),
        "geometry": [image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection()],
    }


def in_process(way: str, folder: Path) -> dict:
    call = [sys.executable, __file__, "--one", way, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": "1"}
    done = subprocess.run(call, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout.splitlines()[-1])


def compare(folder: Path) -> None:
    found: dict[str, list[dict]] = {way: [] for way in WAYS}
    for run in range(RUNS + 1):
        for way in WAYS:
            result = in_process(way, folder)
            if run:
                found[way].append(result)
    for way, results in found.items():
        middle = {key: statistics.median(r[key] for r in results) for key in ("wall", "cpu", "peak")}
        print(f"{way:14} {middle['wall']:.2f} s   {middle['cpu']:.2f} s of CPU   peak {middle['peak']:.0f} MB")
    for key in ("wall", "cpu"):
        ours, theirs = (statistics.median(r[key] for r in found[way]) for way in WAYS)
        pairs = [a[key] / b[key] for a, b in zip(*found.values(), strict=True)]
        print(f"ratio of {key:5} {ours / theirs:.2f}   median of pairs {statistics.median(pairs):.2f}")
    first, second = (found[way][0] for way in WAYS)
    print("same voxels:", first["hash"] == second["hash"], "  same geometry:", first["geometry"] == second["geometry"])


def made_up(folder: Path) -> Path:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import numpy as np

    from support import dicom_phantoms

    plane = np.random.default_rng(0).integers(-1000, 1000, (PIXELS, PIXELS)).astype(np.int16)
    hu = np.stack([np.roll(plane, n, 0) for n in range(SLICES)])
    dicom_phantoms.save(
        dicom_phantoms.ct_series(hu, spacing=(0.7, 0.7, 1.25), BitsStored=12, HighBit=11), folder, seed=1
    )
    return folder


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measured(sys.argv[2], Path(sys.argv[3]))))
    elif len(sys.argv) > 1:
        compare(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            compare(made_up(Path(scratch)))
